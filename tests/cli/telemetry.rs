//! Traces, received and decoded by somebody else's code.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::common::canary::Canary;
use crate::common::otlp::Receiver;
use crate::common::project::{process, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

const SERVES: &str = "exec python3 -m http.server $PORT --bind 127.0.0.1";

fn deploy(place: &Place, variables: &[(&str, &str)]) -> Ran {
    let mut command = place.command();
    command.args(["deploy", "--env=sandbox"]).envs(variables.iter().copied());
    Ran::of(command.output().expect("the binary runs"))
}

/// A process alone that is healthy at once.
fn quick(place: &Place, port: u16) {
    process(place, port, SERVES);
    place.edit("starsystem.sandbox.yaml", "health_check_path: /health", "health_check_path: /");
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn named<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    let mut found = spans.iter().filter(|span| span["name"] == name);
    let span = found.next().unwrap_or_else(|| panic!("no span `{name}`: {:?}", names(spans)));
    assert!(found.next().is_none(), "two spans `{name}`");
    span
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans.iter().map(|span| text(span, "name")).collect()
}

#[test]
fn the_walkthrough_is_one_trace_from_the_command_to_every_request() {
    let place = Place::new();
    let Some(receiver) = Receiver::start(&place) else { return };
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    let endpoint = format!("{}/v1/traces", receiver.base());
    let ran = deploy(
        &place,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-honeycomb-team=team-canary-0123"),
        ],
    )
    .exits(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);

    let spans = receiver.spans();
    let root = named(&spans, "ss.cli.deploy");
    let run = named(&spans, "ss.deploy");
    assert_eq!(text(root, "parent"), "");
    assert_eq!(text(run, "parent"), text(root, "id"));
    let inspected: Value =
        serde_json::from_str(&place.ss(["inspect", "--env=sandbox", "--json"]).exits(0).stdout)
            .unwrap();
    for (kind, service) in [("neon", "app-db"), ("fly", "api")] {
        let span = named(&spans, &format!("ss.provision.{kind}"));
        assert_eq!(text(span, "parent"), text(run, "id"));
        assert_eq!(span["attributes"]["ss.service.id"], service);
        assert_eq!(span["attributes"]["ss.deploy.id"], inspected["id"]);
        assert_eq!(span["status"], 1, "{span}");
        assert!(span["events"].as_array().is_some_and(|events| !events.is_empty()), "{span}");
    }
    for span in &spans {
        assert_eq!(span["trace"], inspected["trace_id"], "{span}");
        assert_eq!(span["resource"]["service.name"], "starsystem");
        assert!(span["start"].as_u64() <= span["end"].as_u64(), "{span}");
    }
    every_request_is_a_span(&spans, &inspected);
    every_request_carries_its_span(&sandbox, &spans);

    for request in receiver.requests() {
        assert_eq!(text(&request, "path"), "/v1/traces");
        assert_eq!(text(&request["headers"], "content-type"), "application/x-protobuf");
        assert_eq!(text(&request["headers"], "x-honeycomb-team"), "team-canary-0123");
    }
    let trace = text(&inspected, "trace_id");
    place.ss(["inspect", "--env=sandbox"]).exits(0).says(&format!("  trace:     {trace}\n"));

    let told = Value::from(spans.clone()).to_string();
    for canary in [
        Canary::new("the Neon token", "sandbox-neon-key"),
        Canary::new("the Fly token", "sandbox-fly-token"),
        Canary::new("the database's password", &place.database_password()),
        Canary::new("the collector's key", "team-canary-0123"),
    ] {
        canary.is_not_in("the trace", told.as_bytes());
        canary.is_not_in("what was printed", format!("{}{}", ran.stdout, ran.stderr).as_bytes());
    }
}

/// The ledger and the trace tell of the same requests.
fn every_request_is_a_span(spans: &[Value], inspected: &Value) {
    let mut ledger: BTreeMap<(String, String, u64), usize> = BTreeMap::new();
    for line in inspected["requests"].as_array().expect("requests") {
        let key = (text(line, "operation"), text(line, "service"), &line["status"]);
        *ledger
            .entry((key.0.to_owned(), key.1.to_owned(), key.2.as_u64().unwrap_or(0)))
            .or_default() += 1;
    }
    let mut traced = BTreeMap::new();
    for span in spans.iter().filter(|span| span["kind"] == 3) {
        let attributes = &span["attributes"];
        let key = (text(attributes, "ss.operation"), text(attributes, "ss.service.id"));
        let status = attributes["http.response.status_code"].as_u64().unwrap_or(0);
        *traced.entry((key.0.to_owned(), key.1.to_owned(), status)).or_default() += 1;
        let route = text(attributes, "http.route");
        assert_eq!(
            text(span, "name"),
            format!("{} {route}", text(attributes, "http.request.method"))
        );
        assert!(route.starts_with('/') && !route.contains("my-app"), "{route}");
    }
    assert!(traced.len() > 10, "{traced:?}");
    assert_eq!(ledger, traced);
}

