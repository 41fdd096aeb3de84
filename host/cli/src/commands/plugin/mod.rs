//! `ss plugin`: for the authors of provisioners.

mod build;
mod check;
mod language;
mod new;
mod run;
mod test;

use std::sync::Arc;

use ss_conformance::{Bench, Case, CaseError, Fake, QuickClock, free_port};
use ss_egress::{EgressOptions, HttpEgress};
use ss_engine::Failure;
use ss_ports::{Clock, Egress};

pub use language::Language;

use crate::args::Plugin;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins;
use crate::wire::is_loopback;

/// Does what is asked of a plugin.
pub async fn run(context: &Context, command: &Plugin) -> Result<Exit, CommandError> {
    match command {
        Plugin::New(args) => new::run(context, args),
        Plugin::Build(args) => build::run(context, args),
        Plugin::Check { plugin } => check::run(context, plugin),
        Plugin::Run(args) => run::run(context, args).await,
        Plugin::Test(args) => test::run(context, args).await,
    }
}

/// A provisioner on the bench, and the fake that it talks to.
struct Ready {
    bench: Arc<Bench>,
    /// Ends when this is dropped.
    _fake: Option<Fake>,
}

/// Loads the component, reads the case, starts the fake.
async fn ready(
    context: &Context,
    plugin: &str,
    case: &std::path::Path,
) -> Result<Ready, CommandError> {
    let provisioner = Arc::new(plugins::alone(context, plugin)?);
    let path = context.directory.join(case);
    let at = |why: String| unusable(format!("`{}`: {why}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| at(error.to_string()))?;
    let port = free_port().map_err(|error| at(format!("no port is free: {error}")))?;
    let case = Case::parse(&text).map_err(|error| at(error.0))?.at(port);
    if let Some((name, url)) = case.connections.iter().find(|(_, url)| !is_loopback(url)) {
        return Err(at(format!(
            "`connections` leads `{name}` to `{url}`, which is not on this machine"
        )));
    }
    let folder = path.parent().unwrap_or(&context.directory);
    let folder = if folder.as_os_str().is_empty() { std::path::Path::new(".") } else { folder };
    let fake = match case.fake.is_empty() {
        true => None,
        false => Some(Fake::start(&case.fake, folder, port).await.map_err(|error| at(error.0))?),
    };
    let clock = Arc::new(QuickClock::default());
    let told: Arc<dyn Clock> = clock.clone();
    let egress: Arc<dyn Egress> = Arc::new(HttpEgress::new(EgressOptions::default(), told));
    let bench = Bench::new(provisioner, case, egress, clock).map_err(|CaseError(why)| at(why))?;
    Ok(Ready { bench: Arc::new(bench), _fake: fake })
}

fn unusable(message: String) -> CommandError {
    CommandError::new(Exit::Invalid, Failure::new("SS0621", message))
}
