//! Puts the rooms together: the only place that names them all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ss_core::config::Config;
use ss_core::ident::{DeployId, EnvName, ServiceId};
use ss_core::record::{DeployHeader, RunKind};
use ss_core::redact::Secret;
use ss_egress::{EgressOptions, HttpEgress};
use ss_engine::{EnvCredential, Failure, Override, Ports, Run, Settings, Stop};
use ss_gate::decide::Budget;
use ss_ports::{Clock, Egress, EventSink, Holder, Lease, StateStore, Vault};
use ss_store::LocalStore;
use ss_telemetry::Telemetry;

use crate::catalog::Catalog;
use crate::clock::SystemClock;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::local_cloud;
use crate::project::Project;
use crate::shared_state::{Shared, Whom};
use crate::trust::Trust;

/// The rooms of one system and environment.
pub struct Wired {
    /// The ports.
    pub ports: Ports,
    /// The settings.
    pub settings: Settings,
    /// The trace of this command, when it has one.
    telemetry: Option<Arc<Telemetry>>,
}

/// Where a system's state and its credentials are.
pub type StoreAndVault = (Arc<dyn StateStore>, Arc<dyn Vault>);

/// Opens the store and the vault of a system and environment. Nothing is written yet.
pub fn store_and_vault(
    context: &Context,
    config: &Config,
    env: &EnvName,
    overlay: Option<PathBuf>,
) -> Result<StoreAndVault, CommandError> {
    let vault: Arc<dyn Vault> = Arc::new(context.vault()?.system(&config.system, env));
    match &config.state_backend {
        Some(backend) => {
            let shared = Shared::open(
                context,
                config,
                &backend.value,
                env,
                overlay,
                vault,
                Whom::AllReaders,
            )?;
            Ok((Arc::new(shared.store), Arc::new(shared.vault)))
        }
        None => Ok((Arc::new(local_store(context, config, env, overlay, vault.clone())?), vault)),
    }
}

/// The store on this machine.
pub fn local_store(
    context: &Context,
    config: &Config,
    env: &EnvName,
    overlay: Option<PathBuf>,
    vault: Arc<dyn Vault>,
) -> Result<LocalStore, CommandError> {
    let directory = context.home()?.join("systems").join(config.system.as_str()).join(env.as_str());
    Ok(LocalStore::open(directory, overlay, vault))
}

/// Everything a run needs.
pub fn wire(
    context: &Context,
    project: &Project,
    config: &Config,
    catalog: Catalog,
    events: Arc<dyn EventSink>,
    parallelism: usize,
) -> Result<Wired, CommandError> {
    let env = project.env().clone();
    let (store, vault) = store_and_vault(context, config, &env, Some(project.overlay_path()))?;
    let connections = overrides(context, config, &catalog)?;
    let vault = local_cloud::vault(vault, &connections);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut egress: Arc<dyn Egress> =
        Arc::new(HttpEgress::new(EgressOptions::default(), clock.clone()));
    let mut events = events;
    if let Some(telemetry) = &context.telemetry {
        egress = telemetry.egress(egress);
        events = telemetry.events(events);
    }
    let settings = Settings {
        system: config.system.clone(),
        environment: env,
        overlay: overlay_text(project),
        connections,
        credentials: credentials(config),
        grants: BTreeMap::new(),
        taken: taken(config),
        parallelism,
        budget: Budget::default(),
    };
    let ports = Ports { provisioners: Arc::new(catalog), egress, vault, store, clock, events };
    Ok(Wired { ports, settings, telemetry: context.telemetry.clone() })
}

/// The overlay without `_state`: what a snapshot keeps of the configuration.
fn overlay_text(project: &Project) -> Option<String> {
    ss_core::overlay::splice(&project.overlay.as_ref()?.1.text, None).ok()
}

impl Wired {
    /// A run of the given kind that begins now; under a lease when it writes.
    pub fn run(
        self,
        kind: RunKind,
        lineage: String,
        stop: Stop,
        lease: Option<&Arc<dyn Lease>>,
    ) -> Arc<Run> {
        let header = DeployHeader {
            id: DeployId::random(),
            run: kind,
            system: self.settings.system.clone(),
            environment: self.settings.environment.clone(),
            started_ms: self.ports.clock.now_ms(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            trace_id: self.telemetry.as_ref().map(|telemetry| telemetry.trace_id()),
        };
        if let Some(telemetry) = &self.telemetry {
            telemetry.run(&header);
        }
        let run = Run::new(self.ports, self.settings, header, lineage, stop);
        Arc::new(match lease {
            Some(lease) => run.under(lease),
            None => run,
        })
    }
}

/// Who asks for the lease.
pub fn holder(command: String) -> Holder {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned());
    Holder {
        process: std::process::id(),
        host: host.filter(|name| !name.is_empty()).unwrap_or_else(|| "this machine".to_owned()),
        command,
        since_ms: SystemClock.now_ms(),
    }
}

