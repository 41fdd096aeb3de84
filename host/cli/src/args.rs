//! The command line, as data.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::ArgValueCompleter;
use ss_core::ident::EnvName;

use crate::complete;

/// Deploys a system: what it is stands in `starsystem.yaml`, where it runs in `starsystem.<env>.yaml`.
#[derive(Debug, Parser)]
#[command(name = "ss", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Work in this directory
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print no colours (also: NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// How long one call of a provisioner may take, waiting included (default: 1200)
    #[arg(long, value_name = "SECONDS", global = true, hide_short_help = true)]
    pub call_timeout: Option<u64>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a new starsystem.yaml and an overlay
    Init(Init),
    /// Check the configuration
    Validate(Environment),
    /// Show what a deploy would do
    Plan(Plan),
    /// Make it so
    Deploy(Deploy),
    /// Show what a deploy did, and what there is
    Inspect(Inspect),
    /// Compare what is recorded with what is there
    Drift(Drift),
    /// Go back to an earlier deploy's credentials and state
    Rollback(Rollback),
    /// Take over a resource that exists, without changing it
    Import(Import),
    /// Remove everything from an environment
    Destroy(Destroy),
    /// Show a service's log lines
    Logs(Logs),
    /// Run a command in a service
    Exec(Exec),
    /// Open a shell on a service's machine, with the system's ssh
    Ssh(Exec),
    /// Draw the system
    #[command(subcommand)]
    Graph(Graph),
    /// Show which run holds the lock; a run that was killed holds nothing
    Unlock(Environment),
    /// Look at the state, move it, put it back
    #[command(subcommand)]
    State(State),
    /// Keep credentials, encrypted
    #[command(subcommand)]
    Vault(Vault),
    /// Log in to a provider: get a token, try it, keep it
    Auth(Auth),
    /// A local Neon and Fly on this machine
    #[command(subcommand)]
    Sandbox(Sandbox),
    /// Write, look at and try provisioners
    #[command(subcommand)]
    Plugin(Plugin),
    /// Print the JSON Schema of starsystem.yaml, for editors
    Schema(Schema),
    /// Look whether this machine and project are ready
    Doctor(Doctor),
    /// Print the completion script of a shell
    Completions {
        /// bash, zsh, fish, powershell or elvish
        shell: String,
    },
    /// Write man pages
    Man {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Let an address besides a plugin's own get its credential
    Trust(Trust),
    /// Explain an error code
    Explain {
        /// The code, e.g. SS0101; without it, all codes are listed
        code: Option<String>,
    },
}

/// `--env`.
#[derive(Debug, Clone, Args)]
pub struct Environment {
    /// The environment: `prod` for starsystem.prod.yaml
    #[arg(long, value_name = "ENV", add = ArgValueCompleter::new(complete::envs))]
    pub env: Option<String>,
}

/// `ss init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The system's name; the directory's name when absent
    pub name: Option<String>,
    /// The environment to write an overlay for
    #[arg(long, value_name = "ENV", default_value = "prod")]
    pub env: String,
}

/// `ss schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// The schema of overlays, `starsystem.<env>.yaml`
    #[arg(long)]
    pub overlay: bool,
    /// Write both schemas below .starsystem/, where the files of `ss init` look for them
    #[arg(long, conflicts_with = "overlay")]
    pub write: bool,
}

/// What plan and deploy share.
#[derive(Debug, Clone, Args)]
pub struct Scope {
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// Only this service, and what it stands on
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::services))]
    pub service: Vec<String>,
    /// Read the real resources first
    #[arg(long)]
    pub refresh: bool,
    /// Allow a data-bearing service to be replaced, which loses its data
    #[arg(long, value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub allow_replace: Vec<String>,
    /// Allow a data-bearing service that is no longer configured to be destroyed
    #[arg(long, value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub allow_destroy: Vec<String>,
    /// Grant a plugin that is used for the first time what it asks for
    #[arg(long, value_name = "NAME@DIGEST")]
    pub grant: Vec<String>,
}

/// `ss plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// What and where
    #[command(flatten)]
    pub scope: Scope,
    /// Save the plan to a file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `ss deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// What and where
    #[command(flatten)]
    pub scope: Scope,
    /// A saved plan: exactly this is done, or nothing
    pub plan: Option<PathBuf>,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Leave out services whose target type no provisioner offers
    #[arg(long)]
    pub allow_skip: bool,
    /// How many services at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub parallelism: usize,
}

impl Deploy {
    /// The deploy of a whole environment, with nothing allowed that a person did not allow.
    pub fn of(env: &EnvName, refresh: bool) -> Self {
        let environment = Environment { env: Some(env.to_string()) };
        let (service, allow_replace, allow_destroy, grant) = Default::default();
        let scope = Scope { environment, service, refresh, allow_replace, allow_destroy, grant };
        let (plan, dry_run, yes, allow_skip) = Default::default();
        Self { scope, plan, dry_run, yes, allow_skip, parallelism: 16 }
    }
}

