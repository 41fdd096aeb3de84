//! What a manifest must keep, rule by rule and at its borders; what is granted with it, word for word; and how ids become
//! a service's own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use ss_core::ident::PluginName;
use ss_core::state::{Owned, PluginPin};
use ss_gate::call::{Call, FailureKind, Param};
use ss_gate::decide::{Phase, Rule};
use ss_gate::manifest::{ChangePhase, Manifest};
use ss_gate::owned::{learn, learn_named};
use ss_gate::pointer::{Pattern, place};
use ss_gate::{TIMEOUT_MS_MAX, rights};

fn document() -> Value {
    json!({
        "manifest": 1, "name": "things", "version": "0.1.0", "description": "Things.",
        "targets": [{"type": "thing", "description": "A thing.", "schema": {"type": "object"}, "creates": "a thing",
            "data": true, "outputs": [{"name": "URL", "description": "Where it is."}]}],
        "credentials": [{"name": "things.token", "description": "A token.", "verify": "listThings"}],
        "connections": [
            {"name": "api", "base_url": "https://api.example.com/v1", "auth": {"bearer": "things.token"}, "operations": [
                {"name": "listThings", "route": "GET /things", "query": ["q"],
                 "adopts": [{"param": "thing", "id": "/*/id", "mark": "/*/mark"}]},
                {"name": "getThing", "route": "GET /things/{thing}", "secrets": ["/password", "/keys/*"],
                 "adopts": [{"param": "thing", "mark": "/mark"}, {"param": "part", "id": "/parts/*/id", "mark": "/mark"}]},
                {"name": "createThing", "route": "POST /things", "in": ["create"], "owns": {"thing": "/id"},
                 "fills": ["/env/*"], "request_headers": {"nonce": "x-nonce"},
                 "timeout_ms": 1000, "rate": {"per_second": 1.0, "burst": 1}},
                {"name": "nameThing", "route": "POST /named", "in": ["create"], "owns": {"thing": "request:/name"}},
                {"name": "changeThing", "route": "PATCH /things/{thing}", "in": ["create", "update"]},
                {"name": "deleteThing", "route": "DELETE /things/{thing}", "in": ["destroy"], "destroys": true},
                {"name": "run", "route": "POST /things/{thing}/run", "in": ["exec"]}
            ]},
            {"name": "front", "base_url": "https://{thing}.example.dev", "auth": null,
             "operations": [{"name": "probe", "route": "GET /{path}"}]}
        ]
    })
}

fn manifest() -> Manifest {
    Manifest::parse(&document().to_string()).expect("a good manifest")
}

/// The problems of the document with another value in one place.
fn problems(pointer: &str, value: Value) -> Vec<String> {
    let mut document = document();
    assert!(place(&mut document, pointer, value), "{pointer}");
    match Manifest::parse(&document.to_string()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems,
    }
}

const LIST: &str = "/connections/0/operations/0";
const CREATE: &str = "/connections/0/operations/2";
const DELETE: &str = "/connections/0/operations/5";
const RUN: &str = "/connections/0/operations/6";

#[test]
fn what_keeps_every_rule_is_taken_up_to_its_border() {
    let good: Vec<(String, Value)> = vec![
        ("/version".into(), json!("v".repeat(64))),
        (format!("{LIST}/name"), json!("listThings")),
        ("/connections/0/name".into(), json!("n".repeat(100))),
        (format!("{CREATE}/timeout_ms"), json!(TIMEOUT_MS_MAX)),
        (format!("{CREATE}/timeout_ms"), json!(1)),
        (format!("{CREATE}/rate"), json!({"per_second": 0.001, "burst": 1})),
        ("/connections/1/base_url".into(), json!("https://{thing}.example.dev")),
        ("/connections/1/base_url".into(), json!("https://{thing}.eu.example.dev")),
        ("/connections/0/base_url".into(), json!("https://api-2.example.com/v1.0/a_b-c")),
        (format!("{DELETE}/in"), json!(["create", "destroy"])),
        ("/targets/0/schema".into(), json!({})),
    ];
    for (pointer, value) in good {
        assert_eq!(problems(&pointer, value.clone()), Vec::<String>::new(), "{pointer} {value}");
    }
}

