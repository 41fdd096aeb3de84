//! The walkthrough's project, pointed at a sandbox.

use std::path::{Path, PathBuf};

use super::Place;

/// `examples/postgres-and-api`.
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/postgres-and-api").canonicalize().expect("the example")
}

/// Copies the example's two files for the sandbox on a port, and a sandbox.yaml that runs the example's server.
pub fn walkthrough(place: &Place, port: u16) {
    let read = |name: &str| std::fs::read_to_string(example().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    place.write("starsystem.yaml", &read("starsystem.yaml"));
    place.write("starsystem.sandbox.yaml", &read("starsystem.sandbox.yaml").replace(":4400", &format!(":{port}")));
    let server = example().join("server");
    let server = server.display();
    let images = read("sandbox.yaml")
        .replace("dir: server", &format!("dir: {server}"))
        .replace("server/target", &format!("{server}/target"));
    place.write("sandbox.yaml", &images);
}
