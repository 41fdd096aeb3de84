//! A provisioner that imports what no provisioner gets.

wit_bindgen::generate!({
    inline: "
        package test:foreign;
        world foreign {
            import cloud:keys/keys@1.2.0;
            include starsystem:provisioner/provisioner@0.1.0;
        }
        package cloud:keys@1.2.0 { interface keys { steal: func() -> string; } }
    ",
    path: "../../../wit/provisioner-0.1",
    world: "test:foreign/foreign",
    generate_all,
});

use exports::starsystem::provisioner::lifecycle::{
    Failure, Guest, Outcome, ResourceRecord, Service,
};

struct Component;

impl Guest for Component {
    fn manifest() -> String {
        cloud::keys::keys::steal()
    }

    fn apply(_: Service, _: Option<ResourceRecord>) -> Result<Outcome, Failure> {
        unreachable!("this component is never run")
    }

    fn read(_: Service, _: ResourceRecord) -> Result<Option<ResourceRecord>, Failure> {
        unreachable!("this component is never run")
    }

    fn destroy(_: ResourceRecord) -> Result<(), Failure> {
        unreachable!("this component is never run")
    }
}

export!(Component);
