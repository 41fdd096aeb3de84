//! Finds the processes a killed sandbox left behind, and only those.
//!
//! A process is ours when its pid still has the start time and boot that were recorded, or when it
//! sits in the recorded group and carries the recorded mark in its environment. Reads `/proc`; where
//! there is none, nothing is ever taken for ours, so nothing is killed.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// Names one process beyond reuse of its pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Process id; also the id of the group it leads.
    pub pid: i32,
    /// Boot id and start tick.
    pub started: String,
}

impl Stamp {
    /// Describes the live process `pid`.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let started = format!("{}/{}", boot.trim(), stat(pid)?.started);
        Some(Self { pid, started })
    }

    /// Whether exactly this process still exists.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

/// Kills what is left of the group led by `stamp`; `mark` is a `NAME=value` its members carry.
///
/// Returns how many processes were killed.
#[must_use]
pub fn kill_left_over(stamp: &Stamp, mark: &str) -> usize {
    let ours = |pid: &i32| stamp.pid == *pid && stamp.is_alive() || carries(*pid, mark);
    let members: Vec<i32> = group(stamp.pid).into_iter().filter(ours).collect();
    members.iter().filter(|pid| kill(**pid)).count()
}

/// The live processes of group `leader`.
#[must_use]
pub fn group(leader: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.group == leader && stat.alive))
        .collect()
}

fn kill(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

fn carries(pid: i32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

/// What `/proc/PID/stat` says, as far as needed here.
struct Stat {
    group: i32,
    started: u64,
    alive: bool,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may itself contain anything.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat {
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        alive: !matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper(mark: &str) -> Child {
        Command::new("sleep").arg("600").env("MARK", mark).process_group(0).spawn().unwrap()
    }

    #[test]
    fn kills_the_recorded_process() {
        let mut child = sleeper("a");
        let stamp = Stamp::of(child.id().cast_signed()).unwrap();
        assert_eq!(kill_left_over(&stamp, "MARK=none"), 1);
        child.wait().unwrap();
        assert!(!stamp.is_alive());
    }

    #[test]
    fn spares_a_stranger_that_got_the_same_pid() {
        let mut child = sleeper("b");
        let pid = child.id().cast_signed();
        let stamp = Stamp { pid, started: "another boot/1".to_owned() };
        assert_eq!(kill_left_over(&stamp, "MARK=other"), 0);
        assert!(Stamp::of(pid).is_some());
        assert_eq!(kill_left_over(&stamp, "MARK=b"), 1);
        child.wait().unwrap();
    }
}
