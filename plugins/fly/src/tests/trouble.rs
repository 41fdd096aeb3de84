//! Images that crash, machines that stay ill, hosts that are full, and others who interfere.

use starsystem_provisioner::{CallErrorKind, FailureKind, json};

use super::support::*;

#[test]
fn a_crash_is_told_at_once_with_code_and_last_words() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    script.on("createMachine").reply(200, changed(&one, json!({"state": "created", "checks": []})));
    script.on("waitMachine").reply(408, json!({"error": "deadline_exceeded: machine failed to reach desired state, started, currently stopped"}));
    on_look(
        &mut script,
        &changed(&one, json!({"state": "stopped", "checks": [], "events": exit(1)})),
    );
    script.on("listLogs").param("instance", "id-api-1").reply(
        200,
        json!({"data": [{"attributes": {"message": "booting"}}, {"attributes": {"message": "Error: DATABASE_URL is not set\n"}}]}),
    );
    let run = create(script, service);
    assert_eq!(
        message(&run),
        "machine api-1 is not healthy with ghcr.io/me/api:v1: its process ended with exit code 1; its last lines: “booting” “Error: DATABASE_URL is not set”."
    );
    let failure = run.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Broken);
    assert_eq!(failure.details.unwrap()["machine"], "id-api-1");
    assert_eq!(run.logs.last().unwrap(), "api-1: Error: DATABASE_URL is not set");
    assert_eq!(run.steps, ["App created: my-app"]);
    assert!(run.waited_ms < 60_000, "{}", run.waited_ms);
}

#[test]
fn a_machine_that_stays_ill_ends_the_deploy_after_the_patience() {
    let service = service(json!({"wait_timeout": "20s"}));
    let ill = machine(
        "api-1",
        &config(&service, &[]),
        json!({
        "checks": [{"name": "servicecheck-00-http-3000", "status": "critical", "output": "connect: connection refused"}]}),
    );
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &ill);
    for _ in 0..9 {
        on_look(&mut script, &ill);
    }
    // A look that fails for a passing reason is no verdict.
    script.on("getMachine").reply(429, json!({"error": "rate limit exceeded"}));
    script.on("getMachine").fails(CallErrorKind::TimedOut, "no answer");
    on_look(&mut script, &ill);
    on_look(&mut script, &ill);
    script.on("listLogs").reply(403, json!({"error": "unauthorized"}));
    let run = create(script, service);
    assert_eq!(
        message(&run),
        "machine api-1 is not healthy with ghcr.io/me/api:v1: it did not become healthy in time (`wait_timeout`): check servicecheck-00-http-3000 is critical: connect: connection refused."
    );
}

#[test]
fn a_broken_image_stops_a_rollout_at_the_first_machine() {
    let old = config(&service(json!({"count": 3})), &[]);
    let service = service(json!({"count": 3, "image": "ghcr.io/me/api:v2"}));
    let [one, two, three] = ["api-1", "api-2", "api-3"].map(|name| machine(name, &old, json!({})));
    let after = changed(&one, json!({"version": "v2", "config": config(&service, &[])}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one, &two, &three]);
    on_machines(&mut script, &[&one, &two, &three]);
    on_update_begin(&mut script, &one, true);
    on_update_sent(&mut script, &one, &after);
    script.on("waitMachine").reply(200, json!({"ok": true}));
    let mut events = exit(137).as_array().unwrap().clone();
    events.extend(one["events"].as_array().unwrap().clone());
    on_look(
        &mut script,
        &changed(&after, json!({"state": "stopped", "checks": [], "events": events})),
    );
    script.on("listLogs").reply(200, json!({"data": []}));
    script.on("releaseMachine").reply(200, json!({}));
    let run = update(script, service, recorded(json!({})));
    assert_eq!(
        message(&run),
        "machine api-1 is not healthy with ghcr.io/me/api:v2: its process ended with exit code 137. Now there are api-2, api-3 on ghcr.io/me/api:v1; api-1 on ghcr.io/me/api:v2; the next `ss deploy` goes on from here."
    );
    // It stays out of service, and what is known of it is kept.
    assert_eq!((count(&run, "uncordonMachine"), count(&run, "updateMachine")), (0, 1));
    let last = run.checkpoints.last().unwrap();
    assert_eq!(last.attributes["image"], "ghcr.io/me/api:v1, ghcr.io/me/api:v2");
}

