//! How ids become this service's own: by an answer that made them, by a reply that carries its mark, or because the
//! user named them.

use serde_json::Value;
use ss_core::state::Owned;

use crate::call::Call;
use crate::manifest::{Connection, Operation};
use crate::pointer::Pattern;

/// Adds what a successful exchange makes or proves. `request` is the body as the plugin gave it.
pub fn learn(
    owned: &mut Owned,
    connection: &Connection,
    operation: &Operation,
    call: &Call,
    request: Option<&Value>,
    reply: &Value,
    mark: &str,
) {
    let ids = owned.entry(connection.name.clone()).or_default();
    for (param, source) in &operation.owns {
        let (document, pointer) = match source.strip_prefix("request:") {
            Some(pointer) => (request, pointer),
            None => (Some(reply), source.as_str()),
        };
        if let Some(id) = document.and_then(|document| document.pointer(pointer)).and_then(id_text)
        {
            ids.entry(param.clone()).or_default().insert(id);
        }
    }
    for adoption in &operation.adopts {
        let Ok(marks) = Pattern::parse(&adoption.mark) else { continue };
        for (bound, _) in
            marks.select(reply).into_iter().filter(|(_, value)| value.as_str() == Some(mark))
        {
            let id = match &adoption.id {
                None => call
                    .params
                    .iter()
                    .find(|param| param.name == adoption.param)
                    .map(|param| param.value.clone()),
                Some(pattern) => Pattern::parse(pattern)
                    .ok()
                    .and_then(|p| reply.pointer(&p.bind(&bound)).and_then(id_text)),
            };
            if let Some(id) = id {
                ids.entry(adoption.param.clone()).or_default().insert(id);
            }
        }
    }
    if ids.is_empty() {
        owned.remove(&connection.name);
    }
}

/// Adds what a successful read shows while a resource is taken over: the id that the user named, where the plugin used
/// it and the vendor knows it, and the ids of what is inside of it.
pub fn learn_named(
    owned: &mut Owned,
    connection: &Connection,
    operation: &Operation,
    call: &Call,
    reply: &Value,
    named: &str,
) {
    let ids = owned.entry(connection.name.clone()).or_default();
    let value = |name: &str| call.params.iter().find(|param| param.name == name);
    let mut inside = false;
    for name in operation.route.params().filter(|name| connection.owns_param(name)) {
        let Some(param) = value(name).filter(|param| param.value == named) else { continue };
        ids.entry(name.to_owned()).or_default().insert(param.value.clone());
        inside = true;
    }
    for adoption in operation.adopts.iter().filter(|_| inside) {
        let Some(pattern) = adoption.id.as_deref().and_then(|id| Pattern::parse(id).ok()) else {
            continue;
        };
        let found = pattern.select(reply).into_iter().filter_map(|(_, value)| id_text(value));
        ids.entry(adoption.param.clone()).or_default().extend(found);
    }
    ids.retain(|_, values| !values.is_empty());
    if ids.is_empty() {
        owned.remove(&connection.name);
    }
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
