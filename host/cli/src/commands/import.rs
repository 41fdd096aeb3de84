//! `ss import`: takes over a resource that exists. Nothing but reads leaves the machine.

use std::sync::Arc;

use serde_json::json;
use ss_core::ident::ServiceId;
use ss_core::plan::{Plan, Step};
use ss_core::record::RunKind;
use ss_core::state::State;
use ss_core::text::printable;
use ss_engine::{Failure, Imported, Run, Stop, import};

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::plan as render;
use crate::render::progress::{Output, Progress};
use crate::{local_cloud, prepare, wire};

/// Takes over.
pub async fn run(context: &Context, args: &args::Import) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.environment.env.as_deref())?;
    let catalog = project.catalog(context, &args.grant)?;
    let checked = project.checked(context, &catalog)?;
    let config = checked.config.as_ref().expect("a usable configuration is there");
    let service = ServiceId::new(args.service.as_str())
        .map_err(|error| CommandError::usage(error.to_string()))?;
    let events = Arc::new(Progress::new(Output::Quiet, context.style));
    let wired = wire::wire(context, &project, config, catalog, events, 16)?;
    let store = wired.ports.store.clone();
    let lease =
        Arc::from(store.lock(wire::holder(format!("ss import --env={}", project.env()))).await?);
    let stored = store.load().await?;
    local_cloud::ensure(context, &project, &wired.settings.connections)?;
    let lineage = stored
        .as_ref()
        .map_or_else(super::deploy::new_lineage, |stored| stored.state.lineage.clone());
    let run = wired.run(RunKind::Import, lineage.clone(), Stop::default(), Some(&lease));
    let state = match stored {
        Some(stored) => prepare::recovered(context, &run, stored).await?,
        None => State::empty(lineage),
    };
    let scope = args::Deploy::of(project.env(), false).scope;
    let plan = prepare::plan(&*run.ports.vault, &project, &checked, &scope, &state).await?;
    let step = importable(&plan, &state, &service, &args.id)?;
    let imported = import(&run, state, step, &args.id).await?;
    prepare::end(&run, lease).await;
    tell(context, &project, &run, step, &args.id, &imported);
    Ok(Exit::Ok)
}

/// The service's step, or why nothing can be taken over for it.
fn importable<'p>(
    plan: &'p Plan,
    state: &State,
    service: &ServiceId,
    id: &str,
) -> Result<&'p Step, CommandError> {
    let step = plan.steps.iter().find(|step| step.service == *service);
    let Some(step) = step else {
        let known: Vec<&str> = plan.steps.iter().map(|step| step.service.as_str()).collect();
        return Err(CommandError::usage(format!(
            "there is no service `{service}`; there are {}",
            known.join(", ")
        )));
    };
    if step.wanted.is_none() {
        return Err(CommandError::usage(format!("`{service}`: {}", step.summary)));
    }
    let taken = |(other, record): &(&ServiceId, &ss_core::state::Recorded)| {
        *other == service
            || record.provider == step.kind && record.resource_id.as_deref() == Some(id)
    };
    let Some((other, record)) = state.services.iter().find(taken) else { return Ok(step) };
    let known = printable(record.resource_id.as_deref().unwrap_or("a resource without an id"), 200);
    Err(Failure::new("SS0409", format!("`{other}` has `{known}` already; nothing was changed"))
        .hint(format!(
            "`ss destroy --service={other}` would remove it; there is no way to forget it alone"
        ))
        .into())
}

fn tell(
    context: &Context,
    project: &Project,
    run: &Run,
    step: &Step,
    id: &str,
    imported: &Imported,
) {
    let Imported { receipt, record, pending } = imported;
    let (service, env) = (&step.service, project.env());
    if context.json {
        let value = json!({
            "version": 1, "kind": "import", "id": receipt.header.id, "environment": env, "service": service,
            "type": step.kind, "resource_id": record.resource_id, "credentials": record.outputs,
            "owned": record.owned, "as_configured": pending.is_none(), "pending": pending, "requests": run.counts(),
        });
        crate::render::answer(&value);
        return;
    }
    println!("{} {service} is {} {}", context.style.green("✓"), step.kind, printable(id, 200));
    for (connection, params) in &record.owned {
        for (param, ids) in params {
            let ids: Vec<String> = ids.iter().map(|id| printable(id, 100)).collect();
            println!("  owns {connection} {param} {}", ids.join(" "));
        }
    }
    if !record.outputs.is_empty() {
        let names: Vec<&str> = record.outputs.iter().map(String::as_str).collect();
        println!("  {} written to vault", names.join(", "));
    }
    match pending {
        None => println!("  It is as configured: nothing to deploy."),
        Some(why) => {
            println!("  The next deploy changes it ({why}). `ss plan --env={env}` shows more.")
        }
    }
    println!("{}", render::requests(run.counts()));
}
