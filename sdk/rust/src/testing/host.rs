//! The scripted host itself: one per thread while a script runs.

use std::cell::RefCell;
use std::collections::VecDeque;

use serde_json::Value;

use super::manifest::{Manifest, Operation, Phase};
use super::script::{Checkpoint, Expectation};
use super::{MARK, pointer};
use crate::host::raw;
use crate::{CallError, NamedSecret, Secret};

/// When every script begins: 2026-01-01T00:00:00Z.
const START_MS: f64 = 1_767_225_600_000.0;

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// Where a secret comes from; only inputs may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Input,
    Captured,
}

#[derive(Debug)]
pub(super) struct Host {
    manifest: Manifest,
    phase: Phase,
    owned: Vec<(String, String)>,
    pub(super) expected: VecDeque<Expectation>,
    secrets: Vec<(String, Origin)>,
    pub(super) steps: Vec<String>,
    pub(super) logs: Vec<String>,
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) calls: Vec<String>,
    pub(super) waited_ms: u64,
    random_next: u8,
}

pub(super) fn install(host: Host) {
    HOST.with(|slot| *slot.borrow_mut() = Some(host));
}

pub(super) fn uninstall() -> Host {
    HOST.with(|slot| slot.borrow_mut().take()).expect("a script runs")
}

fn with<R>(function: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with(|slot| {
        let mut slot = slot.borrow_mut();
        function(slot.as_mut().expect("outside WASM, provisioners run inside `Script::run`"))
    })
}

pub(crate) fn send(call: raw::Call) -> Result<raw::Reply, CallError> {
    with(|host| host.send(call))
}

pub(crate) fn compose(template: String, parts: Vec<NamedSecret>) -> Result<Secret, String> {
    with(|host| host.compose(&template, &parts))
}

pub(crate) fn step(message: String) {
    with(|host| host.steps.push(message));
}

pub(crate) fn log(message: String) {
    with(|host| host.logs.push(message));
}

pub(crate) fn checkpoint(record: raw::Record) {
    let attributes = serde_json::from_str(&record.attributes).expect("attributes are JSON");
    let raw::Record { id, url, schema, .. } = record;
    with(|host| host.checkpoints.push(Checkpoint { id, attributes, url, schema }));
}

pub(crate) fn now_ms() -> f64 {
    with(|host| START_MS + host.waited_ms as f64)
}

pub(crate) fn wait(ms: u32) {
    with(|host| host.waited_ms += u64::from(ms));
}

pub(crate) fn random(count: u32) -> Vec<u8> {
    with(|host| (0..count).map(|_| host.next_byte()).collect())
}

impl Host {
    pub(super) fn new(manifest: Manifest, phase: Phase) -> Self {
        Self {
            manifest,
            phase,
            owned: Vec::new(),
            expected: VecDeque::new(),
            secrets: Vec::new(),
            steps: Vec::new(),
            logs: Vec::new(),
            checkpoints: Vec::new(),
            calls: Vec::new(),
            waited_ms: 0,
            random_next: 0,
        }
    }

    pub(super) fn input(&mut self, text: &str) -> Secret {
        self.keep_secret(text, Origin::Input)
    }

    pub(super) fn into_secrets(self) -> Vec<String> {
        self.secrets.into_iter().map(|(text, _)| text).collect()
    }

    fn keep_secret(&mut self, text: &str, origin: Origin) -> Secret {
        self.secrets.push((text.to_owned(), origin));
        Secret(u32::try_from(self.secrets.len() - 1).expect("few secrets"))
    }

    pub(super) fn own(&mut self, param: &str, id: &str) {
        self.owned.push((param.to_owned(), id.to_owned()));
    }

    fn next_byte(&mut self) -> u8 {
        self.random_next = self.random_next.wrapping_add(1);
        self.random_next
    }

    fn send(&mut self, call: raw::Call) -> Result<raw::Reply, CallError> {
        self.calls.push(call.operation.clone());
        let expectation = self.expected.pop_front();
        let came = format!("`{}` with {:?}", call.operation, call.params);
        let Some(expectation) = expectation else { panic!("a call that nobody expected: {came}") };
        assert_eq!(expectation.operation, call.operation, "the next call; came: {came}");
        self.check_rules(&call);
        let body = self.filled(&call);
        expectation.check(&call, &body);
        let answer =
            expectation.answer.unwrap_or_else(|| panic!("no answer is scripted for {came}"));
        let (status, bytes) = answer?;
        let mut reply =
            raw::Reply { status, headers: expectation.headers, body: bytes, captured: Vec::new() };
        if let Ok(document) = serde_json::from_slice(&reply.body) {
            self.receive(&call, &body, document, &mut reply);
        }
        Ok(reply)
    }

