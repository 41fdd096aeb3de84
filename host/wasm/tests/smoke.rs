//! One scenario through the whole contract, the same for every language.

use std::path::Path;

use serde_json::{Value, json};
use ss_gate::call::{
    CallFailure, CallFailureKind, FailureKind, Fill, NamedSecret, Param, Reply, ResourceRecord,
};
use ss_ports::{CallError, Provisioner};
use ss_testkit::{HostEvent, ScriptedHost};
use ss_wasm::WasmProvisioner;

use crate::guests::{guest, loaded, service};

fn reply(status: u16, body: &Value) -> Result<Reply, CallFailure> {
    let captured = vec![NamedSecret { name: "/password".to_owned(), value: 8 }];
    Ok(Reply { status, headers: Vec::new(), body: body.to_string().into_bytes(), captured })
}

fn record() -> ResourceRecord {
    ResourceRecord {
        id: "thing-1".to_owned(),
        attributes: json!({ "name": "grün" }),
        url: Some("https://api.example.com/things/thing-1".to_owned()),
        schema: 1,
    }
}

fn call_of(event: &HostEvent) -> &ss_gate::call::Call {
    match event {
        HostEvent::Send(call) => call,
        other => panic!("expected a call, not {other:?}"),
    }
}

/// Every function of the contract, the values that cross it, and the ways a call can end well or be declined.
async fn goes_through_the_contract(provisioner: &WasmProvisioner) {
    creates(provisioner).await;
    leaves_what_is_recorded(provisioner).await;
    declines(provisioner).await;
    says_which_call_failed(provisioner).await;
    reads_and_destroys(provisioner).await;
}

async fn creates(provisioner: &WasmProvisioner) {
    let host = ScriptedHost::new([reply(201, &json!({ "id": "thing-1", "password": "secret#8" }))]);
    let events = host.events();
    let service = service(json!({ "name": "grün" }));
    let outcome = provisioner.apply(service, None, Box::new(host)).await.expect("applies");
    assert_eq!(outcome.made, record());
    assert_eq!(outcome.outputs, [NamedSecret { name: "THING_URL".to_owned(), value: 100 }]);
    assert_eq!(outcome.summary, "thing created, 1 output");

    let events = events.list();
    assert_eq!(events[0], HostEvent::Log("applying thing as ss-mark".to_owned()));
    assert_eq!(events[1..3], [HostEvent::NowMs, HostEvent::Random(4)]);
    let call = call_of(&events[3]);
    assert_eq!(call.operation, "createThing");
    assert_eq!(call.params, [Param { name: "project".to_owned(), value: "a/b ü".to_owned() }]);
    assert_eq!(call.fill, [Fill { pointer: "/token".to_owned(), value: 7 }]);
    let body: Value =
        serde_json::from_slice(call.body.as_deref().expect("a body")).expect("a JSON body");
    assert_eq!(body["at"].as_f64(), Some(ScriptedHost::START_MS));
    assert_eq!(body["nonce"], json!([0, 1, 2, 3]));
    assert_eq!(
        (&body["name"], &body["mark"], &body["token"]),
        (&json!("grün"), &json!("ss-mark"), &Value::Null)
    );
    let template = "thing://{password|url}@api.example.com/thing-1".to_owned();
    let parts = vec![NamedSecret { name: "password".to_owned(), value: 8 }];
    assert_eq!(
        events[4..],
        [
            HostEvent::Checkpoint(record()),
            HostEvent::Step("thing created: thing-1".to_owned()),
            HostEvent::Wait(250),
            HostEvent::Compose(template, parts),
        ]
    );
}

async fn leaves_what_is_recorded(provisioner: &WasmProvisioner) {
    let host = ScriptedHost::new([]);
    let events = host.events();
    let service = service(json!({ "name": "grün" }));
    let outcome =
        provisioner.apply(service, Some(record()), Box::new(host)).await.expect("applies");
    assert_eq!((outcome.made, outcome.outputs), (record(), Vec::new()));
    assert_eq!(events.list(), []);
}

async fn declines(provisioner: &WasmProvisioner) {
    let target = json!({ "name": "x", "decline": true });
    let host = Box::new(ScriptedHost::new([]));
    match provisioner.apply(service(target), None, host).await {
        Err(CallError::Failed(failure)) => {
            assert_eq!(failure.kind, FailureKind::Declined);
            assert_eq!(failure.message, "the target says no");
            assert_eq!(failure.retry_after_ms, Some(2_000_000_000));
            assert_eq!(failure.details, Some(json!({ "why": "grüße" })));
        }
        other => panic!("expected a failure, not {other:?}"),
    }
}

async fn says_which_call_failed(provisioner: &WasmProvisioner) {
    let kinds = [
        (CallFailureKind::Denied, "denied: why"),
        (CallFailureKind::TimedOut, "timed-out: why"),
        (CallFailureKind::Unreachable, "unreachable: why"),
        (CallFailureKind::TooLarge, "too-large: why"),
        (CallFailureKind::OutcomeUnknown, "outcome-unknown: why"),
    ];
    for (kind, message) in kinds {
        let failure = CallFailure { kind, message: "why".to_owned() };
        let host = Box::new(ScriptedHost::new([Err(failure)]));
        match provisioner.apply(service(json!({ "name": "x" })), None, host).await {
            Err(CallError::Failed(failure)) => {
                assert_eq!(failure.kind, FailureKind::Unavailable);
                assert_eq!(failure.message, message);
                assert_eq!((failure.retry_after_ms, failure.details), (None, None));
            }
            other => panic!("expected a failure, not {other:?}"),
        }
    }
}

async fn reads_and_destroys(provisioner: &WasmProvisioner) {
    let read = async |status, name: &str| {
        let host = ScriptedHost::new([reply(status, &json!({ "name": name }))]);
        let service = service(json!({ "name": "grün" }));
        provisioner.read(service, record(), Box::new(host)).await.expect("reads")
    };
    assert_eq!(read(200, "grün").await, Some(record()));
    let changed = read(200, "blau").await.expect("is there");
    assert_eq!(changed.attributes, json!({ "name": "blau" }));
    assert_eq!(read(404, "").await, None);

    let destroy = async |status| {
        let host = ScriptedHost::new([reply(status, &json!({}))]);
        provisioner.destroy(record(), Box::new(host)).await
    };
    assert!(destroy(204).await.is_ok() && destroy(404).await.is_ok());
    match destroy(500).await {
        Err(CallError::Failed(failure)) => {
            assert_eq!(failure.kind, FailureKind::Broken);
            assert_eq!(failure.message, "deleteThing answered 500");
        }
        other => panic!("expected a failure, not {other:?}"),
    }
}

#[tokio::test]
async fn a_rust_component_goes_through_the_contract() {
    goes_through_the_contract(&guest("smoke")).await;
}

#[tokio::test]
async fn a_python_component_goes_through_the_contract() {
    other_language("smoke_python").await;
}

#[tokio::test]
async fn a_javascript_component_goes_through_the_contract() {
    other_language("smoke_js").await;
}

/// The components that `tests/guests/build-languages.sh` makes, where they are at hand.
async fn other_language(name: &str) {
    let Some(directory) = std::env::var_os("SS_LANGUAGE_GUESTS") else {
        eprintln!("skipped: SS_LANGUAGE_GUESTS does not say where {name}.wasm is");
        return;
    };
    let file = Path::new(&directory).join(format!("{name}.wasm"));
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let provisioner = loaded(bytes, name);
    assert_eq!(provisioner.plugin().manifest, guest("smoke").plugin().manifest);
    goes_through_the_contract(&provisioner).await;
}
