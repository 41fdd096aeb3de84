//! Updates in place: order, one at a time, and nothing at all when nothing differs.

use starsystem_provisioner::{NamedSecret, json};

use super::support::*;

#[test]
fn nothing_to_do_writes_nothing() {
    let service = service(json!({"count": 2}));
    let config = config(&service, &[]);
    let [one, two] = ["api-1", "api-2"].map(|name| machine(name, &config, json!({})));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one, &two]);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.calls, ["getApp", "listIps", "listMachines"]);
    assert!(run.steps.is_empty());
    assert_eq!(run.result.unwrap().summary, "2 machines run ghcr.io/me/api:v1 in iad");
}

#[test]
fn what_the_vendor_writes_differently_is_no_difference() {
    let service = service(json!({}));
    let mut quirky = config(&service, &[]);
    quirky["services"][0]["autostop"] = json!(false);
    quirky["services"][0]["checks"][0]["interval"] = json!(10_000_000_000_u64);
    quirky["dns"] = json!({});
    quirky["init"] = json!({"cmd": null, "tty": false});
    quirky["env"] = json!(null);
    let one = machine("api-1", &quirky, json!({"events": [{"type": "start", "request": null}]}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one]);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.calls.len(), 3, "{:?}", run.calls);
}

#[test]
fn three_machines_are_updated_one_after_the_other() {
    let old = config(&service(json!({"count": 3})), &[]);
    let service = service(json!({"count": 3, "image": "ghcr.io/me/api:v2"}));
    let new = config(&service, &[]);
    let before = ["api-1", "api-2", "api-3"].map(|name| machine(name, &old, json!({})));
    let after = before.clone().map(|machine| {
        changed(
            &machine,
            json!({"version": format!("{}-version-2", text(&machine, "name")), "config": new}),
        )
    });
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &before.iter().collect::<Vec<_>>());
    for index in 0..3 {
        // Before each: do the others serve? The script's order shows that only one is out at a time.
        let now: Vec<_> = after[..index].iter().chain(&before[index..]).collect();
        on_machines(&mut script, &now);
        on_update(&mut script, &before[index], &after[index], true);
    }
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(
        run.steps,
        [
            "Machine api-1 updated (1 of 3)",
            "Machine api-2 updated (2 of 3)",
            "Machine api-3 updated (3 of 3)",
            "Health check passing at https://my-app.fly.dev/health",
        ]
    );
    let touches = ["cordonMachine", "updateMachine", "uncordonMachine", "releaseMachine"];
    let order: Vec<&str> =
        run.calls.iter().map(String::as_str).filter(|call| touches.contains(call)).collect();
    assert_eq!(order, touches.repeat(3));
    let made = run.result.unwrap().made;
    assert_eq!(made.attributes.image, "ghcr.io/me/api:v2");
    assert_eq!(made.attributes.machines["api-3"].version, "api-3-version-2");
    assert!(made.attributes.machines.values().all(|machine| !machine.cordoned));
}

#[test]
fn a_machine_stays_in_service_until_the_others_can_carry_it() {
    let old = config(&service(json!({"count": 2})), &[]);
    let service = service(json!({"count": 2, "image": "ghcr.io/me/api:v2"}));
    let new = config(&service, &[]);
    let ill = json!({"checks": [{"name": "c", "status": "critical"}]});
    let two = machine("api-2", &new, json!({}));
    let one = machine("api-1", &old, json!({}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one, &two]);
    on_machines(&mut script, &[&one, &changed(&two, ill)]);
    on_machines(&mut script, &[&one, &two]);
    let after = changed(&one, json!({"version": "v2", "config": new}));
    on_update(&mut script, &one, &after, true);
    on_visit(&mut script);
    assert!(update(script, service, recorded(json!({}))).result.is_ok());
}

