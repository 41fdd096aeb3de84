//! The gate's decision, rule by rule, and against a naive oracle.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use ss_core::state::Owned;
use ss_gate::call::{Call, Fill, Param};
use ss_gate::decide::{Budget, Context, Denial, Grant, Origin, Phase, Rule, Usage, decide};
use ss_gate::manifest::{ChangePhase, Manifest};
use ss_gate::owned::learn;

fn manifest() -> Manifest {
    let text = json!({
        "manifest": 1, "name": "things", "version": "0.1.0", "description": "Things.",
        "targets": [{"type": "thing", "description": "A thing.", "schema": {"type": "object"}, "creates": "thing",
            "logs": {"operation": "readLog", "params": {"thing": "/id"}, "lines": "/*", "message": "/text"},
            "exec": {"operation": "runInThing", "params": {"thing": "/id"}, "command": "command", "exit_code": "/code",
                     "stdout": "/out", "stderr": "/err"}}],
        "credentials": [{"name": "things.token", "description": "A token.", "verify": "whoAmI"}],
        "connections": [
            {"name": "things", "base_url": "https://api.example.com/v1", "auth": {"bearer": "things.token"}, "operations": [
                {"name": "whoAmI", "route": "GET /me"},
                {"name": "listThings", "route": "GET /things", "query": ["q"],
                 "adopts": [{"param": "thing", "id": "/*/id", "mark": "/*/mark"}]},
                {"name": "getPassword", "route": "GET /things/{thing}/password", "secrets": ["/password"]},
                {"name": "createThing", "route": "POST /things", "in": ["create"], "owns": {"thing": "/id"}, "fills": ["/env/*"]},
                {"name": "nameThing", "route": "POST /named", "in": ["create"], "owns": {"thing": "request:/name"}},
                {"name": "changeThing", "route": "PATCH /things/{thing}", "in": ["create", "update"],
                 "request_headers": {"nonce": "x-nonce"}},
                {"name": "deleteThing", "route": "DELETE /things/{thing}", "in": ["destroy"], "destroys": true},
                {"name": "readLog", "route": "GET /things/{thing}/log"},
                {"name": "runInThing", "route": "POST /things/{thing}/run", "in": ["exec"]}
            ]},
            {"name": "front", "base_url": "https://{thing}.example.dev", "operations": [{"name": "probe", "route": "GET /{a}"}]}
        ]
    });
    Manifest::parse(&text.to_string()).expect("a good manifest")
}

struct Case {
    phase: Phase,
    approved: BTreeSet<String>,
    grant: Grant,
    owned: Owned,
    secrets: Vec<Origin>,
    usage: Usage,
}

impl Case {
    fn new(phase: Phase) -> Self {
        let names = ["createThing", "nameThing", "changeThing", "deleteThing", "runInThing"];
        let ids = BTreeMap::from([("thing".to_owned(), BTreeSet::from(["mine".to_owned()]))]);
        Self {
            phase,
            approved: names.iter().map(|name| (*name).to_owned()).collect(),
            grant: Grant::Manifest,
            owned: BTreeMap::from([("things".to_owned(), ids)]),
            secrets: vec![Origin::Input, Origin::Captured],
            usage: Usage::default(),
        }
    }

    fn ask(&self, call: &Call) -> Result<String, Denial> {
        self.ask_of(&manifest(), call)
    }

    fn ask_of(&self, manifest: &Manifest, call: &Call) -> Result<String, Denial> {
        let context = Context {
            manifest,
            phase: self.phase,
            approved: &self.approved,
            grant: &self.grant,
            owned: &self.owned,
            secrets: &self.secrets,
            budget: &Budget { requests: 10, writes: 5, creates: 2, body_bytes: 1000 },
            usage: &self.usage,
        };
        decide(&context, call).map(|permit| {
            format!(
                "{} {}",
                permit.operation.route.method(),
                permit.url(&permit.connection.base_url)
            )
        })
    }

    fn rule(&self, call: &Call) -> Option<Rule> {
        self.ask(call).err().map(|denial| denial.rule)
    }
}

