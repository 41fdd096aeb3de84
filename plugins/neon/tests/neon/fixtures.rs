//! Neon's answers, re-typed in the vendor's shapes.

use serde_json::{Value, json};
use ss_plugin_neon::{Attributes, Neon};
use starsystem_provisioner::testing::{self, Phase, Script};
use starsystem_provisioner::{Provisioner, Recorded, Service, serde_json};

pub(crate) const PROJECT: &str = "quiet-mountain-1234";
pub(crate) const BRANCH: &str = "br-wispy-meadow-1";
pub(crate) const ENDPOINT: &str = "ep-silent-smoke-8";
pub(crate) const HOST: &str = "ep-silent-smoke-8.us-east-2.aws.neon.tech";
pub(crate) const ORG: &str = "org-morning-bread-8";
pub(crate) const DIRECT: &str = "postgresql://neondb_owner:npg_secret1@ep-silent-smoke-8.us-east-2.aws.neon.tech/neondb?sslmode=require&channel_binding=require";
pub(crate) const POOLED: &str = "postgresql://neondb_owner:npg_secret1@ep-silent-smoke-8-pooler.us-east-2.aws.neon.tech/neondb?sslmode=require&channel_binding=require";

pub(crate) type Target = <Neon as Provisioner>::Target;

pub(crate) fn script(phase: Phase) -> Script {
    let mut script = Script::new(Neon::MANIFEST, phase);
    if phase != Phase::Create {
        script.owns("project_id", PROJECT);
    }
    script
}

/// The walkthrough's service, with more fields.
pub(crate) fn service(more: Value) -> Service<Target> {
    let mut target = json!({
        "type": "neon", "credential_env": "NEON_API_KEY", "region": "us-east-2", "project_name": "my-app",
    });
    let fields = target.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    testing::service::<Neon>("app-db", target)
}

pub(crate) fn recorded(more: Value) -> Recorded<Attributes> {
    let mut attributes = json!({
        "project_id": PROJECT, "project_name": "my-app", "region": "aws-us-east-2", "pg_version": 17,
        "org_id": ORG, "branch_id": BRANCH, "branch": "main", "endpoint_id": ENDPOINT, "host": HOST,
        "database": "neondb", "role": "neondb_owner",
    });
    let fields = attributes.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    let attributes = serde_json::from_value(attributes).expect("attributes");
    Recorded::new(PROJECT, attributes).with_url(URL)
}

pub(crate) const URL: &str =
    "postgresql://neondb_owner@ep-silent-smoke-8.us-east-2.aws.neon.tech/neondb?sslmode=require";

pub(crate) fn project() -> Value {
    json!({
        "id": PROJECT, "platform_id": "aws", "region_id": "aws-us-east-2", "name": "my-app",
        "provisioner": "k8s-neonvm", "pg_version": 17, "store_passwords": true,
        "default_endpoint_settings": {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2, "suspend_timeout_seconds": 0},
        "settings": {"allowed_ips": {"ips": []}}, "history_retention_seconds": 21600,
        "created_at": "2026-08-01T10:00:00Z", "updated_at": "2026-08-01T10:00:00Z",
        "owner_id": ORG, "org_id": ORG, "cpu_used_sec": 17,
    })
}

pub(crate) fn listed(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "region_id": "aws-us-east-2", "pg_version": 17, "org_id": ORG, "active_time": 100})
}

pub(crate) fn branch(state: &str) -> Value {
    json!({
        "id": BRANCH, "project_id": PROJECT, "name": "main", "current_state": state, "default": true,
        "protected": false, "logical_size": 28, "created_at": "2026-08-01T10:00:00Z",
    })
}

pub(crate) fn endpoint(state: &str) -> Value {
    json!({
        "host": HOST, "id": ENDPOINT, "project_id": PROJECT, "branch_id": BRANCH, "type": "read_write",
        "autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2, "suspend_timeout_seconds": 0,
        "current_state": state, "disabled": false, "settings": {}, "pooler_enabled": false,
    })
}

