//! The schemas in an editor: what `ss init` writes, given to the real YAML language server.
//!
//! `SS_LANGUAGE_SERVER` says where that is; `tests/language-server/install.sh` installs it, `.ci/run` does both.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::Place;
use crate::common::lsp::Server;

/// The server, or `None` with a loud word.
fn language_server() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("SS_LANGUAGE_SERVER").filter(|path| !path.is_empty()) else {
        eprintln!("skipped: SS_LANGUAGE_SERVER is not set (tests/language-server/install.sh)");
        return None;
    };
    let path = PathBuf::from(path);
    assert!(path.is_file(), "there is no language server at {}", path.display());
    Some(path)
}

/// A project as `ss init` writes it.
fn project() -> Place {
    let place = Place::new();
    place.ss(["init", "my-app"]).exits(0);
    place
}

fn messages(found: &[Value]) -> Vec<&str> {
    found.iter().filter_map(|one| one["message"].as_str()).collect()
}

/// What is offered at the end of a line that is put below another one.
fn offered(server: &mut Server, file: &Path, text: &str, below: &str, typed: &str) -> Vec<String> {
    let line = text.lines().position(|line| line == below).expect("the line is there") + 1;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(line, typed);
    server.open(file, &lines.join("\n"));
    server.complete(file, line, typed.chars().count())
}

#[test]
fn the_files_of_init_are_clean_in_the_editor() {
    let Some(path) = language_server() else { return };
    let place = project();
    let mut server = Server::start(&path, place.path());
    for name in ["starsystem.yaml", "starsystem.prod.yaml"] {
        let found = server.open(&place.path().join(name), &place.read(name));
        assert_eq!(messages(&found), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn the_editor_completes_the_fields_of_each_target() {
    let Some(path) = language_server() else { return };
    let place = project();
    let mut server = Server::start(&path, place.path());
    let text = place.read("starsystem.prod.yaml");
    let case = |number: usize| place.path().join(format!("starsystem.prod{number}.yaml"));
    let fly = offered(&mut server, &case(1), &text, "      app: my-app-api", "      ");
    for field in ["count", "cpus", "memory_mb", "autostop", "env"] {
        assert!(fly.iter().any(|label| label == field), "{field} is not in {fly:?}");
    }
    assert!(!fly.iter().any(|label| label == "pg_version"), "{fly:?}");
    let neon = offered(&mut server, &case(2), &text, "      project_name: my-app", "      ");
    for field in ["pg_version", "suspend_timeout_seconds", "database"] {
        assert!(neon.iter().any(|label| label == field), "{field} is not in {neon:?}");
    }
    assert!(!neon.iter().any(|label| label == "memory_mb"), "{neon:?}");
    let words = offered(&mut server, &case(3), &text, "      app: my-app-api", "      autostop: ");
    assert!(words.iter().any(|label| label.contains("suspend")), "{words:?}");
    let bare = text.replace("      type: fly", "      type: ");
    let line = bare.lines().position(|line| line == "      type: ").expect("the line is there");
    server.open(&case(4), &bare);
    let types = server.complete(&case(4), line, 12);
    for kind in ["neon", "fly"] {
        assert!(types.iter().any(|label| label == kind), "{kind} is not in {types:?}");
    }
}

#[test]
fn the_editor_marks_what_a_target_does_not_take() {
    let Some(path) = language_server() else { return };
    let place = project();
    let mut server = Server::start(&path, place.path());
    let text = place.read("starsystem.prod.yaml");
    for (number, (from, to, said)) in [
        ("region: iad", "regoin: iad", "regoin"),
        ("port: 3000", "port: \"3000\"", "integer"),
        ("project_name: my-app", "pg_version: 12", "14"),
        ("environment: prod", "enviroment: prod", "enviroment"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(text.contains(from), "{from}");
        let file = place.path().join(format!("starsystem.bad{number}.yaml"));
        let wrong = text.replace(from, to);
        let found = server.open(&file, &wrong);
        let marked = found.iter().find(|one| one["message"].as_str().unwrap_or("").contains(said));
        let marked = marked.unwrap_or_else(|| panic!("{to}: {:?}", messages(&found)));
        let line = marked["range"]["start"]["line"].as_u64().expect("a line");
        let line = wrong.lines().nth(usize::try_from(line).expect("a small number"));
        assert_eq!(line.map(str::trim), Some(to), "{said} is marked elsewhere");
    }
}