fn call(operation: &str, params: &[(&str, &str)]) -> Call {
    let params = params
        .iter()
        .map(|(name, value)| Param { name: (*name).to_owned(), value: (*value).to_owned() });
    Call { operation: operation.to_owned(), params: params.collect(), body: None, fill: Vec::new() }
}

const CREATE: Phase = Phase::Change(ChangePhase::Create);
const UPDATE: Phase = Phase::Change(ChangePhase::Update);
const DESTROY: Phase = Phase::Change(ChangePhase::Destroy);
const EXEC: Phase = Phase::Change(ChangePhase::Exec);

#[test]
fn a_read_goes_out_in_every_phase_but_the_manifests() {
    for phase in [Phase::Read, CREATE, UPDATE, DESTROY] {
        let url = Case::new(phase).ask(&call("listThings", &[("q", "a b&c=d")])).unwrap();
        assert_eq!(url, "GET https://api.example.com/v1/things?q=a%20b%26c%3Dd");
    }
    assert_eq!(Case::new(Phase::Manifest).rule(&call("listThings", &[])), Some(Rule::Phase));
}

#[test]
fn no_write_leaves_while_reading() {
    for operation in ["createThing", "nameThing", "changeThing", "deleteThing"] {
        assert_eq!(
            Case::new(Phase::Read).rule(&call(operation, &[("thing", "mine")])),
            Some(Rule::Phase),
            "{operation}"
        );
    }
}

#[test]
fn a_write_needs_its_phase_and_the_plan() {
    assert_eq!(Case::new(UPDATE).rule(&call("createThing", &[])), Some(Rule::Phase));
    assert_eq!(
        Case::new(CREATE).rule(&call("deleteThing", &[("thing", "mine")])),
        Some(Rule::Phase)
    );
    let mut case = Case::new(CREATE);
    assert!(case.ask(&call("createThing", &[])).is_ok());
    case.approved.clear();
    assert_eq!(case.rule(&call("createThing", &[])), Some(Rule::Plan));
}

#[test]
fn a_command_runs_when_the_user_says_so_and_never_in_a_change() {
    let run = |thing| call("runInThing", &[("thing", thing)]);
    for phase in [Phase::Manifest, Phase::Read, CREATE, UPDATE, DESTROY] {
        assert_eq!(Case::new(phase).rule(&run("mine")), Some(Rule::Phase), "{phase:?}");
    }
    let case = Case::new(EXEC);
    let url = case.ask(&run("mine")).unwrap();
    assert_eq!(url, "POST https://api.example.com/v1/things/mine/run");
    assert_eq!(case.rule(&run("yours")), Some(Rule::Ownership));
    // What changes something is as far away as ever.
    for operation in ["createThing", "changeThing", "deleteThing"] {
        assert_eq!(
            case.rule(&call(operation, &[("thing", "mine")])),
            Some(Rule::Phase),
            "{operation}"
        );
    }
}

#[test]
fn a_grant_narrows_the_manifest() {
    let mut case = Case::new(CREATE);
    case.grant = Grant::Operations(BTreeSet::from(["listThings".to_owned()]));
    assert!(case.ask(&call("listThings", &[])).is_ok());
    assert_eq!(case.rule(&call("createThing", &[])), Some(Rule::Grant));
}

#[test]
fn writes_and_secrets_only_on_own_ids() {
    let case = Case::new(UPDATE);
    assert!(case.ask(&call("changeThing", &[("thing", "mine")])).is_ok());
    assert_eq!(case.rule(&call("changeThing", &[("thing", "yours")])), Some(Rule::Ownership));
    assert_eq!(
        Case::new(DESTROY).rule(&call("deleteThing", &[("thing", "yours")])),
        Some(Rule::Ownership)
    );
    assert!(case.ask(&call("getPassword", &[("thing", "mine")])).is_ok());
    assert_eq!(case.rule(&call("getPassword", &[("thing", "yours")])), Some(Rule::Ownership));
    assert!(case.ask(&call("probe", &[("thing", "mine"), ("a", "health")])).is_ok());
    assert_eq!(
        case.rule(&call("probe", &[("thing", "attacker"), ("a", "data")])),
        Some(Rule::Ownership)
    );
}

