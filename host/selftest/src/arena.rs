//! What all trials share: the binary, the vendor, and a home of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::canary::Canary;
use crate::component::stamped;
use crate::ring::Ring;
use crate::vendor::{BORN, Vendor};

pub(crate) const HOSTILE_TOKEN: &str = "hostile-token-7341";
pub(crate) const GOOD_TOKEN: &str = "good-token-9265";
/// Passed on to the binary: where its programs are, and what its user makes of the second wall.
const PASSED_ON: [&str; 2] = ["PATH", "STARSYSTEM_WALL"];

/// Where components are let loose.
pub struct Arena {
    binary: PathBuf,
    directory: PathBuf,
    pub(crate) vendor: Vendor,
    pub(crate) good: Vec<u8>,
    pub(crate) canaries: [Canary; 3],
}

impl Arena {
    /// An arena for a binary of `ss`, in a directory that belongs to it alone. Of what is there from an earlier arena
    /// the compiled components are kept, and all else goes.
    ///
    /// # Errors
    /// The directory cannot be written, no port is free, or the binary does not even make a vault.
    pub fn new(binary: &Path, directory: &Path) -> io::Result<Self> {
        let home = directory.join("home");
        fs::create_dir_all(&home)?;
        for entry in fs::read_dir(&home)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("plugins") {
                fs::remove_dir_all(path)?;
            } else if path.is_file() {
                fs::remove_file(path)?;
            }
        }
        let projects = directory.join("projects");
        if projects.exists() {
            fs::remove_dir_all(&projects)?;
        }
        let arena = Self {
            binary: binary.to_owned(),
            directory: directory.to_owned(),
            vendor: Vendor::start()?,
            good: stamped("good", "good"),
            canaries: [
                Canary::new("the component's own token", HOSTILE_TOKEN),
                Canary::new("its neighbour's token", GOOD_TOKEN),
                Canary::new("a password", BORN),
            ],
        };
        arena.make_vault()?;
        Ok(arena)
    }

    /// The vault's identity, before several processes at once need one.
    fn make_vault(&self) -> io::Result<()> {
        let output = self.command(&self.directory).args(["vault", "set", "x.y", "z"]).output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(io::Error::other(format!("{} vault set: {said}", self.binary.display())))
    }

    /// A project of this name around a component.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn ring(&self, name: &str, component: &[u8]) -> io::Result<Ring<'_>> {
        Ring::new(self, name, self.directory.join("projects").join(name), component)
    }

    /// The binary in a directory, with nothing of the user's environment, and all pipes open.
    pub(crate) fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(directory).env_clear();
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", &self.directory)
            .env("STARSYSTEM_HOME", self.directory.join("home"))
            .env("HOSTILE_TOKEN", HOSTILE_TOKEN)
            .env("GOOD_TOKEN", GOOD_TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The secrets that are looked for.
    pub fn secrets(&self) -> usize {
        self.canaries.len()
    }

    /// Looks for the secrets in every file that was written: how many files there are, and what was found.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn search(&self) -> io::Result<(usize, Vec<String>)> {
        let (mut files, mut found) = (0, Vec::new());
        let mut folders = vec![self.directory.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                found.extend(self.leak(&path.display().to_string(), &fs::read(&path)?));
                files += 1;
            }
        }
        Ok((files, found))
    }

    /// The first secret in these bytes, as a sentence.
    pub(crate) fn leak(&self, place: &str, bytes: &[u8]) -> Option<String> {
        let found = |canary: &Canary| {
            let spelling = canary.found_in(bytes)?;
            Some(format!("{} is in {place}, as {spelling}", canary.name()))
        };
        self.canaries.iter().find_map(found).or_else(|| {
            // The spelling that the vendor adds when it echoes: a password behind a name, in base64.
            use base64::Engine;
            let pair = format!("me:{HOSTILE_TOKEN}");
            let inner = base64::engine::general_purpose::STANDARD.encode(pair);
            let part = &inner.as_bytes()[6..20];
            crate::canary::holds(bytes, part).then(|| format!("the token is in {place}, as basic"))
        })
    }
}
