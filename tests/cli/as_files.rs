//! The first-party provisioners as files on disk: ordinary plugins, no privileges.

use std::path::PathBuf;

use crate::common::Place;
use crate::common::project::walkthrough;
use crate::common::sandbox::{Sandbox, free_port};

/// Where `cargo xtask test` put the components.
fn components() -> Option<PathBuf> {
    let folder = std::env::var_os("SS_COMPONENTS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SS_COMPONENTS names no folder; `cargo xtask test` builds one");
    }
    folder
}

/// The walkthrough's project with both provisioners as files; `false` where there are none.
pub fn walkthrough_as_files(place: &Place, port: u16) -> bool {
    let Some(components) = components() else { return false };
    walkthrough(place, port);
    let base = place.read("starsystem.yaml");
    place.write(
        "starsystem.yaml",
        &format!("{base}\nplugins:\n  neon: ./neon.wasm\n  fly: ./fly.wasm\n"),
    );
    for name in ["neon", "fly"] {
        let from = components.join(format!("ss_plugin_{name}.wasm"));
        std::fs::copy(&from, place.path().join(format!("{name}.wasm")))
            .unwrap_or_else(|error| panic!("{from:?}: {error}"));
    }
    true
}

#[test]
fn the_walkthrough_deploys_with_its_provisioners_as_files() {
    let place = Place::new();
    let port = free_port();
    if !walkthrough_as_files(&place, port) {
        return;
    }
    let sandbox = Sandbox::guard(&place, port);

    // Nobody granted them anything yet: refused, with the words that would grant it.
    let refused = place.ss(["deploy", "--env=sandbox"]).exits(6).says("SS0613").says("POST /apps");
    assert_eq!(refused.stdout, "");
    let mut grants = Vec::new();
    for _ in 0..2 {
        let ran = place.ss(["plan", "--env=sandbox"]
            .iter()
            .map(|text| (*text).to_owned())
            .chain(grants.clone()));
        grants.extend(
            ran.stderr.split('`').find(|text| text.starts_with("--grant=")).map(str::to_owned),
        );
    }
    assert_eq!(grants.len(), 2, "{grants:?}");
    place
        .ss(["plan", "--env=sandbox"].iter().map(|text| (*text).to_owned()).chain(grants))
        .exits(0);
    assert!(place.read("starsystem.lock").contains("sha256:"));

    let ran = place.ss(["deploy", "--env=sandbox"]).exits(0);
    assert!(ran.stdout.ends_with("✓ Deploy complete: 2 provisioned\n"), "{}", ran.stdout);
    assert_eq!(sandbox.get("/app/my-app-api/health").body, r#"{"status":"ok"}"#);
    place.ss(["deploy", "--env=sandbox"]).exits(0).says("Nothing to change: 2 unchanged");
}
