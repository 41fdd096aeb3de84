//! `ss destroy`: removes what an environment has, what stands on something before that something.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use ss_core::plan::{self, Plan};
use ss_core::record::{DeployStatus, RunKind};
use ss_engine::{Failure, Stop, execute, recover};

use crate::args;
use crate::context::Context;
use crate::error::{CommandError, failure_text};
use crate::exit::Exit;
use crate::project::Project;
use crate::render::progress::Progress;
use crate::render::{inspect, plan as render};
use crate::{local_cloud, prepare, signals, wire};

/// Destroys.
pub async fn run(context: &Context, args: &args::Destroy) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.environment.env.as_deref())?;
    let catalog = project.catalog(context, &[])?;
    let config = project.config()?;
    let events = Arc::new(Progress::new(super::deploy::output(context), context.style));
    let wired = wire::wire(context, &project, &config, catalog, events, 16)?;
    let store = wired.ports.store.clone();
    let lease =
        Arc::from(store.lock(wire::holder(format!("ss destroy --env={}", project.env()))).await?);
    let Some(stored) = store
        .load()
        .await?
        .filter(|stored| !stored.state.services.is_empty() || !stored.open.is_empty())
    else {
        return Ok(nothing(context));
    };
    local_cloud::ensure(context, &project, &wired.settings.connections)?;
    let stop = Stop::default();
    signals::listen(&stop);
    let run = wired.run(RunKind::Destroy, stored.state.lineage.clone(), stop, Some(&lease));
    let (state, _) = recover(&run, stored).await?;
    let only = prepare::services(&args.service)?;
    let only = (!only.is_empty()).then_some(&only);
    let plan = plan::destroy(&config.system, project.env(), &state, only);
    if plan.is_empty() {
        return Ok(nothing(context));
    }
    confirm(context, args, &project, &plan)?;
    let report = execute(&run, &plan, state).await?;
    prepare::end(&run, lease).await;
    for (service, failure) in &report.failures {
        eprint!("`{service}` was not destroyed: {}", failure_text(failure));
    }
    if let Some(trouble) = &report.trouble {
        eprint!("{}", failure_text(trouble));
    }
    let count = |status: &str| {
        report.receipt.services.iter().filter(|service| service.status == status).count()
    };
    if context.json {
        crate::render::answer(&inspect::json(&report.receipt, "destroy"));
    } else if report.receipt.status == DeployStatus::Completed {
        println!("{} Destroy complete: {} destroyed", context.style.green("✓"), count("completed"));
    } else {
        let left = plan.steps.len() - count("completed");
        println!(
            "{} Destroy incomplete: {} destroyed, {left} left",
            context.style.red("✗"),
            count("completed")
        );
        eprintln!("next: `ss destroy --env={}` goes on where this one stopped", project.env());
    }
    Ok(match report.receipt.status {
        DeployStatus::Completed if report.trouble.is_none() => Exit::Ok,
        DeployStatus::Interrupted => Exit::Interrupted,
        _ => Exit::Failed,
    })
}

fn nothing(context: &Context) -> Exit {
    if context.json {
        println!(
            "{}",
            serde_json::json!({"version": 1, "kind": "destroy", "status": "completed", "services": []})
        );
    } else {
        println!("{} Nothing to destroy", context.style.green("✓"));
    }
    Exit::Ok
}

/// The environment's name is the consent; protected services stop it all the same.
fn confirm(
    context: &Context,
    args: &args::Destroy,
    project: &Project,
    plan: &Plan,
) -> Result<(), CommandError> {
    if !context.quiet {
        eprint!("{}", render::text(plan, context.style));
    }
    let refused =
        |message: String| CommandError::new(Exit::Refused, Failure::new("SS0604", message));
    if let Some(refusal) = plan.refused.first() {
        return Err(refused(format!("{}; nothing was done", refusal.reason)));
    }
    let env = project.env().as_str();
    let typed = match &args.yes {
        Some(name) => name.clone(),
        None if std::io::stdin().is_terminal() => {
            eprint!("This cannot be undone. Type the environment's name ({env}) to go on: ");
            // A prompt that cannot be flushed is answered all the same.
            let _ = std::io::stderr().flush();
            let mut answer = String::new();
            if signals::asking(|| std::io::stdin().read_line(&mut answer)).is_err() {
                answer.clear();
            }
            answer.trim().to_owned()
        }
        None => {
            return Err(refused(format!(
                "nobody is there to ask; say so beforehand with `--yes={env}`; nothing was done"
            )));
        }
    };
    if typed == env {
        Ok(())
    } else {
        Err(refused(format!("`{typed}` is not `{env}`; nothing was done")))
    }
}
