//! The system's `ssh`, called for a resource whose record says where it is.
//!
//! A record comes from a provisioner, so nothing of it reaches a shell, and nothing of it can become an option: each part
//! is checked against the few characters that it needs.

use std::net::IpAddr;
use std::process::Command;

use serde_json::Value;

/// Where a resource lets one in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    user: String,
    port: Option<u16>,
    unit: Option<String>,
}

/// Whether the remote command gets a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It does: a person is at both ends.
    Yes,
    /// It does not.
    No,
}

impl Address {
    /// The address in a record's attributes; `None` when it holds none, and an error when one is not to be used.
    pub fn of(attributes: &Value) -> Result<Option<Self>, String> {
        let (Some(host), Some(user)) = (attributes.get("host"), attributes.get("user")) else {
            return Ok(None);
        };
        let refused = |name: &str| format!("the `{name}` in its record cannot be handed to ssh");
        let checked = |name: &str, value: &Value, good: fn(&str) -> bool| {
            let text = value.as_str().filter(|text| good(text));
            text.map(str::to_owned).ok_or_else(|| refused(name))
        };
        let port = match attributes.get("port").unwrap_or(&Value::Null) {
            Value::Null => None,
            port => {
                let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
                Some(port.filter(|port| *port > 0).ok_or_else(|| refused("port"))?)
            }
        };
        let unit = attributes.get("unit").filter(|unit| !unit.is_null());
        Ok(Some(Self {
            host: checked("host", host, is_host)?,
            user: checked("user", user, |text| is_plain(text, "._-"))?,
            port,
            unit: unit
                .map(|unit| checked("unit", unit, |text| is_plain(text, "._-@:")))
                .transpose()?,
        }))
    }

    /// `ssh` to the address. The words of a command arrive as they are: the shell at the other end gets them quoted.
    pub fn command(&self, terminal: Terminal, words: &[String]) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-l", &self.user]);
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        if terminal == Terminal::Yes {
            command.arg("-t");
        }
        command.args(["--", &self.host]);
        command.args(words.iter().map(|word| quoted(word)));
        command
    }

    /// What shows the log of the systemd unit that the record names.
    pub fn journal(&self, lines: usize, follow: bool) -> Option<Vec<String>> {
        let unit = self.unit.as_ref()?;
        let mut words = vec![
            "journalctl".to_owned(),
            "--no-pager".to_owned(),
            format!("--unit={unit}"),
            format!("--lines={lines}"),
        ];
        if follow {
            words.push("--follow".to_owned());
        }
        Some(words)
    }
}

/// Letters, digits and a few others; never a leading `-`, which would make it an option.
fn is_plain(text: &str, others: &str) -> bool {
    (1..=255).contains(&text.len())
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn is_host(text: &str) -> bool {
    is_plain(text, ".-") || text.parse::<IpAddr>().is_ok()
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    if is_plain(word, "._-/=:,@%+") {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(attributes: &Value, terminal: Terminal, words: &[&str]) -> Vec<String> {
        let address = Address::of(attributes).unwrap().unwrap();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let command = address.command(terminal, &words);
        command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn an_address_becomes_arguments() {
        let plain = json!({"host": "box.example.org", "user": "deploy"});
        assert_eq!(arguments(&plain, Terminal::No, &[]), ["-l", "deploy", "--", "box.example.org"]);
        let full = json!({"host": "2001:db8::1", "user": "a", "port": 2222, "unit": null});
        assert_eq!(
            arguments(&full, Terminal::Yes, &["sh", "-c", "echo 'a b' $HOME; -x"]),
            [
                "-l",
                "a",
                "-p",
                "2222",
                "-t",
                "--",
                "2001:db8::1",
                "sh",
                "'-c'",
                r"'echo '\''a b'\'' $HOME; -x'"
            ]
        );
        assert_eq!(Address::of(&json!({"host": "a.b"})), Ok(None));
    }

    #[test]
    fn what_could_be_an_option_or_a_command_is_refused() {
        for bad in [
            json!({"host": "-oProxyCommand=touch x", "user": "a"}),
            json!({"host": "-oProxyCommand", "user": "a"}),
            json!({"host": "a b", "user": "a"}),
            json!({"host": "a;id", "user": "a"}),
            json!({"host": "$(id)", "user": "a"}),
            json!({"host": "a@b", "user": "a"}),
            json!({"host": "", "user": "a"}),
            json!({"host": 7, "user": "a"}),
            json!({"host": "a\nb", "user": "a"}),
            json!({"host": "a", "user": "-oX"}),
            json!({"host": "a", "user": "a b"}),
            json!({"host": "a", "user": "a@b"}),
            json!({"host": "a", "user": "a", "port": 0}),
            json!({"host": "a", "user": "a", "port": 65536}),
            json!({"host": "a", "user": "a", "port": "22 -oX"}),
            json!({"host": "a", "user": "a", "unit": "-x"}),
            json!({"host": "a", "user": "a", "unit": "x; id"}),
        ] {
            assert!(Address::of(&bad).is_err(), "{bad}");
        }
    }
}
