//! The released contract does not change, and what is published about it is true.

use std::fs;

use ss_wasm::{ALLOWED_IMPORTS, Answered};
use ss_wasm_build::sha256;

use crate::guests::root;

#[test]
fn a_released_contract_is_frozen() {
    let frozen = root().join("tests/corpus/wit/provisioner-0.1.sha256");
    let frozen = fs::read_to_string(frozen).expect("the hashes of the released contract");
    for line in frozen.lines() {
        let (hash, file) = line.split_once("  ").expect("a line as sha256sum writes it");
        let text = fs::read(root().join(file)).expect("the file exists");
        assert_eq!(
            sha256(&text),
            hash,
            "{file} was released and must not change; see wit/README.md"
        );
    }
    let files = fs::read_dir(root().join("wit/provisioner-0.1")).expect("lists").flatten();
    let wit = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "wit"));
    assert_eq!(wit.count(), frozen.lines().count(), "every file of the contract is frozen");
}

#[test]
fn the_allowed_imports_are_published() {
    let page = fs::read_to_string(root().join("wit/README.md")).expect("the page");
    let published: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .filter_map(|row| row.split_once("` | "))
        .filter(|(name, _)| name.contains('@'))
        .collect();
    let allowed: Vec<_> = ALLOWED_IMPORTS
        .iter()
        .map(|import| {
            let answered = match import.answered {
                Answered::Contract => "contract",
                Answered::Host => "host",
                Answered::Denied => "denied",
            };
            (format!("{}@{}.x", import.interface, import.track), answered)
        })
        .collect();
    let allowed: Vec<_> = allowed.iter().map(|(name, how)| (name.as_str(), *how)).collect();
    assert_eq!(published, allowed);
}
