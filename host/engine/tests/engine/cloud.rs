//! A vendor in memory: things with a password, made, changed, read and deleted over an API.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};
use ss_core::redact::Redacted;
use ss_ports::{EgressError, HttpReply, HttpRequest};

/// The provider token that the vendor accepts.
pub const TOKEN: &str = "tok-9f8e7d6c5b4a";

/// One thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    pub mark: String,
    pub size: Value,
    pub env: Value,
    pub password: String,
    /// Reads until it is ready.
    pub starting: u32,
}

/// What the vendor does with the next request of an operation, instead of what it would do.
pub enum Answer {
    /// Answers this and does nothing.
    Says(u16, Value),
    /// Answers with these headers and bytes and does nothing.
    Raw(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Does what was asked; the answer is lost.
    DoneAndLost,
    /// Does nothing; the answer is lost.
    Lost,
    /// There is no answer, for this reason.
    Fails(EgressError),
}

/// A request as it reached the vendor.
#[derive(Debug, Clone)]
pub struct Seen {
    pub operation: String,
    pub method: String,
    pub url: String,
    pub authorization: Option<String>,
    pub body: Option<Value>,
    pub rate_key: Option<String>,
}

#[derive(Default)]
struct Inside {
    things: BTreeMap<String, Thing>,
    made: u32,
    seen: Vec<Seen>,
    answers: BTreeMap<String, VecDeque<Answer>>,
}

/// The vendor.
#[derive(Default)]
pub struct Cloud(Mutex<Inside>);

impl Cloud {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    /// What exists.
    pub fn things(&self) -> BTreeMap<String, Thing> {
        self.inside().things.clone()
    }

    /// What was asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.inside().seen.clone()
    }

    /// How often an operation was asked for.
    pub fn asked(&self, operation: &str) -> usize {
        self.inside().seen.iter().filter(|seen| seen.operation == operation).count()
    }

    /// Answers the next request of an operation like this.
    pub fn answers(&self, operation: &str, answer: Answer) {
        self.inside().answers.entry(operation.to_owned()).or_default().push_back(answer);
    }

    /// Changes or removes a thing behind everybody's back.
    pub fn meddle(&self, meddle: impl FnOnce(&mut BTreeMap<String, Thing>)) {
        meddle(&mut self.inside().things);
    }

    /// Takes a request.
    pub fn take(&self, request: &HttpRequest) -> Result<HttpReply, EgressError> {
        let mut inside = self.inside();
        let seen = seen(request);
        inside.seen.push(seen.clone());
        let answer = inside.answers.get_mut(&seen.operation).and_then(VecDeque::pop_front);
        let (status, body) = match answer {
            None => inside.does(&seen),
            Some(Answer::Says(status, body)) => (status, body),
            Some(Answer::Raw(status, headers, body)) => return Ok(reply(status, headers, body)),
            Some(Answer::DoneAndLost) => {
                inside.does(&seen);
                return Err(EgressError::Lost("the connection was cut".to_owned()));
            }
            Some(Answer::Lost) => {
                return Err(EgressError::Lost("the connection was cut".to_owned()));
            }
            Some(Answer::Fails(error)) => return Err(error),
        };
        Ok(reply(status, Vec::new(), body.to_string().into_bytes()))
    }
}

impl Inside {
    fn does(&mut self, seen: &Seen) -> (u16, Value) {
        if seen.authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) {
            return (401, json!({"message": "who are you?"}));
        }
        let id = seen.url.split('/').nth(5).unwrap_or_default().to_owned();
        let body = seen.body.clone().unwrap_or_default();
        match seen.operation.as_str() {
            "whoAmI" => (200, json!({"me": true})),
            "listThings" => {
                let list = self.things.iter();
                (200, list.map(|(id, thing)| json!({"id": id, "mark": thing.mark})).collect())
            }
            "createThing" => self.create(&body),
            _ => match self.things.get_mut(&id) {
                None => (404, json!({"message": "no such thing"})),
                Some(thing) => thing.does(&seen.operation, &body, id).unwrap_or_else(|id| {
                    self.things.remove(&id);
                    (200, json!({}))
                }),
            },
        }
    }

    fn create(&mut self, body: &Value) -> (u16, Value) {
        self.made += 1;
        let (id, password) = (format!("th-{}", self.made), format!("p@ss word/{}!", self.made));
        let thing = Thing {
            mark: body["mark"].as_str().unwrap_or_default().to_owned(),
            size: Value::Null,
            env: Value::Null,
            password: password.clone(),
            starting: 1,
        };
        self.things.insert(id.clone(), thing);
        (201, json!({"id": id, "password": password}))
    }
}

impl Thing {
    /// `Err` with its id when it is to be removed.
    fn does(&mut self, operation: &str, body: &Value, id: String) -> Result<(u16, Value), String> {
        Ok(match operation {
            "getThing" => {
                let ready = self.starting == 0;
                self.starting = self.starting.saturating_sub(1);
                (200, json!({"id": id, "size": self.size, "ready": ready}))
            }
            "getPassword" => (200, json!({"password": self.password})),
            "changeThing" => {
                self.size = body["size"].clone();
                self.env = body["env"].clone();
                (200, json!({"size": self.size}))
            }
            "touchThing" => (200, json!({})),
            "deleteThing" => return Err(id),
            other => (404, json!({"message": format!("no operation {other}")})),
        })
    }
}

fn seen(request: &HttpRequest) -> Seen {
    let body = request.body.as_ref();
    Seen {
        operation: request.operation.clone(),
        method: request.method.clone(),
        url: request.url.clone(),
        authorization: request.authorization.as_ref().map(|value| value.expose().clone()),
        body: body.map(|body| serde_json::from_slice(body.expose()).expect("a body is JSON")),
        rate_key: request.rate.as_ref().map(|(_, key)| key.clone()),
    }
}

fn reply(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> HttpReply {
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    HttpReply { status, headers, body: Redacted::new(body) }
}
