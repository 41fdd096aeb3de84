//! Is a machine healthy, on its way, or lost? Judged from one look at it; pure.

use starsystem_provisioner::json;
use starsystem_provisioner::serde_json::Value;

use crate::machine::{Event, Machine};

/// A look's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Every configured check reported and passes.
    Passing,
    /// It runs and has no checks.
    Unchecked,
    /// Not yet; why.
    Pending(String),
    /// It rests, without having ended by itself.
    Resting,
    /// It will not become healthy; why.
    Lost(String),
}

/// From when on events of a machine count.
#[derive(Debug, Clone, PartialEq)]
pub struct Since {
    newest: Option<Event>,
    running: bool,
}

impl Since {
    /// All events: the machine is new.
    pub fn birth() -> Self {
        Self { newest: None, running: true }
    }

    /// Events after this look. Between an update and the start that follows it, the old process ends; that end
    /// does not count.
    pub fn update_of(machine: &Machine) -> Self {
        Self { newest: machine.events.first().cloned(), running: false }
    }

    /// Events after this look, of a machine that is left as it is.
    pub fn look_at(machine: &Machine) -> Self {
        Self { newest: machine.events.first().cloned(), running: true }
    }

    /// Exits that nobody asked for, newest first.
    fn exits<'m>(&self, machine: &'m Machine) -> Vec<&'m Event> {
        let newer: Vec<&Event> = machine
            .events
            .iter()
            .take_while(|event| Some(*event) != self.newest.as_ref())
            .collect();
        let mut running = self.running;
        let mut exits: Vec<&Event> = Vec::new();
        for event in newer.into_iter().rev() {
            running |= event.kind == "start";
            let asked = event.request["exit_event"]["requested_stop"] == Value::Bool(true);
            if running && event.kind == "exit" && !asked {
                exits.push(event);
            }
        }
        exits.reverse();
        exits
    }
}

/// Exits after which a machine that restarts is given up.
const EXITS_MAX: usize = 3;

/// Judges a machine.
pub fn judge(machine: &Machine, since: &Since) -> Health {
    let exits = since.exits(machine);
    if let Some(last) = exits.first() {
        let restarting = last.request["exit_event"]["restarting"] == Value::Bool(true);
        let restarts = last.request["restart_count"].as_u64().unwrap_or(0);
        if !restarting || restarts > 1 || exits.len() >= EXITS_MAX {
            return Health::Lost(exit_sentence(last, restarting));
        }
    }
    match machine.state.as_str() {
        "destroyed" | "destroying" => Health::Lost("it was destroyed".to_owned()),
        "failed" | "launch_failed" => Health::Lost(launch_sentence(machine)),
        "stopped" | "suspended" => Health::Resting,
        "started" => checks(machine),
        state => Health::Pending(format!("it is {state}")),
    }
}

/// Whether the proxy can send requests to it now, or wake it to.
pub fn serves(machine: &Machine) -> bool {
    let awake =
        matches!(judge(machine, &Since::look_at(machine)), Health::Passing | Health::Unchecked);
    let asleep = machine.is_resting() && machine.sleeps();
    (awake || asleep) && !machine.cordoned && machine.is_reachable()
}

fn checks(machine: &Machine) -> Health {
    let configured = machine.checks_configured();
    // Checks of that name belong to deployments of Fly's own tool.
    let reported =
        machine.checks.iter().filter(|check| !check.name.starts_with("bg_deployments_compat"));
    let reported: Vec<_> = reported.collect();
    if let Some(failing) = reported.iter().find(|check| check.status != "passing") {
        let output = one_line(&failing.output, 200);
        let said = if output.is_empty() { String::new() } else { format!(": {output}") };
        return Health::Pending(format!("check {} is {}{said}", failing.name, failing.status));
    }
    match (configured, reported.len()) {
        (0, _) => Health::Unchecked,
        (configured, reported) if reported < configured => {
            Health::Pending(format!("{reported} of {configured} checks have reported"))
        }
        _ => Health::Passing,
    }
}

fn exit_sentence(event: &Event, restarting: bool) -> String {
    let exit = &event.request["exit_event"];
    if exit["oom_killed"] == Value::Bool(true) {
        return "it ran out of memory and was killed; raise `memory_mb`".to_owned();
    }
    let code = json::at(exit, "/exit_code").map_or("?".to_owned(), Value::to_string);
    let again = if restarting { " again and again" } else { "" };
    format!("its process ended{again} with exit code {code}")
}

fn launch_sentence(machine: &Machine) -> String {
    let errors = machine.events.iter().filter_map(|event| json::text_at(&event.request, "/error"));
    match errors.map(|text| one_line(text, 200)).next() {
        Some(error) => format!("it could not be launched: {error}"),
        None => "it could not be launched".to_owned(),
    }
}