#[test]
fn parameters_stay_in_their_segment() {
    let mut case = Case::new(UPDATE);
    let nasty = ["../x", "a/b", "a%2fb", "%2e%2e", "a?b#c", "http://evil", "a\\b", "ⅰ․․", "a;b"];
    for value in nasty {
        case.owned.get_mut("things").unwrap().get_mut("thing").unwrap().insert(value.to_owned());
        let url = case.ask(&call("changeThing", &[("thing", value)])).unwrap();
        let rest = url.strip_prefix("PATCH https://api.example.com/v1/things/").unwrap();
        assert!(
            rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte)),
            "{url}"
        );
    }
    for value in ["", ".", "..", "a\0b", "a\nb", &"x".repeat(3000)] {
        assert_eq!(
            case.rule(&call("changeThing", &[("thing", value)])),
            Some(Rule::Parameter),
            "{value:?}"
        );
    }
    assert_eq!(case.rule(&call("changeThing", &[])), Some(Rule::Parameter));
    assert_eq!(
        case.rule(&call("changeThing", &[("thing", "mine"), ("thing", "mine")])),
        Some(Rule::Parameter)
    );
    assert_eq!(
        case.rule(&call("changeThing", &[("thing", "mine"), ("x", "y")])),
        Some(Rule::Parameter)
    );
    assert_eq!(
        case.rule(&call("changeThing", &[("thing", "mine"), ("nonce", "é")])),
        Some(Rule::Parameter)
    );
    for host in ["mine.evil", "Mine", "-a", "a-", "a_b", "mine:80", "mine@x"] {
        assert_eq!(
            case.rule(&call("probe", &[("thing", host), ("a", "b")])),
            Some(Rule::Parameter),
            "{host}"
        );
    }
}

#[test]
fn secrets_go_only_where_they_are_declared_and_given() {
    let case = Case::new(CREATE);
    let with = |pointer: &str, value| Call {
        fill: vec![Fill { pointer: pointer.to_owned(), value }],
        ..call("createThing", &[])
    };
    assert!(case.ask(&with("/env/DATABASE_URL", 0)).is_ok());
    assert_eq!(case.rule(&with("/env/X", 1)), Some(Rule::Secret), "captured");
    assert_eq!(case.rule(&with("/env/X", 2)), Some(Rule::Secret), "not there");
    assert_eq!(case.rule(&with("/name", 0)), Some(Rule::Secret), "not declared");
    assert_eq!(case.rule(&with("/env/a/b", 0)), Some(Rule::Secret), "too deep");
    assert_eq!(case.rule(&with("/env/*", 0)), Some(Rule::Secret), "a pattern");
}

#[test]
fn bodies_are_json_bounded_and_not_on_reads() {
    let case = Case::new(CREATE);
    let with = |operation, body: Vec<u8>| Call { body: Some(body), ..call(operation, &[]) };
    assert!(case.ask(&with("createThing", b"{}".to_vec())).is_ok());
    assert_eq!(case.rule(&with("createThing", b"{".to_vec())), Some(Rule::Body));
    assert_eq!(case.rule(&with("listThings", b"{}".to_vec())), Some(Rule::Body));
    assert_eq!(case.rule(&with("createThing", vec![b'1'; 1001])), Some(Rule::Budget));
}

#[test]
fn budgets_end() {
    let mut case = Case::new(CREATE);
    case.usage = Usage { requests: 10, writes: 0, creates: 0 };
    assert_eq!(case.rule(&call("listThings", &[])), Some(Rule::Budget));
    case.usage = Usage { requests: 2, writes: 0, creates: 2 };
    assert_eq!(case.rule(&call("createThing", &[])), Some(Rule::Budget));
    assert!(case.ask(&call("listThings", &[])).is_ok());
    case.usage = Usage { requests: 5, writes: 5, creates: 0 };
    assert_eq!(case.rule(&call("createThing", &[])), Some(Rule::Budget));
}

