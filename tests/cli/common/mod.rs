//! A sealed place to run `ss` in.

pub mod canary;
pub mod http;
pub mod lsp;
pub mod otlp;
pub mod project;
pub mod sandbox;
pub mod tools;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A directory and a home of its own.
pub struct Place {
    directory: tempfile::TempDir,
    /// What is set besides.
    pub env: Vec<(String, String)>,
}

/// What a run of `ss` gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory"), env: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Replaces text in a file; the text must be there.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} does not hold {from:?}:\n{text}");
        self.write(name, &text.replace(from, to));
    }

    /// `ss` with nothing of the developer's environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ss"));
        command.current_dir(self.path()).env_clear();
        for (name, value) in [
            ("PATH", std::env::var_os("PATH")),
            ("SS_SANDBOX_PG_BIN", std::env::var_os("SS_SANDBOX_PG_BIN")),
        ] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        // The Postgres template is shared between tests: making it takes longer than a test.
        let cache = std::env::temp_dir().join("ss-test-cache");
        command
            .env("HOME", self.path())
            .env("STARSYSTEM_HOME", self.home())
            .env("XDG_CACHE_HOME", cache)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The password in the walkthrough's DATABASE_URL, from the vault.
    pub fn database_password(&self) -> String {
        let url = self.ss(["vault", "get", "app-db.DATABASE_URL", "--env=sandbox"]).exits(0).stdout;
        let user = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
        let password = user.and_then(|(user, _)| user.split_once(':'));
        password.expect("a URL with a password").1.to_owned()
    }

    /// The id of the latest run.
    pub fn latest(&self) -> String {
        self.json(["inspect", "--env=sandbox", "--json"])["id"].as_str().expect("an id").to_owned()
    }

    /// Runs `ss` to a good end, and reads its answer.
    #[track_caller]
    pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        let ran = self.ss(arguments).exits(0);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
    }

    /// Where the store keeps the sandbox environment.
    pub fn store(&self) -> PathBuf {
        self.home().join("systems/my-app/sandbox")
    }

    /// Runs `ss` with this on its standard input.
    pub fn ss_with_input<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> Ran {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("a standard input");
        // A command that has ended already has no need of it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ran::of(child.wait_with_output().expect("it ends"))
    }

    /// Runs `ss` to its end.
    pub fn ss<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        Ran::of(self.command().args(arguments).output().expect("the binary runs"))
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Insists on an exit code, and shows everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Insists that something was said, on either stream.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(found, "{text:?} was not said\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}
