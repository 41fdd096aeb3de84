//! `ss plan`: what a deploy would do. Nothing is written, and with `--refresh` nothing but reads leaves.

use std::sync::Arc;

use ss_core::plan::Plan;
use ss_core::record::{RequestCount, RunKind};
use ss_core::state::State;
use ss_engine::{Failure, Stop};

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::prepare;
use crate::project::Project;
use crate::render::plan as render;
use crate::render::progress::{Output, Progress};
use crate::wire;

/// Prints the plan.
pub async fn run(context: &Context, args: &args::Plan) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.scope.environment.env.as_deref())?;
    let catalog = project.catalog(context, &args.scope.grant)?;
    let checked = project.checked(context, &catalog)?;
    let config = checked.config.as_ref().expect("a usable configuration is there");
    let (plan, requests) = if args.scope.refresh {
        let events = Arc::new(Progress::new(Output::Quiet, context.style));
        let wired = wire::wire(context, &project, config, catalog, events, 16)?;
        let state =
            wired.ports.store.load().await?.map_or_else(|| State::empty(""), |stored| stored.state);
        let run = wired.run(RunKind::Deploy, state.lineage.clone(), Stop::default(), None);
        let state = prepare::refreshed(&run, state).await?;
        let plan =
            prepare::plan(&*run.ports.vault, &project, &checked, &args.scope, &state).await?;
        (plan, Some(run.counts()))
    } else {
        let overlay = Some(project.overlay_path());
        let (store, vault) = wire::store_and_vault(context, config, project.env(), overlay)?;
        let state = store.load().await?.map_or_else(|| State::empty(""), |stored| stored.state);
        (prepare::plan(&*vault, &project, &checked, &args.scope, &state).await?, None)
    };
    print(context, &plan, requests);
    if let Some(path) = &args.out {
        save(path, &plan)?;
    }
    Ok(if plan.refused.is_empty() { Exit::Ok } else { Exit::Refused })
}

/// Prints a plan as text or JSON.
pub fn print(context: &Context, plan: &Plan, requests: Option<RequestCount>) {
    if context.json {
        crate::render::answer(&render::json(plan, requests.unwrap_or_default()));
        return;
    }
    print!("{}", render::text(plan, context.style));
    if let Some(requests) = requests {
        println!("{}", context.style.dim(&render::requests(requests)));
    }
}

fn save(path: &std::path::Path, plan: &Plan) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(plan).expect("a plan is plain data");
    std::fs::write(path, text).map_err(|error| {
        Failure::new("SS0405", format!("the plan cannot be saved to `{}`: {error}", path.display()))
            .into()
    })
}