#[test]
fn ids_are_learned_from_answers_requests_and_marks() {
    let manifest = manifest();
    let mut owned = Owned::new();
    let mut learn_from =
        |operation: &str, call: &Call, request: serde_json::Value, reply: serde_json::Value| {
            let (connection, operation) = manifest.operation(operation).unwrap();
            learn(&mut owned, connection, operation, call, Some(&request), &reply, "ss-mark");
            owned.get("things").and_then(|params| params.get("thing")).cloned().unwrap_or_default()
        };
    let none = call("x", &[]);
    assert_eq!(
        learn_from("createThing", &none, json!({}), json!({"id": "a"})),
        BTreeSet::from(["a".to_owned()])
    );
    assert!(learn_from("nameThing", &none, json!({"name": "b"}), json!({})).contains("b"));
    let ids = learn_from(
        "listThings",
        &none,
        json!({}),
        json!([{"id": "c", "mark": "ss-mark"}, {"id": "d", "mark": "other"}, {"id": "e"}]),
    );
    assert!(ids.contains("c") && !ids.contains("d") && !ids.contains("e"));
}

#[test]
fn manifests_that_reach_too_far_are_refused() {
    let good = serde_json::to_value(manifest()).unwrap();
    let broken = |change: fn(&mut serde_json::Value)| {
        let mut value = good.clone();
        change(&mut value);
        Manifest::parse(&value.to_string()).is_err()
    };
    assert!(!broken(|_| {}));
    assert!(broken(|m| m["connections"][0]["base_url"] = json!("http://api.example.com")));
    assert!(broken(|m| m["connections"][0]["base_url"] = json!("https://169.254.169.254")));
    assert!(broken(|m| m["connections"][0]["base_url"] = json!("https://user@api.example.com")));
    assert!(broken(|m| m["connections"][0]["base_url"] = json!("https://localhost")));
    assert!(broken(|m| m["connections"][1]["base_url"] = json!("https://{thing}.dev")));
    assert!(broken(|m| m["connections"][1]["auth"] = json!({"bearer": "things.token"})));
    assert!(broken(|m| m["connections"][0]["auth"] = json!({"bearer": "other.token"})));
    assert!(broken(|m| m["connections"][0]["operations"][3]["in"] = json!([])));
    assert!(broken(|m| m["connections"][0]["operations"][0]["in"] = json!(["create"])));
    assert!(broken(
        |m| m["connections"][0]["operations"][5]["request_headers"] = json!({"x": "Authorization"})
    ));
    assert!(broken(|m| m["connections"][0]["operations"][5]["request_headers"] =
        json!({"x": "Proxy-Authorization"})));
    assert!(broken(|m| m["connections"][0]["operations"][1]["name"] = json!("whoAmI")));
    for (place, bad) in [
        ("/targets/0/logs/operation", json!("createThing")),
        ("/targets/0/logs/operation", json!("getPassword")),
        ("/targets/0/logs/operation", json!("nothing")),
        ("/targets/0/logs/params", json!({})),
        ("/targets/0/logs/lines", json!("data")),
        ("/targets/0/exec/operation", json!("changeThing")),
        ("/targets/0/exec/operation", json!("readLog")),
        ("/targets/0/exec/params", json!({})),
        ("/targets/0/exec/stdout", json!("out")),
        ("/connections/0/operations/8/in", json!(["exec", "create"])),
    ] {
        let mut text = serde_json::to_value(manifest()).unwrap();
        *text.pointer_mut(place).expect("a place") = bad;
        assert!(Manifest::parse(&text.to_string()).is_err(), "{place}");
    }
    assert!(broken(|m| m["credentials"][0]["verify"] = json!("createThing")));
    assert!(broken(|m| m["manifest"] = json!(2)));
    assert!(broken(|m| m["unknown"] = json!(1)));
}