    fn check_rules(&self, call: &raw::Call) {
        let found = self.manifest.operation(&call.operation);
        let Some((operation, base_url)) = found else {
            panic!("the manifest declares no operation `{}`", call.operation)
        };
        operation.check(base_url, self.phase, call);
        for name in operation.guarded(base_url).filter(|name| self.manifest.is_owned_param(name)) {
            let given = call.params.iter().find(|(param, _)| param == name);
            assert!(
                given.is_some_and(|param| self.owned.contains(param)),
                "`{}` on {given:?}: it is not this service's",
                call.operation
            );
        }
        for fill in &call.fill {
            let (_, origin) = &self.secrets[fill.value.0 as usize];
            assert_eq!(*origin, Origin::Input, "a secret out of a reply may only be an output");
        }
    }

    fn filled(&self, call: &raw::Call) -> Value {
        let body = call.body.as_ref().map(|body| serde_json::from_slice(body));
        let mut body = body.transpose().expect("a body is JSON").unwrap_or_default();
        for fill in &call.fill {
            let (text, _) = self.secrets[fill.value.0 as usize].clone();
            put(&mut body, &fill.name, Value::String(text));
        }
        body
    }

    /// Learns ids and captures secrets, as the host does before the provisioner sees an answer.
    fn receive(&mut self, call: &raw::Call, sent: &Value, body: Value, reply: &mut raw::Reply) {
        let found = self.manifest.operation(&call.operation);
        let (operation, _) = found.expect("the rules were checked");
        if (200..300).contains(&reply.status) {
            let learned = learned_ids(operation, call, sent, &body);
            self.owned.extend(learned);
        }
        let mut body = body;
        let (operation, _) = self.manifest.operation(&call.operation).expect("it was just there");
        let patterns = operation.secrets.clone();
        for place in patterns.iter().flat_map(|pattern| pointer::places(&body, pattern)) {
            let Some(text) = body.pointer(&place.pointer).and_then(Value::as_str) else { continue };
            let secret = self.keep_secret(text, Origin::Captured);
            reply.captured.push(NamedSecret::new(place.pointer, secret));
        }
        for captured in &reply.captured {
            put(&mut body, &captured.name, Value::String(format!("secret#{}", captured.value.0)));
        }
        reply.body = body.to_string().into_bytes();
    }

    fn compose(&mut self, template: &str, parts: &[NamedSecret]) -> Result<Secret, String> {
        let mut text = String::new();
        let mut origin = Origin::Input;
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a `{` is not closed")?;
            let (name, encode) = match name.strip_suffix("|url") {
                Some(name) => (name, true),
                None => (name, false),
            };
            let part = parts.iter().find(|part| part.name == name);
            let part = part.ok_or_else(|| format!("the template has no part `{name}`"))?;
            let (value, from) = &self.secrets[part.value.0 as usize];
            if *from == Origin::Captured {
                origin = Origin::Captured;
            }
            text.push_str(before);
            text.push_str(&if encode { percent_encoded(value) } else { value.clone() });
            rest = after;
        }
        text.push_str(rest);
        Ok(self.keep_secret(&text, origin))
    }
}

impl Expectation {
    fn check(&self, call: &raw::Call, body: &Value) {
        let operation = &call.operation;
        for (name, wanted) in &self.params {
            let found = call.params.iter().find(|(param, _)| param == name);
            let found = found.map(|(_, value)| value.clone());
            assert_eq!(&found, wanted, "the parameter `{name}` of `{operation}`");
        }
        for (pointer, wanted) in &self.body {
            let found = body.pointer(pointer).cloned();
            assert_eq!(&found, wanted, "`{pointer}` in the body of `{operation}`: {body}");
        }
    }
}

fn learned_ids(
    operation: &Operation,
    call: &raw::Call,
    sent: &Value,
    body: &Value,
) -> Vec<(String, String)> {
    let text = |document: &Value, at: &str| {
        document.pointer(at).and_then(Value::as_str).map(str::to_owned)
    };
    let mut learned = Vec::new();
    for (param, place) in &operation.owns {
        let id = match place.strip_prefix("request:") {
            Some(place) => text(sent, place),
            None => text(body, place),
        };
        learned.extend(id.map(|id| (param.clone(), id)));
    }
    for adoption in &operation.adopts {
        let marked = |pattern: &str| {
            let places = pointer::places(body, pattern);
            places.iter().any(|place| text(body, &place.pointer).as_deref() == Some(MARK))
        };
        match &adoption.id {
            None if marked(&adoption.mark) => {
                let own = call.params.iter().find(|(name, _)| *name == adoption.param);
                learned.extend(own.cloned());
            }
            None => {}
            Some(ids) => {
                for place in pointer::places(body, ids) {
                    if marked(&pointer::fixed(&adoption.mark, &place)) {
                        let id = text(body, &place.pointer);
                        learned.extend(id.map(|id| (adoption.param.clone(), id)));
                    }
                }
            }
        }
    }
    learned
}

/// Replaces or creates the value at a pointer, objects on the way included.
fn put(document: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
        return;
    }
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with `/`");
    if document.pointer(parent).is_none_or(Value::is_null) {
        put(document, parent, Value::Object(serde_json::Map::new()));
    }
    let key = key.replace("~1", "/").replace("~0", "~");
    if let Some(Value::Object(fields)) = document.pointer_mut(parent) {
        fields.insert(key, value);
    }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
