//! Hands over what is no JSON object, at the place its target names.

use guest::model::FailureKind;
use guest::{Failure, outcome, progress, record};

fn apply(service: guest::Service) -> Result<guest::Outcome, Failure> {
    match service.target.as_str() {
        r#"{"at":"checkpoint"}"# => progress::checkpoint(&record("x", "{'single': 1}")),
        r#"{"at":"details"}"# => {
            let details = Some("[]".to_owned());
            let (kind, message) = (FailureKind::Broken, "no".to_owned());
            return Err(Failure { kind, message, retry_after_ms: None, details });
        }
        _ => {}
    }
    Ok(outcome("x", "not json"))
}

guest::apply!(apply);
