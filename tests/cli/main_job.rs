//! The main job: a real Postgres and a real API process, brought up by the real provisioners through the gate.

use crate::common::Place;
use crate::common::canary::no_secret_is_left;
use crate::common::project::walkthrough;
use crate::common::sandbox::{Sandbox, free_port};

#[test]
fn deploys_the_walkthrough_and_health_answers() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    let ran = place.ss(["deploy", "--env=sandbox"]).exits(0);
    let health = format!("http://127.0.0.1:{port}/app/my-app-api/health");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "→ app-db via neon...");
    assert!(lines[1].starts_with("  ✓ Project created: my-app-"), "{}", lines[1]);
    assert_eq!(lines[2..4], ["  ✓ DATABASE_URL written to vault", ""]);
    assert_eq!(
        lines[4..7],
        ["→ api via fly...", "  ✓ App created: my-app-api", "  ✓ Machine launched in iad"]
    );
    assert_eq!(lines[7], format!("  ✓ Health check passing at {health}"));
    assert_eq!(lines[8..], ["", "✓ Deploy complete: 2 provisioned"]);

    let answer = sandbox.get("/app/my-app-api/health");
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));

    let state = place.ss(["inspect", "--env=sandbox", "--state"]).exits(0).stdout;
    let urls: Vec<&str> = state.lines().filter(|line| line.contains("url:")).collect();
    assert_eq!(urls.len(), 2, "{state}");
    assert!(urls.iter().any(|url| url.starts_with("  url: postgresql://")), "{urls:?}");

    let said = [&ran.stdout, &ran.stderr, &state].map(String::as_str).join("\n");
    no_secret_is_left(&place, &said);

    let before = sandbox.requests().len();
    let again = place.ss(["deploy", "--env=sandbox"]).exits(0);
    assert_eq!(again.stdout, "✓ Nothing to change: 2 unchanged\n");
    assert_eq!(sandbox.requests().len(), before, "a deploy without changes asked the vendors");

    place.ss(["drift", "--env=sandbox"]).exits(0).says("no drift");
    let gone = place.ss(["destroy", "--env=sandbox", "--yes=sandbox"]).exits(0);
    assert!(gone.stdout.ends_with("✓ Destroy complete: 2 destroyed\n"), "{}", gone.stdout);
}

#[test]
fn a_reset_while_postgres_runs_leaves_nothing() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let _sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    let port = port.to_string();
    place.ss(["sandbox", "reset", "--port", &port]).exits(0);
    assert!(!place.home().join("sandbox").join(port).exists());
}
