//! Looking for a secret wherever it may have got to, in the encodings a leak takes.

use super::Place;

/// A secret and every spelling of it that is looked for.
pub struct Canary(ss_selftest::Canary);

impl Canary {
    pub fn new(name: &'static str, secret: &str) -> Self {
        Self(ss_selftest::Canary::new(name, secret))
    }

    /// Panics, naming the spelling, when the bytes hold the secret.
    #[track_caller]
    pub fn is_not_in(&self, place: &str, bytes: &[u8]) {
        if let Some(spelling) = self.0.found_in(bytes) {
            panic!("{} is in {place}, as {spelling}", self.0.name());
        }
    }
}

/// Neither the provider tokens nor the database's password stand in anything that was printed or written, but for the
/// vault, whose files are encrypted, and the sandbox's own folder.
pub fn no_secret_is_left(place: &Place, said: &str) {
    let canaries = [
        Canary::new("the Neon token", "sandbox-neon-key"),
        Canary::new("the Fly token", "sandbox-fly-token"),
        Canary::new("the database's password", &place.database_password()),
    ];
    for canary in &canaries {
        canary.is_not_in("what was printed", said.as_bytes());
    }
    let mut folders = vec![place.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path == place.home().join("sandbox") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            for canary in &canaries {
                canary.is_not_in(&path.display().to_string(), &bytes);
            }
            files += 1;
        }
    }
    assert!(files > 8, "only {files} files were searched");
}
