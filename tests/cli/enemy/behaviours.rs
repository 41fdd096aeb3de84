//! The table: what each component does, how it is stopped, and every request of it that reaches the vendor.

use serde_json::Value;

use super::ring::{Ring, each, hostile};

/// How a behaviour is stopped.
#[derive(Debug, Clone, Copy)]
enum Stopped {
    /// The gate refuses, by this rule; the provisioner gets a typed answer and the user reads it.
    Denied(&'static str),
    /// The component ends itself.
    Crashed,
    /// A limit ends the call, with this word about it.
    Limit(&'static str),
    /// What it hands over cannot be used, with this word about it.
    Unusable(&'static str),
    /// It fails in its own words, which are harmless by now.
    Failed,
    /// It does not get what it wanted, and what it does instead is what anybody may do.
    Harmless,
}
use Stopped::{Crashed, Denied, Failed, Harmless, Limit, Unusable};

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// `ss deploy`, where the hostile call is made.
    Deploy,
    /// A deploy, another target, a deploy.
    Again,
    /// A deploy, a destroy, a deploy.
    Reborn,
    /// A deploy, then `ss drift`.
    Drift,
    /// A deploy, then `ss plan --refresh`.
    Refresh,
    /// A deploy, then `ss destroy`.
    Destroy,
}

type Row = (&'static str, Act, Stopped, &'static [&'static str]);

const MAKE: &str = "POST /things";
const PATCH: &str = "PATCH /things/thing-1";
const ECHO: &str = "POST /echo";
const NONE: &[&str] = &[];

/// The behaviour; what is run; how it is stopped; every request of it that the vendor sees, in order.
const GREEDY: &[Row] = &[
    ("greedy-loop", Act::Deploy, Limit("processor time"), NONE),
    ("greedy-calls", Act::Deploy, Limit("asked the host"), NONE),
    ("greedy-spins", Act::Deploy, Limit("within 5 seconds"), NONE),
    ("greedy-sleeps", Act::Deploy, Limit("within 5 seconds"), NONE),
    ("greedy-grows", Act::Deploy, Limit("64 MiB of memory"), NONE),
    ("greedy-allocates", Act::Deploy, Limit("64 MiB of memory"), NONE),
    ("greedy-recurses", Act::Deploy, Crashed, NONE),
    ("greedy-out-of-bounds", Act::Deploy, Crashed, NONE),
    ("greedy-unreachable", Act::Deploy, Crashed, NONE),
    ("greedy-panics", Act::Deploy, Crashed, NONE),
    ("greedy-exits", Act::Deploy, Crashed, NONE),
    ("greedy-socket", Act::Deploy, Crashed, NONE),
    ("greedy-prints", Act::Deploy, Harmless, NONE),
    ("greedy-steps", Act::Deploy, Limit("asked the host"), NONE),
    ("greedy-logs", Act::Deploy, Limit("asked the host"), NONE),
    ("greedy-random", Act::Deploy, Limit("random bytes"), NONE),
    ("greedy-random-at-once", Act::Deploy, Limit("random bytes"), NONE),
    ("greedy-checkpoints", Act::Deploy, Limit("handed over"), NONE),
    ("greedy-composes", Act::Deploy, Failed, NONE),
    ("greedy-long-name", Act::Deploy, Limit("operation name"), NONE),
    ("greedy-long-value", Act::Deploy, Limit("parameter value"), NONE),
    ("greedy-many-params", Act::Deploy, Limit("list of parameters"), NONE),
    ("greedy-body", Act::Deploy, Limit("request body"), NONE),
    ("greedy-string", Act::Deploy, Limit("too much data"), NONE),
    ("greedy-refusals", Act::Deploy, Limit("refused"), NONE),
    ("greedy-attributes", Act::Deploy, Limit("attributes"), NONE),
    ("greedy-deep-attributes", Act::Deploy, Unusable("recursion limit"), NONE),
    ("greedy-array-attributes", Act::Deploy, Unusable("must be a JSON object"), NONE),
    ("greedy-outputs", Act::Deploy, Limit("list of outputs"), NONE),
];

const REACH: &[Row] = &[
    // Operations.
    ("reach-undeclared", Act::Deploy, Denied("operation"), NONE),
    ("reach-url", Act::Deploy, Denied("operation"), NONE),
    ("reach-empty-name", Act::Deploy, Denied("operation"), NONE),
    ("reach-other-plugin", Act::Deploy, Denied("operation"), NONE),
    ("reach-destroy-in-create", Act::Deploy, Denied("phase"), &[MAKE]),
    ("reach-update-in-create", Act::Deploy, Denied("phase"), &[MAKE]),
    // Ids.
    ("reach-neighbour", Act::Deploy, Denied("ownership"), NONE),
    ("reach-neighbours-password", Act::Deploy, Denied("ownership"), NONE),
    ("reach-foreign-mark", Act::Deploy, Denied("ownership"), &["GET /things"]),
    ("reach-case-of-id", Act::Deploy, Denied("ownership"), &[MAKE]),
    ("reach-padded-id", Act::Deploy, Denied("ownership"), &[MAKE]),
    (
        "reach-time-bomb",
        Act::Deploy,
        Denied("ownership"),
        &[MAKE, PATCH, PATCH, PATCH, PATCH, PATCH],
    ),
    ("reach-second-run", Act::Again, Denied("phase"), &[MAKE]),
    ("reach-old-id", Act::Reborn, Denied("ownership"), &[MAKE, "DELETE /things/thing-1", MAKE]),
    ("reach-claims-neighbour", Act::Destroy, Denied("ownership"), NONE),
    ("reach-hides-refusal", Act::Deploy, Harmless, NONE),
    // Hosts and paths.
    ("reach-any-host", Act::Deploy, Denied("ownership"), NONE),
    ("reach-host-with-dot", Act::Deploy, Denied("parameter"), NONE),
    ("reach-dot-dot", Act::Deploy, Denied("parameter"), NONE),
    ("reach-nothing", Act::Deploy, Denied("parameter"), NONE),
    ("reach-traversal", Act::Deploy, Harmless, &["GET /things/..%2F..%2Fadmin"]),
    ("reach-encoded-traversal", Act::Deploy, Harmless, &["GET /things/%252e%252e%252fadmin"]),
    ("reach-backslash", Act::Deploy, Harmless, &["GET /things/..%5Cadmin"]),
    (
        "reach-unicode-dots",
        Act::Deploy,
        Harmless,
        &["GET /things/%E2%80%A4%E2%80%A4%2F%EF%BC%8E%EF%BC%8E"],
    ),
    ("reach-query-in-path", Act::Deploy, Harmless, &["GET /things/x%3Fadmin%3D1%23y"]),
    ("reach-absolute", Act::Deploy, Harmless, &["GET /things/%2F%2Fevil.example%2Fx"]),
    ("reach-nul", Act::Deploy, Denied("parameter"), NONE),
    ("reach-newline", Act::Deploy, Denied("parameter"), NONE),
    ("reach-long-value", Act::Deploy, Denied("parameter"), NONE),
    ("reach-query-smuggling", Act::Deploy, Harmless, &["GET /things?q=a%26admin%3D1%23x"]),
    ("reach-doubled-param", Act::Deploy, Denied("parameter"), NONE),
    ("reach-unknown-param", Act::Deploy, Denied("parameter"), NONE),
    ("reach-header-injection", Act::Deploy, Denied("parameter"), &[MAKE]),
    ("reach-header-beyond-ascii", Act::Deploy, Denied("parameter"), &[MAKE]),
    // Bodies.
    ("reach-body-on-read", Act::Deploy, Denied("body"), NONE),
    ("reach-body-not-json", Act::Deploy, Denied("body"), NONE),
    ("reach-large-body", Act::Deploy, Denied("budget"), NONE),
    ("reach-deep-body", Act::Deploy, Denied("body"), NONE),
    // Secrets.
    ("reach-no-secret", Act::Deploy, Denied("secret"), NONE),
    ("reach-last-secret", Act::Deploy, Denied("secret"), NONE),
    ("reach-secret-elsewhere", Act::Deploy, Denied("secret"), NONE),
    ("reach-secret-to-echo", Act::Deploy, Denied("secret"), NONE),
    ("reach-secret-by-pattern", Act::Deploy, Denied("secret"), NONE),
    ("reach-secret-of-a-reply", Act::Deploy, Denied("secret"), &[MAKE]),
    ("reach-secret-composed", Act::Deploy, Denied("secret"), &[MAKE]),
    ("reach-secret-in-the-template", Act::Deploy, Failed, NONE),
    ("reach-undeclared-output", Act::Deploy, Unusable("does not declare"), &[MAKE]),
    ("reach-missing-output", Act::Deploy, Unusable("there is none"), &[MAKE]),
    ("reach-traps-with-a-thing", Act::Deploy, Crashed, &[MAKE]),
    // Phases.
    ("read-creates", Act::Drift, Denied("phase"), &[MAKE]),
    ("read-changes", Act::Drift, Denied("phase"), &[MAKE]),
    ("read-deletes", Act::Drift, Denied("phase"), &[MAKE]),
    ("read-traps", Act::Drift, Crashed, &[MAKE]),
    ("read-loops", Act::Drift, Limit("processor time"), &[MAKE]),
    ("read-checkpoints", Act::Drift, Harmless, &[MAKE]),
    ("read-changes", Act::Refresh, Denied("phase"), &[MAKE]),
    ("destroy-neighbour", Act::Destroy, Denied("ownership"), &[MAKE]),
    ("destroy-creates", Act::Destroy, Denied("phase"), &[MAKE]),
    ("destroy-changes", Act::Destroy, Denied("phase"), &[MAKE]),
    ("destroy-traps", Act::Destroy, Crashed, &[MAKE]),
];

/// The vendor tells them every secret there is, in every spelling; they pass it on.
const TELL: &[Row] = &[
    ("tell-step", Act::Deploy, Harmless, &[ECHO, MAKE, MAKE]),
    ("tell-log", Act::Deploy, Harmless, &[ECHO, MAKE, MAKE]),
    ("tell-failure", Act::Deploy, Failed, &[ECHO, MAKE, MAKE]),
    ("tell-panic", Act::Deploy, Crashed, &[ECHO, MAKE, MAKE]),
    ("tell-print", Act::Deploy, Crashed, &[ECHO, MAKE, MAKE]),
    ("tell-body", Act::Deploy, Harmless, &[ECHO, MAKE, MAKE, MAKE]),
    ("tell-operation", Act::Deploy, Limit("operation name"), &[ECHO, MAKE, MAKE]),
    ("tell-template", Act::Deploy, Failed, &[ECHO, MAKE, MAKE]),
    ("tell-id", Act::Deploy, Harmless, &[ECHO, MAKE, MAKE]),
    ("tell-attributes", Act::Deploy, Harmless, &[ECHO, MAKE, MAKE]),
    ("tell-url", Act::Deploy, Harmless, &[ECHO, MAKE, MAKE]),
    ("tell-summary", Act::Deploy, Harmless, &[ECHO, MAKE, MAKE]),
    // Text that does something to a terminal.
    ("tell-tricks", Act::Deploy, Harmless, &[MAKE]),
    ("tell-tricks", Act::Drift, Harmless, &[MAKE]),
    ("tell-tricks-in-failure", Act::Deploy, Failed, NONE),
    ("tell-tricks-in-operation", Act::Deploy, Denied("operation"), NONE),
    ("tell-tricks-in-output", Act::Deploy, Unusable("does not declare"), &[MAKE]),
    ("tell-tricks-of-the-server", Act::Deploy, Failed, &["GET /things/tricks"]),
];

#[test]
fn the_greedy_are_stopped_and_the_rest_goes_on() {
    each(GREEDY, |row| row.0, one);
}

#[test]
fn nobody_reaches_what_is_not_theirs() {
    each(REACH, |row| row.0, one);
}

#[test]
fn what_is_known_of_secrets_is_told_to_nobody() {
    each(TELL, |row| row.0, one);
}

/// Those that carry text out in what they ask for: how much of it is left depends on what was blanked, never on a secret.
#[test]
fn secrets_do_not_leave_in_requests() {
    for behaviour in ["tell-path", "tell-query", "tell-header"] {
        let ring = Ring::new(&format!("{behaviour}-request"), &hostile(behaviour));
        ring.deploy();
        assert!(ring.reached().len() >= 3, "{behaviour}: {:?}", ring.reached());
        ring.kept_its_secrets();
    }
}

/// The vendor allows it and the plan approved it: the budget ends it all the same.
#[test]
fn budgets_end_what_is_asked_too_often() {
    let ring = Ring::new("greedy-creates-budget", &hostile("greedy-creates"));
    ring.deploy().exits(1).says("denied by the budget rule");
    assert_eq!(ring.reached().len(), 200);
}

fn one((behaviour, act, stopped, reached): &Row) {
    let name = format!("{behaviour}-{}", format!("{act:?}").to_lowercase());
    let ring = Ring::new(&name, &hostile(behaviour));
    let (exit, ran) = match act {
        // Those that only wait.
        Act::Deploy if matches!(*behaviour, "greedy-sleeps" | "greedy-spins") => {
            (1, ring.deploy_within(5))
        }
        Act::Deploy => (1, ring.deploy()),
        Act::Again => {
            ring.deploy().exits(0);
            ring.change_target();
            (1, ring.deploy())
        }
        Act::Reborn => {
            ring.deploy().exits(0);
            ring.ss(&["destroy", "--env=prod", "--yes=prod", "--service=bad"]).exits(0);
            (1, ring.deploy())
        }
        Act::Drift => {
            ring.deploy().exits(0);
            (1, ring.ss(&["drift", "--env=prod", "--json"]))
        }
        Act::Refresh => {
            ring.deploy().exits(0);
            (1, ring.ss(&["plan", "--env=prod", "--refresh", "--json"]))
        }
        Act::Destroy => {
            ring.deploy().exits(0);
            (1, ring.ss(&["destroy", "--env=prod", "--yes=prod", "--json"]))
        }
    };
    let drifted = *act == Act::Drift && behaviour.starts_with("tell");
    let exit = if drifted { 4 } else { exit };
    let ran = match stopped {
        Denied(rule) => ran.exits(exit).says(&format!("denied by the {rule} rule")),
        Crashed => ran.exits(exit).says("crashed"),
        Limit(text) => ran.exits(exit).says("was stopped: ").says(text),
        Unusable(text) => ran.exits(exit).says("cannot be used: ").says(text),
        Failed => ran.exits(exit).says("provisioner `hostile` failed: "),
        Harmless => ran.exits(if drifted { 4 } else { 0 }),
    };
    assert_eq!(ring.reached(), *reached, "{behaviour}: what reached the vendor");
    if *act == Act::Deploy {
        let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        for service in answer["services"].as_array().expect("services") {
            if service["service"] != "bad" {
                assert_eq!(service["status"], "completed", "{behaviour}: {service}");
            }
        }
        assert_eq!(answer["services"].as_array().map(Vec::len), Some(3), "{behaviour}");
    }
    ring.kept_its_secrets();
    ring.asked_only_its_own();
}
