//! One component let loose, and what became of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::arena::Arena;
use crate::behaviours::{Act, Behaviour, Group, Reached, Stopped};
use crate::component::hostile;
use crate::ring::{Output, Ring};

/// What became of one component.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What it was.
    pub behaviour: Behaviour,
    /// Why it was not stopped as it should be; `None` when it was.
    pub through: Option<String>,
}

/// Tries these, a few at once, and tells of each when it is over. In the order given.
pub fn try_all(
    arena: &Arena,
    behaviours: &[Behaviour],
    done: impl Fn(&Trial) + Sync,
) -> Vec<Trial> {
    let queue = Mutex::new(behaviours.iter().enumerate());
    let trials = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(2, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, behaviour)) = next else { return };
                    let through = one(arena, *behaviour).err();
                    let trial = Trial { behaviour: *behaviour, through };
                    done(&trial);
                    trials.lock().unwrap_or_else(PoisonError::into_inner).push((index, trial));
                }
            });
        }
    });
    let mut trials = trials.into_inner().unwrap_or_else(PoisonError::into_inner);
    trials.sort_by_key(|(index, _)| *index);
    trials.into_iter().map(|(_, trial)| trial).collect()
}

fn one(arena: &Arena, behaviour: Behaviour) -> Result<(), String> {
    let name = format!("{}-{}", behaviour.name, format!("{:?}", behaviour.act).to_lowercase());
    let ring = arena.ring(&name, &hostile(behaviour.name)).map_err(|error| error.to_string())?;
    if let Stopped::Refused(told) = behaviour.stopped {
        is_refused(&ring, told)?;
    } else {
        let output = act(&ring, behaviour)?;
        is_stopped(behaviour, &output)?;
        if behaviour.act == Act::Deploy {
            rest_went_on(&output)?;
        }
        ring.kept_its_secrets()?;
        ring.asked_only(&["good", "hostile", "front"])?;
    }
    reached_only(behaviour.reached, &ring.reached())
}

/// Runs what leads to the hostile call, and the command in which it is made.
fn act(ring: &Ring<'_>, behaviour: Behaviour) -> Result<Output, String> {
    let deployed = || expect(deploy(ring, 60)?, 0).map(drop);
    match behaviour.act {
        // Those that only wait.
        Act::Deploy if matches!(behaviour.name, "greedy-sleeps" | "greedy-spins") => {
            deploy(ring, 5)
        }
        Act::Deploy | Act::Describe => deploy(ring, 60),
        Act::Again => {
            deployed()?;
            ring.change_target().map_err(|error| error.to_string())?;
            deploy(ring, 60)
        }
        Act::Reborn => {
            deployed()?;
            let destroyed = ring.ss(&["destroy", "--env=prod", "--yes=prod", "--service=bad"])?;
            expect(destroyed, 0)?;
            deploy(ring, 60)
        }
        Act::Drift => {
            deployed()?;
            ring.ss(&["drift", "--env=prod", "--json"])
        }
        Act::Refresh => {
            deployed()?;
            ring.ss(&["plan", "--env=prod", "--refresh", "--json"])
        }
        Act::Destroy => {
            deployed()?;
            ring.ss(&["destroy", "--env=prod", "--yes=prod", "--json"])
        }
    }
}

/// `ss deploy --json` with every grant and this many seconds for each call.
fn deploy(ring: &Ring<'_>, seconds: u32) -> Result<Output, String> {
    let timeout = format!("--call-timeout={seconds}");
    ring.ss_granted(&["deploy", "--env=prod", "--json", &timeout])
}

fn expect(output: Output, code: i32) -> Result<Output, String> {
    if output.code == code {
        return Ok(output);
    }
    Err(format!("exit {}, not {code}: {}{}", output.code, output.stdout, output.stderr))
}

fn is_stopped(behaviour: Behaviour, output: &Output) -> Result<(), String> {
    // A difference that it made up is a difference.
    let drifted = behaviour.act == Act::Drift && behaviour.group == Group::Disclosure;
    let (code, words) = match behaviour.stopped {
        Stopped::Blanked => return Ok(()),
        Stopped::Harmless => (if drifted { 4 } else { 0 }, vec![]),
        stopped => (if drifted { 4 } else { 1 }, words(stopped)),
    };
    let said = || format!("{}{}", output.stdout, output.stderr);
    if output.code != code {
        return Err(format!("exit {}, not {code}: {}", output.code, said()));
    }
    match words.iter().find(|word| !output.says(word)) {
        None => Ok(()),
        Some(word) => Err(format!("nothing says `{word}`: {}", said())),
    }
}

/// What the user reads.
fn words(stopped: Stopped) -> Vec<String> {
    match stopped {
        Stopped::Denied(rule) => vec![format!("denied by the {rule} rule")],
        Stopped::Crashed => vec!["crashed".to_owned()],
        Stopped::Limit(text) => vec!["was stopped: ".to_owned(), text.to_owned()],
        Stopped::Unusable(text) => vec!["cannot be used: ".to_owned(), text.to_owned()],
        Stopped::Refused(text) => vec!["SS0612".to_owned(), text.to_owned()],
        Stopped::Failed => vec!["provisioner `hostile` failed: ".to_owned()],
        Stopped::Harmless | Stopped::Blanked => vec![],
    }
}

/// Neither plan nor deploy runs it, and nobody is asked anything, not even by the honest neighbours.
fn is_refused(ring: &Ring<'_>, told: &'static str) -> Result<(), String> {
    for command in ["plan", "deploy"] {
        let output = expect(ring.ss_granted(&[command, "--env=prod", "--json"])?, 3)?;
        let words = words(Stopped::Refused(told));
        if let Some(word) = words.iter().find(|word| !output.says(word)) {
            return Err(format!("`ss {command}` does not say `{word}`: {}", output.stdout));
        }
    }
    ring.asked_only(&[])
}

/// The honest services are deployed, whatever the other one does.
fn rest_went_on(output: &Output) -> Result<(), String> {
    let answer: Value = serde_json::from_str(&output.stdout)
        .map_err(|error| format!("the answer is no JSON ({error}): {}", output.stdout))?;
    let services = answer["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    let completed = services.iter().filter(|service| service["status"] == "completed");
    let names: BTreeSet<&str> =
        completed.filter_map(|service| service["service"].as_str()).collect();
    if names.is_superset(&BTreeSet::from(["db", "other"])) {
        return Ok(());
    }
    Err(format!("the rest did not go on: {}", output.stdout))
}

fn reached_only(expected: Reached, reached: &[String]) -> Result<(), String> {
    let is_so = match expected {
        Reached::Only(lines) => reached == lines,
        Reached::Count(count) => reached.len() == count,
        Reached::AtLeast(count) => reached.len() >= count,
    };
    if is_so {
        return Ok(());
    }
    Err(format!("the vendor should have seen {expected:?}, and saw {reached:?}"))
}
