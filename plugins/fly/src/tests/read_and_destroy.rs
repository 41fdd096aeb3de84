//! Reading what is there, telling “gone” from “not allowed”, and removing everything.

use starsystem_provisioner::serde_json::Value;
use starsystem_provisioner::testing::{Phase, Run, Script};
use starsystem_provisioner::{Failure, FailureKind, Provisioner, Recorded, json};

use super::support::*;
use crate::{Attributes, Fly};

type Read = Result<Option<Recorded<Attributes>>, Failure>;

fn read(mut script: Script, recorded: Recorded<Attributes>) -> Run<Read> {
    script.owns("app", "my-app");
    script.run(|| Fly::read(service(json!({})), recorded))
}

fn reading() -> Script {
    Script::new(Fly::MANIFEST, Phase::Read)
}

fn known() -> Value {
    json!({"secrets": {"DATABASE_URL": "d1"}})
}

#[test]
fn what_a_deploy_recorded_is_what_a_read_sees() {
    let wanted = service(json!({}));
    let one = machine("api-1", &config(&wanted, &[]), json!({}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one]);
    let made = update(script, wanted, recorded(json!({}))).result.unwrap().made;
    let mut script = reading();
    on_app(&mut script);
    on_machines(&mut script, &[&one]);
    assert_eq!(read(script, made.clone()).result.unwrap(), Some(made));
}

#[test]
fn changes_from_elsewhere_are_seen() {
    let mut script = reading();
    on_app(&mut script);
    script.on("listSecrets").reply(200, json!({"secrets": [{"name": "DATABASE_URL", "digest": "d2"}, {"name": "THEIRS", "digest": "x"}]}));
    let other = json!({"image": "ghcr.io/me/api:hotfix", "metadata": {"ss_mark": "ss-test"}});
    on_machines(
        &mut script,
        &[&machine("api-1", &other, json!({"version": "theirs", "cordoned": true}))],
    );
    let run = read(script, recorded(known()));
    assert!(run.calls.iter().all(|call| call.starts_with("get") || call.starts_with("list")));
    let seen = run.result.unwrap().unwrap().attributes;
    assert_eq!(seen.image, "ghcr.io/me/api:hotfix");
    assert_eq!(
        (seen.machines["api-1"].version.as_str(), seen.machines["api-1"].cordoned),
        ("theirs", true)
    );
    assert_eq!(
        seen.secrets.into_iter().collect::<Vec<_>>(),
        [("DATABASE_URL".to_owned(), "d2".to_owned())]
    );
}

#[test]
fn machines_that_are_gone_are_drift_and_the_app_is_not_gone() {
    let mut script = reading();
    on_app(&mut script);
    on_machines(&mut script, &[]);
    let seen = read(script, recorded(json!({}))).result.unwrap().unwrap();
    assert!(seen.attributes.machines.is_empty());
}

#[test]
fn a_recorded_machine_that_the_list_leaves_out_is_asked_for_itself() {
    let known = || json!({"machines": {"api-1": {"id": "id-of-api-1", "version": "v1"}}});
    let one = machine("api-1", &json!({"metadata": {"ss_mark": "ss-test"}}), json!({}));
    for (status, answer, machines) in
        [(200, one.clone(), 1), (404, json!({"error": "machine not found"}), 0)]
    {
        let mut script = reading();
        on_app(&mut script);
        on_machines(&mut script, &[]);
        script.on("getMachine").param("machine_id", "id-of-api-1").reply(status, answer);
        let seen = read(script, recorded(known())).result.unwrap().unwrap();
        assert_eq!(seen.attributes.machines.len(), machines);
    }
}

#[test]
fn an_app_that_is_gone_is_none() {
    let mut script = reading();
    script.on("getApp").reply(404, json!({"error": "app not found"}));
    assert_eq!(read(script, recorded(json!({}))).result, Ok(None));
}

