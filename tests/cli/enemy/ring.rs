//! Where a hostile component is let loose: a project with an honest neighbour, and a vendor that writes everything down.

use std::fs;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use ss_wasm_build::Workspace;

use super::server::{BORN, Vendor};
use crate::common::canary::{Canary, holds};
use crate::common::{Place, Ran};

const HOSTILE_TOKEN: &str = "hostile-token-7341";
const GOOD_TOKEN: &str = "good-token-9265";
/// Long enough for everything that ends, short enough that what does not is noticed.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What all cases share.
struct Shared {
    vendor: Vendor,
    home: PathBuf,
    hostile: Vec<u8>,
    good: Vec<u8>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let workspace = Workspace::new(root.join("tests/guests"), target.join("guests"));
    let built = workspace.build(&["hostile"]).expect("the guest builds").remove(0);
    // One home: what is compiled once is compiled for all. Everything but that goes between runs.
    let home = target.join("enemy-home");
    for entry in fs::read_dir(&home).into_iter().flatten().flatten() {
        if entry.file_name() != "plugins" {
            fs::remove_dir_all(entry.path())
                .or_else(|_| fs::remove_file(entry.path()))
                .expect("an old home is removed");
        }
    }
    let good = stamped(&built, "good:good");
    let shared = Shared { vendor: Vendor::start(), home, hostile: built, good };
    // Makes the vault's identity before several processes need one.
    let place = Place::new();
    let mut command = place.command();
    command.env("STARSYSTEM_HOME", &shared.home).args(["vault", "set", "x.y", "z"]);
    Ran::of(command.output().expect("the binary runs")).exits(0);
    shared
});

/// A component of the hostile guest with its stamp.
fn stamped(built: &[u8], stamp: &str) -> Vec<u8> {
    const MARK: &[u8] = b"@@hostile-stamp@@";
    let mut bytes = built.to_vec();
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).expect("a stamp");
    let text = at + MARK.len();
    bytes[text..text + stamp.len()].copy_from_slice(stamp.as_bytes());
    assert!(stamp.len() < 63, "{stamp} fits");
    bytes
}

/// The hostile component with one behaviour.
pub fn hostile(behaviour: &str) -> Vec<u8> {
    stamped(&SHARED.hostile, &format!("hostile:{behaviour}"))
}

/// One case: a project of three services. `db` and `other` are honest; `bad` is not, and gets the password of `db`.
pub struct Ring {
    place: Place,
    name: String,
}

impl Ring {
    pub fn new(name: &str, component: &[u8]) -> Self {
        let ring = Self { place: Place::new(), name: name.to_owned() };
        fs::write(ring.place.path().join("good.wasm"), &SHARED.good).expect("a file");
        ring.replace(component);
        ring.place.write(
            "starsystem.yaml",
            &format!(
                "version: \"2\"\nname: {name}\nplugins: {{ good: ./good.wasm, hostile: ./hostile.wasm }}\nservices:\n  \
                 db: {{ type: database, depends_on: [] }}\n  \
                 bad: {{ type: process, depends_on: [db], inject_from: {{ db: [PASSWORD] }} }}\n  \
                 other: {{ type: process, depends_on: [] }}\n"
            ),
        );
        let base = format!("http://127.0.0.1:{}/{name}", SHARED.vendor.port);
        ring.place.write(
            "starsystem.prod.yaml",
            &format!(
                "version: \"2\"\nenvironment: prod\nconnections:\n  \
                 good-api: {{ base_url: \"{base}/good\" }}\n  \
                 hostile-api: {{ base_url: \"{base}/hostile\" }}\n  \
                 hostile-front: {{ base_url: \"{base}/front/{{thing}}\" }}\nservices:\n  \
                 db: {{ target: {{ type: good, credential_env: GOOD_TOKEN }} }}\n  \
                 bad: {{ target: {{ type: hostile, credential_env: HOSTILE_TOKEN, note: first }} }}\n  \
                 other: {{ target: {{ type: good, credential_env: GOOD_TOKEN }} }}\n"
            ),
        );
        ring
    }

    /// Puts another component in the place of the hostile one.
    pub fn replace(&self, component: &[u8]) {
        fs::write(self.place.path().join("hostile.wasm"), component).expect("a file");
    }

    /// Changes the target of `bad`, so that the next deploy updates it.
    pub fn change_target(&self) {
        self.place.edit("starsystem.prod.yaml", "note: first", "note: second");
    }

    /// The words that grant the components as they are now.
    pub fn grants(&self) -> Vec<String> {
        let grant = |name: &str| {
            let bytes = fs::read(self.place.path().join(format!("{name}.wasm"))).expect("a file");
            let digest = Sha256::digest(&bytes);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("--grant={name}@sha256:{hex}")
        };
        vec![grant("good"), grant("hostile")]
    }

    /// Runs a command to its end. One that does not end is killed and fails the test.
    pub fn ss(&self, arguments: &[&str]) -> Ran {
        self.ended(self.command(arguments).spawn().expect("the binary runs"))
    }

    /// A command that has not begun.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command();
        command
            .env("STARSYSTEM_HOME", &SHARED.home)
            .env("HOSTILE_TOKEN", HOSTILE_TOKEN)
            .env("GOOD_TOKEN", GOOD_TOKEN)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Waits for the end of a command that was begun.
    pub fn ended(&self, child: Child) -> Ran {
        let ran = ended(child, &self.name);
        self.is_clean("stdout", &ran.stdout);
        self.is_clean("stderr", &ran.stderr);
        ran
    }

