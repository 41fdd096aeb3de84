//! What a shell may complete: names that only this project and this machine know. Trouble of any kind completes nothing.

use std::ffi::OsStr;

use clap::Parser;
use clap_complete::CompletionCandidate;
use ss_ports::StateStore;

use crate::args::Cli;
use crate::context::Context;
use crate::project::{Project, environments};
use crate::wire;

/// The surroundings of a command without flags.
fn context() -> Context {
    Context::new(&Cli::parse_from(["ss", "doctor"]))
}

fn candidates(names: impl Iterator<Item = String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    names.filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

/// Environments that have an overlay here.
pub fn envs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let context = context();
    candidates(environments(&context.directory).into_iter().map(|env| env.to_string()), typed)
}

/// Services of the system.
pub fn services(typed: &OsStr) -> Vec<CompletionCandidate> {
    let config = Project::open_base(&context()).and_then(|project| project.config());
    let services = config.map(|config| config.services).unwrap_or_default();
    candidates(services.into_keys().map(|id| id.to_string()), typed)
}

/// Deploys of every environment, the newest first.
pub fn deploys(typed: &OsStr) -> Vec<CompletionCandidate> {
    let context = context();
    let mut receipts = Vec::new();
    for env in environments(&context.directory) {
        let Ok(project) = Project::open(&context, Some(env.as_str())) else { continue };
        let Ok(config) = project.config() else { continue };
        // A key press does not wait for a network.
        if config.state_backend.is_some() {
            continue;
        }
        let Ok((store, _)) = wire::store_and_vault(&context, &config, &env, None) else { continue };
        receipts.extend(read(&*store));
    }
    receipts.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
    candidates(receipts.into_iter().map(|(_, id)| id), typed)
}

fn read(store: &dyn StateStore) -> Vec<(i64, String)> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return Vec::new();
    };
    let receipts = runtime.block_on(store.receipts());
    let receipts = receipts.map(|found| found.found).unwrap_or_default();
    receipts.into_iter().map(|one| (one.header.started_ms, one.header.id.to_string())).collect()
}
