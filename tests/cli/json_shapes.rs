//! What `--json` prints, against the schemas in `docs/json`: real runs, every field known.
//!
//! A new kind is a schema `docs/json/<kind>.v1.json` and a line in [`RUNS`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::common::Place;
use crate::common::project::{database, example, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};

/// What happens before a run.
type Before = fn(&Place, &Sandbox<'_>);

const NOTHING: Before = |_, _| {};
const OVERLAY: &str = "starsystem.sandbox.yaml";

/// The kind that is printed, the arguments, the exit code, what happens before. In this order, in one place.
const RUNS: &[(&str, &[&str], i32, Before)] = &[
    ("error", &["inspect", "--env=sandbox"], 1, NOTHING),
    ("validate", &["validate", "--env=sandbox"], 0, NOTHING),
    ("graph", &["graph", "render", "--services", "--env=sandbox"], 0, NOTHING),
    ("plan", &["plan", "--env=sandbox"], 0, NOTHING),
    ("deploy", &["deploy", "--env=sandbox"], 0, NOTHING),
    ("deploy", &["deploy", "--env=sandbox"], 0, NOTHING),
    ("lock", &["unlock", "--env=sandbox"], 0, NOTHING),
    ("state", &["state", "show", "--env=sandbox"], 0, NOTHING),
    ("state-file", &["state", "pull", "--env=sandbox"], 0, NOTHING),
    ("state-change", &["state", "push", "state.json", "--env=sandbox"], 0, |place, _| {
        let pulled = place.ss(["state", "pull", "--env=sandbox"]).exits(0).stdout;
        place.write("state.json", &pulled);
    }),
    ("list", &["inspect", "--list", "--env=sandbox"], 0, NOTHING),
    ("inspect", &["inspect", "--env=sandbox"], 0, NOTHING),
    ("verify", &["inspect", "--verify", "--env=sandbox"], 0, NOTHING),
    ("drift", &["drift", "--env=sandbox"], 0, NOTHING),
    ("rollback", &["rollback", "--to={latest}", "--env=sandbox"], 0, NOTHING),
    ("plan", &["plan", "--env=sandbox"], 0, |place, _| {
        place.edit(OVERLAY, "project_name: my-app", "project_name: renamed");
    }),
    ("plan", &["plan", "--refresh", "--env=sandbox"], 0, NOTHING),
    ("plan", &["plan", "--env=sandbox"], 6, |place, _| {
        place.edit(OVERLAY, "region: us-east-2", "region: eu-central-1");
    }),
    ("error", &["validate", "--env=sandbox"], 3, |place, _| {
        place.edit(OVERLAY, "project_name: renamed", "project_nam: my-app\n      regoin: x");
    }),
    ("drift", &["drift", "--env=sandbox"], 4, |place, sandbox| {
        place.edit(OVERLAY, "project_nam: my-app\n      regoin: x", "project_name: my-app");
        place.edit(OVERLAY, "region: eu-central-1", "region: us-east-2");
        sandbox.control("POST", "reset", &Value::Null);
    }),
    ("destroy", &["destroy", "--env=sandbox", "--yes=sandbox"], 0, NOTHING),
    ("destroy", &["destroy", "--env=sandbox", "--yes=sandbox"], 0, NOTHING),
    ("import", &["import", "app-db", "{project}", "--env=sandbox"], 0, |_, sandbox| {
        let branch =
            json!({"name": "main", "database_name": "neondb", "role_name": "neondb_owner"});
        let project = json!({"name": "theirs", "region_id": "aws-us-east-2", "pg_version": 17, "branch": branch});
        sandbox.vendor("POST", "/neon/api/v2/projects", &json!({"project": project}));
    }),
    ("error", &["explain", "SS9999"], 2, NOTHING),
    ("explain", &["explain", "SS0101"], 0, NOTHING),
    ("explain", &["explain"], 0, NOTHING),
    ("init", &["-C", "fresh", "init", "app"], 0, |place, _| {
        std::fs::create_dir(place.path().join("fresh")).expect("a folder");
    }),
    ("schema", &["-C", "fresh", "schema", "--write"], 0, NOTHING),
    ("doctor", &["doctor", "--env=sandbox"], 0, NOTHING),
    ("auth", &["auth", "neon", "--env=sandbox"], 0, NOTHING),
    ("vault", &["vault", "list"], 0, NOTHING),
    ("vault", &["vault", "get", "neon.api_token"], 0, NOTHING),
    ("vault", &["vault", "rotate-key"], 0, NOTHING),
    ("recipients", &["vault", "recipients", "list"], 0, NOTHING),
    ("trust", &["trust"], 0, NOTHING),
    ("plugin-new", &["plugin", "new", "mine", "--lang=c"], 0, NOTHING),
    ("plugin-check", &["plugin", "check", "neon"], 0, NOTHING),
    ("plugin-run", &["plugin", "run", "neon", "apply", "--case=case.yaml"], 0, |place, sandbox| {
        sandbox.control("POST", "reset", &Value::Null);
        place.write("case.yaml", &neon_case(sandbox.port));
    }),
    ("plugin-run", &["plugin", "run", "neon", "read", "--case=case.yaml"], 0, NOTHING),
    ("plugin-run", &["plugin", "run", "neon", "destroy", "--case=case.yaml"], 0, NOTHING),
    (
        "plugin-test",
        &["plugin", "test", "neon", "--case=case.yaml", "--only=lifecycle"],
        0,
        |_, sandbox| {
            sandbox.control("POST", "reset", &Value::Null);
        },
    ),
    ("error", &["plugin", "test", "neon", "--case=none.yaml"], 3, NOTHING),
    ("sandbox", &["sandbox", "status", "--port={port}"], 0, NOTHING),
];

/// The provisioner's own case, with this sandbox in the place of one that the test would start.
fn neon_case(port: u16) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/neon/provisioner-test.yaml");
    let text = std::fs::read_to_string(path).expect("the case of neon");
    let lines = text.lines().filter(|line| !line.starts_with("fake:"));
    lines.collect::<Vec<_>>().join("\n").replace("{port}", &port.to_string())
}

