//! Generated from the contract; nothing is written by hand.

#![expect(missing_docs, reason = "documented in the contract")]

wit_bindgen::generate!({
    path: "../../wit/provisioner-0.1",
    world: "provisioner",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "starsystem_provisioner::component::bindings",
});