pub(crate) fn operation(id: &str, action: &str, status: &str) -> Value {
    json!({
        "id": id, "project_id": PROJECT, "branch_id": BRANCH, "action": action, "status": status,
        "failures_count": 0, "created_at": "2026-08-01T10:00:00Z", "updated_at": "2026-08-01T10:00:00Z",
        "total_duration_ms": 0,
    })
}

/// The 201 of a create, passwords included.
pub(crate) fn created() -> Value {
    json!({
        "project": project(),
        "connection_uris": [{
            "connection_uri": DIRECT,
            "connection_parameters": {
                "database": "neondb", "password": "npg_secret1", "role": "neondb_owner", "host": HOST,
                "pooler_host": "ep-silent-smoke-8-pooler.us-east-2.aws.neon.tech",
            },
        }],
        "roles": [{"branch_id": BRANCH, "name": "neondb_owner", "password": "npg_secret1", "protected": false}],
        "databases": [{"id": 834686, "branch_id": BRANCH, "name": "neondb", "owner_name": "neondb_owner"}],
        "operations": [operation("op-1", "create_timeline", "running"), operation("op-2", "start_compute", "scheduling")],
        "branch": branch("init"),
        "endpoints": [endpoint("init")],
    })
}

/// A list of branches of which the first carries a mark.
pub(crate) fn annotated(mark: &str) -> Value {
    json!({
        "branches": [branch("ready")],
        "annotations": {BRANCH: {
            "object": {"type": "console/branch", "id": BRANCH},
            "value": {"ss_mark": mark, "ss_service": "app-db"},
            "created_at": "2026-08-01T10:00:00Z",
        }},
        "pagination": {"next": "eyJ", "sort_by": "updated_at", "sort_order": "desc"},
    })
}

pub(crate) fn error(message: &str) -> Value {
    json!({"request_id": "58fd7378-658d-4398-b032-b8020b2eec95", "code": "", "message": message})
}

/// Expects the project and all its parts to be read, as they are given.
pub(crate) fn sees(script: &mut Script, project: Value, branch: Value, endpoint: Value) {
    script.on("getProject").param("project_id", PROJECT).reply(200, json!({"project": project}));
    script.on("getBranch").param("branch_id", BRANCH).reply(200, json!({"branch": branch}));
    script.on("listBranchEndpoints").reply(200, json!({"endpoints": [endpoint]}));
    script
        .on("getDatabase")
        .param("database_name", "neondb")
        .reply(200, json!({"database": {"id": 1, "name": "neondb", "owner_name": "neondb_owner"}}));
    script
        .on("getRole")
        .param("role_name", "neondb_owner")
        .reply(200, json!({"role": {"name": "neondb_owner", "protected": false}}));
}

pub(crate) fn sees_all_well(script: &mut Script) {
    sees(script, project(), branch("ready"), endpoint("idle"));
}

/// Expects the first look, which finds nothing, alive or deleted.
pub(crate) fn finds_nothing(script: &mut Script) {
    script.on("listProjects").no_param("recoverable").reply(200, json!({"projects": []}));
    script.on("listProjects").param("recoverable", true).reply(200, json!({"projects": []}));
}

/// Expects both operations of a create to be waited for.
pub(crate) fn waits_for_create(script: &mut Script) {
    for (id, action) in [("op-1", "create_timeline"), ("op-2", "start_compute")] {
        script
            .on("getOperation")
            .param("operation_id", id)
            .reply(200, json!({"operation": operation(id, action, "finished")}));
    }
}

pub(crate) fn gets_urls(script: &mut Script) {
    for (pooled, uri) in [(true, POOLED), (false, DIRECT)] {
        script
            .on("getConnectionUri")
            .param("pooled", pooled)
            .param("branch_id", BRANCH)
            .param("database_name", "neondb")
            .param("role_name", "neondb_owner")
            .reply(200, json!({"uri": uri}));
    }
}