#[test]
fn sizes_are_allowed_up_to_their_borders() {
    let value = |length: usize| "v".repeat(length);
    let case = Case::new(Phase::Read);
    let longest = value(2048);
    assert_eq!(case.rule(&call("listThings", &[("q", &longest)])), None);
    let longer = value(2049);
    assert_eq!(case.rule(&call("listThings", &[("q", &longer)])), Some(Rule::Parameter));

    // Labels of a host: 63 letters, digits and dashes, none of these at an end.
    let mut case = Case::new(Phase::Read);
    let label = |text: &str| {
        let ids = BTreeMap::from([("thing".to_owned(), BTreeSet::from([text.to_owned()]))]);
        case.owned =
            BTreeMap::from([("things".to_owned(), ids.clone()), ("front".to_owned(), ids)]);
        case.rule(&call("probe", &[("thing", text), ("a", "x")]))
    };
    let labels = [value(63), "a-1".to_owned(), "7".to_owned()];
    let no_labels = [value(64), "-a".to_owned(), "a-".to_owned(), "a_b".to_owned(), "A".to_owned()];
    let rules: Vec<_> = labels.iter().chain(&no_labels).map(String::as_str).map(label).collect();
    assert_eq!(rules[..3], [None; 3]);
    assert_eq!(rules[3..], [Some(Rule::Parameter); 5]);

    let case = Case::new(CREATE);
    let body = |length: usize| {
        let body = format!("\"{}\"", value(length - 2)).into_bytes();
        case.rule(&Call { body: Some(body), ..call("createThing", &[]) })
    };
    assert_eq!((body(1000), body(1001)), (None, Some(Rule::Budget)));
}