#[test]
fn a_token_that_may_not_look_is_not_gone() {
    for (status, text) in [(403, "unauthorized"), (401, "Authenticate: token validation error")] {
        let mut script = reading();
        script.on("getApp").reply(status, json!({"error": text}));
        let failure = read(script, recorded(json!({}))).result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unauthorized);
    }
}

#[test]
fn an_address_that_is_not_fly_is_not_gone() {
    let mut script = reading();
    script.on("getApp").reply_text(404, "404 page not found\n");
    let failure = read(script, recorded(json!({}))).result.unwrap_err();
    assert!(failure.message.contains("`connections`"), "{}", failure.message);
}

fn destroying() -> Script {
    let mut script = Script::new(Fly::MANIFEST, Phase::Destroy);
    script.owns("app", "my-app");
    script
}

#[test]
fn destroy_deletes_the_app_and_waits_for_its_name() {
    let mut script = destroying();
    script.on("getApp").reply(200, app());
    on_machines(&mut script, &[&machine("by-hand", &json!({}), json!({}))]);
    script.on("deleteApp").param("app", "my-app").param("force", true).reply_text(202, "");
    script.on("getApp").reply(200, app());
    script.on("getApp").reply(404, json!({"error": "app not found"}));
    let run = script.run(|| Fly::destroy(recorded(json!({}))));
    assert_eq!(run.result, Ok(()));
    assert_eq!(run.steps, ["App destroyed: my-app"]);
    assert_eq!(run.logs, ["machine by-hand (id-by-hand) goes with the app"]);
}

#[test]
fn what_is_gone_already_is_destroyed() {
    let mut script = destroying();
    script.on("getApp").reply(404, json!({"error": "app not found"}));
    assert_eq!(script.run(|| Fly::destroy(recorded(json!({})))).result, Ok(()));
    let mut script = destroying();
    script.on("getApp").reply(200, app());
    on_machines(&mut script, &[]);
    script.on("deleteApp").reply(404, json!({"error": "Could not find App \"my-app\""}));
    script.on("getApp").reply(404, json!({"error": "app not found"}));
    assert_eq!(script.run(|| Fly::destroy(recorded(json!({})))).result, Ok(()));
}

#[test]
fn another_app_of_the_same_name_is_not_destroyed() {
    let mut script = destroying();
    script.on("getApp").reply(200, app());
    let run = script.run(|| Fly::destroy(recorded(json!({"app_id": "app-0"}))));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Conflict);
}

#[test]
fn a_token_that_may_not_delete_is_a_failure() {
    let mut script = destroying();
    script.on("getApp").reply(403, json!({"error": "unauthorized"}));
    let run = script.run(|| Fly::destroy(recorded(json!({}))));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unauthorized);
}

#[test]
fn an_app_made_by_hand_is_found_with_its_machines() {
    let by_hand = json!({"image": "ghcr.io/me/api:v1", "guest": {"cpus": 1, "memory_mb": 256}});
    let find = |fields: Value, id: &str| {
        let mut script = reading();
        script.owns("app", "my-app");
        if id == "my-app" {
            on_app(&mut script);
            let (one, two) =
                (machine("quiet-surf", &by_hand, json!({})), machine("b", &by_hand, json!({})));
            on_machines(&mut script, &[&one, &two]);
        }
        let id = id.to_owned();
        script.run(move || Fly::find(service(fields), id)).result
    };
    let found = find(json!({"count": 2}), "my-app").unwrap().unwrap().attributes;
    assert_eq!((found.machines.len(), found.other_machines.len()), (2, 0));
    let message = |fields, id| find(fields, id).unwrap_err().message;
    assert!(message(json!({}), "other").contains("set `app: other`"));
}

#[test]
fn machines_that_a_deploy_would_remove_are_told() {
    let mut script = reading();
    script.owns("app", "my-app");
    on_app(&mut script);
    let two = ["a", "b"].map(|name| machine(name, &json!({}), json!({})));
    script.on("listMachines").reply(200, json!(two));
    let failure = script.run(|| Fly::find(service(json!({})), "my-app".to_owned())).result;
    assert!(failure.unwrap_err().message.contains("set `count: 2`"));
}