#[test]
fn a_changed_secret_alone_updates_the_machines() {
    let mut script = updating();
    let mut service = service(json!({}));
    let secret = script.secret("postgresql://new");
    service.inputs = vec![NamedSecret::new("DATABASE_URL", secret)];
    let before = machine("api-1", &config(&service, &[("DATABASE_URL", "d1")]), json!({}));
    let after = changed(
        &before,
        json!({"version": "v2", "config": config(&service, &[("DATABASE_URL", "d2")])}),
    );
    on_app(&mut script);
    script
        .on("setSecrets")
        .body("/values", json!({"DATABASE_URL": "postgresql://new", "OLD_URL": null}))
        .reply(200, json!({"Version": 9, "secrets": [{"name": "DATABASE_URL", "digest": "d2"}, {"name": "THEIRS", "digest": "t"}]}));
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    script
        .on("updateMachine")
        .body("/min_secrets_version", 9)
        .body("/config", after["config"].clone())
        .reply(200, changed(&after, json!({"state": "replacing"})));
    on_start(&mut script, &after);
    on_update_end(&mut script, &before, false);
    on_visit(&mut script);
    let run = update(
        script,
        service,
        recorded(json!({"secrets": {"DATABASE_URL": "d1", "OLD_URL": "o"}})),
    );
    let secrets = run.result.unwrap().made.attributes.secrets;
    assert_eq!(
        secrets.into_iter().collect::<Vec<_>>(),
        [("DATABASE_URL".to_owned(), "d2".to_owned())]
    );
}

#[test]
fn the_same_secrets_change_nothing() {
    let mut script = updating();
    let mut service = service(json!({}));
    service.inputs = vec![NamedSecret::new("DATABASE_URL", script.secret("same"))];
    let one = machine("api-1", &config(&service, &[("DATABASE_URL", "d1")]), json!({}));
    on_app(&mut script);
    script.on("setSecrets").reply(200, json!({"version": 8}));
    script
        .on("listSecrets")
        .reply(200, json!({"secrets": [{"name": "DATABASE_URL", "digest": "d1"}]}));
    on_machines(&mut script, &[&one]);
    assert_eq!(count(&update(script, service, recorded(json!({}))), "updateMachine"), 0);
}

#[test]
fn a_stopped_machine_is_updated_and_then_started() {
    let old = config(&service(json!({})), &[]);
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let before =
        machine("api-1", &old, json!({"state": "stopped", "checks": [], "events": exit(1)}));
    let after = changed(&before, json!({"version": "v2", "config": config(&service, &[])}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    script.on("updateMachine").reply(200, after.clone());
    script.on("waitMachine").reply(408, json!({"error": "deadline_exceeded: machine failed to reach desired state, started, currently stopped"}));
    on_look(&mut script, &after);
    script
        .on("startMachine")
        .param("nonce", nonce(&before))
        .reply(200, json!({"previous_state": "stopped"}));
    let healthy = machine("api-1", &config(&service, &[]), json!({"version": "v2"}));
    on_start(&mut script, &healthy);
    on_update_end(&mut script, &before, false);
    on_visit(&mut script);
    assert!(update(script, service, recorded(json!({}))).result.is_ok());
}

#[test]
fn what_an_earlier_deploy_left_out_of_service_is_put_back() {
    let service = service(json!({"count": 2}));
    let config = config(&service, &[]);
    let one = machine("api-1", &config, json!({"cordoned": true}));
    let two = machine("api-2", &config, json!({}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one, &two]);
    on_lease(&mut script, &one);
    on_start(&mut script, &one);
    on_update_end(&mut script, &one, true);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.steps[0], "Machine api-1 is back in service");
    assert!(!run.result.unwrap().made.attributes.machines["api-1"].cordoned);
}

#[test]
fn an_update_keeps_what_others_added_to_a_machine() {
    let mut old = config(&service(json!({})), &[]);
    old["mounts"] = json!([{"volume": "vol_1", "path": "/data"}]);
    old["metadata"]["team"] = json!("blue");
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let before = machine("api-1", &old, json!({}));
    let mut new = config(&service, &[]);
    new["mounts"] = old["mounts"].clone();
    new["metadata"]["team"] = json!("blue");
    let after = changed(&before, json!({"version": "v2", "config": new}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    script
        .on("updateMachine")
        .body("/config/mounts/0/volume", "vol_1")
        .body("/config/metadata/team", "blue")
        .body("/config/image", "ghcr.io/me/api:v2")
        .reply(200, after.clone());
    on_start(&mut script, &after);
    on_update_end(&mut script, &before, false);
    on_visit(&mut script);
    assert!(update(script, service, recorded(json!({}))).result.is_ok());
}
