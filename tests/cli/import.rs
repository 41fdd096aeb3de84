//! Taking over what exists: with reads alone, and then it is ours to change.

use serde_json::{Value, json};

use crate::common::Place;
use crate::common::project::{database, process};
use crate::common::sandbox::{Sandbox, free_port};

const ENV: &str = "--env=sandbox";

/// Somebody's project, made in the console.
fn made_by_hand(sandbox: &Sandbox<'_>, name: &str) -> String {
    let project = json!({"project": {
        "name": name, "region_id": "aws-us-east-2", "pg_version": 17,
        "branch": {"name": "main", "database_name": "neondb", "role_name": "neondb_owner"},
    }});
    let made = sandbox.vendor("POST", "/neon/api/v2/projects", &project);
    made["project"]["id"].as_str().expect("an id").to_owned()
}

/// Runs an import, and insists that nothing but reads arrived meanwhile.
#[track_caller]
fn import(place: &Place, sandbox: &Sandbox<'_>, service: &str, id: &str) -> String {
    let before = sandbox.requests().len();
    let ran = place.ss(["import", service, id, ENV]).exits(0);
    let asked = sandbox.requests();
    let asked = &asked[before..];
    assert!(!asked.is_empty() && asked.iter().all(|one| one.starts_with("GET ")), "{asked:?}");
    assert!(ran.stdout.ends_with(" GET, 0 writes (enforced)\n"), "{}", ran.stdout);
    ran.stdout
}

#[test]
fn a_project_that_is_as_configured_leaves_nothing_to_plan() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    sandbox.without_limits();
    let id = made_by_hand(&sandbox, "my-app");
    place
        .ss(["import", "app-db", "no-such-project-1", ENV])
        .exits(1)
        .says("SS0316")
        .says("no-such-project-1");
    place.ss(["import", "db", &id, ENV]).exits(2).says("there is no service `db`");
    let said = import(&place, &sandbox, "app-db", &id);
    assert!(said.starts_with(&format!("✓ app-db is neon {id}\n")), "{said}");
    assert!(said.contains("DATABASE_URL, DATABASE_URL_UNPOOLED written to vault"), "{said}");
    assert!(said.contains("It is as configured: nothing to deploy."), "{said}");
    assert!(place.database_password().len() > 8);
    place.ss(["plan", ENV]).exits(0).says("0 to create, 0 to update, 1 unchanged");
    place.ss(["drift", ENV]).exits(0);
    place.ss(["import", "app-db", &id, ENV]).exits(1).says("SS0409");

    // It is ours to change, and to remove.
    place.edit("starsystem.sandbox.yaml", "project_name: my-app", "project_name: our-app");
    place.ss(["plan", ENV]).exits(0).says("project_name: my-app → our-app");
    place.ss(["deploy", ENV]).exits(0);
    let path = format!("/neon/api/v2/projects/{id}");
    assert_eq!(sandbox.vendor("GET", &path, &Value::Null)["project"]["name"], "our-app");
    place.ss(["destroy", ENV, "--yes=sandbox"]).exits(0);
    assert_eq!(sandbox.holds().0, 0);
}

#[test]
fn a_project_that_differs_is_planned_honestly() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    sandbox.without_limits();
    let id = made_by_hand(&sandbox, "theirs");
    place.edit(
        "starsystem.sandbox.yaml",
        "project_name: my-app",
        "project_name: my-app\n      pg_version: 16",
    );
    place.ss(["import", "app-db", &id, ENV]).exits(1).says("`pg_version` 17");
    place.edit("starsystem.sandbox.yaml", "\n      pg_version: 16", "");
    let said = import(&place, &sandbox, "app-db", &id);
    assert!(said.contains("The next deploy changes it (it begins with `updateProject`)"), "{said}");
    let plan = place.ss(["plan", ENV]).exits(0).stdout;
    assert!(plan.contains("      project_name: theirs → my-app\n"), "{plan}");
    place.ss(["deploy", ENV]).exits(0).says("Project updated").says("written to vault");
    place.ss(["plan", ENV]).exits(0).says("1 unchanged");
    assert_eq!(sandbox.holds().0, 1);
}

#[test]
fn an_app_keeps_its_machine() {
    let place = Place::new();
    let port = free_port();
    process(&place, port, "exec python3 -m http.server $PORT --bind 127.0.0.1 || sleep 60");
    place.edit("starsystem.sandbox.yaml", "health_check_path: /health", "health_check_path: /");
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    sandbox.without_limits();
    let app = "/fly/v1/apps/my-app-api";
    sandbox.vendor("POST", "/fly/v1/apps", &json!({"name": "my-app-api", "org_slug": "personal"}));
    for kind in ["shared_v4", "v6"] {
        sandbox.vendor("POST", &format!("{app}/ip_assignments"), &json!({"type": kind}));
    }
    let config = json!({"image": "ghcr.io/me/my-app-api:latest", "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
        "env": {"PORT": "3000"}, "services": [{"protocol": "tcp", "internal_port": 3000, "ports": [{"port": 443, "handlers": ["tls", "http"]}]}]});
    let machine = json!({"name": "quiet-surf-12", "region": "iad", "config": config});
    let made = sandbox.vendor("POST", &format!("{app}/machines"), &machine);
    let id = made["id"].as_str().expect("an id").to_owned();

    place.ss(["import", "api", "their-app", ENV]).exits(1).says("set `app: their-app`");
    let said = import(&place, &sandbox, "api", "my-app-api");
    assert!(said.contains("owns fly-machines app my-app-api"), "{said}");
    assert!(said.contains(&format!("owns fly-machines machine_id {id}")), "{said}");
    assert!(said.contains("The next deploy changes it"), "{said}");
    place.ss(["drift", ENV]).exits(0);
    place.ss(["plan", ENV]).exits(0).says("~ api").says("1 to update");
    place.ss(["deploy", ENV]).exits(0);
    let machines = sandbox.vendor("GET", &format!("{app}/machines"), &Value::Null);
    let machines = machines.as_array().expect("a list");
    assert_eq!(machines.len(), 1, "it was changed in place: {machines:?}");
    assert_eq!(machines[0]["id"], json!(id));
    place.ss(["plan", ENV]).exits(0).says("1 unchanged");
}
