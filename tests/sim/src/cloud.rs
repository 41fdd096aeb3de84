//! The vendor: things with a password, made, changed, listed and deleted over an API. It notices a second one of the
//! same mark by itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use ss_core::redact::Redacted;
use ss_ports::{HttpReply, HttpRequest};

/// One thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// What its maker wrote on it.
    pub mark: String,
    /// Where it is.
    pub region: Value,
    /// How large.
    pub size: Value,
    /// What was injected.
    pub env: Value,
    /// Its password.
    pub password: String,
    /// Lists do not show it before this.
    shown_ms: u64,
}

#[derive(Default)]
struct Inside {
    things: BTreeMap<String, Thing>,
    numbered: u32,
    wrong: Vec<String>,
}

/// The vendor.
pub struct Cloud {
    lag_ms: u64,
    inside: Mutex<Inside>,
}

impl Cloud {
    /// A cloud without things, whose lists lag so much.
    pub fn new(lag_ms: u64) -> Self {
        Self { lag_ms, inside: Mutex::default() }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What exists.
    pub fn things(&self) -> BTreeMap<String, Thing> {
        self.inside().things.clone()
    }

    /// Changes or removes things by hand.
    pub fn meddle(&self, meddle: impl FnOnce(&mut BTreeMap<String, Thing>)) {
        meddle(&mut self.inside().things);
    }

    /// What must never happen and did.
    pub fn wrong(&self) -> Option<String> {
        self.inside().wrong.first().cloned()
    }

    /// Carries out a request.
    pub fn does(&self, request: &HttpRequest, now_ms: u64) -> HttpReply {
        let body = request.body.as_ref().map(|body| serde_json::from_slice(body.expose()));
        let body: Value = body.map(|body| body.expect("a body is JSON")).unwrap_or_default();
        let id = request.url.split('/').nth(5).unwrap_or_default();
        let mut inside = self.inside();
        let (status, body) = match request.operation.as_str() {
            "whoAmI" => (200, json!({})),
            "listThings" => (200, inside.list(now_ms)),
            "createThing" => inside.create(&body, now_ms + self.lag_ms),
            operation => inside.on(operation, id, &body),
        };
        reply(status, &body)
    }
}

impl Inside {
    fn list(&self, now_ms: u64) -> Value {
        let shown = self.things.iter().filter(|(_, thing)| thing.shown_ms <= now_ms);
        shown.map(|(id, thing)| json!({"id": id, "mark": thing.mark})).collect()
    }

    fn create(&mut self, body: &Value, shown_ms: u64) -> (u16, Value) {
        let mark = body["mark"].as_str().unwrap_or_default().to_owned();
        if let Some((id, _)) = self.things.iter().find(|(_, thing)| thing.mark == mark) {
            self.wrong.push(format!("a duplicate: {id} carries the mark {mark} already"));
        }
        self.numbered += 1;
        let (id, password) = (format!("th-{}", self.numbered), format!("pass-{}", self.numbered));
        let thing = Thing {
            mark,
            region: body["region"].clone(),
            size: Value::Null,
            env: Value::Null,
            password,
            shown_ms,
        };
        self.things.insert(id.clone(), thing);
        (201, json!({"id": id}))
    }

    fn on(&mut self, operation: &str, id: &str, body: &Value) -> (u16, Value) {
        let Some(thing) = self.things.get_mut(id) else {
            return (404, json!({"message": "no such thing"}));
        };
        match operation {
            "getThing" => (200, json!({"size": thing.size, "region": thing.region})),
            "getPassword" => (200, json!({"password": thing.password})),
            "changeThing" => {
                thing.size = body["size"].clone();
                thing.env = body["env"].clone();
                (200, json!({}))
            }
            "deleteThing" => {
                self.things.remove(id);
                (200, json!({}))
            }
            other => (404, json!({"message": format!("no operation {other}")})),
        }
    }
}

/// An answer.
pub fn reply(status: u16, body: &Value) -> HttpReply {
    let body = Redacted::new(body.to_string().into_bytes());
    HttpReply { status, headers: BTreeMap::new(), body }
}
