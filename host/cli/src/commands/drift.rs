//! `ss drift`: what is recorded against what is there. Reads only.

use std::sync::Arc;

use serde_json::{Value, json};
use ss_core::record::RunKind;
use ss_core::text::printable;
use ss_engine::{Failure, Observed, Stop, observe};

use crate::args::Environment;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::plan as render;
use crate::render::progress::{Output, Progress};
use crate::{local_cloud, wire};

/// Compares.
pub async fn run(context: &Context, args: &Environment) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.env.as_deref())?;
    let catalog = project.catalog(context, &[])?;
    let checked = project.checked(context, &catalog)?;
    let config = checked.config.as_ref().expect("a usable configuration is there");
    let events = Arc::new(Progress::new(Output::Quiet, context.style));
    let wired = wire::wire(context, &project, config, catalog, events, 16)?;
    let Some(stored) = wired.ports.store.load().await? else {
        return Err(Failure::new("SS0407", format!("nothing is recorded for `{}`", project.env()))
            .hint("deploy first")
            .into());
    };
    local_cloud::ensure(context, &project, &wired.settings.connections)?;
    let run = wired.run(RunKind::Deploy, stored.state.lineage.clone(), Stop::default());
    let observed = observe(&run, &stored.state).await;
    let drifted =
        observed.values().any(|seen| matches!(seen, Observed::Drifted { .. } | Observed::Gone));
    let unknown = observed.values().any(|seen| matches!(seen, Observed::Unknown(_)));
    if context.json {
        let services: Vec<Value> =
            observed.iter().map(|(id, seen)| service_json(id.as_str(), seen)).collect();
        crate::render::answer(
            &json!({"version": 1, "kind": "drift", "environment": project.env(), "drifted": drifted, "services": services}),
        );
    } else {
        for (id, seen) in &observed {
            print!("{}", service_text(context, id.as_str(), seen));
        }
        if !context.quiet {
            eprintln!("{}", context.style.dim(&render::requests(run.counts())));
        }
    }
    Ok(match (unknown, drifted) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Drift,
        (false, false) => Exit::Ok,
    })
}

fn side(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => printable(text, 100),
        Some(other) => printable(&other.to_string(), 100),
    }
}

fn service_text(context: &Context, id: &str, seen: &Observed) -> String {
    let style = context.style;
    match seen {
        Observed::Same => format!("{} {id}  no drift\n", style.green("✓")),
        Observed::Gone => format!("{} {id}  gone\n", style.red("✗")),
        Observed::Unknown(failure) => {
            format!("{} {id}  could not be checked: {}\n", style.yellow("?"), failure.message)
        }
        Observed::Drifted { differences, .. } => {
            let mut text = format!("{} {id}  drifted\n", style.yellow("~"));
            for difference in differences {
                let (recorded, actual) =
                    (side(difference.before.as_ref()), side(difference.after.as_ref()));
                let path = printable(&difference.path, 200);
                text.push_str(&format!("      {path}: {recorded} → {actual}\n"));
            }
            text
        }
    }
}

fn service_json(id: &str, seen: &Observed) -> Value {
    match seen {
        Observed::Same => json!({"service": id, "status": "ok", "changes": []}),
        Observed::Gone => json!({"service": id, "status": "gone", "changes": []}),
        Observed::Unknown(failure) => {
            json!({"service": id, "status": "unknown", "changes": [], "error": failure.message})
        }
        Observed::Drifted { differences, .. } => {
            let changes: Vec<Value> = differences
                .iter()
                .map(|difference| json!({"path": difference.path, "recorded": difference.before, "actual": difference.after}))
                .collect();
            json!({"service": id, "status": "drifted", "changes": changes})
        }
    }
}
