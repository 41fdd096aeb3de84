//! Receipts: the walkthrough's view to the letter, prefixes, tampering, and how many are kept.

use std::fs;

use serde_json::Value;

use crate::common::Place;
use crate::common::project::{database, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};

const ENV: &str = "--env=sandbox";

/// The text with every digit as `9`, so that times and durations compare.
fn shape(text: &str) -> String {
    let digits = text.replace(|letter: char| letter.is_ascii_digit(), "9");
    let mut shape = String::new();
    for letter in digits.chars() {
        if !(letter == '9' && shape.ends_with('9')) {
            shape.push(letter);
        }
    }
    shape
}

#[test]
fn the_view_is_the_walkthroughs() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let _sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", ENV]).exits(0);
    let id = place.latest();
    let wanted = format!(
        "ss inspect {id}

  status:    ✓ completed
  duration:  87.3s
  started:   2026-05-02 14:32:01 UTC
  ended:     2026-05-02 14:33:28 UTC

── Timeline ──
  ✓ ss.deploy.service.app-db (12.4s)
  ✓ ss.deploy.service.api (74.9s)

── Next actions ──
  Check drift    ss drift --env=sandbox
  Re-deploy      ss deploy --env=sandbox
  List deploys   ss inspect --list --env=sandbox
"
    );
    let seen = place.ss(["inspect", ENV]).exits(0).stdout;
    assert_eq!(shape(&seen), shape(&wanted));
    assert_eq!(place.ss(["inspect", &id[..4], ENV]).exits(0).stdout, seen);
    place.ss(["inspect", &id[..3], ENV]).exits(2).says("at least 4 characters");
    place.ss(["inspect", "zzzz", ENV]).exits(1).says("SS0407");

    let requests = place.ss(["inspect", ENV, "--requests"]).exits(0).stdout;
    assert!(requests.contains("POST   /projects "), "{requests}");
    let whole = place.json(["inspect", ENV, "--json"]);
    assert_eq!(whole["timeline"][1]["name"], "ss.deploy.service.api");
    let ledger = whole["requests"].as_array().expect("a ledger");
    let sent: u64 = ledger.iter().filter_map(|line| line["attempts"].as_u64()).sum();
    let counted = &whole["request_counts"];
    assert_eq!(
        Some(sent),
        counted["read"].as_u64().zip(counted["write"].as_u64()).map(|(r, w)| r + w)
    );
    let listed = place.ss(["inspect", "--list", ENV]).exits(0).stdout;
    assert!(listed.starts_with(&id) && listed.lines().count() == 1, "{listed}");
}

#[test]
fn prefixes_tampering_and_old_runs() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let _sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    place.ss(["deploy", ENV]).exits(0);
    let id = place.latest();
    let receipts = place.store().join("receipts");
    let path = receipts.join(format!("{id}.json"));
    let written = fs::read_to_string(&path).expect("a receipt");
    place.ss(["inspect", &id, "--verify", ENV]).exits(0).says("is intact");

    let mut receipt: Value = serde_json::from_str(&written).expect("JSON");
    receipt["requests"][2]["route"] = "/somewhere/else".into();
    fs::write(&path, receipt.to_string()).expect("writes");
    place.ss(["inspect", "--verify", ENV]).exits(1).says("SS0410").says("request 3 of its ledger");
    // Any digit, anywhere in the file: either it no longer reads as this run's receipt, or the chain breaks.
    let digits: Vec<usize> = written
        .bytes()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_digit())
        .map(|(at, _)| at)
        .collect();
    for at in digits.iter().step_by(digits.len() / 12) {
        let mut bytes = written.clone().into_bytes();
        bytes[*at] = if bytes[*at] == b'7' { b'3' } else { b'7' };
        fs::write(&path, bytes).expect("writes");
        let ran = place.ss(["inspect", &id, "--verify", ENV]);
        assert_eq!(ran.code, 1, "byte {at}: {}{}", ran.stdout, ran.stderr);
    }
    fs::write(&path, &written).expect("writes");

    // Many runs, all with the same beginning of their id.
    for number in 0..60 {
        let other = format!("{}{number:04x}-0000-4000-8000-000000000000", &id[..4]);
        let mut receipt: Value = serde_json::from_str(&written).expect("JSON");
        receipt["header"]["id"] = other.as_str().into();
        receipt["header"]["started_ms"] = (1_700_000_000_000_u64 + number).into();
        fs::write(receipts.join(format!("{other}.json")), receipt.to_string()).expect("writes");
    }
    let ran =
        place.ss(["inspect", &id[..4], ENV]).exits(1).says("begins more than one id").says(&id);
    assert!(ran.stderr.contains(&format!("{}0001-", &id[..4])), "{}", ran.stderr);
    place.edit("starsystem.sandbox.yaml", "project_name: my-app", "project_name: other");
    place.ss(["deploy", ENV]).exits(0);
    let listed = place.ss(["inspect", "--list", ENV]).exits(0).stdout;
    assert_eq!(listed.lines().count(), 50, "old runs go");
    assert!(listed.contains(&id), "the newest stay");
}
