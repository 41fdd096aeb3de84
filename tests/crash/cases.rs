//! What is tried: every request and every file operation of an undisturbed run, with every trouble that fits it.

use std::fmt;

use crate::proxy::{self, Fault};
use crate::scenario::Scenario;
use crate::strace::{self, Point};
use crate::world::World;

/// One interruption of one change.
#[derive(Clone)]
pub struct Case {
    pub scenario: Scenario,
    pub trouble: Trouble,
}

#[derive(Clone)]
pub enum Trouble {
    /// The request of this number is spoiled.
    Request { number: usize, what: String, fault: Fault },
    /// The run is killed in front of this.
    Killed(Point),
    /// The power goes: what was written last is there by half.
    Torn(Point),
    /// The disk is full for a moment.
    Full(Point),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: ", self.scenario)?;
        match &self.trouble {
            Trouble::Request { number, what, fault } => {
                write!(f, "request {number}, {what}, {fault:?}")
            }
            Trouble::Killed(point) => write!(f, "killed before {point}"),
            Trouble::Torn(point) => write!(f, "torn before {point}"),
            Trouble::Full(point) => write!(f, "disk full at {point}"),
        }
    }
}

impl Case {
    /// Runs the change with its trouble. `false` when it never got there.
    pub fn disturb(&self, world: &World<'_>) -> bool {
        let command = &self.scenario.command(world);
        let log = world.place.home().join("sandbox/torn");
        let ran = match &self.trouble {
            Trouble::Request { number, fault, .. } => {
                world.disturbed(&[], command, Some((*number, *fault)));
                return world.proxy.is_done();
            }
            Trouble::Killed(point) => world.disturbed(&strace::killing(point), command, None),
            Trouble::Torn(point) => {
                let below = strace::killing_before_sync(point, &log);
                let ran = world.disturbed(&below, command, None);
                strace::tear(&log);
                ran
            }
            Trouble::Full(point) => world.disturbed(&strace::failing(point), command, None),
        };
        ran.code != 0
    }
}

/// Runs a change undisturbed, and says in how many ways it can be disturbed.
pub fn of(scenario: Scenario, world: &World<'_>, with_strace: bool) -> Vec<Case> {
    scenario.arrange(world);
    let sandbox = world.place.home().join("sandbox");
    let log = sandbox.join("calls");
    let below = if with_strace { strace::watching(&log) } else { Vec::new() };
    world.disturbed(&below, &scenario.command(world), None).exits(0);
    let requests = world.proxy.requests();
    world.run(&scenario.next_command(world)).exits(0);
    scenario.is_done(world);
    let mut troubles = of_requests(&requests);
    if with_strace {
        troubles.extend(of_files(&strace::points(&log, world.place.path(), &sandbox)));
    }
    troubles.into_iter().map(|trouble| Case { scenario, trouble }).collect()
}

fn of_requests(requests: &[String]) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for (number, what) in requests.iter().enumerate() {
        // Of looks that are repeated, the first and the last.
        let same = |at: Option<usize>| at.and_then(|at| requests.get(at)) == Some(what);
        let is_middle = same(number.checked_sub(1)) && same(Some(number + 1));
        let is_read = what.starts_with("GET ");
        if is_read && is_middle {
            continue;
        }
        let faults = if is_read { reads() } else { writes(what) };
        let trouble = |fault| Trouble::Request { number, what: what.clone(), fault };
        troubles.extend(faults.into_iter().map(trouble));
    }
    troubles
}

fn reads() -> Vec<Fault> {
    vec![
        Fault::KilledBefore,
        Fault::CutAfter,
        Fault::Answered(429),
        Fault::Answered(500),
        Fault::Answered(503),
        Fault::Stale,
    ]
}

fn writes(what: &str) -> Vec<Fault> {
    let is_neon = what.contains(" /neon/");
    let mut faults = vec![
        Fault::KilledBefore,
        Fault::KilledAfter,
        Fault::KilledAnswered,
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::Silent,
        Fault::Answered(429),
        Fault::Answered(500),
        Fault::Answered(503),
        Fault::Answered(if is_neon { 423 } else { 409 }),
        Fault::AnsweredAfter(500),
        Fault::AnsweredAfter(502),
    ];
    if proxy::may_come_twice(what) {
        faults.push(Fault::Twice);
    }
    faults
}

fn of_files(points: &[Point]) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for point in points {
        troubles.push(Trouble::Killed(point.clone()));
        if point.call == "fdatasync" {
            troubles.push(Trouble::Torn(point.clone()));
        }
        if matches!(point.call, "write" | "fsync" | "fdatasync" | "rename" | "mkdir") {
            troubles.push(Trouble::Full(point.clone()));
        }
    }
    troubles
}
