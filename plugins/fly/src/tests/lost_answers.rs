//! Answers that get lost, names that are taken, and runs that died: nothing is made twice.

use starsystem_provisioner::testing::MARK;
use starsystem_provisioner::{FailureKind, json};

use super::support::*;

#[test]
fn a_lost_app_is_asked_for_again_with_the_same_key() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    let key = format!("{MARK}-my-app");
    script.on("createApp").body("/idempotency_key", key.clone()).lost();
    script.on("createApp").body("/idempotency_key", key.clone()).reply_text(524, "<html>");
    script.on("createApp").body("/idempotency_key", key).reply(201, json!({"id": "app-1"}));
    on_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    assert!(create(script, service).result.is_ok());
}

fn name_taken(script: &mut starsystem_provisioner::testing::Script) {
    let body =
        json!({"error": "Validation failed: Name has already been taken", "status": "name_taken"});
    script.on("createApp").reply(422, body);
}

#[test]
fn a_name_of_another_organisation_needs_another_name() {
    let mut script = creating();
    name_taken(&mut script);
    script.on("getApp").reply(403, json!({"error": "unauthorized"}));
    let run = create(script, service(json!({})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Invalid);
    assert_eq!(
        message(&run),
        "the Fly app name `my-app` is taken by another organisation, and names are shared by all of Fly's customers: choose another `app`"
    );
}

#[test]
fn an_app_of_ones_own_without_our_mark_is_left_alone() {
    let mut script = creating();
    name_taken(&mut script);
    script.on("getApp").reply(200, app());
    let theirs = machine("web", &json!({"metadata": {"ss_mark": "someone-else"}}), json!({}));
    on_machines(&mut script, &[&theirs]);
    let run = create(script, service(json!({})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Conflict);
    assert!(message(&run).contains("fly apps destroy my-app"), "{}", message(&run));
    assert!(run.steps.is_empty() && run.checkpoints.is_empty());
}

#[test]
fn an_app_with_our_machine_in_it_is_adopted() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    name_taken(&mut script);
    script.on("getApp").reply(200, app());
    on_machines(&mut script, &[&one]);
    on_app(&mut script);
    on_machines(&mut script, &[&one]);
    let run = create(script, service);
    assert_eq!(count(&run, "createMachine"), 0);
    assert_eq!(run.result.unwrap().made.attributes.machines["api-1"].id, "id-api-1");
}

#[test]
fn a_lost_machine_is_found_by_its_mark() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    script.on("createMachine").lost();
    on_machines(&mut script, &[]);
    on_machines(&mut script, &[&one]);
    on_start(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    let run = create(script, service);
    assert_eq!(count(&run, "createMachine"), 1);
    assert!(run.result.is_ok());
}

#[test]
fn a_machine_behind_a_timeout_is_found_too() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    script
        .on("createMachine")
        .reply(408, json!({"error": "deadline_exceeded: context deadline exceeded"}));
    on_machines(&mut script, &[&one]);
    on_start(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    assert!(create(script, service).result.is_ok());
}

const EXISTS: &str = "already_exists: unique machine name violation, machine ID id-api-1 already exists with name \"api-1\"";

#[test]
fn a_name_conflict_with_our_own_machine_is_that_machine() {
    let service = service(json!({}));
    let one = machine("api1", &config(&service, &[]), json!({"name": "api-1"}));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    let exists = EXISTS.replace("id-api-1", "148e21ea7d4389");
    let one = changed(&one, json!({"id": "148e21ea7d4389"}));
    script.on("createMachine").reply(409, json!({"error": exists}));
    script.on("getMachine").param("machine_id", "148e21ea7d4389").reply(200, one.clone());
    on_start(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    assert_eq!(
        create(script, service).result.unwrap().made.attributes.machines["api-1"].id,
        "148e21ea7d4389"
    );
}

#[test]
fn a_name_conflict_with_somebody_elses_machine_is_said() {
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    script
        .on("createMachine")
        .reply(409, json!({"error": EXISTS.replace("id-api-1", "148e21ea7d4389")}));
    let theirs = machine("api-1", &json!({}), json!({"id": "148e21ea7d4389"}));
    script.on("getMachine").reply(200, theirs.clone());
    for _ in 0..5 {
        on_machines(&mut script, &[&theirs]);
    }
    let run = create(script, service(json!({})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Conflict);
    assert!(message(&run).contains("148e21ea7d4389"));
}

#[test]
fn a_run_that_died_after_its_first_checkpoint_goes_on() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    script.owns("app", "my-app");
    script.on("getApp").reply(404, json!({"error": "app not found"}));
    on_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({"app_id": ""})));
    assert_eq!(run.steps[0], "Machine launched in iad");
    assert!(run.result.is_ok());
}

#[test]
fn a_lost_address_is_looked_for() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    script.on("createApp").reply(201, json!({"id": "app-1"}));
    script.on("getApp").reply(200, app());
    script.on("listIps").reply(200, json!({"ips": [{"ip": "2a09::1"}]}));
    script.on("assignIp").body("/type", "shared_v4").lost();
    on_addresses(&mut script);
    on_machines(&mut script, &[&one]);
    let run = create(script, service);
    assert_eq!(count(&run, "assignIp"), 1);
    assert_eq!(run.result.unwrap().made.attributes.ips.len(), 2);
}

#[test]
fn a_lost_update_is_looked_at_and_not_repeated() {
    let before = machine("api-1", &config(&service(json!({})), &[]), json!({}));
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let after = changed(&before, json!({"version": "v2", "config": config(&service, &[])}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    script.on("updateMachine").lost();
    on_look(&mut script, &after);
    on_start(&mut script, &after);
    on_update_end(&mut script, &before, false);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.steps[0], "Machine api-1 updated");
}

#[test]
fn an_update_that_was_lost_on_the_way_is_sent_again() {
    let before = machine("api-1", &config(&service(json!({})), &[]), json!({}));
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let after = changed(&before, json!({"version": "v2", "config": config(&service, &[])}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    script.on("updateMachine").lost();
    on_look(&mut script, &before);
    on_update_sent(&mut script, &before, &after);
    on_start(&mut script, &after);
    on_update_end(&mut script, &before, false);
    on_visit(&mut script);
    assert!(update(script, service, recorded(json!({}))).result.is_ok());
}

#[test]
fn a_list_that_lags_behind_the_record_is_read_again() {
    let service = service(json!({}));
    let config = config(&service, &[]);
    let one = machine("api-1", &config, json!({}));
    let mut script = updating();
    script.on("getApp").reply(200, app());
    script.on("listIps").reply(200, json!({"ips": []}));
    on_addresses(&mut script);
    on_machines(&mut script, &[&one]);
    let run = update(script, service, recorded(json!({"ips": ["66.1.2.3", "2a09::1"]})));
    assert_eq!(run.calls, ["getApp", "listIps", "listIps", "listMachines"]);
}