/// `ss inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The deploy's id, or its first four characters or more; the latest when absent
    #[arg(add = ArgValueCompleter::new(complete::deploys))]
    pub id: Option<String>,
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// List all deploys
    #[arg(long)]
    pub list: bool,
    /// Show what there is
    #[arg(long)]
    pub state: bool,
    /// Show every request
    #[arg(long)]
    pub requests: bool,
    /// Check that nobody changed the receipt since it was written
    #[arg(long)]
    pub verify: bool,
}

/// `ss drift`.
#[derive(Debug, Args)]
pub struct Drift {
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// Deploy afterwards, so that what is there is again as configured
    #[arg(long, conflicts_with = "adopt")]
    pub fix: bool,
    /// Record what is there
    #[arg(long)]
    pub adopt: bool,
}

/// `ss rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// List the deploys
    #[arg(long, conflicts_with_all = ["to", "restore_config", "deploy"])]
    pub list: bool,
    /// The deploy to go back to: its id, or the first four characters or more
    #[arg(long, value_name = "ID")]
    pub to: Option<String>,
    /// Put back the overlay too, as that deploy read it
    #[arg(long, requires = "to")]
    pub restore_config: bool,
    /// Deploy afterwards
    #[arg(long, requires = "to")]
    pub deploy: bool,
}

/// `ss import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The service that takes it over
    pub service: String,
    /// The vendor's id of the resource: a Neon project's id, a Fly app's name
    pub id: String,
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// Grant a plugin that is used for the first time what it asks for
    #[arg(long, value_name = "NAME@DIGEST")]
    pub grant: Vec<String>,
}

/// `ss destroy`.
#[derive(Debug, Args)]
pub struct Destroy {
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// Only this service, and what stands on it
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::services))]
    pub service: Vec<String>,
    /// The environment's name, instead of typing it when asked
    #[arg(long, value_name = "ENV")]
    pub yes: Option<String>,
}

/// `ss logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The service
    pub service: String,
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// Go on as new lines come
    #[arg(long, short)]
    pub follow: bool,
    /// How many lines at first, at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    pub lines: usize,
}

/// `ss exec` and `ss ssh`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The service
    pub service: String,
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// The command and its arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `ss graph`.
#[derive(Debug, Subcommand)]
pub enum Graph {
    /// Print a diagram
    Render {
        /// The environment; without one, the services as the base has them
        #[command(flatten)]
        environment: Environment,
        /// Services and what they stand on
        #[arg(long)]
        services: bool,
        /// How it is written
        #[arg(long, value_enum, default_value_t = GraphFormat::Mermaid)]
        format: GraphFormat,
    },
}

/// How a diagram is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GraphFormat {
    /// For Markdown pages.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// `ss trust`.
#[derive(Debug, Args)]
pub struct Trust {
    /// The connection, e.g. neon-api; without it, what is trusted is listed
    #[arg(requires = "base_url")]
    pub connection: Option<String>,
    /// The address, as the overlay has it: `https://proxy.example.com/neon`
    pub base_url: Option<String>,
    /// Trust it no longer
    #[arg(long, requires = "connection")]
    pub rm: bool,
}

/// `ss state`.
#[derive(Debug, Subcommand)]
pub enum State {
    /// Show where the state is and what is in it
    Show(Environment),
    /// Print the state, as `push` takes it
    Pull(Environment),
    /// Put a state in the place of what is there
    Push(StatePush),
    /// Move the state of this machine to the place that `state` in the overlay names
    Migrate(Environment),
    /// Encrypt everything in a shared place again, to the vault's recipients of now
    Reseal(Environment),
}

/// `ss state push`.
#[derive(Debug, Args)]
pub struct StatePush {
    /// What `ss state pull` printed; `-` for the standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// Also an older state, or one of another lineage: what is there now is forgotten
    #[arg(long)]
    pub force: bool,
}

/// `ss vault`.
#[derive(Debug, Subcommand)]
pub enum Vault {
    /// Store a credential
    Set {
        /// `neon.api_token`, or `app-db.DATABASE_URL` for a service's
        key: String,
        /// The value; asked for, or read from standard input, when absent
        value: Option<String>,
        /// The environment, for a service's credential
        #[command(flatten)]
        environment: Environment,
    },
    /// Print a credential
    Get {
        /// Its name
        key: String,
        /// The environment, for a service's credential
        #[command(flatten)]
        environment: Environment,
    },
    /// List names, never values
    List {
        /// The environment
        #[command(flatten)]
        environment: Environment,
    },
    /// Give the vault a new key
    RotateKey,
    /// Choose who can read the vault
    #[command(subcommand)]
    Recipients(Recipients),
    /// Put a passphrase around the vault's key, or change it
    Passphrase {
        /// Take it off
        #[arg(long)]
        remove: bool,
    },
    /// Remove a credential
    Rm {
        /// Its name
        key: String,
        /// The environment, for a service's credential
        #[command(flatten)]
        environment: Environment,
    },
}

