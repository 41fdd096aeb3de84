//! Hands over more than anybody wants, at the place its target names.

use guest::{clock, outcome, progress, secrets};

fn apply(service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    let text = |bytes: usize| "x".repeat(bytes);
    match service.target.as_str() {
        r#"{"at":"log"}"# => progress::log(&text(100_000)),
        r#"{"at":"template"}"# => drop(secrets::compose(&text(100_000), &[])),
        r#"{"at":"random"}"# => drop(clock::random(1_025)),
        r#"{"at":"id"}"# => return Ok(outcome(&text(100_000), "{}")),
        _ => return Ok(outcome(&text(20 << 20), "{}")),
    }
    Ok(outcome("x", "{}"))
}

guest::apply!(apply);
