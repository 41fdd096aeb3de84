//! N7, N16: roles, databases, passwords.

use serde_json::{Value, json};

use super::common::{Project, Test};

#[tokio::test]
async fn n07_passwords_come_from_four_places_only() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let roles = format!("{}/roles", project.branch);
    let made = test.post(&roles, json!({"role": {"name": "app"}})).await.ok(201);
    let first = made.text("/role/password");
    assert!(first.starts_with("npg_"), "{first}");
    test.finish(&project.id).await;
    let revealed = test.get(&format!("{roles}/app/reveal_password")).await.ok(200);
    assert_eq!(revealed.text("/password"), first);
    let reset = test.post(&format!("{roles}/app/reset_password"), Value::Null).await.ok(200);
    assert_eq!(reset.each("operations", "action"), ["apply_config"]);
    let second = reset.text("/role/password");
    assert_ne!(first, second);
    test.finish(&project.id).await;
    let revealed = test.get(&format!("{roles}/app/reveal_password")).await.ok(200);
    assert_eq!(revealed.text("/password"), second);

    let all = [project.password.clone(), first, second];
    for path in [&project.path, &project.branch, &project.endpoint, &roles, &format!("{roles}/app")]
    {
        let text = test.get(path).await.ok(200).body.to_string();
        assert!(all.iter().all(|password| !text.contains(password)), "{path}: {text}");
    }
    test.stop().await;
}

#[tokio::test]
async fn n07_passwords_that_are_not_stored_cannot_be_revealed() {
    let test = Test::start().await;
    let project = Project::of(&test.new_project(json!({"store_passwords": false})).await);
    let role = format!("{}/roles/neondb_owner", project.branch);
    let text = "storing passwords is disabled";
    test.get(&format!("{role}/reveal_password")).await.refused(412, "", text);
    test.finish(&project.id).await;
    test.get(&format!("{role}/reveal_password")).await.refused(412, "", text);
    let uri = "connection_uri?database_name=neondb&role_name=neondb_owner";
    test.get(&format!("{}/{uri}", project.path)).await.refused(412, "", text);
    let reset = test.post(&format!("{role}/reset_password"), Value::Null).await.ok(200);
    assert!(reset.text("/role/password").starts_with("npg_"));
    let kept = std::fs::read_to_string(test.folder().join("neon.json")).unwrap();
    assert!(!kept.contains(&project.password));
    test.stop().await;
}

#[tokio::test]
async fn n16_roles() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let roles = format!("{}/roles", project.branch);
    let create = |name: &str| json!({"role": {"name": name}});
    let too_long = "ä".repeat(32);
    for name in ["", &too_long, "pg_mine", "neon_superuser"] {
        test.post(&roles, create(name)).await.ok(400);
    }
    let longest = "x".repeat(63);
    test.post(&roles, create(&longest)).await.ok(201);
    test.finish(&project.id).await;
    let refused = test.post(&roles, create(&longest)).await.ok(409);
    assert!(refused.text("/message").starts_with("role already exists"));
    let patched = test.patch(&format!("{roles}/{longest}"), create("other")).await;
    assert!([404, 405].contains(&patched.status));

    let no_login = json!({"role": {"name": "group", "no_login": true}});
    let group = test.post(&roles, no_login).await.ok(201);
    assert!(group.body["role"].get("password").is_none());
    assert_eq!(group.text("/role/authentication_method"), "no_login");
    test.finish(&project.id).await;

    let text = format!(
        "role not found for branch; role_name:\"nobody\", branch_id:{:?}",
        project.branch_id
    );
    test.get(&format!("{roles}/nobody")).await.refused(404, "", &text);
    test.delete(&format!("{roles}/nobody")).await.ok(204);
    test.delete(&format!("{roles}/neondb_owner")).await.ok(422);
    let deleted = test.delete(&format!("{roles}/group")).await.ok(200);
    assert_eq!(deleted.text("/role/name"), "group");
    test.finish(&project.id).await;
    test.delete(&format!("{roles}/group")).await.ok(204);
    test.stop().await;
}

#[tokio::test]
async fn n16_databases() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let databases = format!("{}/databases", project.branch);
    let create = |name: &str, owner: &str| json!({"database": {"name": name, "owner_name": owner}});
    let refused = test.post(&databases, create("shop", "nobody")).await.ok(404);
    assert!(refused.text("/message").starts_with("role not found for branch"));
    let made = test.post(&databases, create("shop", "neondb_owner")).await.ok(201);
    assert!(made.body["database"]["id"].is_i64());
    test.finish(&project.id).await;
    let refused = test.post(&databases, create("shop", "neondb_owner")).await.ok(409);
    assert!(refused.text("/message").starts_with("database already exists"));
    test.post(&databases, create("", "neondb_owner")).await.ok(400);

    let rename = json!({"database": {"name": "store"}});
    let renamed = test.patch(&format!("{databases}/shop"), rename.clone()).await.ok(200);
    assert_eq!(renamed.text("/database/name"), "store");
    assert_eq!(renamed.body["database"]["id"], made.body["database"]["id"]);
    test.finish(&project.id).await;
    test.get(&format!("{databases}/shop")).await.ok(404);
    test.patch(&format!("{databases}/neondb"), rename).await.ok(409);
    let unknown = json!({"database": {"owner_name": "nobody"}});
    test.patch(&format!("{databases}/store"), unknown).await.ok(404);
    test.delete(&format!("{databases}/store")).await.ok(200);
    test.finish(&project.id).await;
    test.delete(&format!("{databases}/store")).await.ok(204);
    assert_eq!(test.get(&databases).await.ok(200).each("databases", "name"), ["neondb"]);
    test.stop().await;
}
