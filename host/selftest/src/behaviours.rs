//! The table: what each component does, how it is stopped, and every request of it that reaches the vendor.

use serde::Serialize;

/// What a component goes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Machine, vendor and patience: more than its share.
    Resources,
    /// Operations, ids, hosts, places and phases that are not its own.
    Rights,
    /// Passing on what it learned, and tricks on the reader's terminal.
    Disclosure,
    /// Lies about itself, and acts while it is only asked to describe itself.
    Description,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Resources, Self::Rights, Self::Disclosure, Self::Description];

    /// What it is about, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Resources => "takes more than its share",
            Self::Rights => "reaches for what is not its own",
            Self::Disclosure => "passes secrets on, plays tricks on the terminal",
            Self::Description => "lies about itself",
        }
    }
}

/// How a behaviour is stopped.
#[derive(Debug, Clone, Copy)]
pub enum Stopped {
    /// The gate refuses, by this rule; the provisioner gets a typed answer and the user reads it.
    Denied(&'static str),
    /// The component ends itself.
    Crashed,
    /// A limit ends the call, with this word about it.
    Limit(&'static str),
    /// What it hands over cannot be used, with this word about it.
    Unusable(&'static str),
    /// It is not run at all, by neither plan nor deploy, and nobody is asked anything; with this word about it.
    Refused(&'static str),
    /// It fails in its own words, which are harmless by now.
    Failed,
    /// It does not get what it wanted, and what it does instead is what anybody may do.
    Harmless,
    /// What it carries out in requests was blanked; whether the vendor takes what is left is all the same.
    Blanked,
}

impl Stopped {
    /// One word for it, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Crashed => "crashed",
            Self::Limit(_) => "limit",
            Self::Unusable(_) => "unusable",
            Self::Refused(_) => "refused",
            Self::Failed => "failed",
            Self::Harmless => "harmless",
            Self::Blanked => "blanked",
        }
    }
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
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
    /// `ss plan`, then `ss deploy`.
    Describe,
}

/// Every request of the component that the vendor sees.
#[derive(Debug, Clone, Copy)]
pub enum Reached {
    /// These, in this order.
    Only(&'static [&'static str]),
    /// This many.
    Count(usize),
    /// This many or more.
    AtLeast(usize),
}

/// One hostile component.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// What it does, as [`hostile`](crate::hostile) takes it.
    pub name: &'static str,
    /// What it goes for.
    pub group: Group,
    /// What is run.
    pub act: Act,
    /// How it is stopped.
    pub stopped: Stopped,
    /// What reaches the vendor.
    pub reached: Reached,
}

use Stopped::{Blanked, Crashed, Denied, Failed, Harmless, Limit, Refused, Unusable};

/// All of them, group by group.
pub fn behaviours() -> Vec<Behaviour> {
    let row = |group| {
        move |&(name, act, stopped, reached): &Row| Behaviour {
            name,
            group,
            act,
            stopped,
            reached: Reached::Only(reached),
        }
    };
    let carries = |&name: &&'static str| Behaviour {
        name,
        group: Group::Disclosure,
        act: Act::Deploy,
        stopped: Blanked,
        reached: Reached::AtLeast(3),
    };
    let describes = |&(name, told): &(&'static str, &'static str)| Behaviour {
        name,
        group: Group::Description,
        act: Act::Describe,
        stopped: Refused(told),
        reached: Reached::Only(NONE),
    };
    // The vendor allows it and the plan approved it: the budget ends it all the same.
    let insists = Behaviour {
        name: "greedy-creates",
        group: Group::Resources,
        act: Act::Deploy,
        stopped: Denied("budget"),
        reached: Reached::Count(200),
    };
    let greedy = GREEDY.iter().map(row(Group::Resources)).chain([insists]);
    let reach = REACH.iter().map(row(Group::Rights));
    let tell = TELL.iter().map(row(Group::Disclosure)).chain(CARRIES.iter().map(carries));
    greedy.chain(reach).chain(tell).chain(DESCRIBES.iter().map(describes)).collect()
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

/// Those that carry text out in what they ask for.
const CARRIES: &[&str] = &["tell-path", "tell-query", "tell-header"];

/// What it does while it describes itself, or says of itself, and what the user is told.
const DESCRIBES: &[(&str, &str)] = &[
    ("describe-loop", "processor time"),
    ("describe-traps", "crashed"),
    ("describe-sends", "needs no rights"),
    ("describe-writes", "needs no rights"),
    ("describe-steps", "needs no rights"),
    ("describe-waits", "needs no rights"),
    ("describe-garbage", "the manifest cannot be used"),
    ("describe-huge", "1048576 is the most"),
    ("describe-endless", "too much data"),
    ("describe-deep", "the manifest cannot be used"),
    ("describe-metadata-host", "`base_url` must be"),
    ("describe-mapped-host", "`base_url` must be"),
    ("describe-plain-http", "`base_url` must be"),
    ("describe-user-in-url", "`base_url` must be"),
    ("describe-any-host", "`base_url` must be"),
    ("describe-token-to-any-host", "gets no credential"),
    ("describe-authorization-header", "the host's own"),
    ("describe-token-header", "the host's own"),
    ("describe-token-query", "the host's own"),
    ("describe-set-cookie", "not shown to plugins"),
    ("describe-write-without-phase", "say in which changes"),
    ("describe-read-with-phase", "a read has no"),
    ("describe-dots-in-route", "is not a route"),
    ("describe-query-in-route", "is not a route"),
    ("describe-connect", "is not a route"),
    ("describe-verify-writes", "`verify` must name a GET"),
    ("describe-other-credential", "no credential `neon.api_token` is declared"),
    ("describe-other-name", "calls itself `somebody-else`"),
    ("describe-takes-target", "belongs to the plugin `neon`"),
    ("describe-takes-connection", "belongs to the plugin `fly`"),
    ("describe-escape-codes", "cannot be printed"),
    ("describe-bidi", "cannot be printed"),
    ("describe-newline", "cannot be printed"),
    ("start-loops", "processor time"),
    ("start-traps", "crashed"),
    ("start-calls", "needs no rights"),
];
