//! N20: answers against the vendor's own OpenAPI document, kept outside this repository.
//!
//! Every answer in these tests is checked when the document is at hand; this one makes sure that
//! each operation the sandbox has was among them.

use serde_json::{Value, json};

use super::common::{Test, checked_operations};

const OPERATIONS: [&str; 47] = [
    "createProject 201",
    "createProjectBranch 201",
    "createProjectBranchDatabase 201",
    "createProjectBranchRole 201",
    "createProjectEndpoint 201",
    "countProjectBranches 200",
    "deleteProject 200",
    "deleteProjectBranch 200",
    "deleteProjectBranch 204",
    "deleteProjectBranchDatabase 200",
    "deleteProjectBranchDatabase 204",
    "deleteProjectBranchRole 200",
    "deleteProjectBranchRole 204",
    "deleteProjectEndpoint 200",
    "deleteProjectEndpoint 204",
    "getActiveRegions 200",
    "getAuthDetails 200",
    "getConnectionURI 200",
    "getCurrentUserInfo 200",
    "getCurrentUserOrganizations 200",
    "getOrganization 200",
    "getProject 200",
    "getProject 401",
    "getProject 404",
    "getProjectBranch 200",
    "getProjectBranchDatabase 200",
    "getProjectBranchRole 200",
    "getProjectBranchRolePassword 200",
    "getProjectEndpoint 200",
    "getProjectOperation 200",
    "listProjectBranchDatabases 200",
    "listProjectBranchEndpoints 200",
    "listProjectBranchRoles 200",
    "listProjectBranches 200",
    "listProjectEndpoints 200",
    "listProjectOperations 200",
    "listProjects 200",
    "recoverProject 200",
    "resetProjectBranchRolePassword 200",
    "restartProjectEndpoint 200",
    "setDefaultProjectBranch 200",
    "startProjectEndpoint 200",
    "suspendProjectEndpoint 200",
    "updateProject 200",
    "updateProjectBranch 200",
    "updateProjectBranchDatabase 200",
    "updateProjectEndpoint 200",
];

#[tokio::test]
async fn n20_answers_validate_against_the_vendors_document() {
    let test = Test::start().await;
    let project = test.project(json!({"branch": {"annotations": {"a": "b"}}})).await;
    account(&test, &project.path).await;
    reads(&test, &project).await;
    mutations(&test, &project).await;
    match checked_operations() {
        None => println!("skipped: neon-v2.openapi.json is not at hand (SS_SPECS_DIR)"),
        Some(checked) => {
            let missing: Vec<&&str> =
                OPERATIONS.iter().filter(|it| !checked.contains(**it)).collect();
            assert!(missing.is_empty(), "never checked: {missing:?}");
        }
    }
    test.stop().await;
}

async fn account(test: &Test, project: &str) {
    let person = "sandbox-neon-personal-key";
    test.client.neon(person, "GET", "/users/me", Value::Null).await.ok(200);
    let org = test.get("/users/me/organizations").await.ok(200).text("/organizations/0/id");
    test.get(&format!("/organizations/{org}")).await.ok(200);
    test.get("/auth").await.ok(200);
    test.get(&format!("/regions?org_id={org}")).await.ok(200);
    test.get("/projects").await.ok(200);
    test.client.neon("garbage", "GET", project, Value::Null).await.ok(401);
    test.get("/projects/absent-1").await.ok(404);
}

async fn reads(test: &Test, project: &super::common::Project) {
    let (path, branch) = (&project.path, &project.branch);
    let operations = test.get(&format!("{path}/operations")).await.ok(200);
    let one = operations.text("/operations/0/id");
    for read in [
        path.clone(),
        branch.clone(),
        project.endpoint.clone(),
        format!("{path}/branches"),
        format!("{path}/branches/count"),
        format!("{path}/endpoints"),
        format!("{path}/operations/{one}"),
        format!("{path}/connection_uri?database_name=neondb&role_name=neondb_owner"),
        format!("{branch}/endpoints"),
        format!("{branch}/roles"),
        format!("{branch}/roles/neondb_owner"),
        format!("{branch}/roles/neondb_owner/reveal_password"),
        format!("{branch}/databases"),
        format!("{branch}/databases/neondb"),
    ] {
        test.get(&read).await.ok(200);
    }
}

async fn mutations(test: &Test, project: &super::common::Project) {
    let (path, branch) = (&project.path, &project.branch);
    let call = async |method: &str, path: &str, body: Value| {
        let answer = test.neon(method, path, body).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        test.finish(&project.id).await;
        answer
    };
    call("PATCH", path, json!({"project": {"name": "b"}})).await;
    let body = json!({"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]});
    let dev = call("POST", &format!("{path}/branches"), body).await.text("/branch/id");
    call("PATCH", &format!("{path}/branches/{dev}"), json!({"branch": {"name": "c"}})).await;
    call("DELETE", &format!("{path}/branches/{dev}"), Value::Null).await;
    call("DELETE", &format!("{path}/branches/{dev}"), Value::Null).await;
    call("POST", &format!("{branch}/set_as_default"), Value::Null).await;
    call("POST", &format!("{branch}/roles"), json!({"role": {"name": "r"}})).await;
    call("POST", &format!("{branch}/roles/r/reset_password"), Value::Null).await;
    let database = json!({"database": {"name": "d", "owner_name": "r"}});
    call("POST", &format!("{branch}/databases"), database.clone()).await;
    call("PATCH", &format!("{branch}/databases/d"), database).await;
    for what in ["databases/d", "roles/r"] {
        call("DELETE", &format!("{branch}/{what}"), Value::Null).await;
        call("DELETE", &format!("{branch}/{what}"), Value::Null).await;
    }
    let endpoint = json!({"endpoint": {"branch_id": project.branch_id, "type": "read_only"}});
    let reader = call("POST", &format!("{path}/endpoints"), endpoint).await.text("/endpoint/id");
    let reader = format!("{path}/endpoints/{reader}");
    call("PATCH", &reader, json!({"endpoint": {"name": "reader", "suspend_timeout_seconds": 60}}))
        .await;
    for what in ["suspend", "start", "restart"] {
        call("POST", &format!("{reader}/{what}"), Value::Null).await;
    }
    call("DELETE", &reader, Value::Null).await;
    call("DELETE", &reader, Value::Null).await;
    test.delete(path).await.ok(200);
    test.get("/projects?recoverable=true").await.ok(200);
    test.post(&format!("{path}/recover"), Value::Null).await.ok(200);
}