/// One question and everything it depends on, chosen at random.
#[derive(Debug, Clone)]
struct Question {
    phase: Phase,
    operation: &'static str,
    thing: Option<&'static str>,
    extra: Option<(&'static str, &'static str)>,
    approved: BTreeSet<&'static str>,
    granted: Option<BTreeSet<&'static str>>,
    body: Option<&'static str>,
    fill: Option<(&'static str, u32)>,
    used: (u32, u32, u32),
}

const WRITES: [&str; 5] = ["createThing", "nameThing", "changeThing", "deleteThing", "runInThing"];
const READS: [&str; 4] = ["whoAmI", "listThings", "getPassword", "probe"];

/// The rules again, as plainly as they can be said. `None`: it may go out.
fn oracle(asked: &Question) -> Option<Rule> {
    let operation = asked.operation;
    let read = READS.contains(&operation);
    if !read && !WRITES.contains(&operation) {
        return Some(Rule::Operation);
    }
    if asked.phase == Phase::Manifest {
        return Some(Rule::Phase);
    }
    if !read {
        let phases: &[Phase] = match operation {
            "createThing" | "nameThing" => &[CREATE],
            "changeThing" => &[CREATE, UPDATE],
            "runInThing" => &[EXEC],
            _ => &[DESTROY],
        };
        if !phases.contains(&asked.phase) {
            return Some(Rule::Phase);
        }
        if !asked.approved.contains(operation) {
            return Some(Rule::Plan);
        }
    }
    if asked.granted.as_ref().is_some_and(|names| !names.contains(operation)) {
        return Some(Rule::Grant);
    }
    // Parameters: exactly those of the route, and what else the operation declares.
    let takes_thing =
        matches!(operation, "getPassword" | "changeThing" | "deleteThing" | "runInThing" | "probe");
    let takes_extra = match asked.extra {
        None => operation != "probe",
        Some(("a", value)) => {
            operation == "probe" && !matches!(value, "" | "..") && !value.contains('\0')
        }
        Some(("q", value)) => operation == "listThings" && !value.contains('\0'),
        Some(("nonce", value)) => {
            operation == "changeThing" && value.is_ascii() && !value.contains('\0')
        }
        Some(_) => false,
    };
    let is_host = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let thing_fits = match asked.thing {
        None => !takes_thing,
        Some("" | "..") => false,
        Some(thing) => takes_thing && (operation != "probe" || is_host(thing)),
    };
    if !takes_extra || !thing_fits {
        return Some(Rule::Parameter);
    }
    if takes_thing && asked.thing != Some("mine") {
        return Some(Rule::Ownership);
    }
    match asked.body {
        Some(_) if read => return Some(Rule::Body),
        Some(body) if body.len() > 1000 => return Some(Rule::Budget),
        Some(body) if body.starts_with('<') => return Some(Rule::Body),
        _ => {}
    }
    if let Some((pointer, index)) = asked.fill {
        let declared = operation == "createThing" && pointer == "/env/A";
        // Of the two secrets, the first is an input and the second came in a reply.
        if index != 0 || !declared {
            return Some(Rule::Secret);
        }
    }
    let (requests, writes, creates) = asked.used;
    let makes = matches!(operation, "createThing" | "nameThing");
    if requests >= 10 || (!read && writes >= 5) || (makes && creates >= 2) {
        return Some(Rule::Budget);
    }
    // What is over in a kind that this request does not add to is over all the same.
    (writes > 5 || creates > 2).then_some(Rule::Budget)
}

fn question() -> impl Strategy<Value = Question> {
    use prop::collection::btree_set;
    use prop::sample::select;
    let phases = vec![Phase::Manifest, Phase::Read, CREATE, UPDATE, DESTROY, EXEC, CREATE, UPDATE];
    let all: Vec<_> = READS.into_iter().chain(WRITES).chain(["nothing"]).collect();
    let most_of = |names: Vec<&'static str>| {
        let count = names.len();
        btree_set(select(names), 0..=2 * count)
    };
    let things =
        vec![None, Some("mine"), Some("mine"), Some("yours"), Some("Mine"), Some(".."), Some("")];
    let extras = vec![
        None,
        None,
        Some(("a", "health")),
        Some(("a", "..")),
        Some(("a", "")),
        Some(("q", "x&y=z")),
        Some(("q", "\0")),
        Some(("nonce", "1")),
        Some(("nonce", "\u{e9}")),
        Some(("other", "1")),
    ];
    let long: &'static str = Box::leak(format!("\"{}\"", "x".repeat(1000)).into_boxed_str());
    let bodies =
        vec![None, None, None, Some("{}"), Some("{\"env\": {}}"), Some("<no>"), Some(long)];
    let pointers = select(vec!["/env/A", "/env/A", "/name", "/env/a/b", "/env/*"]);
    let asked = (select(phases), select(all.clone()), select(things), select(extras));
    let allowed = (most_of(WRITES.to_vec()), prop::option::weighted(0.4, most_of(all)));
    let sent = (select(bodies), prop::option::weighted(0.2, (pointers, 0..3_u32)));
    let used = (0..12_u32, 0..7_u32, 0..4_u32);
    (asked, allowed, sent, used).prop_map(
        |((phase, operation, thing, extra), (approved, granted), (body, fill), used)| Question {
            phase,
            operation,
            thing,
            extra,
            approved,
            granted,
            body,
            fill,
            used,
        },
    )
}

/// CI runs this optimised, and can afford many.
const CASES: u32 = if cfg!(debug_assertions) { 20_000 } else { 200_000 };

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]
    #[test]
    fn agrees_with_the_oracle(asked in question()) {
        let manifest = MANIFEST.with(Clone::clone);
        let mut case = Case::new(asked.phase);
        case.approved = asked.approved.iter().map(|name| (*name).to_owned()).collect();
        if let Some(granted) = &asked.granted {
            case.grant = Grant::Operations(granted.iter().map(|name| (*name).to_owned()).collect());
        }
        let (requests, writes, creates) = asked.used;
        case.usage = Usage { requests, writes, creates };
        let params: Vec<_> = asked.thing.map(|thing| ("thing", thing)).into_iter().chain(asked.extra).collect();
        let call = Call {
            body: asked.body.map(|body| body.as_bytes().to_vec()),
            fill: asked.fill.iter().map(|(pointer, value)| Fill { pointer: (*pointer).to_owned(), value: *value }).collect(),
            ..call(asked.operation, &params)
        };
        let rule = case.ask_of(&manifest, &call).err().map(|denial| denial.rule);
        prop_assert_eq!(rule, oracle(&asked));
    }
}

thread_local! {
    static MANIFEST: std::rc::Rc<Manifest> = std::rc::Rc::new(manifest());
}
