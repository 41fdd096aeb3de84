//! The provisioners of a project: those that are part of the binary, and those that its files name.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use ss_core::check::TargetType;
use ss_core::config::Config;
use ss_core::diag::did_you_mean;
use ss_core::schema::immutable_paths;
use ss_core::text::printable;
use ss_engine::Failure;
use ss_gate::manifest::{Connection, Credential, Manifest};
use ss_ports::{Plugin, Provisioner, Provisioners, UnknownTarget};
use ss_wasm::{Limits, WasmProvisioner};

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins;

/// Provisioners by target type. Nothing is loaded before its first call.
pub struct Catalog {
    by_target: BTreeMap<String, Arc<dyn Provisioner>>,
    plugins: Vec<Arc<dyn Provisioner>>,
}

impl Catalog {
    /// The first-party provisioners alone.
    pub fn first_party() -> Self {
        let mut catalog = Self { by_target: BTreeMap::new(), plugins: Vec::new() };
        for provisioner in ss_wasm::first_party() {
            catalog.add(Arc::new(provisioner));
        }
        catalog
    }

    /// The first-party provisioners and the ones that the configuration names, which come first.
    pub fn of_project(
        context: &Context,
        directory: &Path,
        config: Option<&Config>,
        grants: &[String],
    ) -> Result<Self, CommandError> {
        let mut catalog = Self { by_target: BTreeMap::new(), plugins: Vec::new() };
        for provisioner in ss_wasm::first_party() {
            catalog.add(Arc::new(timed(context, provisioner)));
        }
        if let Some(config) = config.filter(|config| !config.plugins.is_empty()) {
            for provisioner in plugins::load(context, directory, config, grants)? {
                catalog.refuse_clash(provisioner.plugin())?;
                catalog.add(Arc::new(timed(context, provisioner)));
            }
        }
        Ok(catalog)
    }

    /// What one plugin offers is nobody else's: a target type that changed hands would be deployed by somebody whom the
    /// user did not choose, and an override of a connection that two have would carry the credential of one to the
    /// address that was meant for the other.
    fn refuse_clash(&self, plugin: &Plugin) -> Result<(), CommandError> {
        let others =
            || self.plugins.iter().filter(|known| known.plugin().pin.name != plugin.pin.name);
        let holder = |holds: &dyn Fn(&Plugin) -> bool| {
            others().find(|known| holds(known.plugin())).map(|known| &known.plugin().pin.name)
        };
        let clash = |what: &str, name: &str, holder: &dyn Display| {
            let message = format!(
                "the plugin `{}` offers the {what} `{}`, which belongs to the plugin `{holder}`",
                plugin.pin.name,
                printable(name, 100)
            );
            let failure = Failure::new("SS0612", message)
                .hint("to put one plugin in the place of another, give it the other's name");
            Err(CommandError::new(Exit::Invalid, failure))
        };
        for target in &plugin.manifest.targets {
            let holds =
                |known: &Plugin| known.manifest.targets.iter().any(|t| t.kind == target.kind);
            if let Some(holder) = holder(&holds) {
                return clash("target type", &target.kind, holder);
            }
        }
        for connection in &plugin.manifest.connections {
            let holds = |known: &Plugin| {
                known.manifest.connections.iter().any(|c| c.name == connection.name)
            };
            if let Some(holder) = holder(&holds) {
                return clash("connection", &connection.name, holder);
            }
        }
        Ok(())
    }

    fn add(&mut self, provisioner: Arc<dyn Provisioner>) {
        let name = provisioner.plugin().pin.name.clone();
        // A plugin that the project names takes the place of a first-party one of the same name, whole.
        self.plugins.retain(|known| known.plugin().pin.name != name);
        self.by_target.retain(|_, known| known.plugin().pin.name != name);
        for target in &provisioner.plugin().manifest.targets {
            self.by_target.insert(target.kind.clone(), provisioner.clone());
        }
        self.plugins.push(provisioner);
    }

    /// What the configuration is checked against.
    pub fn types(&self) -> BTreeMap<String, TargetType> {
        let entry = |(kind, provisioner): (&String, &Arc<dyn Provisioner>)| {
            let Plugin { pin, manifest } = provisioner.plugin();
            let schema =
                manifest.targets.iter().find(|target| target.kind == *kind)?.schema.clone();
            let facts = manifest.facts(kind, pin, immutable_paths(&schema))?;
            Some((kind.clone(), TargetType { facts: Arc::new(facts), schema }))
        };
        self.by_target.iter().filter_map(entry).collect()
    }

    /// All connections of all plugins.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.plugins.iter().flat_map(|provisioner| &provisioner.plugin().manifest.connections)
    }

    /// What the plugins say of themselves.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.plugins.iter().map(|provisioner| &*provisioner.plugin().manifest)
    }

    /// All credentials of all plugins.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> + Clone {
        self.plugins.iter().flat_map(|provisioner| &provisioner.plugin().manifest.credentials)
    }

    /// A connection by its name, or why there is none.
    pub fn connection(&self, name: &str) -> Result<&Connection, Failure> {
        self.connections().find(|connection| connection.name == name).ok_or_else(|| {
            let failure = Failure::new(
                "SS0602",
                format!("the overlay overrides the connection `{name}`, and no provisioner has it"),
            );
            match did_you_mean(name, self.connections().map(|connection| connection.name.as_str()))
            {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })
    }
}

/// With the time that the user gives to a call.
fn timed(context: &Context, provisioner: WasmProvisioner) -> WasmProvisioner {
    let Some(wall) = context.call_timeout else { return provisioner };
    let limits = Limits { wall, ..provisioner.limits().clone() };
    provisioner.with_limits(limits)
}

impl Provisioners for Catalog {
    fn for_target(&self, kind: &str) -> Result<Arc<dyn Provisioner>, UnknownTarget> {
        self.by_target.get(kind).cloned().ok_or_else(|| UnknownTarget(kind.to_owned()))
    }
}
