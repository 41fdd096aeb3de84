//! The corpus of bad configurations: what `ss validate` says of each, to the letter.
//!
//! A case is a folder of `tests/corpus/config/invalid`: the files, `expected.txt`, and `arguments` when it is not
//! `validate --env=prod` (or `validate` where there is no overlay). `UPDATE_EXPECT=1` rewrites the expected files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{Place, Ran};

/// How many cases there are at least, so that an empty folder cannot pass.
const CASES_MIN: usize = 80;
/// Files of a case that are not the user's.
const OURS: [&str; 2] = ["expected.txt", "arguments"];

struct Case {
    folder: PathBuf,
    place: Place,
    arguments: Vec<String>,
}

impl Case {
    fn new(folder: PathBuf) -> Self {
        let place = Place::new();
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(&folder).expect("a folder of the corpus").flatten() {
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            if !OURS.contains(&name.as_str()) {
                std::fs::copy(entry.path(), place.path().join(&name)).expect("a copy");
            }
            names.insert(name);
        }
        let arguments = match std::fs::read_to_string(folder.join("arguments")) {
            Ok(arguments) => arguments,
            Err(_) if names.contains("starsystem.prod.yaml") => "validate --env=prod".to_owned(),
            Err(_) => "validate".to_owned(),
        };
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { folder, place, arguments }
    }

    fn run(&self, more: &[&str]) -> Ran {
        self.place.ss(self.arguments.iter().map(String::as_str).chain(more.iter().copied()))
    }

    fn name(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8")
    }
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/config/invalid");
    let entries = std::fs::read_dir(root).expect("the corpus is in the repository");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    assert!(folders.len() >= CASES_MIN, "only {} cases", folders.len());
    folders.into_iter().map(Case::new).collect()
}

/// What a run printed, as the expected file keeps it.
fn transcript(case: &Case, ran: &Ran) -> String {
    let text = format!(
        "$ ss {}\n{}{}exit {}\n",
        case.arguments.join(" "),
        ran.stderr,
        ran.stdout,
        ran.code
    );
    text.replace(&case.place.path().display().to_string(), "[directory]")
}

#[test]
fn bad_configurations_are_explained_to_the_letter() {
    let bless = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let actual = transcript(&case, &case.run(&[]));
        let file = case.folder.join("expected.txt");
        if bless {
            std::fs::write(&file, &actual).expect("the corpus is writable");
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{}: {error}; run with UPDATE_EXPECT=1 and read what it says", file.display())
        });
        if expected != actual {
            wrong.push(format!("{}:\n--- expected\n{expected}\n--- actual\n{actual}", case.name()));
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_problem_has_a_code_a_place_and_a_way_out() {
    for case in cases() {
        let ran = case.run(&[]);
        if ran.stderr.is_empty() {
            // Not a problem of the files: a plan that is refused says so as the answer.
            assert_eq!(ran.code, 6, "{}", case.name());
            continue;
        }
        let said = || format!("{}:\n{}", case.name(), ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", said());
        for problem in ran.stderr.split("\n\n").filter(|problem| !problem.contains("` says more")) {
            let way_out = problem.contains(" = help: ") || problem.contains("  hint: ");
            assert!(way_out, "no way out:\n{problem}\nin {}", said());
            let has_place = problem.contains("--> starsystem.");
            // A file that is not there, a word of the command line and a count have no place in a file.
            let has_none = ["there is no ", "[SS0001]", "[SS0100]"];
            let needs_one = !has_none.iter().any(|what| problem.contains(what));
            assert!(has_place || !needs_one, "no place:\n{problem}");
        }
    }
}

/// `SS0201` and the like, in the order of a text.
fn codes(text: &str) -> Vec<String> {
    let heads = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("error[").or_else(|| line.strip_prefix("warning["))?;
        rest.split(']').next().map(str::to_owned)
    });
    heads.collect()
}

/// `--> file:line:column`, in the order of a text.
fn places(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_start);
    let arrows =
        lines.filter_map(|line| line.strip_prefix("--> ").or_else(|| line.strip_prefix("::: ")));
    arrows.map(str::to_owned).collect()
}

#[test]
fn json_says_the_same_as_the_text() {
    for case in cases() {
        let text = case.run(&[]);
        let json = case.run(&["--json"]);
        assert_eq!((json.code, json.stderr.as_str()), (text.code, ""), "{}", case.name());
        let document: Value = serde_json::from_str(&json.stdout).expect("one JSON document");
        let Some(error) = document.get("error") else {
            assert_eq!(text.code, 6, "{}", case.name());
            continue;
        };
        let others = error["others"].as_array().into_iter().flatten();
        let problems: Vec<&Value> = std::iter::once(error).chain(others).collect();
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        let said = problems.iter().map(|one| one["code"].as_str().unwrap_or("?").to_owned());
        assert_eq!(sorted(said.collect()), sorted(codes(&text.stderr)), "{}", case.name());
        let marked = problems.iter().flat_map(|one| one["where"].as_array().into_iter().flatten());
        let marked = marked.map(|place| {
            let file = place["file"].as_str().unwrap_or("?");
            format!("{file}:{}:{}", place["line"], place["column"])
        });
        assert_eq!(sorted(marked.collect()), sorted(places(&text.stderr)), "{}", case.name());
    }
}

