//! C3, C5: the journal, and what must never be in it.

use serde_json::{Value, json};

use super::common::{KEY, Test};

#[tokio::test]
async fn c03_the_journal_shows_what_was_asked_and_answered() {
    let test = Test::start().await;
    let sent = [("x-request-id", "mine"), ("cookie", "session=hidden")];
    let path = "/neon/api/v2/projects";
    let body = json!({"project": {"name": "seen"}});
    let made = test.client.send(Some(KEY), "POST", path, &body, &sent).await.unwrap().ok(201);
    test.get("/projects?search=a&limit=5").await.ok(200);
    test.get("/projects/absent-1").await.ok(404);
    let journal = test.journal().await;
    assert_eq!(journal.len(), 3, "{journal:#?}");
    assert_eq!(journal[0]["method"], "POST");
    assert_eq!(journal[0]["path"], path);
    assert_eq!(journal[0]["status"], 201);
    assert_eq!(journal[0]["body"], body);
    assert_eq!(journal[0]["headers"]["x-request-id"], "mine");
    assert!(journal[0]["headers"].get("authorization").is_none());
    assert!(journal[0]["headers"].get("cookie").is_none());
    assert_eq!(journal[1]["query"], "search=a&limit=5");
    assert_eq!(journal[2]["status"], 404);
    assert!(made.text("/project/id").len() > 5);

    let later = test.control("GET", "/journal?after=2", Value::Null).await;
    assert_eq!(later.each("entries", "method"), ["GET"]);
    test.control("DELETE", "/journal", Value::Null).await.ok(204);
    assert!(test.journal().await.is_empty());
    test.stop().await;
}

#[tokio::test]
async fn c05_no_secret_in_the_journal_the_log_or_any_list() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let password = project.password.clone();
    // A client that puts the secret everywhere it should not.
    let machine = json!({"config": {"env": {"DATABASE_URL": project.uri, "P": password}}});
    let fly = "/fly/v1/apps/a/machines";
    test.client.send(Some("x"), "POST", fly, &machine, &[("x-note", &password)]).await.unwrap();
    let secret = json!({"values": {"TOKEN": "value-of-a-secret"}});
    test.client.send(Some("x"), "POST", "/fly/v1/apps/a/secrets", &secret, &[]).await.unwrap();
    test.get(&format!("/projects?search={password}")).await.ok(200);

    let journal = serde_json::to_string(&test.journal().await).unwrap();
    let log = std::fs::read_to_string(test.folder().join("sandbox.log")).unwrap();
    let mut texts = vec![journal, log];
    let listings = ["/projects".to_owned(), format!("{}/branches", project.path)];
    for path in listings.iter().chain([
        &format!("{}/endpoints", project.path),
        &format!("{}/roles", project.branch),
        &format!("{}/databases", project.branch),
        &format!("{}/operations", project.path),
    ]) {
        texts.push(test.get(path).await.ok(200).body.to_string());
    }
    for text in texts {
        for hidden in [password.as_str(), "value-of-a-secret", KEY] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
    test.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn c05_what_is_kept_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let test = Test::start().await;
    test.project(json!({})).await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&test.folder()), 0o700);
    assert_eq!(mode(&test.folder().join("neon.json")), 0o600);
    test.stop().await;
}