/// A text of the outside world on one line, cut at a length.
pub fn one_line(text: &str, characters_max: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    fn checked(state: &str, checks: Value, events: Value) -> Machine {
        machine(json!({"state": state, "checks": checks, "events": events,
            "config": {"services": [{"checks": [{}]}], "checks": {"extra": {}}}}))
    }

    fn check(name: &str, status: &str, output: &str) -> Value {
        json!({"name": name, "status": status, "output": output})
    }

    fn exit(timestamp: u64, code: i64, restarting: bool, count: u64) -> Value {
        json!({"type": "exit", "timestamp": timestamp, "request": {"restart_count": count,
            "exit_event": {"exit_code": code, "restarting": restarting, "requested_stop": false}}})
    }

    fn event(kind: &str, timestamp: u64) -> Value {
        json!({"type": kind, "timestamp": timestamp, "request": null})
    }

    #[test]
    fn healthy_needs_every_check_to_report_and_pass() {
        let one = check("servicecheck-00-http-80", "passing", "");
        let two = check("extra", "passing", "");
        let verdict = |checks| judge(&checked("started", checks, json!([])), &Since::birth());
        assert_eq!(verdict(json!([])), Health::Pending("0 of 2 checks have reported".into()));
        assert_eq!(verdict(json!([one])), Health::Pending("1 of 2 checks have reported".into()));
        assert_eq!(verdict(json!([one, two])), Health::Passing);
        let failing = check("extra", "critical", "connection\nrefused");
        let why = "check extra is critical: connection refused";
        assert_eq!(verdict(json!([one, failing])), Health::Pending(why.into()));
        let foreign = check("bg_deployments_compat_x", "critical", "");
        assert_eq!(verdict(json!([one, foreign, two])), Health::Passing);
    }

    #[test]
    fn without_checks_running_is_all_there_is() {
        assert_eq!(judge(&machine(json!({})), &Since::birth()), Health::Unchecked);
        let starting = machine(json!({"state": "starting"}));
        assert_eq!(judge(&starting, &Since::birth()), Health::Pending("it is starting".into()));
    }

    #[test]
    fn an_exit_for_good_is_lost_at_once() {
        let events = json!([exit(3, 1, false, 0), event("start", 2), event("launch", 1)]);
        let verdict = judge(&checked("stopped", json!([]), events), &Since::birth());
        assert_eq!(verdict, Health::Lost("its process ended with exit code 1".into()));
    }

    #[test]
    fn one_restart_is_forgiven_and_a_loop_is_not() {
        let once = json!([exit(3, 1, true, 1), event("start", 2)]);
        let verdict = judge(&checked("restarting", json!([]), once), &Since::birth());
        assert_eq!(verdict, Health::Pending("it is restarting".into()));
        let twice =
            json!([exit(5, 1, true, 2), event("start", 4), exit(3, 1, true, 1), event("start", 2)]);
        let verdict = judge(&checked("started", json!([]), twice), &Since::birth());
        assert_eq!(
            verdict,
            Health::Lost("its process ended again and again with exit code 1".into())
        );
    }

    #[test]
    fn the_end_of_the_old_process_does_not_count_in_an_update() {
        let before = checked("started", json!([]), json!([event("start", 2), event("launch", 1)]));
        let since = Since::update_of(&before);
        let replaced = json!([
            exit(4, 127, false, 0),
            event("update", 3),
            event("start", 2),
            event("launch", 1)
        ]);
        let verdict = judge(&checked("replacing", json!([]), replaced), &since);
        assert_eq!(verdict, Health::Pending("it is replacing".into()));
        let crashed = json!([
            exit(6, 2, false, 0),
            event("start", 5),
            exit(4, 127, false, 0),
            event("update", 3),
            event("start", 2)
        ]);
        let verdict = judge(&checked("stopped", json!([]), crashed), &since);
        assert_eq!(verdict, Health::Lost("its process ended with exit code 2".into()));
    }

    #[test]
    fn old_crashes_and_requested_stops_do_not_count() {
        let events = json!([exit(3, 1, false, 9), event("start", 2)]);
        let seen = checked("stopped", json!([]), events);
        assert_eq!(judge(&seen, &Since::look_at(&seen)), Health::Resting);
        let mut asked = exit(3, 143, false, 0);
        asked["request"]["exit_event"]["requested_stop"] = json!(true);
        let stopped = checked("stopped", json!([]), json!([asked, event("start", 2)]));
        assert_eq!(judge(&stopped, &Since::birth()), Health::Resting);
    }

    #[test]
    fn memory_and_launch_troubles_are_named() {
        let mut killed = exit(3, 137, false, 0);
        killed["request"]["exit_event"]["oom_killed"] = json!(true);
        let Health::Lost(why) =
            judge(&checked("stopped", json!([]), json!([killed])), &Since::birth())
        else {
            panic!("it is lost")
        };
        assert!(why.contains("memory_mb"), "{why}");
        let failed =
            json!([{"type": "launch", "timestamp": 1, "request": {"error": "no such file"}}]);
        let verdict = judge(&checked("failed", json!([]), failed), &Since::birth());
        assert_eq!(verdict, Health::Lost("it could not be launched: no such file".into()));
    }

    #[test]
    fn a_machine_that_sleeps_serves_and_a_cordoned_one_does_not() {
        let sleeping = json!({"services": [{"autostop": "stop", "autostart": true}]});
        assert!(serves(&machine(json!({"state": "stopped", "config": sleeping}))));
        assert!(!serves(&machine(json!({"state": "stopped"}))));
        assert!(serves(&machine(json!({}))));
        assert!(!serves(&machine(json!({"cordoned": true}))));
        assert!(!serves(&machine(json!({"host_status": "unreachable"}))));
    }
}