/// What the vendor saw in `traceparent` are the spans of the requests, and nothing else was added.
fn every_request_carries_its_span(sandbox: &Sandbox<'_>, spans: &[Value]) {
    let journal = sandbox.control("GET", "journal", &Value::Null);
    let entries = journal["entries"].as_array().expect("entries");
    let sent = entries.iter().filter(|entry| {
        entry["headers"]["user-agent"]
            .as_str()
            .is_some_and(|agent| agent.starts_with("starsystem/"))
    });
    let mut count = 0;
    for entry in sent {
        let header = entry["headers"]["traceparent"].as_str().unwrap_or_else(|| panic!("{entry}"));
        let known = spans.iter().any(|span| {
            header == format!("00-{}-{}-01", text(span, "trace"), text(span, "id"))
                && span["kind"] == 3
        });
        assert!(known, "{header}");
        assert!(entry["headers"]["tracestate"].is_null() && entry["headers"]["baggage"].is_null());
        count += 1;
    }
    assert!(count > 10, "only {count} requests");
}

#[test]
fn json_gzip_and_a_parent_from_ci() {
    let place = Place::new();
    let Some(receiver) = Receiver::start(&place) else { return };
    let port = free_port();
    quick(&place, port);
    let _sandbox = Sandbox::guard(&place, port);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    deploy(
        &place,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.base()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=ci,team=a%20b"),
            ("TRACEPARENT", parent),
        ],
    )
    .exits(0);
    let spans = receiver.spans();
    let root = named(&spans, "ss.cli.deploy");
    assert_eq!(text(root, "parent"), "00f067aa0ba902b7");
    assert_eq!(text(root, "trace"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(root["resource"]["team"], "a b");
    assert_eq!(root["attributes"]["process.exit.code"], 0);
    for request in receiver.requests() {
        let headers = &request["headers"];
        assert_eq!(text(headers, "content-type"), "application/json");
        assert_eq!(text(headers, "content-encoding"), "gzip");
    }
    place.ss(["inspect", "--env=sandbox"]).exits(0).says("4bf92f3577b34da6a3ce929d0e0e4736");
}

#[test]
fn a_failed_deploy_says_so_in_its_trace() {
    let place = Place::new();
    let Some(receiver) = Receiver::start(&place) else { return };
    let port = free_port();
    process(&place, port, "exit 7");
    let _sandbox = Sandbox::guard(&place, port);
    deploy(&place, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/own", receiver.base()))])
        .exits(1);
    let spans = receiver.spans();
    for name in ["ss.cli.deploy", "ss.deploy", "ss.provision.fly"] {
        assert_eq!(named(&spans, name)["status"], 2, "{name}");
    }
    assert!(text(named(&spans, "ss.provision.fly"), "message").contains("exit"), "{spans:?}");
    assert!(receiver.requests().iter().all(|request| request["path"] == "/own"));
}

#[test]
fn without_a_variable_nothing_is_traced() {
    let place = Place::new();
    let port = free_port();
    quick(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    deploy(&place, &[]).exits(0);
    let inspected: Value =
        serde_json::from_str(&place.ss(["inspect", "--env=sandbox", "--json"]).exits(0).stdout)
            .unwrap();
    assert!(inspected["trace_id"].is_null());
    assert!(!place.ss(["inspect", "--env=sandbox"]).exits(0).stdout.contains("trace:"));
    let journal = sandbox.control("GET", "journal", &Value::Null).to_string();
    assert!(journal.contains("user-agent") && !journal.contains("traceparent"));
}

#[test]
fn trouble_with_the_collector_changes_nothing_but_a_warning() {
    let place = Place::new();
    let port = free_port();
    quick(&place, port);
    let _sandbox = Sandbox::guard(&place, port);
    // Takes connections and never answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    let refused = free_port();
    let closing = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let closing_port = closing.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in closing.incoming() {
            let Ok(mut stream) = stream else { return };
            // It hangs up in the middle of the request.
            let _ = stream.read(&mut [0; 16]);
        }
    });
    for (number, trouble) in [silent_port, refused, closing_port].into_iter().enumerate() {
        let to = format!("http://127.0.0.1:{trouble}");
        let before = format!("NODE_ENV: {}", ["production", "n0", "n1"][number]);
        place.edit("starsystem.sandbox.yaml", &before, &format!("NODE_ENV: n{number}"));
        let ran = deploy(&place, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &to)]).exits(0);
        assert!(ran.stdout.ends_with("Deploy complete: 1 provisioned\n"), "{}", ran.stdout);
        ran.says("warning: the trace was not exported whole");
    }
    let ran = deploy(&place, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "not-a-url-canary")]).exits(0);
    assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
    ran.says("warning: no trace is exported");
}
