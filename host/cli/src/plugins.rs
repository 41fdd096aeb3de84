//! Plugins that a project names: found, pinned and granted before anything of them is used.

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ss_core::config::Config;
use ss_core::diag::{Code, Diagnostic};
use ss_core::text::printable;
use ss_engine::Failure;
use ss_gate::rights;
use ss_ports::Provisioner;
use ss_registry::{Candidate, Consent, Decision, Lock, Question, resolve};
use ss_wasm::{Wall, WasmProvisioner};

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// The argument with which `ss` starts itself to compile a plugin.
const COMPILER: &str = "__compile-component";
/// Compiling takes seconds, and on a busy machine a minute; its processor time is bounded apart.
const COMPILING_MAX: Duration = Duration::from_secs(300);

/// The argument with which `ss` starts itself to run a plugin behind the second wall.
const WALLED: &str = "__walled-component";
/// Says what the user makes of the second wall.
const WALL_VARIABLE: &str = "STARSYSTEM_WALL";

/// What `ss` does instead of what it is for, when it starts itself; `None` when somebody else started it.
pub fn serve(argument: &OsStr) -> Option<ExitCode> {
    if argument == COMPILER {
        return Some(serve_compiler());
    }
    // What it has to say goes to its parent, which sees it end.
    let served = || if ss_wasm::serve_wall().is_ok() { 0 } else { 2 };
    (argument == WALLED).then(|| ExitCode::from(served()))
}

/// The second wall, as the user wants it; `None` when it is turned off.
pub fn wall() -> Result<Option<Wall>, CommandError> {
    let wanted = std::env::var(WALL_VARIABLE).unwrap_or_default();
    let required = match wanted.as_str() {
        "" | "on" => false,
        "required" => true,
        "off" => return Ok(None),
        other => {
            let other = printable(other, 100);
            return Err(CommandError::usage(format!(
                "{WALL_VARIABLE} is `{other}`; it may be `on`, `required` or `off`"
            )));
        }
    };
    let Some(program) = this_program() else {
        return Err(Failure::new(
            "SS0612",
            "`ss` does not find itself, to start plugins in a process of their own",
        )
        .hint(format!("without one: {WALL_VARIABLE}=off"))
        .into());
    };
    Ok(Some(Wall { program, arguments: vec![WALLED.to_owned()], required }))
}

/// The child that compiles. What it has to say goes to its parent.
fn serve_compiler() -> ExitCode {
    match ss_wasm::serve_compiler() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) => ExitCode::from(2),
    }
}

/// This program itself, also when its file was replaced meanwhile.
pub fn this_program() -> Option<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Some(running) } else { std::env::current_exe().ok() }
}

const LOCK_FILE: &str = "starsystem.lock";

/// Loads what the configuration names. A plugin that asks for more than the lock grants is loaded only after the
/// user's word.
pub fn load(
    context: &Context,
    directory: &Path,
    config: &Config,
    grants: &[String],
) -> Result<Vec<WasmProvisioner>, CommandError> {
    let consents: Result<Vec<Consent>, CommandError> = grants
        .iter()
        .map(|text| {
            text.parse().map_err(|error| CommandError::usage(format!("`--grant={text}`: {error}")))
        })
        .collect();
    let consents = consents?;
    let path = directory.join(LOCK_FILE);
    let mut lock = Lock::load(&path).map_err(|error| Failure::new("SS0611", error.to_string()))?;
    let before = lock.clone();
    let cache = context.home()?.join("plugins");
    compile_apart(context);
    let wall = wall()?;
    let mut loaded = Vec::new();
    for (name, reference) in &config.plugins {
        let span = reference.span;
        let reference = reference.value.as_str();
        let unusable = |message: String| {
            let problem = Diagnostic::error(Code::UnusablePlugin, message).at(span, "");
            CommandError::invalid(vec![problem.help("`ss explain SS0612` says what is looked for")])
        };
        let component = resolve(reference, directory)
            .and_then(|found| found.read())
            .map_err(|error| unusable(error.to_string()))?;
        let provisioner =
            ss_wasm::load(component.bytes, name.as_str(), Some(&cache), wall.as_ref())
                .map_err(|error| unusable(error.to_string()))?;
        let plugin = provisioner.plugin();
        if plugin.pin.name != *name {
            return Err(unusable(format!(
                "`{reference}` calls itself `{}`, and the project calls it `{name}`",
                plugin.pin.name
            )));
        }
        let candidate = Candidate {
            name: name.clone(),
            reference: reference.to_owned(),
            digest: plugin.pin.digest.clone(),
            version: plugin.pin.version.clone(),
            wants: rights(&plugin.manifest).into_iter().collect(),
        };
        match lock.decide(&candidate, &consents) {
            Decision::Granted => {}
            Decision::Record => lock.put(candidate.granted()),
            Decision::Ask(question) => {
                ask(&candidate, &question)?;
                lock.put(candidate.granted());
            }
        }
        loaded.push(provisioner);
    }
    if lock != before {
        lock.save(&path).map_err(|error| Failure::new("SS0611", error.to_string()))?;
    }
    Ok(loaded)
}

/// What a stranger wrote is compiled in a process of its own.
fn compile_apart(context: &Context) {
    if let Some(program) = this_program() {
        let wall = context.call_timeout.map_or(COMPILING_MAX, |wall| wall.min(COMPILING_MAX));
        ss_wasm::compile_with(program, &[COMPILER], wall);
    }
}

/// One plugin by itself, for its author: a component's file, or the name of one that is part of this program.
pub fn alone(context: &Context, reference: &str) -> Result<WasmProvisioner, CommandError> {
    let named = |one: &WasmProvisioner| one.plugin().pin.name.as_str() == reference;
    if let Some(first_party) = ss_wasm::first_party().into_iter().find(named) {
        return Ok(first_party);
    }
    let unusable = |message: String| {
        let failure = Failure::new("SS0612", message);
        CommandError::new(Exit::Invalid, failure.hint("name a component's file, or `neon`, `fly`"))
    };
    let path = context.directory.join(reference);
    let component = std::fs::read(&path)
        .map_err(|error| unusable(format!("`{}` cannot be read: {error}", path.display())))?;
    compile_apart(context);
    let cache = context.home()?.join("plugins");
    ss_wasm::load(component, reference, Some(&cache), wall()?.as_ref())
        .map_err(|error| unusable(error.to_string()))
}

fn ask(candidate: &Candidate, question: &Question) -> Result<(), CommandError> {
    let name = &candidate.name;
    eprintln!(
        "The plugin `{name}` {} ({}) may:",
        printable(&candidate.version, 40),
        candidate.digest
    );
    for line in question.adds.lines() {
        eprintln!("  + {}", printable(line, 300));
    }
    for line in question.drops.lines() {
        eprintln!("  - {}", printable(line, 300));
    }
    let refused =
        |message: String| CommandError::new(Exit::Refused, Failure::new("SS0613", message));
    if !std::io::stdin().is_terminal() {
        return Err(refused(format!(
            "the plugin `{name}` has not been granted this; grant it with `--grant={}`",
            question.consent
        )));
    }
    eprint!("Grant it? [y/N] ");
    // A prompt that cannot be flushed is answered all the same.
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(refused(format!("the plugin `{name}` was not granted; nothing was done")))
}
