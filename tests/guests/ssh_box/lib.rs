//! Provisions nothing and records its target: what a provisioner of machines that are reached by ssh leaves behind.

use guest::{Failure, Guest, Outcome, ResourceRecord, Service};

struct SshBox;

impl Guest for SshBox {
    fn manifest() -> String {
        r#"{
            "manifest": 1, "name": "ssh-box", "version": "0.1.0", "description": "A machine that is there already.",
            "targets": [{"type": "ssh-box", "description": "A machine.", "schema": {"type": "object"}, "creates": "nothing"}]
        }"#
        .to_owned()
    }

    fn apply(service: Service, _: Option<ResourceRecord>) -> Result<Outcome, Failure> {
        Ok(guest::outcome("box", &service.target))
    }

    fn read(_: Service, recorded: ResourceRecord) -> Result<Option<ResourceRecord>, Failure> {
        Ok(Some(recorded))
    }

    fn destroy(_: ResourceRecord) -> Result<(), Failure> {
        Ok(())
    }
}

guest::export!(SshBox);
