//! `ss plugin run`: one call of one function, through the same gate as in a deploy.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use ss_conformance::{Bench, Ended, Subject, Wanted};
use ss_core::state::State;
use ss_engine::{Failure, Observed};
use ss_ports::Provisioner;

use super::{ready, unusable};
use crate::args::{Function, PluginRun};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins;
use crate::render::answer;

/// Calls.
pub async fn run(context: &Context, args: &PluginRun) -> Result<Exit, CommandError> {
    if args.function == Function::Manifest {
        let provisioner = plugins::alone(context, &args.plugin)?;
        println!("{:#}", json!(*provisioner.plugin().manifest));
        return Ok(Exit::Ok);
    }
    let ready = ready(context, &args.plugin, &args.case).await?;
    let path = context.directory.join(&args.state);
    let subject = load(&ready.bench, &path).await?;
    let result = call(&ready.bench, &subject, args.function).await;
    if args.trace {
        ready.bench.lines().iter().for_each(|line| eprintln!("  {line}"));
    }
    save(&path, &subject.state().await?)?;
    let found = result?;
    let record = subject.record().await?;
    let outputs: Vec<String> = subject.outputs().await?.into_keys().collect();
    let value = json!({
        "version": 1, "kind": "plugin-run", "function": name(args.function), "found": found,
        "record": record, "outputs": outputs,
    });
    if context.json {
        answer(&value);
    } else {
        println!("{} {}: {found}", context.style.green("✓"), name(args.function));
        if let Some(record) = record {
            println!("{:#}", json!(record));
        }
        outputs.iter().for_each(|output| println!("gives {output} (kept by the host, not shown)"));
    }
    Ok(Exit::Ok)
}

fn name(function: Function) -> &'static str {
    match function {
        Function::Manifest => "manifest",
        Function::Apply => "apply",
        Function::Read => "read",
        Function::Destroy => "destroy",
    }
}

/// One call, and what it came to in a word.
async fn call(
    bench: &Arc<Bench>,
    subject: &Subject,
    function: Function,
) -> Result<Value, CommandError> {
    let target = &bench.case.target;
    let wanted = match function {
        Function::Read => return seen(subject).await,
        Function::Destroy => Wanted::Nothing,
        Function::Apply | Function::Manifest => Wanted::Target(target),
    };
    if function == Function::Apply {
        // Called, whether or not anything has changed since.
        subject.doubt().await?;
    }
    match subject.run(wanted, None).await.ended {
        Ended::Failed(failure) => Err(failure.into()),
        Ended::Done | Ended::Killed => Ok(json!("done")),
    }
}

async fn seen(subject: &Subject) -> Result<Value, CommandError> {
    match subject.observe(None).await?.0 {
        None => Err(Failure::new("SS0621", "nothing is recorded; call `apply` first").into()),
        Some(Observed::Same) => Ok(json!("as recorded")),
        Some(Observed::Gone) => Ok(json!("gone")),
        Some(Observed::Drifted { differences, .. }) => {
            let paths: Vec<&str> = differences.iter().map(|d| d.path.as_str()).collect();
            Ok(json!(format!("differs in {}", paths.join(", "))))
        }
        Some(Observed::Unknown(failure)) => Err(failure.into()),
    }
}

async fn load(bench: &Arc<Bench>, path: &Path) -> Result<Subject, CommandError> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(Subject::new(bench)) };
    let state: State = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("`{}`: {error}", path.display())))?;
    Ok(Subject::of_state(bench, &state).await?)
}

fn save(path: &Path, state: &State) -> Result<(), CommandError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, format!("{:#}\n", json!(state))))
        .map_err(|error| unusable(format!("`{}` cannot be written: {error}", path.display())))
}