    /// `ss deploy --json` with every grant.
    pub fn deploy(&self) -> Ran {
        self.deploy_within(60)
    }

    /// The same, with this many seconds for each call.
    pub fn deploy_within(&self, seconds: u32) -> Ran {
        let grants = self.grants();
        let timeout = format!("--call-timeout={seconds}");
        let mut arguments = vec!["deploy", "--env=prod", "--json", &timeout];
        arguments.extend(grants.iter().map(String::as_str));
        self.ss(&arguments)
    }

    /// What the hostile plugin's requests were, `METHOD /path` each.
    pub fn reached(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for plugin in ["hostile", "front"] {
            let requests = SHARED.vendor.requests(&format!("/{}/{plugin}", self.name));
            lines.extend(requests.into_iter().map(|request| request.line));
        }
        lines
    }

    /// Looks for secrets where they must not be: what was sent, what was printed about it, what was written down.
    #[track_caller]
    pub fn kept_its_secrets(&self) {
        for plugin in ["hostile", "front"] {
            for request in SHARED.vendor.requests(&format!("/{}/{plugin}", self.name)) {
                let mut text = request.line.clone().into_bytes();
                for (name, value) in &request.headers {
                    if name == "authorization" {
                        assert_eq!(value, &format!("Bearer {HOSTILE_TOKEN}"), "{}", self.name);
                    } else {
                        text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
                    }
                }
                // The declared place for an injected secret is the one place where it may go.
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                if body.pointer("/env").is_none() {
                    text.extend_from_slice(&request.body);
                }
                self.has_no_secret(&request.line, &text);
            }
        }
        for arguments in [
            &["inspect", "--env=prod", "--state", "--requests"][..],
            &["inspect", "--env=prod", "--state", "--requests", "--json"],
        ] {
            self.ss(arguments);
        }
        for file in ["starsystem.prod.yaml", "starsystem.lock"] {
            if let Ok(bytes) = fs::read(self.place.path().join(file)) {
                self.has_no_secret(file, &bytes);
            }
        }
    }

    #[track_caller]
    fn is_clean(&self, stream: &str, text: &str) {
        self.has_no_secret(stream, text.as_bytes());
        let trick = text.chars().find(|character| {
            (character.is_control() && *character != '\n')
                || matches!(*character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        });
        assert!(trick.is_none(), "{}: {stream} holds {trick:?}:\n{text:?}", self.name);
        assert!(
            !text.contains("\n✓ Deploy complete: 99"),
            "{}: a line was forged:\n{text}",
            self.name
        );
    }

    #[track_caller]
    fn has_no_secret(&self, place: &str, bytes: &[u8]) {
        for (name, secret) in [
            ("the token", HOSTILE_TOKEN),
            ("the neighbour's token", GOOD_TOKEN),
            ("a password", BORN),
        ] {
            Canary::new(name, secret).is_not_in(&format!("{place} of {}", self.name), bytes);
        }
        // The spellings that the vendor uses when it echoes.
        use base64::Engine;
        let inner = base64::engine::general_purpose::STANDARD.encode(format!("me:{HOSTILE_TOKEN}"));
        assert!(!holds(bytes, &inner.as_bytes()[6..20]), "{place} of {}", self.name);
    }

    /// Nothing at all was asked in this case's name.
    #[track_caller]
    pub fn asked_nobody(&self) {
        let prefix = format!("/{}/", self.name);
        let asked = SHARED.vendor.asked();
        assert!(!asked.iter().any(|asked| asked.starts_with(&prefix)), "{}: {asked:?}", self.name);
    }

    /// Nobody but the project's own plugins was asked for anything in this case's name.
    #[track_caller]
    pub fn asked_only_its_own(&self) {
        let prefix = format!("/{}/", self.name);
        for asked in SHARED.vendor.asked().iter().filter(|asked| asked.starts_with(&prefix)) {
            let known =
                ["good", "hostile", "front"].iter().any(|name| *asked == format!("{prefix}{name}"));
            assert!(known, "{}: {asked} was asked", self.name);
        }
    }
}

/// Runs every row, a few at once, and then names every row that is not as it should be.
#[track_caller]
pub fn each<T: Sync>(rows: &[T], name: fn(&T) -> &str, run: fn(&T)) {
    let queue = Mutex::new(rows.iter());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from).min(4) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("a queue").next();
                    let Some(row) = next else { return };
                    let run = AssertUnwindSafe(|| run(row));
                    if std::panic::catch_unwind(run).is_err() {
                        wrong.lock().expect("a list").push(name(row));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("a list");
    assert!(wrong.is_empty(), "not as the table says: {wrong:?}");
}

fn ended(mut child: Child, name: &str) -> Ran {
    let out = text_of(child.stdout.take().expect("a pipe"));
    let err = text_of(child.stderr.take().expect("a pipe"));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("it can be waited for") {
            Some(status) => break status,
            None if begun.elapsed() > HANGS_AFTER => {
                child.kill().expect("it can be killed");
                panic!("{name}: it did not end");
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    let joined = |reading: JoinHandle<String>| reading.join().expect("output is UTF-8");
    Ran { code: status.code().unwrap_or(-1), stdout: joined(out), stderr: joined(err) }
}

fn text_of(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("output is UTF-8");
        text
    })
}