/// The same where a process runs.
const RUNS_WITH_A_PROCESS: &[(&str, &[&str], i32, Before)] = &[
    ("deploy", &["deploy", "--env=sandbox"], 0, NOTHING),
    ("logs", &["logs", "api", "--env=sandbox"], 0, NOTHING),
    ("exec", &["exec", "api", "--env=sandbox", "--json", "--", "echo", "done"], 0, NOTHING),
];

/// Shown by runs of other tests, which take long enough once.
const RUN_ELSEWHERE: [&str; 2] = ["selftest", "plugin-build"];

/// The schemas by kind, closed: a field that is printed and not described is a failure here, though not for readers.
fn schemas() -> BTreeMap<String, jsonschema::Validator> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json");
    let mut schemas = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the schemas").flatten() {
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let Some(kind) = name.strip_suffix(".v1.json") else { continue };
        let text = std::fs::read_to_string(entry.path()).expect("a schema");
        let mut schema: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(schema["properties"]["kind"]["const"], kind, "{name}");
        assert_eq!(schema["properties"]["version"]["const"], 1, "{name}");
        close(&mut schema);
        let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
        schemas.insert(kind.to_owned(), validator);
    }
    schemas
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// An argument with ids that only a run knows.
fn filled(argument: &str, place: &Place, sandbox: &Sandbox<'_>) -> String {
    if argument.contains("{latest}") {
        return argument.replace("{latest}", &place.latest());
    }
    if argument.contains("{port}") {
        return argument.replace("{port}", &sandbox.port.to_string());
    }
    if argument == "{project}" {
        let listed = sandbox.vendor("GET", "/neon/api/v2/projects", &Value::Null);
        return listed["projects"][0]["id"].as_str().expect("a project").to_owned();
    }
    argument.to_owned()
}

#[test]
fn what_is_printed_is_what_the_schemas_say() {
    let schemas = schemas();
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &example().join("sandbox.yaml"));
    let mut shown = BTreeSet::new();
    compare(RUNS, &place, &sandbox, &schemas, &mut shown);
    let beside = Place::new();
    walkthrough(&beside, port);
    sandbox.control("POST", "reset", &Value::Null);
    compare(RUNS_WITH_A_PROCESS, &beside, &sandbox, &schemas, &mut shown);
    let described: BTreeSet<&str> = schemas.keys().map(String::as_str).collect();
    shown.extend(RUN_ELSEWHERE);
    assert_eq!(described, shown, "each schema is shown by a run");
}

fn compare(
    runs: &[(&'static str, &[&str], i32, Before)],
    place: &Place,
    sandbox: &Sandbox<'_>,
    schemas: &BTreeMap<String, jsonschema::Validator>,
    shown: &mut BTreeSet<&str>,
) {
    for (kind, arguments, code, before) in runs {
        before(place, sandbox);
        let mut filled: Vec<String> =
            arguments.iter().map(|argument| filled(argument, place, sandbox)).collect();
        if !filled.contains(&"--json".to_owned()) {
            filled.push("--json".to_owned());
        }
        // Who asks for a token gets one; nobody else reads standard input.
        let ran = place.ss_with_input(&filled, "sandbox-neon-key\n").exits(*code);
        let document: Value = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{}", ran.stdout));
        assert_eq!(document["kind"], *kind, "{arguments:?}");
        fits_one(schemas, kind, &document);
        shown.insert(*kind);
    }
}

#[track_caller]
fn fits_one(schemas: &BTreeMap<String, jsonschema::Validator>, kind: &str, document: &Value) {
    let schema = schemas.get(kind).unwrap_or_else(|| panic!("docs/json has no {kind}.v1.json"));
    let wrong: Vec<String> = schema
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{kind}: {wrong:#?}\n{document:#}");
}

/// An answer of this kind is as its schema says.
#[track_caller]
pub fn fits(kind: &str, document: &Value) {
    fits_one(&schemas(), kind, document);
}

#[test]
fn schemas_are_closed_so_that_a_new_field_is_noticed() {
    let validator = &schemas()["error"];
    let mut document = json!({"version": 1, "kind": "error", "error": {"code": "SS0001", "message": "x", "hints": [], "where": []}});
    assert!(validator.is_valid(&document));
    document["error"]["new"] = json!(1);
    assert!(!validator.is_valid(&document));
}

#[test]
fn the_schema_of_the_files_takes_the_example() {
    let place = Place::new();
    let overlay = place.ss(["schema", "--overlay"]).exits(0).stdout;
    let base = place.ss(["schema"]).exits(0).stdout;
    assert_ne!(base, overlay);
    for (text, field) in
        [(&base, "depends_on"), (&overlay, "health_check_path"), (&overlay, "pg_version")]
    {
        assert!(text.contains(field), "{field}");
        let schema: Value = serde_json::from_str(text).expect("JSON");
        jsonschema::validator_for(&schema).expect("a JSON Schema");
    }
    place.ss(["schema", "--write"]).exits(0);
    assert_eq!(place.read(".starsystem/system.schema.json"), base);
    assert_eq!(place.read(".starsystem/overlay.schema.json"), overlay);
}