/// `ss vault recipients`.
#[derive(Debug, Subcommand)]
pub enum Recipients {
    /// Let a key read the vault, from its present content on
    Add {
        /// The age public key, `age1…`
        key: String,
        /// Whose it is
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List the keys that can read the vault
    List,
    /// Encrypt the vault without a key
    Rm {
        /// The age public key
        key: String,
    },
}

/// `ss doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The environment
    #[command(flatten)]
    pub environment: Environment,
    /// Try no tokens
    #[arg(long)]
    pub offline: bool,
}

/// `ss auth`.
#[derive(Debug, Args)]
pub struct Auth {
    /// The provisioner: `neon`, `fly`
    pub provisioner: String,
    /// The environment whose connections are asked
    #[command(flatten)]
    pub environment: Environment,
    /// Take a token from the keyboard or standard input
    #[arg(long, conflicts_with = "browser")]
    pub paste: bool,
    /// Log in with the browser, also when this is no terminal (Fly)
    #[arg(long)]
    pub browser: bool,
}

/// `ss sandbox`.
#[derive(Debug, Subcommand)]
pub enum Sandbox {
    /// Start it in the background
    Start(SandboxPlace),
    /// Run it in the foreground
    Serve {
        /// Which
        #[command(flatten)]
        place: SandboxPlace,
        /// How many times faster than real time its own time passes; `ss plugin test` goes fifty times as fast
        #[arg(long, value_name = "N", default_value_t = 1.0)]
        speed: f64,
    },
    /// Stop it and everything it runs
    Stop(SandboxPlace),
    /// Show what it runs
    Status(SandboxPlace),
    /// Show its log
    Logs(SandboxPlace),
    /// Stop it and forget everything in it
    Reset(SandboxPlace),
    /// Let hostile provisioners loose on this very binary; fails when anything gets through
    Selftest,
}

/// Which sandbox.
#[derive(Debug, Clone, Args)]
pub struct SandboxPlace {
    /// The port on 127.0.0.1
    #[arg(long, default_value_t = 4400)]
    pub port: u16,
    /// What to run for an image; sandbox.yaml in the directory when absent
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `ss plugin`.
#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// Begin a provisioner: one that works, with its tests, a fake of its API and the SDK
    New(PluginNew),
    /// Build the provisioner in a folder, and say how large and how quick it is
    Build(PluginBuild),
    /// Look at a component: its manifest, its imports, what it may do
    Check {
        /// The component's file, or the name of a first-party plugin
        plugin: String,
    },
    /// Call one function of a provisioner
    Run(PluginRun),
    /// Try a provisioner against everything that goes wrong
    Test(PluginTest),
}

/// `ss plugin new`.
#[derive(Debug, Args)]
pub struct PluginNew {
    /// What it is called; the folder, too
    pub name: String,
    /// What it is written in
    #[arg(long, value_enum)]
    pub lang: crate::commands::plugin::Language,
}

/// `ss plugin build`.
#[derive(Debug, Args)]
pub struct PluginBuild {
    /// The folder with the provisioner
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Where the component goes; in the folder, named after it, when absent
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `ss plugin run`.
#[derive(Debug, Args)]
pub struct PluginRun {
    /// The component's file, or the name of a first-party plugin
    pub plugin: String,
    /// Which function
    #[arg(value_enum)]
    pub function: Function,
    /// What is asked of it, YAML or JSON
    #[arg(
        long,
        visible_alias = "service",
        value_name = "FILE",
        default_value = "provisioner-test.yaml"
    )]
    pub case: PathBuf,
    /// Where the record stays between the calls
    #[arg(long, value_name = "FILE", default_value = ".starsystem/plugin-run.json")]
    pub state: PathBuf,
    /// Show every operation with its body; secrets never reach a provisioner, so none is shown
    #[arg(long)]
    pub trace: bool,
}

/// The functions of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Function {
    /// What it says of itself.
    Manifest,
    /// Makes the resource, or changes it.
    Apply,
    /// Reads it.
    Read,
    /// Removes it.
    Destroy,
}

/// `ss plugin test`.
#[derive(Debug, Args)]
pub struct PluginTest {
    /// The component's file, or the name of a first-party plugin
    pub plugin: String,
    /// What is asked of it and where the API's fake is, YAML or JSON
    #[arg(long, value_name = "FILE", default_value = "provisioner-test.yaml")]
    pub case: PathBuf,
    /// Only this: lifecycle, create, update, replace, destroy or read
    #[arg(long, value_name = "AREA")]
    pub only: Vec<String>,
    /// Write the report for a CI system, too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}
