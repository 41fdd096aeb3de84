//! An API in memory: things with a size, a place and a mark.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use ss_core::redact::Redacted;
use ss_ports::{Egress, Exchange, HttpReply, HttpRequest};

/// What there is, and how many there were.
#[derive(Default)]
pub struct Things(Mutex<(BTreeMap<String, Value>, u32)>);

#[async_trait]
impl Egress for Things {
    async fn send(&self, request: HttpRequest) -> Exchange {
        assert_eq!(
            request.authorization.as_ref().map(|token| token.expose().as_str()),
            Some("Bearer test-token"),
        );
        let (status, body) = self.answer(&request);
        let body = body.to_string().into_bytes();
        let bytes = body.len() as u64;
        let reply = HttpReply { status, headers: BTreeMap::new(), body: Redacted::new(body) };
        Exchange { result: Ok(reply), attempts: 1, bytes, duration_ms: 0 }
    }
}

impl Things {
    fn answer(&self, request: &HttpRequest) -> (u16, Value) {
        let path =
            request.url.trim_start_matches("http://127.0.0.1:9/things").trim_start_matches('/');
        let body =
            request.body.as_ref().map(|body| serde_json::from_slice(body.expose()).expect("JSON"));
        let mut kept = self.0.lock().expect("no test panicked");
        let (things, number) = &mut *kept;
        let missing = (404, json!({"message": "no such thing"}));
        match (request.method.as_str(), path) {
            ("GET", "") => (200, json!({"things": things.values().collect::<Vec<_>>()})),
            ("POST", "") => {
                *number += 1;
                let id = format!("t{number}");
                let mut thing: Value = body.expect("a body");
                thing["id"] = json!(id);
                thing["key"] = json!(format!("key-of-{id}-secret"));
                things.insert(id, thing.clone());
                (201, thing)
            }
            ("GET", id) => things.get(id).map_or(missing, |thing| (200, thing.clone())),
            ("PUT", id) => match things.get_mut(id) {
                None => missing,
                Some(thing) => {
                    thing["size"] = body.expect("a body")["size"].clone();
                    (200, thing.clone())
                }
            },
            ("DELETE", id) => things.remove(id).map_or(missing, |_| (204, Value::Null)),
            other => panic!("{other:?}"),
        }
    }
}
