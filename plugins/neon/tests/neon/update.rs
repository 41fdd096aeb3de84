//! Changing a project in place, and going on after a run that died.

use serde_json::json;
use ss_plugin_neon::Neon;
use starsystem_provisioner::testing::Phase;
use starsystem_provisioner::{FailureKind, Provisioner};

use crate::fixtures::*;

#[test]
fn changes_nothing_that_is_as_wanted() {
    let mut script = script(Phase::Update);
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let wanted = json!({"suspend_timeout_seconds": 300, "autoscaling_limit_max_cu": 2});
    let run = script.run(|| Neon::apply(service(wanted), Some(recorded(json!({})))));
    let outcome = run.result.expect("applied");
    assert_eq!(outcome.summary, "project as wanted, 2 outputs");
    assert_eq!(outcome.made.attributes.sizing.suspend_timeout_seconds, Some(0));
    assert_eq!(run.steps, [""; 0]);
}

#[test]
fn changes_name_history_branch_and_compute_one_after_the_other() {
    let mut script = script(Phase::Update);
    sees_all_well(&mut script);
    script
        .on("updateProject")
        .body("/project/name", "new-name")
        .body("/project/history_retention_seconds", 7200)
        .body("/project/default_endpoint_settings", json!({"autoscaling_limit_max_cu": 4.0, "suspend_timeout_seconds": -1}))
        .reply(200, json!({"project": project(), "operations": [operation("op-5", "apply_config", "running")]}));
    script
        .on("getOperation")
        .param("operation_id", "op-5")
        .reply(200, json!({"operation": operation("op-5", "apply_config", "finished")}));
    script
        .on("updateEndpoint")
        .param("endpoint_id", ENDPOINT)
        .body("", json!({"endpoint": {"autoscaling_limit_max_cu": 4.0, "suspend_timeout_seconds": -1}}))
        .reply(200, json!({"endpoint": endpoint("active"), "operations": [operation("op-6", "apply_config", "scheduling")]}));
    script
        .on("getOperation")
        .param("operation_id", "op-6")
        .reply(200, json!({"operation": operation("op-6", "apply_config", "finished")}));
    script
        .on("updateBranch")
        .param("branch_id", BRANCH)
        .body("", json!({"branch": {"name": "trunk"}}))
        .reply(200, json!({"branch": branch("ready"), "operations": []}));
    let mut renamed = project();
    renamed["name"] = json!("new-name");
    renamed["history_retention_seconds"] = json!(7200);
    renamed["default_endpoint_settings"] =
        json!({"autoscaling_limit_max_cu": 4, "suspend_timeout_seconds": -1});
    let mut trunk = branch("ready");
    trunk["name"] = json!("trunk");
    let mut larger = endpoint("active");
    larger["autoscaling_limit_max_cu"] = json!(4);
    larger["suspend_timeout_seconds"] = json!(-1);
    sees(&mut script, renamed, trunk, larger);
    gets_urls(&mut script);
    let wanted = json!({
        "project_name": "new-name", "history_retention_seconds": 7200, "branch": "trunk",
        "autoscaling_limit_max_cu": 4, "suspend_timeout_seconds": -1,
    });
    let run = script.run(|| Neon::apply(service(wanted), Some(recorded(json!({})))));

    assert_eq!(
        run.steps,
        [
            "Project updated: new-name-quiet-mountain-1234 (project_name, history_retention_seconds, compute, branch)"
        ]
    );
    let made = run.result.expect("updated").made;
    let expected = json!({
        "project_name": "new-name", "branch": "trunk", "history_retention_seconds": 7200,
        "autoscaling_limit_max_cu": 4, "suspend_timeout_seconds": -1,
    });
    assert_eq!(made, recorded(expected));
}

#[test]
fn the_compute_is_changed_itself_when_only_the_defaults_fit() {
    let mut script = script(Phase::Update);
    let mut small = endpoint("idle");
    small["autoscaling_limit_max_cu"] = json!(1);
    sees(&mut script, project(), branch("ready"), small);
    script
        .on("updateEndpoint")
        .body("/endpoint/autoscaling_limit_max_cu", 2.0)
        .reply(200, json!({"endpoint": endpoint("idle"), "operations": []}));
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let wanted = json!({"autoscaling_limit_max_cu": 2});
    assert!(script.run(|| Neon::apply(service(wanted), Some(recorded(json!({}))))).result.is_ok());
}

