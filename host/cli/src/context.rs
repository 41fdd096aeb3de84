//! Where `ss` works and how it talks: read once, from the command line and the environment.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ss_core::redact::Secret;
use ss_core::text::printable;
use ss_engine::Failure;
use ss_telemetry::{Config, Decision, Telemetry};
use ss_vault::{AskPassphrase, IdentitySource, VaultHome, VaultOptions};

use crate::args::{Cli, Command};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::render::style::Style;

/// The surroundings of one command.
#[derive(Clone)]
pub struct Context {
    /// The directory with `starsystem.yaml`.
    pub directory: PathBuf,
    /// `--json`.
    pub json: bool,
    /// `--quiet`.
    pub quiet: bool,
    /// Colours or none.
    pub style: Style,
    /// The trace of this command, when one is asked for.
    pub telemetry: Option<Arc<Telemetry>>,
    /// `--call-timeout`.
    pub call_timeout: Option<Duration>,
    home: Option<PathBuf>,
}

impl Context {
    /// Reads the surroundings.
    pub fn new(cli: &Cli) -> Self {
        let variable = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        Self {
            directory: cli.directory.clone().unwrap_or_else(|| PathBuf::from(".")),
            json: cli.json,
            quiet: cli.quiet,
            style: Style::detect(cli.no_color || cli.json),
            telemetry: telemetry(&cli.command),
            call_timeout: cli.call_timeout.map(Duration::from_secs),
            home: variable("STARSYSTEM_HOME")
                .or_else(|| variable("HOME").map(|home| home.join(".starsystem"))),
        }
    }

    /// `STARSYSTEM_HOME`, or `~/.starsystem`.
    pub fn home(&self) -> Result<&Path, CommandError> {
        self.home.as_deref().ok_or_else(|| {
            let failure =
                Failure::new("SS0406", "there is no home: neither STARSYSTEM_HOME nor HOME is set")
                    .hint("set STARSYSTEM_HOME to a directory that only you can read");
            CommandError::new(Exit::Failed, failure)
        })
    }

    /// The vault below the home.
    pub fn vault(&self) -> Result<VaultHome, CommandError> {
        let home = self.home()?.to_owned();
        let identity = if let Some(key) =
            std::env::var("STARSYSTEM_AGE_KEY").ok().filter(|key| !key.is_empty())
        {
            IdentitySource::Key(Secret::new(key))
        } else if let Some(path) =
            std::env::var_os("STARSYSTEM_IDENTITY").filter(|path| !path.is_empty())
        {
            IdentitySource::File(PathBuf::from(path))
        } else {
            IdentitySource::Home
        };
        let passphrase = AskPassphrase::new(passphrase);
        Ok(VaultHome::new(VaultOptions { home, identity, passphrase }))
    }
}

/// STARSYSTEM_PASSPHRASE, or what the person types.
fn passphrase(named: &str) -> Result<Secret, String> {
    if let Some(text) = std::env::var("STARSYSTEM_PASSPHRASE").ok().filter(|text| !text.is_empty())
    {
        return Ok(Secret::new(text));
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "{named} is under a passphrase, and there is no terminal to ask on; set STARSYSTEM_PASSPHRASE"
        ));
    }
    rpassword::prompt_password(format!("Passphrase of {named}: "))
        .map(Secret::new)
        .map_err(|error| format!("the passphrase cannot be read: {error}"))
}

/// Begins the trace of a command that talks to providers, when the `OTEL_*` variables ask for one.
fn telemetry(command: &Command) -> Option<Arc<Telemetry>> {
    let name = match command {
        Command::Deploy(_) => "deploy",
        Command::Destroy(_) => "destroy",
        Command::Drift(_) => "drift",
        Command::Plan(args) if args.scope.refresh => "plan",
        _ => return None,
    };
    match Config::read(&|name| std::env::var(name).ok()) {
        Decision::Off => None,
        Decision::On(config) => Some(Telemetry::begin(name, *config)),
        Decision::Unusable(why) => {
            eprintln!("warning: no trace is exported: {}", printable(&why, 400));
            None
        }
    }
}