const OVERLAY: &str = "version: \"2\"\nenvironment: prod\nservices: { api: { typo: 1 } }\n";
const BASE: &str = "version: \"2\"\nname: x\nservices: { api: { type: process } }\n";

/// Runs `ss validate` with little memory to take: 512 MiB of address space beyond the program.
fn validate_bounded(place: &Place) -> Ran {
    let mut command = std::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_ss");
    command.args(["-c", "ulimit -v 1500000; exec \"$0\" validate --env=prod", binary]);
    command.current_dir(place.path()).env_clear().env("STARSYSTEM_HOME", place.home());
    Ran::of(command.output().expect("the binary runs"))
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_and_the_other_is_checked() {
    let place = Place::new();
    place.write("starsystem.yaml", &"# a comment that goes on\n".repeat(4 * 1024 * 1024));
    place.write("starsystem.prod.yaml", OVERLAY);
    validate_bounded(&place)
        .exits(3)
        .says("error[SS0103]: the file is larger than 16 MiB")
        .says("--> starsystem.yaml:1:1")
        .says("error[SS0201]: `typo` is not a field of the service `api`")
        .says("--> starsystem.prod.yaml:3:20")
        .says("2 errors");
}

#[test]
fn the_largest_file_that_is_read_takes_bounded_memory() {
    let place = Place::new();
    place.write("starsystem.yaml", BASE);
    let services = "  - [a, b, c, d, e, f, g, h]\n".repeat(500_000);
    place.write("starsystem.prod.yaml", &format!("{OVERLAY}x-list:\n{services}"));
    validate_bounded(&place).exits(3).says("SS0103");
}

#[test]
fn devices_pipes_directories_and_endless_links_are_refused() {
    let place = Place::new();
    place.write("starsystem.yaml", BASE);
    let overlay = place.path().join("starsystem.prod.yaml");
    std::os::unix::fs::symlink("/dev/zero", &overlay).expect("a link");
    validate_bounded(&place).exits(3).says("SS0110").says("a device or a pipe");
    std::fs::remove_file(&overlay).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&overlay).status().expect("mkfifo");
    assert!(made.success());
    validate_bounded(&place).exits(3).says("SS0110").says("a device or a pipe");
    std::fs::remove_file(&overlay).expect("removed");
    std::fs::create_dir(&overlay).expect("a directory");
    validate_bounded(&place).exits(3).says("SS0110").says("is a directory");
    std::fs::remove_dir(&overlay).expect("removed");
    std::os::unix::fs::symlink("starsystem.prod.yaml", &overlay).expect("a link to itself");
    validate_bounded(&place).exits(3).says("SS0110").says("cannot be read");
}

#[test]
fn without_an_environment_every_overlay_is_checked_and_the_base_told_once() {
    let place = Place::new();
    place
        .write("starsystem.yaml", "version: \"2\"\nname: x\nservices: { api: { typ: process } }\n");
    for env in ["dev", "prod"] {
        let overlay = OVERLAY.replace("prod", env);
        place.write(&format!("starsystem.{env}.yaml"), &overlay);
    }
    let ran = place.ss(["validate"]).exits(3);
    assert_eq!(codes(&ran.stderr), ["SS0203", "SS0201", "SS0201", "SS0201"]);
    assert_eq!(
        places(&ran.stderr),
        [
            "starsystem.yaml:3:13",
            "starsystem.yaml:3:20",
            "starsystem.dev.yaml:3:20",
            "starsystem.prod.yaml:3:20"
        ]
    );
}

#[test]
fn warnings_do_not_fail_and_are_in_the_json() {
    let place = Place::new();
    place.write("starsystem.yaml", BASE);
    let overlay = OVERLAY.replace("{ typo: 1 }", "{ target: { type: flyy, app: x } }");
    place.write("starsystem.prod.yaml", &overlay);
    place.ss(["validate", "--env=prod"]).exits(0).says("did you mean `fly`?").says("1 warning");
    let ran = place.ss(["validate", "--env=prod", "--json"]).exits(0);
    let document: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    assert_eq!(document["warnings"][0]["code"], "SS0241");
    assert_eq!(document["warnings"][0]["where"][0]["line"], 3);
}

#[test]
fn each_code_that_is_printed_has_a_page_in_any_case_of_letters() {
    let place = Place::new();
    let listed = place.ss(["explain"]).exits(0).stdout;
    let listed: BTreeSet<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    for case in cases() {
        for code in codes(&case.run(&[]).stderr) {
            assert!(listed.contains(code.as_str()), "{code} has no page");
        }
    }
    place.ss(["explain", "ss0201"]).exits(0).says("# SS0201").says("## Example").says("## Fix");
    place.ss(["explain", "SS02O1"]).exits(2).says("did you mean `SS0201`?");
}
