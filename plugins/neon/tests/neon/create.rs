//! Making a project, and waiting for it.

use serde_json::json;
use ss_plugin_neon::Neon;
use starsystem_provisioner::testing::{MARK, Phase};
use starsystem_provisioner::{FailureKind, Provisioner};

use crate::fixtures::*;

#[test]
fn creates_a_marked_project_and_gives_both_urls() {
    let mut script = script(Phase::Create);
    script
        .on("listProjects")
        .param("search", "my-app")
        .param("limit", 400)
        .no_param("org_id")
        .no_param("recoverable")
        .reply(200, json!({"projects": [], "pagination": {"cursor": "x"}}));
    script
        .on("listProjects")
        .param("search", "my-app")
        .param("recoverable", true)
        .reply(200, json!({"projects": []}));
    script
        .on("createProject")
        .body("/project/name", "my-app")
        .body("/project/region_id", "aws-us-east-2")
        .body("/project/pg_version", 17)
        .body("/project/branch/name", "main")
        .body("/project/branch/database_name", "neondb")
        .body("/project/branch/role_name", "neondb_owner")
        .body("/project/branch/annotations/ss_mark", MARK)
        .body("/project/branch/annotations/ss_service", "app-db")
        .no_body("/project/org_id")
        .no_body("/project/history_retention_seconds")
        .no_body("/project/default_endpoint_settings")
        .no_body("/project/store_passwords")
        .reply(201, created());
    waits_for_create(&mut script);
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({})), None));

    let outcome = run.result.as_ref().expect("created");
    assert_eq!(outcome.summary, "project created, 2 outputs");
    assert_eq!(outcome.made, recorded(json!({})));
    let outputs: Vec<_> = outcome
        .outputs
        .iter()
        .map(|output| (output.name.as_str(), run.reveal(output.value)))
        .collect();
    assert_eq!(outputs, [("DATABASE_URL", POOLED), ("DATABASE_URL_UNPOOLED", DIRECT)]);
    assert_eq!(run.steps, ["Project created: my-app-quiet-mountain-1234"]);
    assert_eq!(run.logs, ["waiting for Neon: create_timeline, start_compute"]);
    assert_eq!(run.waited_ms, 250);
}

#[test]
fn checkpoints_what_the_answer_says_before_it_waits() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script.on("createProject").reply(201, created());
    script
        .on("getOperation")
        .reply(200, json!({"operation": operation("op-1", "create_timeline", "error")}));
    let run = script.run(|| Neon::apply(service(json!({})), None));

    assert_eq!(run.result.unwrap_err().kind, FailureKind::Broken);
    let [checkpoint] = run.checkpoints.as_slice() else { panic!("one checkpoint") };
    assert_eq!(checkpoint.id, PROJECT);
    assert_eq!(checkpoint.url.as_deref(), Some(URL));
    assert_eq!(checkpoint.attributes, json!(recorded(json!({})).attributes));
    assert!(!checkpoint.attributes.to_string().contains("npg_"), "no password in a record");
}

#[test]
fn sends_every_field_that_the_user_sets_and_records_it() {
    let wanted = json!({
        "region": "azure-eastus2", "pg_version": 16, "branch": "trunk", "database": "shop", "role": "keeper",
        "org_id": ORG, "history_retention_seconds": 3600, "autoscaling_limit_min_cu": 1,
        "autoscaling_limit_max_cu": 4, "suspend_timeout_seconds": 600,
    });
    let mut made = created();
    made["project"]["region_id"] = json!("azure-eastus2");
    let mut script = script(Phase::Create);
    script.on("listProjects").param("org_id", ORG).reply(200, json!({"projects": []}));
    script.on("listProjects").param("org_id", ORG).reply(200, json!({"projects": []}));
    script
        .on("createProject")
        .body("/project/region_id", "azure-eastus2")
        .body("/project/pg_version", 16)
        .body("/project/org_id", ORG)
        .body("/project/branch/name", "trunk")
        .body("/project/branch/database_name", "shop")
        .body("/project/branch/role_name", "keeper")
        .body("/project/history_retention_seconds", 3600)
        .body("/project/default_endpoint_settings", json!({
            "autoscaling_limit_min_cu": 1.0, "autoscaling_limit_max_cu": 4.0, "suspend_timeout_seconds": 600,
        }))
        .reply(201, made);
    script
        .on("getOperation")
        .reply(200, json!({"operation": operation("op-1", "create_timeline", "cancelled")}));
    let run = script.run(|| Neon::apply(service(wanted), None));

    let attributes = &run.checkpoints[0].attributes;
    assert_eq!(attributes["database"], "shop");
    assert_eq!(attributes["role"], "keeper");
    assert_eq!(attributes["history_retention_seconds"], 21600, "the fact, not the wish");
    assert_eq!(attributes["autoscaling_limit_max_cu"], 2.0);
    let url = run.checkpoints[0].url.as_deref();
    assert_eq!(
        url,
        Some("postgresql://keeper@ep-silent-smoke-8.us-east-2.aws.neon.tech/shop?sslmode=require")
    );
}

