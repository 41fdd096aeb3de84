//! What a user reads when Neon refuses: whose turn it is, and a way out.

use serde_json::{Value, json};
use ss_plugin_neon::Neon;
use starsystem_provisioner::testing::Phase;
use starsystem_provisioner::{Failure, FailureKind, Provisioner};

use crate::fixtures::*;

fn refused(status: u16, body: Value) -> Failure {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script.on("createProject").header("retry-after", "7").reply(status, body);
    script.run(|| Neon::apply(service(json!({})), None)).result.unwrap_err()
}

fn check(status: u16, code: &str, message: &str, kind: FailureKind, parts: &[&str]) {
    let failure = refused(status, json!({"request_id": "r-1", "code": code, "message": message}));
    assert_eq!(failure.kind, kind, "{failure}");
    for part in parts {
        assert!(failure.message.contains(part), "`{part}` in: {failure}");
    }
    assert_eq!(failure.details, Some(json!({"request_id": "r-1"})));
}

#[test]
fn each_refusal_says_whose_turn_it_is_and_what_to_do() {
    use FailureKind::{Declined, Invalid, Unauthorized, Unavailable};
    let history = "requested history retention seconds exceeds allowed maximum; requested_history_retention_seconds:\"86400\", max:\"21600\"";
    let scoped = "not allowed to perform actions outside the project this key is scoped to; subject_project_id:\"proj\"";
    let org = "org_id is required, you can find it on your organization settings page";
    let busy =
        "project already has running conflicting operations, scheduling of new ones is prohibited";
    let cases: [(u16, &str, &str, FailureKind, &[&str]); 13] = [
        (
            401,
            "",
            "supplied credentials do not pass authentication",
            Unauthorized,
            &["api-keys", "ss vault set neon.api_token", "credential_env"],
        ),
        (403, "", "forbidden", Unauthorized, &["forbidden", "owner or editor"]),
        (404, "", scoped, Unauthorized, &["limited to another project"]),
        (400, "", org, Invalid, &["set `org_id` in the target", "key of the organisation"]),
        (400, "", history, Invalid, &["set it to 21600 or less", "leave it out"]),
        (
            422,
            "PROJECTS_LIMIT_EXCEEDED",
            "user projects limit of 1 exceeded, got 1",
            Declined,
            &["got 1", "raise the plan"],
        ),
        (422, "", "user projects limit of 1 exceeded, got 1", Declined, &["got 1"]),
        (402, "", "payment required", Declined, &["payment required"]),
        (
            400,
            "",
            "autoscaling_limit_max_cu must be at most 8",
            Invalid,
            &["`autoscaling_limit_max_cu`", "at most 8"],
        ),
        (
            400,
            "",
            "suspend_timeout_seconds cannot be changed on this plan",
            Invalid,
            &["`suspend_timeout_seconds`"],
        ),
        (400, "", "pg_version 18 is not offered here", Invalid, &["`pg_version`", "18"]),
        (422, "", "branch not ready yet", Unavailable, &["deploy again"]),
        (423, "", busy, Unavailable, &["deploy again"]),
    ];
    for (status, code, message, kind, parts) in cases {
        check(status, code, message, kind, parts);
    }
}

#[test]
fn too_many_requests_says_when_to_come_back() {
    let failure = refused(429, error("too many requests"));
    assert_eq!((failure.kind, failure.retry_after_ms), (FailureKind::Unavailable, Some(7_000)));
}

#[test]
fn what_nobody_foresaw_still_says_what_was_tried() {
    let failure = refused(418, error("teapot"));
    assert_eq!(failure.message, "could not make the project: teapot (status 418)");
    let failure = refused(503, Value::Null);
    assert_eq!(failure.kind, FailureKind::Unavailable);
}

#[test]
fn an_unknown_region_is_answered_with_the_known_ones() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script
        .on("createProject")
        .body("/project/region_id", "aws-mars-1")
        .reply(400, error("region_id \"aws-mars-1\" is not supported"));
    script.on("listRegions").reply(200, json!({"regions": [
        {"region_id": "aws-us-east-2", "name": "Ohio"}, {"region_id": "azure-eastus2", "name": "Virginia"},
    ]}));
    let run = script.run(|| Neon::apply(service(json!({"region": "mars-1"})), None));
    let failure = run.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert_eq!(
        failure.message,
        "Neon refuses the region `aws-mars-1`; it offers aws-us-east-2, azure-eastus2"
    );
}

#[test]
fn a_wrong_key_is_caught_before_anything_is_made() {
    let mut script = script(Phase::Create);
    script.on("listProjects").reply(401, error("supplied credentials do not pass authentication"));
    let failure = script.run(|| Neon::apply(service(json!({})), None)).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized);
}
