//! `ss`: deploys a system through sandboxed provisioners.
//!
//! This room wires the others together and talks; it decides nothing about plans and rights.

// First, so that its macros are seen everywhere.
#[macro_use]
mod out;

mod args;
mod catalog;
mod clock;
mod commands;
mod complete;
mod context;
mod error;
mod exit;
mod local_cloud;
mod plugins;
mod prepare;
mod project;
#[cfg(test)]
mod reference;
mod render;
mod shared_state;
mod signals;
mod ssh;
mod trust;
mod wire;

use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use ss_core::text::printable;
use ss_engine::Failure;

use args::{Cli, Command};
use context::Context;
use error::CommandError;
use exit::Exit;

fn main() -> ExitCode {
    // Before anything else: a shell asks while somebody types.
    if std::env::var_os(commands::shell::VARIABLE).is_some() {
        CompleteEnv::with_factory(Cli::command).complete();
    }
    if let Some(exit) = std::env::args_os().nth(1).and_then(|first| plugins::serve(&first)) {
        return exit;
    }
    let cli = Cli::parse();
    let context = Context::new(&cli);
    let exit = run(&context, &cli.command).unwrap_or_else(|error| {
        error.print(context.json);
        error.exit
    });
    if let Some(telemetry) = &context.telemetry
        && let Some(why) = telemetry.finish(exit as u8)
        && !context.quiet
    {
        eprintln!("warning: the trace was not exported whole: {}", printable(&why, 400));
    }
    exit.into()
}

fn run(context: &Context, command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Init(args) => commands::init::run(context, args),
        Command::Validate(args) => commands::validate::run(context, args),
        Command::Plan(args) => block_on(commands::plan::run(context, args)),
        Command::Deploy(args) => block_on(commands::deploy::run(context, args)),
        Command::Inspect(args) => block_on(commands::inspect::run(context, args)),
        Command::Drift(args) => block_on(commands::drift::run(context, args)),
        Command::Rollback(args) => block_on(commands::rollback::run(context, args)),
        Command::Import(args) => block_on(commands::import::run(context, args)),
        Command::Destroy(args) => block_on(commands::destroy::run(context, args)),
        Command::Logs(args) => block_on(commands::day_two::logs(context, args)),
        Command::Exec(args) => block_on(commands::day_two::exec(context, args)),
        Command::Ssh(args) => block_on(commands::day_two::ssh(context, args)),
        Command::Graph(args) => commands::graph::run(context, args),
        Command::Unlock(args) => block_on(commands::unlock::run(context, args)),
        Command::State(command) => block_on(commands::state::run(context, command)),
        Command::Vault(command) => block_on(commands::vault::run(context, command)),
        Command::Auth(args) => block_on(commands::auth::run(context, args)),
        Command::Sandbox(command) => commands::sandbox::run(context, command),
        Command::Plugin(command) => block_on(commands::plugin::run(context, command)),
        Command::Schema(args) => commands::schema::run(context, args),
        Command::Doctor(args) => block_on(commands::doctor::run(context, args)),
        Command::Completions { shell } => commands::shell::completions(shell),
        Command::Man { directory } => commands::shell::man(context, directory),
        Command::Trust(args) => commands::trust::run(context, args),
        Command::Explain { code } => commands::explain::run(context, code.as_deref()),
    }
}

/// One thread: a deploy waits for vendors, it does not compute.
fn block_on(work: impl Future<Output = Result<Exit, CommandError>>) -> Result<Exit, CommandError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::new("SS0002", format!("the runtime cannot be started: {error}"))
        })?;
    runtime.block_on(work)
}
