//! What the test components share: the contract's bindings, and a provisioner that does nothing to fill in the
//! functions that a component is not about.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/provisioner-0.1",
        world: "provisioner",
        pub_export_macro: true,
        default_bindings_module: "guest",
    });
}

pub use bindings::*;
pub use exports::starsystem::provisioner::lifecycle::{
    Failure, Guest, Outcome, ResourceRecord, Service,
};
pub use starsystem::provisioner::{api, clock, model, progress, secrets};

/// The manifest of a component that asks for nothing.
pub fn manifest(name: &str) -> String {
    let name = name.replace('_', "-");
    format!(
        r#"{{"manifest": 1, "name": "{name}", "version": "0.1.0", "description": "A test component.", "targets": []}}"#
    )
}

/// An outcome without anything remarkable.
pub fn outcome(id: &str, attributes: &str) -> Outcome {
    Outcome { made: record(id, attributes), outputs: Vec::new(), summary: "done".to_owned() }
}

/// A record without an address.
pub fn record(id: &str, attributes: &str) -> ResourceRecord {
    ResourceRecord { id: id.to_owned(), attributes: attributes.to_owned(), url: None, schema: 1 }
}

/// Makes a component of which only `apply` matters.
#[macro_export]
macro_rules! apply {
    ($apply:expr) => {
        struct Component;

        impl $crate::Guest for Component {
            fn manifest() -> String {
                $crate::manifest(env!("CARGO_PKG_NAME"))
            }

            fn apply(
                service: $crate::Service,
                _recorded: Option<$crate::ResourceRecord>,
            ) -> Result<$crate::Outcome, $crate::Failure> {
                $apply(service)
            }

            fn read(
                _service: $crate::Service,
                recorded: $crate::ResourceRecord,
            ) -> Result<Option<$crate::ResourceRecord>, $crate::Failure> {
                Ok(Some(recorded))
            }

            fn destroy(_recorded: $crate::ResourceRecord) -> Result<(), $crate::Failure> {
                Ok(())
            }
        }

        $crate::export!(Component);
    };
}

/// Makes a component of which only the manifest matters.
#[macro_export]
macro_rules! describe {
    ($manifest:expr) => {
        struct Component;

        impl $crate::Guest for Component {
            fn manifest() -> String {
                $manifest()
            }

            fn apply(
                _service: $crate::Service,
                _recorded: Option<$crate::ResourceRecord>,
            ) -> Result<$crate::Outcome, $crate::Failure> {
                Ok($crate::outcome("x", "{}"))
            }

            fn read(
                _service: $crate::Service,
                recorded: $crate::ResourceRecord,
            ) -> Result<Option<$crate::ResourceRecord>, $crate::Failure> {
                Ok(Some(recorded))
            }

            fn destroy(_recorded: $crate::ResourceRecord) -> Result<(), $crate::Failure> {
                Ok(())
            }
        }

        $crate::export!(Component);
    };
}
