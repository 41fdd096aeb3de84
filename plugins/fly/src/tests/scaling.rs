//! More machines, fewer machines, another region.

use starsystem_provisioner::json;

use super::support::*;

#[test]
fn scaling_up_makes_what_is_missing_and_leaves_the_rest() {
    let service = service(json!({"count": 3}));
    let config = config(&service, &[]);
    let [one, two, three] =
        ["api-1", "api-2", "api-3"].map(|name| machine(name, &config, json!({})));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&two]);
    on_launch(&mut script, &one);
    script.on("createMachine").body("/name", "api-3").reply(200, three.clone());
    on_start(&mut script, &three);
    on_look(&mut script, &three);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.steps[0], "2 machines launched in iad");
    assert_eq!(count(&run, "updateMachine"), 0);
    let machines = run.result.unwrap().made.attributes.machines;
    assert_eq!(machines.keys().collect::<Vec<_>>(), ["api-1", "api-2", "api-3"]);
}

#[test]
fn scaling_down_removes_the_highest_after_the_proxy_let_go_of_it() {
    let service = service(json!({"count": 1}));
    let config = config(&service, &[]);
    let [one, two, three] =
        ["api-1", "api-2", "api-3"].map(|name| machine(name, &config, json!({})));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&three, &one, &two]);
    on_remove(&mut script, &three);
    on_remove(&mut script, &two);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.steps[..2], ["Machine api-3 removed", "Machine api-2 removed"]);
    assert_eq!(run.result.unwrap().made.attributes.machines.len(), 1);
}

#[test]
fn another_region_gets_a_healthy_machine_before_the_old_one_goes() {
    let old = machine("api-1", &config(&service(json!({})), &[]), json!({}));
    let service = service(json!({"region": "fra"}));
    let new = machine("api-2", &config(&service, &[]), json!({"region": "fra"}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&old]);
    on_launch(&mut script, &new);
    on_look(&mut script, &new);
    on_remove(&mut script, &old);
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.steps[..2], ["Machine launched in fra", "Machine api-1 removed"]);
    let attributes = run.result.unwrap().made.attributes;
    assert_eq!((attributes.region.as_str(), attributes.machines.len()), ("fra", 1));
}

#[test]
fn a_machine_that_does_not_stop_or_is_gone_is_no_obstacle() {
    let service = service(json!({"count": 1}));
    let config = config(&service, &[]);
    let one = machine("api-1", &config, json!({}));
    let two = machine("api-2", &config, json!({"state": "stopping", "checks": []}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one, &two]);
    on_lease(&mut script, &two);
    script
        .on("stopMachine")
        .reply(412, json!({"error": "failed_precondition: machine still attempting to start"}));
    script.on("deleteMachine").reply(404, json!({"error": "not_found: machine not found"}));
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.steps[0], "Machine api-2 removed");
}

#[test]
fn a_machine_on_a_dead_host_is_replaced_without_asking_the_host() {
    let service = service(json!({}));
    let dead = machine(
        "api-1",
        &json!(null),
        json!({"host_status": "unreachable",
        "incomplete_config": {"metadata": {"ss_mark": "ss-test"}}}),
    );
    let new = machine("api-2", &config(&service, &[]), json!({}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&dead]);
    on_launch(&mut script, &new);
    on_look(&mut script, &new);
    script
        .on("deleteMachine")
        .param("machine_id", "id-api-1")
        .no_param("nonce")
        .reply(200, json!({"ok": true}));
    on_visit(&mut script);
    let run = update(script, service, recorded(json!({})));
    assert_eq!(run.result.unwrap().made.attributes.machines.keys().collect::<Vec<_>>(), ["api-2"]);
}

#[test]
fn other_peoples_machines_are_neither_counted_nor_touched() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let theirs = machine("api-2", &json!({}), json!({}));
    let mut script = updating();
    on_app(&mut script);
    script
        .on("listMachines")
        .no_param("cursor")
        .header("fly-next-cursor", "c1")
        .reply(200, json!([]));
    script
        .on("listMachines")
        .param("cursor", "c1")
        .header("fly-next-cursor", "c2")
        .reply(200, json!([theirs]));
    script.on("listMachines").param("cursor", "c2").reply(200, json!([one]));
    let run = update(script, service, recorded(json!({})));
    let attributes = run.result.unwrap().made.attributes;
    assert_eq!(attributes.machines.len(), 1);
    assert_eq!(attributes.other_machines.iter().collect::<Vec<_>>(), ["id-api-2"]);
}

#[test]
fn a_machine_with_a_volume_is_not_removed() {
    let service = service(json!({"count": 1}));
    let config = config(&service, &[]);
    let mut with_volume = config.clone();
    with_volume["mounts"] = json!([{"volume": "vol_1"}]);
    let one = machine("api-1", &config, json!({}));
    let two = machine("api-2", &with_volume, json!({}));
    let mut script = updating();
    on_app(&mut script);
    on_machines(&mut script, &[&one, &two]);
    let run = update(script, service, recorded(json!({})));
    assert!(message(&run).contains("fly machine destroy id-api-2"), "{}", message(&run));
}