/// The variables that the overlay names for tokens, and what they hold.
pub fn credentials(config: &Config) -> BTreeMap<ServiceId, EnvCredential> {
    let of = |(id, service): (&ServiceId, &ss_core::config::Service)| {
        let variable = service.target.as_ref()?.credential_env.clone()?;
        let value =
            std::env::var(&variable).ok().filter(|value| !value.is_empty()).map(Secret::new);
        Some((id.clone(), EnvCredential { variable, value }))
    };
    config.services.iter().filter_map(of).collect()
}

fn taken(config: &Config) -> BTreeMap<ServiceId, BTreeSet<String>> {
    let mut taken: BTreeMap<ServiceId, BTreeSet<String>> = BTreeMap::new();
    for input in config.services.values().flat_map(|service| &service.inject_from) {
        taken.entry(input.value.source.clone()).or_default().insert(input.value.name.clone());
    }
    taken
}

/// The overlay's connections. One that gets a credential may only point at this machine, or where the user said
/// (`ss trust`): a cloned repository must not be able to send a token elsewhere.
pub fn overrides(
    context: &Context,
    config: &Config,
    catalog: &Catalog,
) -> Result<BTreeMap<String, Override>, CommandError> {
    let mut overrides = BTreeMap::new();
    for (name, to) in &config.connections {
        let connection = catalog
            .connection(name)
            .map_err(|failure| CommandError::new(Exit::Invalid, failure))?;
        let local = is_loopback(&to.base_url);
        if let Some(auth) = connection.auth.as_ref().filter(|_| !local) {
            let trust = Trust::load(context.home()?)?;
            if !trust.covers(name, &to.base_url) {
                return Err(CommandError::new(
                    Exit::Refused,
                    untrusted(name, &auth.bearer, &to.base_url),
                ));
            }
        }
        if !local && !to.base_url.starts_with("https://") {
            let failure = Failure::new(
                "SS0601",
                format!("`{name}` at `{}`: only https leaves this machine", to.base_url),
            );
            return Err(CommandError::new(Exit::Refused, failure));
        }
        overrides.insert(name.clone(), Override { base_url: to.base_url.clone(), local });
    }
    Ok(overrides)
}

/// What to say of an address that would get a credential without the user's word.
pub fn untrusted(connection: &str, credential: &str, base_url: &str) -> Failure {
    let message = format!(
        "the overlay points `{connection}`, which gets your `{credential}`, at `{base_url}`; nothing was sent"
    );
    let failure = Failure::new("SS0601", message)
        .hint("an address of this machine (127.0.0.1, [::1], localhost) may stand there");
    if !base_url.starts_with("https://") {
        return failure.hint("any other must be https");
    }
    // What is printed here may be pasted into a shell, and a stranger wrote it.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/._~-".contains(&byte);
    if connection.bytes().chain(base_url.bytes()).all(is_plain) {
        return failure.hint(format!(
            "if it is yours, and not only the repository's: `ss trust {connection} {base_url}`"
        ));
    }
    failure.hint("if it is yours, and not only the repository's: `ss trust CONNECTION ADDRESS`")
}

/// Whether a URL names this machine, and nothing that merely looks like it.
pub fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains(['@', '\\', '%', '{']) {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port))
                if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) =>
            {
                host
            }
            _ => return false,
        },
        None => match authority.split_once(':') {
            Some((host, port)) if is_port(port) => host,
            Some(_) => return false,
            None => authority,
        },
    };
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || (authority.starts_with('[')
            && host.parse::<Ipv6Addr>().is_ok_and(|address| IpAddr::V6(address).is_loopback()))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for url in [
            "http://127.0.0.1:4400/x",
            "http://127.9.9.9",
            "http://[::1]:80/",
            "https://localhost:1",
            "http://localhost",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://0.0.0.0:4400",
            "http://localhost.evil.com",
            "http://127.0.0.1.evil.com",
            "http://evil.com/127.0.0.1",
            "http://127.0.0.1@evil.com",
            "http://evil.com#127.0.0.1",
            "http://0x7f.1",
            "http://127.1",
            "http://2130706433",
            "http://[::ffff:127.0.0.1]",
            "http://[::]",
            "ftp://127.0.0.1",
            "http://127.0.0.1:evil",
            "http://{app}.localhost",
            "http://127.0.0.1\\@evil.com",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
