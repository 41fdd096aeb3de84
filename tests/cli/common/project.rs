//! The walkthrough's project, pointed at a sandbox.

use std::path::{Path, PathBuf};

use super::Place;

/// `examples/postgres-and-api`.
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/postgres-and-api")
        .canonicalize()
        .expect("the example")
}

/// Copies the example's two files for the sandbox on a port, and a sandbox.yaml that runs the example's server.
pub fn walkthrough(place: &Place, port: u16) {
    let read = |name: &str| {
        std::fs::read_to_string(example().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    place.write("starsystem.yaml", &read("starsystem.yaml"));
    place.write(
        "starsystem.sandbox.yaml",
        &read("starsystem.sandbox.yaml").replace(":4400", &format!(":{port}")),
    );
    let server = example().join("server");
    let server = server.display();
    // `cargo xtask test` has built the server; with a home of its own each test would build it again.
    let images: String = read("sandbox.yaml")
        .lines()
        .filter(|line| !line.contains("build:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let images = images
        .replace("dir: server", &format!("dir: {server}"))
        .replace("server/target", &format!("{server}/target"));
    place.write("sandbox.yaml", &images);
}

/// The walkthrough's database alone.
pub fn database(place: &Place, port: u16) {
    walkthrough(place, port);
    let base = place.read("starsystem.yaml");
    let overlay = place.read("starsystem.sandbox.yaml");
    place.write("starsystem.yaml", base.split("\n  api:").next().expect("a database"));
    place.write("starsystem.sandbox.yaml", overlay.split("\n  api:").next().expect("a database"));
}

/// An API process alone, running an image that `sandbox.yaml` maps to a shell command.
pub fn process(place: &Place, port: u16, command: &str) {
    walkthrough(place, port);
    place.write(
        "starsystem.yaml",
        "version: \"2\"\nname: my-app\n\nservices:\n  api:\n    type: process\n    depends_on: []\n",
    );
    let overlay = place.read("starsystem.sandbox.yaml");
    let (head, api) = overlay.split_once("\n  api:").expect("an api");
    let head = head.split("\n  app-db:").next().expect("services");
    place.write("starsystem.sandbox.yaml", &format!("{head}\n  api:{api}      wait_timeout: 8s\n"));
    let command = serde_json::Value::from(command);
    place.write(
        "sandbox.yaml",
        &format!(
            "images:\n  \"ghcr.io/me/my-app-api:latest\":\n    command: [sh, -c, {command}]\n"
        ),
    );
}
