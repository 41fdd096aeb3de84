//! A provisioner that makes nothing: what a deploy costs when no vendor is waited for.
//!
//! It has no operations, so there is nothing that it could send. What it records is what it was told.

use serde::{Deserialize, Serialize};
use starsystem_provisioner::{Failure, Outcome, Provisioner, Recorded, Service, compose};

/// The `target` block.
#[derive(Debug, Deserialize)]
pub struct Target {
    input: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    token: bool,
}

/// What is recorded: what was told.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// Makes nothing.
pub struct Noop;

impl Provisioner for Noop {
    type Target = Target;
    type Attributes = Attributes;
    const MANIFEST: &str = include_str!("../manifest.json");

    fn apply(
        service: Service<Target>,
        _recorded: Option<Recorded<Attributes>>,
    ) -> Result<Outcome<Attributes>, Failure> {
        let Target { input, kind, token } = service.target;
        let made = Recorded::new(&service.mark, Attributes { input, kind });
        let outcome = Outcome::new(made, "nothing made");
        if !token {
            return Ok(outcome);
        }
        let token = compose(&format!("noop-{}", service.mark), &[])?;
        Ok(outcome.output("NOOP_TOKEN", token))
    }

    fn read(
        _service: Service<Target>,
        recorded: Recorded<Attributes>,
    ) -> Result<Option<Recorded<Attributes>>, Failure> {
        Ok(Some(recorded))
    }

    fn destroy(_recorded: Recorded<Attributes>) -> Result<(), Failure> {
        Ok(())
    }
}

starsystem_provisioner::export!(Noop);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_what_is_recorded() {
        let target = Target { input: Some("hello".to_owned()), kind: None, token: false };
        let mark = "ss-1".to_owned();
        let service = Service { id: "one".to_owned(), target, inputs: Vec::new(), mark };
        let made = Noop::apply(service, None).unwrap().made;
        assert_eq!(made.id, "ss-1");
        assert_eq!(made.attributes, Attributes { input: Some("hello".to_owned()), kind: None });
    }
}