#[test]
fn a_refused_update_leaves_the_machine_in_service() {
    let old = config(&service(json!({"count": 2})), &[]);
    let service = service(json!({"count": 2, "image": "ghcr.io/me/api:nope"}));
    let [one, two] = ["api-1", "api-2"].map(|name| machine(name, &old, json!({})));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one, &two]);
    on_machines(&mut script, &[&one, &two]);
    on_update_begin(&mut script, &one, true);
    let text = "invalid_argument: failed to get manifest ghcr.io/me/api:nope: MANIFEST_UNKNOWN";
    script.on("updateMachine").header("fly-request-id", "01REQ").reply(400, json!({"error": text}));
    on_update_end(&mut script, &one, true);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Invalid);
    assert!(
        message(&run).starts_with(
            "could not update machine api-1: Fly cannot get the image `ghcr.io/me/api:nope`"
        ),
        "{}",
        message(&run)
    );
    assert!(message(&run).ends_with("(Fly request 01REQ)"), "{}", message(&run));
}

#[test]
fn where_the_host_is_full_another_machine_takes_the_place() {
    let old = config(&service(json!({})), &[]);
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let before = machine("api-1", &old, json!({}));
    let new = machine("api-2", &config(&service, &[]), json!({}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    script.on("updateMachine").reply(409, json!({"error": "aborted: could not reserve resource for machine: insufficient memory available to fulfill request on the current host"}));
    on_update_end(&mut script, &before, false);
    on_launch(&mut script, &new);
    on_remove(&mut script, &before);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.steps[0], "Machine api-2 launched in iad in the place of api-1");
    assert_eq!(run.result.unwrap().made.attributes.machines.keys().collect::<Vec<_>>(), ["api-2"]);
}

#[test]
fn a_full_region_is_said_with_a_way_out() {
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    script.on("createMachine").reply(
        422,
        json!({"error": "could not find a candidate host", "status": "insufficient_capacity"}),
    );
    let run = create(script, service(json!({})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Declined);
    assert!(message(&run).contains("choose another `region`"));
}

#[test]
fn somebody_elses_lease_is_waited_for() {
    let old = config(&service(json!({})), &[]);
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let before = machine("api-1", &old, json!({}));
    let after = changed(&before, json!({"version": "v2", "config": config(&service, &[])}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    for _ in 0..6 {
        script.on("leaseMachine").reply(409, json!({"status": "error", "code": "invalid", "message": "machine ID id-api-1 lease currently held by me@fly.io, expires at 2026-10-20 19:59:06 +0000 UTC"}));
    }
    on_update(&mut script, &before, &after, false);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert!(run.result.is_ok() && run.waited_ms >= 12_000);
}

#[test]
fn a_lease_that_does_not_end_names_its_holder() {
    let old = config(&service(json!({})), &[]);
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&machine("api-1", &old, json!({}))]);
    for _ in 0..16 {
        script.on("leaseMachine").reply(409, json!({"status": "error", "message": "machine ID id-api-1 lease currently held by me@fly.io, expires at 2026-10-20 19:59:06 +0000 UTC", "code": "invalid"}));
    }
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Conflict);
    assert!(message(&run).contains("me@fly.io"), "{}", message(&run));
}

#[test]
fn a_change_by_somebody_else_is_a_conflict() {
    let old = config(&service(json!({})), &[]);
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let before = machine("api-1", &old, json!({}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    script
        .on("updateMachine")
        .reply(409, json!({"error": "aborted: machine update failed due to concurrent update"}));
    on_look(&mut script, &changed(&before, json!({"version": "theirs"})));
    script.on("releaseMachine").reply(200, json!({}));
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Conflict);
}

#[test]
fn an_update_that_is_not_visible_yet_is_waited_for_and_a_foreign_one_is_not() {
    let old = config(&service(json!({})), &[]);
    let service = service(json!({"image": "ghcr.io/me/api:v2"}));
    let before = machine("api-1", &old, json!({}));
    let after = changed(&before, json!({"version": "v2", "config": config(&service, &[])}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&before]);
    on_update_begin(&mut script, &before, false);
    on_update_sent(&mut script, &before, &after);
    script.on("waitMachine").reply(200, json!({"ok": true}));
    on_look(&mut script, &before);
    script.on("waitMachine").reply(200, json!({"ok": true}));
    on_look(&mut script, &changed(&after, json!({"version": "theirs"})));
    script.on("releaseMachine").reply(200, json!({}));
    let run = update(script, service, recorded(json!({})));
    assert!(message(&run).contains("somebody else changed machine api-1"), "{}", message(&run));
}

#[test]
fn an_app_that_is_gone_is_said_with_a_way_out() {
    let mut script = updating();
    script.on("getApp").reply(404, json!({"error": "app not found"}));
    let run = update(script, service(json!({})), recorded(json!({})));
    assert!(message(&run).contains("ss plan --refresh"));
}
