//! The selftest can fail: stand-ins for `ss` that hold nothing back are found out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use ss_selftest::{Arena, Stopped, behaviours, try_all};

/// A script in the place of the binary. `vault set` has to succeed for anybody.
fn stand_in(directory: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = directory.path().join("ss");
    let text = format!("#!/bin/sh\n[ \"$1\" = vault ] && exit 0\n{script}\n");
    fs::write(&path, text).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it may run");
    path
}

/// How many of all behaviours get through, and why the first of them does.
fn through(script: &str) -> (usize, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let arena = Arena::new(&stand_in(&directory, script), &directory.path().join("arena"));
    let trials = try_all(&arena.expect("an arena"), &behaviours(), |_| {});
    let reasons: Vec<String> = trials.into_iter().filter_map(|trial| trial.through).collect();
    (reasons.len(), reasons.into_iter().next().unwrap_or_default())
}

#[test]
fn one_that_stops_nothing_is_found_out() {
    let (count, why) = through("exit 0");
    assert_eq!(count, behaviours().len(), "{why}");
}

#[test]
fn one_that_only_says_that_it_stops_everything_is_found_out() {
    let (_, why) = through("exit 1");
    assert!(why.contains("nothing says"), "{why}");
}

#[test]
fn one_that_prints_a_secret_is_found_out_by_every_component() {
    for script in ["echo $HOSTILE_TOKEN", "printf %s $GOOD_TOKEN | base64 >&2"] {
        let (count, why) = through(script);
        assert_eq!(count, behaviours().len(), "{script}: {why}");
        assert!(why.contains("token is in what was"), "{script}: {why}");
    }
}

#[test]
fn one_that_lets_escape_codes_through_is_found_out() {
    let (count, why) = through("printf '\\033[2J'");
    assert_eq!(count, behaviours().len(), "{why}");
    assert!(why.contains("\\u{1b}"), "{why}");
}

#[test]
fn a_secret_in_a_file_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let arena = Arena::new(&stand_in(&directory, "exit 0"), &directory.path().join("arena"));
    let arena = arena.expect("an arena");
    assert_eq!(arena.search().expect("files").1, Vec::<String>::new());
    let file = directory.path().join("arena/home/left.log");
    fs::write(&file, "68:hostile-token-7341").expect("a file");
    let found = arena.search().expect("files").1;
    assert!(found.len() == 1 && found[0].contains("left.log"), "{found:?}");
}

#[test]
fn the_table_has_every_kind_of_end_and_no_behaviour_twice_in_one_act() {
    let all = behaviours();
    assert!(all.len() >= 60);
    let mut seen = std::collections::BTreeSet::new();
    for behaviour in &all {
        let act = format!("{:?}", behaviour.act);
        assert!(seen.insert((behaviour.name, act)), "{} twice", behaviour.name);
    }
    for kind in [
        Stopped::Denied("").as_str(),
        Stopped::Crashed.as_str(),
        Stopped::Limit("").as_str(),
        Stopped::Unusable("").as_str(),
        Stopped::Refused("").as_str(),
    ] {
        assert!(all.iter().any(|behaviour| behaviour.stopped.as_str() == kind), "{kind}");
    }
}