#[test]
fn what_breaks_a_rule_is_named() {
    let long = "n".repeat(101);
    let read = "a read has no";
    let exec = "is for `ss exec` alone";
    let url = "`base_url` must be";
    let bad: Vec<(String, Value, &str)> = vec![
        ("/manifest".into(), json!(2), "this `ss` reads 1"),
        ("/version".into(), json!(""), "1 to 64"),
        ("/version".into(), json!("v".repeat(65)), "1 to 64"),
        ("/version".into(), json!("v".repeat(66)), "1 to 64"),
        ("/name".into(), json!("Things!"), "Things!"),
        ("/targets/0/type".into(), json!("a b"), "cannot be a target type"),
        ("/targets/0/schema".into(), json!([]), "must be an object"),
        // Names.
        ("/connections/0/name".into(), json!(""), "a connection has a name"),
        ("/connections/0/name".into(), json!(long), "a connection has a name"),
        ("/connections/0/name".into(), json!("a b"), "a connection has a name"),
        ("/connections/1/name".into(), json!("api"), "`api` is declared twice"),
        (format!("{CREATE}/name"), json!("listThings"), "`listThings` is declared twice"),
        // Text that a terminal would do something with: as a value, in a list, in an object, as a key.
        ("/description".into(), json!("a\u{1b}[2Jb"), "cannot be printed"),
        (format!("{LIST}/query"), json!(["a\u{202e}b"]), "cannot be printed"),
        ("/targets/0/schema".into(), json!({"a": {"b": ["\u{200b}"]}}), "cannot be printed"),
        ("/targets/0/schema".into(), json!({"a\u{7}": 1}), "cannot be printed"),
        // Credentials.
        ("/credentials/0/verify".into(), json!("createThing"), "must name a GET"),
        ("/credentials/0/verify".into(), json!("getThing"), "must name a GET"),
        ("/credentials/0/verify".into(), json!("nothing"), "must name a GET"),
        ("/connections/0/auth/bearer".into(), json!("other.token"), "no credential `other.token`"),
        ("/connections/1/auth".into(), json!({"bearer": "things.token"}), "gets no credential"),
        // Hosts.
        ("/connections/0/base_url".into(), json!("http://api.example.com"), url),
        ("/connections/0/base_url".into(), json!("https://localhost"), url),
        ("/connections/0/base_url".into(), json!("https://127.0.0.1"), url),
        ("/connections/0/base_url".into(), json!("https://[::1]"), url),
        ("/connections/0/base_url".into(), json!("https://me@api.example.com"), url),
        ("/connections/0/base_url".into(), json!("https://api.example.com:444"), url),
        ("/connections/0/base_url".into(), json!("https://API.example.com"), url),
        ("/connections/0/base_url".into(), json!("https://api..com"), url),
        ("/connections/0/base_url".into(), json!("https://api.example.com/"), url),
        ("/connections/0/base_url".into(), json!("https://api.example.com/a/../b"), url),
        ("/connections/0/base_url".into(), json!("https://api.example.com/a?b"), url),
        ("/connections/1/base_url".into(), json!("https://{thing}.dev"), url),
        ("/connections/1/base_url".into(), json!("https://{thing}example.dev"), url),
        ("/connections/1/base_url".into(), json!("https://{thing}.{other}.dev"), url),
        // Reads and changes.
        (format!("{LIST}/in"), json!(["create"]), read),
        (format!("{LIST}/destroys"), json!(true), read),
        (format!("{LIST}/owns"), json!({"thing": "/id"}), read),
        (format!("{LIST}/fills"), json!(["/a"]), read),
        (format!("{CREATE}/in"), json!([]), "say in which changes"),
        (format!("{DELETE}/in"), json!(["create"]), "not part of creating alone"),
        (format!("{RUN}/in"), json!(["exec", "create"]), exec),
        (format!("{RUN}/destroys"), json!(true), exec),
        (format!("{RUN}/owns"), json!({"thing": "/id"}), exec),
        (format!("{RUN}/fills"), json!(["/a"]), exec),
        // Places.
        (format!("{CREATE}/secrets"), json!(["password"]), "password"),
        (format!("{CREATE}/fills"), json!(["env"]), "env"),
        (format!("{CREATE}/owns"), json!({"thing": "id"}), "id"),
        (format!("{CREATE}/owns"), json!({"thing": "request:id"}), "id"),
        (format!("{LIST}/adopts/0/mark"), json!("mark"), "mark"),
        (format!("{LIST}/adopts/0/id"), json!("id"), "id"),
        // What belongs to the host.
        (format!("{CREATE}/request_headers/nonce"), json!("Authorization"), "the host's own"),
        (format!("{CREATE}/request_headers/nonce"), json!("x-session-id"), "the host's own"),
        (format!("{CREATE}/request_headers/nonce"), json!("proxy-a"), "the host's own"),
        (format!("{CREATE}/request_headers/nonce"), json!("a b"), "the host's own"),
        (format!("{CREATE}/request_headers/nonce"), json!(""), "the host's own"),
        (format!("{LIST}/query"), json!(["API_KEY"]), "the host's own"),
        (format!("{LIST}/reply_headers"), json!(["set-cookie"]), "not shown to plugins"),
        // Numbers.
        (format!("{CREATE}/timeout_ms"), json!(0), "`timeout_ms`"),
        (format!("{CREATE}/timeout_ms"), json!(TIMEOUT_MS_MAX + 1), "`timeout_ms`"),
        (format!("{CREATE}/rate"), json!({"per_second": 0.0, "burst": 1}), "`rate` needs"),
        (format!("{CREATE}/rate"), json!({"per_second": -1.0, "burst": 1}), "`rate` needs"),
        (format!("{CREATE}/rate"), json!({"per_second": 1.0, "burst": 0}), "`rate` needs"),
    ];
    for (pointer, value, told) in bad {
        let problems = problems(&pointer, value.clone());
        let text = problems.join("\n");
        assert!(text.contains(told), "{pointer} {value}: {text:?} does not say {told:?}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn nobody_is_asked_to_read_without_end() {
    let header = |length: usize| json!("h".repeat(length));
    let place = format!("{CREATE}/request_headers/nonce");
    let around = "api: POST /things sets the header ".len();
    assert_eq!(problems(&place, header(2_000 - around)), Vec::<String>::new());
    let told = problems(&place, header(2_001 - around));
    assert!(told.len() == 1 && told[0].contains("longer than 2000 bytes"), "{told:?}");
    // A name that does not even fit, many times over.
    let operation =
        |index| json!({"name": format!("o{index}"), "route": "GET /a", "query": ["token"]});
    let many: Vec<Value> = (0..60).map(operation).collect();
    let told = problems("/connections/1/operations", json!(many));
    assert_eq!((told.len(), told[50].as_str()), (51, "and 10 more"));
    let told = problems("/connections/0/auth/bearer", json!("b".repeat(70_000)));
    assert!(told.iter().all(|problem| problem.len() < 1_100), "{told:?}");
}

#[test]
fn the_rights_are_told_word_for_word() {
    let expected = [
        "api: DELETE /things/{thing} (destroy), destroys",
        "api: GET /things (any time), recognises its own thing at /*/id by the mark at /*/mark",
        "api: GET /things sets the query parameter q",
        "api: GET /things/{thing} (any time), recognises its own thing at its own parameter by the mark at /mark, \
         recognises its own part at /parts/*/id by the mark at /mark, never sees /password /keys/*",
        "api: PATCH /things/{thing} (create, update)",
        "api: POST /named (create), names its own thing at /name",
        "api: POST /things (create), sends injected secrets at /env/*, makes thing, known by /id",
        "api: POST /things sets the header x-nonce",
        "api: POST /things/{thing}/run (when you say `ss exec`)",
        "api: https://api.example.com/v1 with your things.token",
        "front: GET /{path} (any time)",
        "front: https://{thing}.example.dev without a credential",
    ];
    assert_eq!(rights(&manifest()), expected);
}

#[test]
fn what_a_plan_needs_of_a_target_is_what_the_manifest_says() {
    let manifest = manifest();
    let pin = PluginPin {
        name: PluginName::new("things".to_owned()).expect("a name"),
        version: "0.1.0".to_owned(),
        digest: "sha256:0".to_owned(),
    };
    let immutable = BTreeSet::from(["region".to_owned()]);
    let facts = manifest.facts("thing", &pin, immutable.clone()).expect("its target");
    assert_eq!(
        (facts.kind.as_str(), facts.creates.as_str(), facts.data),
        ("thing", "a thing", true)
    );
    assert_eq!((&facts.plugin, &facts.immutable), (&pin, &immutable));
    assert_eq!(facts.outputs.into_iter().collect::<Vec<_>>(), ["URL"]);
    assert_eq!(facts.operations.create, ["createThing", "nameThing", "changeThing"]);
    assert_eq!(facts.operations.update, ["changeThing"]);
    assert_eq!(facts.operations.destroy, ["deleteThing"]);
    assert_eq!(manifest.operations_in(ChangePhase::Exec), ["run"]);
    assert!(manifest.facts("other", &pin, BTreeSet::new()).is_none());
}

#[test]
fn an_id_is_owned_where_it_is_made_or_adopted() {
    let manifest = manifest();
    let api = &manifest.connections[0];
    assert!(api.owns_param("thing") && api.owns_param("part"));
    assert!(!api.owns_param("q"));
    assert!(!manifest.connections[1].owns_param("thing"));
}

fn asked(params: &[(&str, &str)]) -> Call {
    let param = |(name, value): &(&str, &str)| Param {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    Call {
        operation: String::new(),
        params: params.iter().map(param).collect(),
        body: None,
        fill: Vec::new(),
    }
}

fn owned(ids: &[(&str, &[&str])]) -> Owned {
    let ids: BTreeMap<String, BTreeSet<String>> = ids
        .iter()
        .map(|(name, ids)| ((*name).to_owned(), ids.iter().map(|id| (*id).to_owned()).collect()))
        .collect();
    if ids.is_empty() { Owned::new() } else { Owned::from([("api".to_owned(), ids)]) }
}

/// What is owned after an exchange.
fn learned(operation: &str, call: &Call, request: Option<Value>, reply: Value) -> Owned {
    let manifest = manifest();
    let (connection, operation) = manifest.operation(operation).expect("an operation");
    let mut owned = Owned::new();
    learn(&mut owned, connection, operation, call, request.as_ref(), &reply, "ss-mine");
    owned
}

#[test]
fn what_an_answer_makes_is_owned() {
    let none = asked(&[]);
    assert_eq!(
        learned("createThing", &none, None, json!({"id": "t1"})),
        owned(&[("thing", &["t1"])])
    );
    assert_eq!(
        learned("createThing", &none, None, json!({"id": 17})),
        owned(&[("thing", &["17"])])
    );
    for nothing in [json!({}), json!({"id": ""}), json!({"id": null}), json!({"id": ["t1"]})] {
        assert_eq!(learned("createThing", &none, None, nothing.clone()), owned(&[]), "{nothing}");
    }
    let named = Some(json!({"name": "n1"}));
    assert_eq!(
        learned("nameThing", &none, named, json!({"name": "other"})),
        owned(&[("thing", &["n1"])])
    );
    assert_eq!(learned("nameThing", &none, None, json!({"name": "other"})), owned(&[]));
}

#[test]
fn what_carries_the_mark_is_owned_and_nothing_beside_it() {
    let list =
        json!([{"id": "t1", "mark": "ss-mine"}, {"id": "t2", "mark": "ss-other"}, {"id": "t3"}]);
    assert_eq!(learned("listThings", &asked(&[]), None, list), owned(&[("thing", &["t1"])]));
    let one = json!({"mark": "ss-mine", "parts": [{"id": "p1"}, {"id": "p2"}]});
    let call = asked(&[("other", "x"), ("thing", "t1")]);
    // Its parts are at places that the mark's place does not bind.
    assert_eq!(learned("getThing", &call, None, one), owned(&[("thing", &["t1"])]));
    let foreign = json!({"mark": "ss-other", "parts": []});
    assert_eq!(learned("getThing", &call, None, foreign), owned(&[]));
}

#[test]
fn what_the_user_names_is_owned_with_what_is_inside_of_it() {
    let manifest = manifest();
    let reply = json!({"mark": "x", "parts": [{"id": "p1"}, {"id": 2}, {"id": ""}]});
    let named = |operation: &str, call: &Call, named: &str, reply: &Value| {
        let (connection, operation) = manifest.operation(operation).expect("an operation");
        let mut owned = Owned::new();
        learn_named(&mut owned, connection, operation, call, reply, named);
        owned
    };
    let call = asked(&[("thing", "t1")]);
    let all = owned(&[("part", &["2", "p1"]), ("thing", &["t1"])]);
    assert_eq!(named("getThing", &call, "t1", &reply), all);
    // Another one than the user named, and a reply that has nothing inside.
    assert_eq!(named("getThing", &call, "t2", &reply), owned(&[]));
    assert_eq!(named("getThing", &call, "t1", &json!({})), owned(&[("thing", &["t1"])]));
    // A list names nothing.
    assert_eq!(
        named("listThings", &asked(&[("q", "t1")]), "t1", &json!([{"id": "t9"}])),
        owned(&[])
    );
}

#[test]
fn pointers_go_through_lists() {
    let body = json!({"a": [{"b": 1}, {"b": 2}]});
    let found = |pattern: &str| -> Vec<Value> {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        pattern.select(&body).into_iter().map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(found("/a/1/b"), [json!(2)]);
    assert_eq!(found("/a/2/b"), Vec::<Value>::new());
    assert_eq!(found("/a/x/b"), Vec::<Value>::new());
    let mut body = body;
    assert!(place(&mut body, "/a/1/b", json!(3)));
    assert_eq!(body, json!({"a": [{"b": 1}, {"b": 3}]}));
}

#[test]
fn routes_are_shown_as_they_were_written() {
    let manifest = manifest();
    let (_, operation) = manifest.operation("getThing").expect("an operation");
    assert_eq!(operation.route.path(), "/things/{thing}");
    assert_eq!(operation.route.to_string(), "GET /things/{thing}");
}

#[test]
fn every_kind_has_its_word() {
    use FailureKind::{Broken, Conflict, Declined, Invalid, Unauthorized, Unavailable};
    let kinds = [Invalid, Unauthorized, Declined, Conflict, Unavailable, Broken];
    let words = ["invalid", "unauthorized", "declined", "conflict", "unavailable", "broken"];
    assert_eq!(kinds.map(FailureKind::as_str), words);
    use ChangePhase::{Create, Destroy, Exec, Update};
    assert_eq!(
        [Create, Update, Destroy, Exec].map(ChangePhase::as_str),
        ["create", "update", "destroy", "exec"]
    );
    assert_eq!(
        [Phase::Manifest, Phase::Read, Phase::Change(Update)].map(Phase::as_str),
        ["manifest", "read", "update"]
    );
    use Rule::{Body, Budget, Grant, Operation, Ownership, Parameter, Plan, Secret};
    assert_eq!(
        [Operation, Rule::Phase, Plan, Grant, Ownership, Parameter, Secret, Budget, Body]
            .map(Rule::as_str),
        [
            "operation",
            "phase",
            "plan",
            "grant",
            "ownership",
            "parameter",
            "secret",
            "budget",
            "body"
        ]
    );
}