#[test]
fn a_read_that_lags_behind_neither_hides_what_is_to_be_done_nor_is_recorded() {
    let mut script = script(Phase::Update);
    let of = |seconds: i64| {
        let mut endpoint = endpoint("idle");
        endpoint["suspend_timeout_seconds"] = json!(seconds);
        endpoint
    };
    let mut defaults = project();
    defaults["default_endpoint_settings"] = json!({"suspend_timeout_seconds": 600});
    // Too early: it is recorded otherwise.
    sees(&mut script, defaults.clone(), branch("ready"), of(600));
    script.on("updateProject").reply(200, json!({"project": defaults, "operations": []}));
    script
        .on("updateEndpoint")
        .body("/endpoint/suspend_timeout_seconds", 600)
        .reply(200, json!({"endpoint": of(600), "operations": []}));
    // Too late.
    sees(&mut script, defaults.clone(), branch("ready"), of(300));
    sees(&mut script, defaults, branch("ready"), of(600));
    gets_urls(&mut script);
    let wanted = json!({"suspend_timeout_seconds": 600});
    let before = recorded(json!({"suspend_timeout_seconds": 300}));
    let run = script.run(|| Neon::apply(service(wanted.clone()), Some(before)));
    assert_eq!(run.result.expect("updated").made, recorded(wanted));
}

#[test]
fn a_disabled_compute_is_enabled_again() {
    let mut script = script(Phase::Update);
    let mut disabled = endpoint("idle");
    disabled["disabled"] = json!(true);
    sees(&mut script, project(), branch("ready"), disabled);
    script
        .on("updateEndpoint")
        .body("", json!({"endpoint": {"disabled": false}}))
        .reply(200, json!({"endpoint": endpoint("idle"), "operations": null}));
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let record = recorded(json!({"endpoint_disabled": true}));
    let run = script.run(|| Neon::apply(service(json!({})), Some(record)));
    assert_eq!(run.result.expect("updated").made, recorded(json!({})));
}

#[test]
fn a_checkpoint_is_gone_on_with() {
    let mut script = script(Phase::Create);
    script.owns("project_id", PROJECT);
    sees(&mut script, project(), branch("init"), endpoint("init"));
    script
        .on("listOperations")
        .reply(200, json!({"operations": [operation("op-1", "create_timeline", "running")]}));
    script
        .on("getOperation")
        .reply(200, json!({"operation": operation("op-1", "create_timeline", "finished")}));
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({})), Some(recorded(json!({})))));
    assert_eq!(run.result.expect("finished").made, recorded(json!({})));
}

#[test]
fn a_region_version_or_organisation_is_never_changed_by_making_another() {
    let fixed = [
        ("region", json!("eu-central-1")),
        ("pg_version", json!(16)),
        ("org_id", json!("org-other-1")),
    ];
    for (field, wanted) in fixed {
        let mut script = script(Phase::Update);
        sees_all_well(&mut script);
        let run =
            script.run(|| Neon::apply(service(json!({field: wanted})), Some(recorded(json!({})))));
        let failure = run.result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.message.contains(&format!("`{field}`")), "{failure}");
    }
}

#[test]
fn a_missing_database_is_not_replaced_by_an_empty_one() {
    let mut script = script(Phase::Update);
    script.on("getProject").reply(200, json!({"project": project()}));
    script.on("getBranch").reply(200, json!({"branch": branch("ready")}));
    script.on("listBranchEndpoints").reply(200, json!({"endpoints": [endpoint("idle")]}));
    for _ in 0..11 {
        script.on("getDatabase").reply(404, error("database not found for branch"));
    }
    script.on("getRole").reply(200, json!({"role": {"name": "neondb_owner"}}));
    let failure = script
        .run(|| Neon::apply(service(json!({})), Some(recorded(json!({})))))
        .result
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Broken);
    assert!(failure.message.contains("no longer has its database `neondb`"), "{failure}");
}

#[test]
fn a_project_that_is_gone_is_not_silently_made_anew() {
    let deleted = json!({"projects": [{
        "id": PROJECT, "name": "my-app", "org_id": ORG,
        "deleted_at": "2026-08-01T10:00:00Z", "recoverable_until": "2026-08-08T10:00:00Z",
    }]});
    for (listed, part) in
        [(deleted, "until 2026-08-08T10:00:00Z"), (json!({"projects": []}), "no longer exists")]
    {
        let mut script = script(Phase::Update);
        for _ in 0..11 {
            script.on("getProject").reply(404, error("project not found"));
        }
        script
            .on("listProjects")
            .param("recoverable", true)
            .param("search", PROJECT)
            .param("org_id", ORG)
            .reply(200, listed);
        let run = script.run(|| Neon::apply(service(json!({})), Some(recorded(json!({})))));
        let failure = run.result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Broken);
        assert!(
            failure.message.contains(part) && failure.message.contains("`--refresh`"),
            "{failure}"
        );
    }
}
