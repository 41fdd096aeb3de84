//! Fault injection: rules that a test installs, matched against each request in order.
//!
//! Pure bookkeeping; `front` carries a fault out. Rules live in memory and are gone after a
//! restart. Every matching rule is counted, and the first one that fires decides.

use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One installed rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Method and path; `*` for any method, `{}` for one segment, a final `{*}` for the rest.
    pub route: String,
    /// How many matching requests pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many are then hit; `null` for all of them.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// What happens.
    pub fault: Fault,
}

fn once() -> Option<u32> {
    Some(1)
}

/// What an injected fault does to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fault {
    /// The connection closes without an answer.
    Cut(Cut),
    /// The answer is replaced.
    Answer(Answer),
    /// The answer comes late, by the clock.
    Delay(Delay),
    /// The operations that this request starts end badly.
    Operation(OperationFault),
    /// A listing names these projects as unavailable instead of listing them.
    Unavailable(Unavailable),
}

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Before the request takes effect.
    CutBefore,
    /// After its effect is committed.
    CutAfter,
}

/// A status in place of the real answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Value>,
    /// The body: a string as it is, anything else as JSON; absent gives the vendor's own shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The content type; JSON unless the body is a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `true` lets the request take effect first: an ambiguous failure.
    #[serde(default)]
    pub after: bool,
}

/// A slow answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// How long, by the clock.
    pub delay_ms: i64,
    /// `true` waits after the effect instead of before it.
    #[serde(default)]
    pub after: bool,
}

/// A bad end for an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationFault {
    /// The status it ends with: `failed`, `error`, `cancelled` or `skipped`.
    pub operation: OperationEnd,
    /// Which action is hit; the last operation of the answer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// With `failed`: the vendor tries again after this long, and succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<i64>,
}

/// How an operation can be made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationEnd {
    /// Not done; perhaps tried again.
    Failed,
    /// Not done.
    Error,
    /// Not done.
    Cancelled,
    /// Done, reported as not needed.
    Skipped,
}

/// Projects that a listing cannot show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unavailable {
    /// Their ids.
    pub unavailable_projects: Vec<String>,
}

/// The installed rules; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Installed>>>,
}

#[derive(Clone, Debug, Serialize)]
struct Installed {
    #[serde(flatten)]
    rule: Rule,
    seen: u32,
    fired: u32,
}

impl Faults {
    /// Adds a rule behind those already there.
    ///
    /// # Errors
    /// A route that is not `METHOD /path`, or a status that HTTP does not have.
    pub fn install(&self, rule: Rule) -> Result<(), String> {
        match rule.route.split_once(' ') {
            Some((_, path)) if path.starts_with('/') => {}
            _ => return Err(format!("route must read `METHOD /path`, not `{}`", rule.route)),
        }
        if let Fault::Answer(answer) = &rule.fault
            && !(200..=599).contains(&answer.status)
        {
            return Err(format!("status {} is not between 200 and 599", answer.status));
        }
        self.rules().push(Installed { rule, seen: 0, fired: 0 });
        Ok(())
    }

    /// Forgets every rule.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// The rules and how often each matched and fired.
    #[must_use]
    pub fn list(&self) -> Value {
        serde_json::to_value(&*self.rules()).unwrap_or_default()
    }

    /// The fault for this request, if any; counts.
    #[must_use]
    pub fn next(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut chosen = None;
        for installed in self.rules().iter_mut() {
            if !matches(&installed.rule.route, method.as_str(), path) {
                continue;
            }
            installed.seen += 1;
            let due = installed.seen > installed.rule.skip
                && installed.rule.times.is_none_or(|times| installed.fired < times);
            if due && chosen.is_none() {
                installed.fired += 1;
                chosen = Some(installed.rule.fault.clone());
            }
        }
        chosen
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Installed>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matches(route: &str, method: &str, path: &str) -> bool {
    let Some((wanted_method, wanted_path)) = route.split_once(' ') else { return false };
    if wanted_method != "*" && !wanted_method.eq_ignore_ascii_case(method) {
        return false;
    }
    let mut given = path.trim_end_matches('/').split('/');
    for wanted in wanted_path.trim_end_matches('/').split('/') {
        if wanted == "{*}" {
            return true;
        }
        let wild = wanted.starts_with('{') && wanted.ends_with('}');
        match given.next() {
            Some(segment) if wild || segment == wanted => {}
            _ => return false,
        }
    }
    given.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(value: Value) -> Rule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn routes_match_by_segment() {
        assert!(matches("GET /a/{id}/c", "GET", "/a/b/c"));
        assert!(matches("* /a/{*}", "PATCH", "/a/b/c"));
        assert!(!matches("GET /a/{}", "GET", "/a/b/c"));
        assert!(!matches("GET /a/{}/c", "GET", "/a/b"));
        assert!(!matches("POST /a", "GET", "/a"));
    }

    #[test]
    fn skips_then_fires_then_is_spent() {
        let faults = Faults::default();
        let cut = json!({"route": "POST /x", "skip": 1, "times": 1, "fault": "cut_after"});
        faults.install(rule(cut)).unwrap();
        let hits: Vec<bool> = (0..3).map(|_| faults.next(&Method::POST, "/x").is_some()).collect();
        assert_eq!(hits, [false, true, false]);
    }

    #[test]
    fn reads_each_kind() {
        let kinds = [
            (json!("cut_before"), Fault::Cut(Cut::CutBefore)),
            (json!({"delay_ms": 5}), Fault::Delay(Delay { delay_ms: 5, after: false })),
            (
                json!({"unavailable_projects": ["p"]}),
                Fault::Unavailable(Unavailable { unavailable_projects: vec!["p".into()] }),
            ),
        ];
        for (given, wanted) in kinds {
            assert_eq!(serde_json::from_value::<Fault>(given).unwrap(), wanted);
        }
        assert!(serde_json::from_value::<Fault>(json!({"stauts": 500})).is_err());
    }
}
