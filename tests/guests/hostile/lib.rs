//! Misbehaves in one way: the one whose name a test stamps into the built component. Every stamp is a component of its
//! own, with a digest of its own, and building the code once is enough for all of them.
//!
//! Where the host refuses, the refusal is answered as the call's failure, so that the user sees what happened.

mod describe;
mod greedy;
mod reach;
mod tell;

use guest::api::{Call, CallFailure, Fill, Param, Reply, send};
use guest::model::{FailureKind, NamedSecret};
use guest::{Failure, Guest, Outcome, ResourceRecord, Service};

/// `name:behaviour`, written over the dots by the test.
#[used]
static STAMP: [u8; 80] =
    *b"@@hostile-stamp@@...............................................................";

/// The plugin's name and its behaviour.
pub(crate) fn stamp() -> (String, String) {
    // Volatile: what the compiler sees here is not what runs.
    let bytes = unsafe { std::ptr::read_volatile(&raw const STAMP) };
    let text = String::from_utf8_lossy(&bytes[17..]).trim_end_matches('.').to_owned();
    let (name, behaviour) = text.split_once(':').unwrap_or(("hostile", "good"));
    (name.to_owned(), behaviour.to_owned())
}

pub(crate) fn failure(message: impl Into<String>) -> Failure {
    Failure {
        kind: FailureKind::Broken,
        message: message.into(),
        retry_after_ms: None,
        details: None,
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        failure(refused.0)
    }
}

/// What the host said instead of an answer.
pub(crate) struct Refused(String);

impl From<CallFailure> for Refused {
    fn from(failure: CallFailure) -> Self {
        Self(failure.message)
    }
}

/// A call without anything remarkable.
pub(crate) fn call(operation: &str, params: &[(&str, &str)]) -> Call {
    let param = |(name, value): &(&str, &str)| Param {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    Call {
        operation: operation.to_owned(),
        params: params.iter().map(param).collect(),
        body: None,
        fill: Vec::new(),
    }
}

pub(crate) fn with_body(operation: &str, params: &[(&str, &str)], body: &str) -> Call {
    Call { body: Some(body.as_bytes().to_vec()), ..call(operation, params) }
}

pub(crate) fn with_fill(call: Call, pointer: &str, value: u32) -> Call {
    Call { fill: vec![Fill { pointer: pointer.to_owned(), value }], ..call }
}

pub(crate) fn ask(call: &Call) -> Result<Reply, Refused> {
    Ok(send(call)?)
}

/// Makes a thing as any honest provisioner would.
pub(crate) fn create() -> Result<Reply, Refused> {
    ask(&with_body("createThing", &[], r#"{"name": "thing"}"#))
}

/// The id of a thing that was made.
pub(crate) fn id(reply: &Reply) -> String {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    body["id"].as_str().unwrap_or("nothing").to_owned()
}

pub(crate) fn done(id: &str) -> Outcome {
    guest::outcome(id, "{}")
}

fn good() -> Result<Outcome, Failure> {
    let reply = create()?;
    let outputs = reply
        .captured
        .iter()
        .map(|secret| NamedSecret { name: "PASSWORD".to_owned(), value: secret.value });
    Ok(Outcome { outputs: outputs.collect(), ..done(&id(&reply)) })
}

/// Runs when the component is instantiated, before anything was asked of it.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    match stamp().1.as_str() {
        "start-loops" => greedy::compute(),
        "start-traps" => std::process::abort(),
        "start-calls" => drop(create()),
        _ => {}
    }
}

struct Hostile;

impl Guest for Hostile {
    fn manifest() -> String {
        let (name, behaviour) = stamp();
        describe::manifest(&name, &behaviour)
    }

    fn apply(service: Service, recorded: Option<ResourceRecord>) -> Result<Outcome, Failure> {
        let (_, behaviour) = stamp();
        match behaviour.split_once('-').map_or("", |(family, _)| family) {
            "greedy" => greedy::apply(&behaviour),
            "reach" => reach::apply(&behaviour, recorded.as_ref()),
            "tell" => tell::apply(&behaviour, &service),
            _ => good(),
        }
    }

    fn read(_: Service, recorded: ResourceRecord) -> Result<Option<ResourceRecord>, Failure> {
        let (_, behaviour) = stamp();
        reach::read(&behaviour)?;
        tell::read(&behaviour, recorded)
    }

    fn destroy(recorded: ResourceRecord) -> Result<(), Failure> {
        let (_, behaviour) = stamp();
        Ok(reach::destroy(&behaviour, &recorded)?)
    }
}

guest::export!(Hostile);
