//! Where one hostile component is let loose: a project with honest neighbours.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::arena::{Arena, HOSTILE_TOKEN};

/// Long enough for everything that ends, short enough that what does not is noticed.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What a run gave.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said meanwhile.
    pub stderr: String,
}

impl Output {
    /// Whether a text was printed or said.
    pub fn says(&self, text: &str) -> bool {
        self.stdout.contains(text) || self.stderr.contains(text)
    }
}

/// A project of three services. `db` and `other` are honest; `bad` is not, and gets the password of `db`.
pub struct Ring<'a> {
    arena: &'a Arena,
    name: String,
    directory: PathBuf,
}

impl<'a> Ring<'a> {
    pub(crate) fn new(
        arena: &'a Arena,
        name: &str,
        directory: PathBuf,
        component: &[u8],
    ) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let ring = Self { arena, name: name.to_owned(), directory };
        fs::write(ring.directory.join("good.wasm"), &arena.good)?;
        ring.replace(component)?;
        fs::write(
            ring.directory.join("starsystem.yaml"),
            format!(
                "version: \"2\"\nname: {name}\nplugins: {{ good: ./good.wasm, hostile: ./hostile.wasm }}\nservices:\n  \
                 db: {{ type: database, depends_on: [] }}\n  \
                 bad: {{ type: process, depends_on: [db], inject_from: {{ db: [PASSWORD] }} }}\n  \
                 other: {{ type: process, depends_on: [] }}\n"
            ),
        )?;
        fs::write(ring.directory.join("starsystem.prod.yaml"), ring.overlay("first"))?;
        Ok(ring)
    }

    fn overlay(&self, note: &str) -> String {
        let base = format!("http://127.0.0.1:{}/{}", self.arena.vendor.port, self.name);
        format!(
            "version: \"2\"\nenvironment: prod\nconnections:\n  \
             good-api: {{ base_url: \"{base}/good\" }}\n  \
             hostile-api: {{ base_url: \"{base}/hostile\" }}\n  \
             hostile-front: {{ base_url: \"{base}/front/{{thing}}\" }}\nservices:\n  \
             db: {{ target: {{ type: good, credential_env: GOOD_TOKEN }} }}\n  \
             bad: {{ target: {{ type: hostile, credential_env: HOSTILE_TOKEN, note: {note} }} }}\n  \
             other: {{ target: {{ type: good, credential_env: GOOD_TOKEN }} }}\n"
        )
    }

    /// Puts another component in the place of the hostile one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace(&self, component: &[u8]) -> io::Result<()> {
        fs::write(self.directory.join("hostile.wasm"), component)
    }

    /// Changes the target of `bad`, so that the next deploy updates it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn change_target(&self) -> io::Result<()> {
        let path = self.directory.join("starsystem.prod.yaml");
        let text = fs::read_to_string(&path)?;
        fs::write(path, text.replace("note: first", "note: second"))
    }

    /// The words that grant the components as they are now.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn grants(&self) -> io::Result<Vec<String>> {
        let grant = |name: &str| -> io::Result<String> {
            let digest = Sha256::digest(fs::read(self.directory.join(format!("{name}.wasm")))?);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(format!("--grant={name}@sha256:{hex}"))
        };
        Ok(vec![grant("good")?, grant("hostile")?])
    }

    /// A command that has not begun.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.arena.command(&self.directory);
        command.args(arguments);
        command
    }

    /// Runs a command to its end, and looks at what it printed.
    ///
    /// # Errors
    /// It cannot be started, does not end, or printed what nobody should read, as a sentence.
    pub fn ss(&self, arguments: &[&str]) -> Result<Output, String> {
        let begun = self.command(arguments).spawn();
        self.ended(begun.map_err(|error| format!("the binary does not run: {error}"))?)
    }

    /// The same with every grant.
    ///
    /// # Errors
    /// As [`ss`](Self::ss).
    pub fn ss_granted(&self, arguments: &[&str]) -> Result<Output, String> {
        let grants = self.grants().map_err(|error| error.to_string())?;
        let words = arguments.iter().copied().chain(grants.iter().map(String::as_str));
        self.ss(&words.collect::<Vec<_>>())
    }

    /// Waits for the end of a command that was begun. One that does not end is killed.
    ///
    /// # Errors
    /// As [`ss`](Self::ss).
    pub fn ended(&self, child: Child) -> Result<Output, String> {
        let output = ended(child)?;
        self.is_clean("what was printed", &output.stdout)?;
        self.is_clean("what was said", &output.stderr)?;
        Ok(output)
    }

    /// What the hostile plugin's requests were, `METHOD /path` each.
    pub fn reached(&self) -> Vec<String> {
        self.requests().map(|request| request.line).collect()
    }

    fn requests(&self) -> impl Iterator<Item = crate::vendor::Request> {
        let of = |plugin| self.arena.vendor.requests(&format!("/{}/{plugin}", self.name));
        ["hostile", "front"].into_iter().flat_map(of)
    }

    /// Looks for secrets where they must not be: in what was sent, and what is told about it later.
    ///
    /// # Errors
    /// The first one that is found, as a sentence.
    pub fn kept_its_secrets(&self) -> Result<(), String> {
        for request in self.requests() {
            let mut text = request.line.clone().into_bytes();
            for (name, value) in &request.headers {
                if name != "authorization" {
                    text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
                } else if value != &format!("Bearer {HOSTILE_TOKEN}") {
                    return Err(format!("{} was sent with another's token", request.line));
                }
            }
            // The declared place for an injected secret is the one place where it may go.
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            if body.pointer("/env").is_none() {
                text.extend_from_slice(&request.body);
            }
            self.has_no_secret(&request.line, &text)?;
        }
        self.ss(&["inspect", "--env=prod", "--state", "--requests"])?;
        self.ss(&["inspect", "--env=prod", "--state", "--requests", "--json"])?;
        Ok(())
    }

    fn is_clean(&self, place: &str, text: &str) -> Result<(), String> {
        self.has_no_secret(place, text.as_bytes())?;
        let is_trick = |character: &char| {
            (character.is_control() && *character != '\n')
                || matches!(*character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        if let Some(trick) = text.chars().find(is_trick) {
            return Err(format!("{trick:?} is in {place}: {text:?}"));
        }
        if text.contains("\n✓ Deploy complete: 99") {
            return Err(format!("a line of its own is in {place}: {text:?}"));
        }
        Ok(())
    }

    fn has_no_secret(&self, place: &str, bytes: &[u8]) -> Result<(), String> {
        self.arena.leak(place, bytes).map_or(Ok(()), Err)
    }

    /// Nobody but these plugins was asked for anything in this project's name.
    ///
    /// # Errors
    /// Who was.
    pub fn asked_only(&self, plugins: &[&str]) -> Result<(), String> {
        let prefix = format!("/{}/", self.name);
        let asked = self.arena.vendor.asked();
        let mut own = asked.iter().filter_map(|asked| asked.strip_prefix(&prefix));
        match own.find(|plugin| !plugins.contains(plugin)) {
            None => Ok(()),
            Some(plugin) => Err(format!("{plugin} was asked")),
        }
    }
}

fn ended(mut child: Child) -> Result<Output, String> {
    let out = child.stdout.take().map(text_of);
    let err = child.stderr.take().map(text_of);
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if begun.elapsed() > HANGS_AFTER => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {} s", HANGS_AFTER.as_secs()));
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    let joined =
        |reading: Option<JoinHandle<io::Result<String>>>| match reading.map(JoinHandle::join) {
            Some(Ok(text)) => text.map_err(|error| format!("what it said: {error}")),
            _ => Err("what it said was not read".to_owned()),
        };
    Ok(Output { code: status.code().unwrap_or(-1), stdout: joined(out)?, stderr: joined(err)? })
}

fn text_of(mut pipe: impl Read + Send + 'static) -> JoinHandle<io::Result<String>> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    })
}