#[test]
fn names_the_project_after_the_service_when_nothing_is_said() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script
        .on("createProject")
        .body("/project/name", "app-db")
        .reply(401, error("supplied credentials do not pass authentication"));
    let mut service = service(json!({}));
    service.target = serde_json::from_value(json!({
        "region": "us-east-2", "pg_version": 17, "branch": "main", "database": "neondb",
    }))
    .expect("a target");
    let run = script.run(|| Neon::apply(service, None));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unauthorized);
}

#[test]
fn waits_a_second_between_looks_and_forgives_a_read_lag() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script.on("createProject").reply(201, created());
    for status in ["scheduling", "running", "finished"] {
        script
            .on("getOperation")
            .param("operation_id", "op-1")
            .reply(200, json!({"operation": operation("op-1", "create_timeline", status)}));
    }
    script
        .on("getOperation")
        .param("operation_id", "op-2")
        .reply(200, json!({"operation": operation("op-2", "start_compute", "skipped")}));
    script.on("getProject").reply(404, error("project not found"));
    script.on("getProject").reply(404, error("project not found"));
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert!(run.result.is_ok());
    assert_eq!(run.waited_ms, 250 + 2_000 + 2_000);
}

#[test]
fn a_failed_operation_is_waited_for_only_while_neon_promises_another_try() {
    let failing = |retry_at: &str| {
        let mut failing = operation("op-1", "create_timeline", "failed");
        failing["retry_at"] = json!(retry_at);
        failing["error"] = json!("no space");
        failing["failures_count"] = json!(2);
        failing
    };
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    let mut reply = created();
    reply["operations"] = json!([operation("op-1", "create_timeline", "running")]);
    script.on("createProject").reply(201, reply);
    // The script begins at 2026-01-01T00:00:00Z; the margin is ten seconds.
    for _ in 0..12 {
        script
            .on("getOperation")
            .reply(200, json!({"operation": failing("2026-01-01T00:00:00.300Z")}));
    }
    let run = script.run(|| Neon::apply(service(json!({})), None));
    let failure = run.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Broken);
    assert!(failure.message.starts_with("Neon's `create_timeline` of project quiet-mountain-1234 ended as failed after 2 tries: no space."), "{failure}");
    assert!(failure.message.contains("deploy again"), "{failure}");
}

#[test]
fn gives_up_on_an_operation_after_five_minutes() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    let mut reply = created();
    reply["operations"] = json!([operation("op-1", "create_timeline", "running")]);
    script.on("createProject").reply(201, reply);
    for _ in 0..301 {
        script
            .on("getOperation")
            .reply(200, json!({"operation": operation("op-1", "create_timeline", "running")}));
    }
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unavailable);
    assert_eq!(run.waited_ms, 250 + 300_000);
}

#[test]
fn resets_the_password_where_neon_stores_none() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script.on("createProject").reply(201, created());
    waits_for_create(&mut script);
    sees_all_well(&mut script);
    for _ in 0..2 {
        script.on("getConnectionUri").reply(412, error("storing passwords is disabled"));
    }
    script.on("resetRolePassword").param("role_name", "neondb_owner").reply(
        200,
        json!({
            "role": {"name": "neondb_owner", "password": "p/w:1@x"},
            "operations": [operation("op-3", "apply_config", "running")],
        }),
    );
    script
        .on("getOperation")
        .param("operation_id", "op-3")
        .reply(200, json!({"operation": operation("op-3", "apply_config", "finished")}));
    let run = script.run(|| Neon::apply(service(json!({})), None));

    let outcome = run.result.as_ref().expect("created");
    assert_eq!(
        run.reveal(outcome.outputs[0].value),
        POOLED.replace("npg_secret1", "p%2Fw%3A1%40x")
    );
    assert_eq!(
        run.reveal(outcome.outputs[1].value),
        DIRECT.replace("npg_secret1", "p%2Fw%3A1%40x")
    );
}

#[test]
fn refuses_limits_that_contradict_each_other_before_it_asks_anything() {
    let wanted = json!({"autoscaling_limit_min_cu": 4, "autoscaling_limit_max_cu": 1});
    let run = script(Phase::Create).run(|| Neon::apply(service(wanted), None));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Invalid);
}
