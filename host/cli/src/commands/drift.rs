//! `ss drift`: what is recorded against what is there. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use ss_core::ident::ServiceId;
use ss_core::record::RunKind;
use ss_core::state::State;
use ss_engine::{Failure, Observed, Run, Stop, adopt, observe};

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::drift::{self as render, Notes};
use crate::render::plan;
use crate::{local_cloud, prepare, wire};

/// Compares, and with `--adopt` or `--fix` does something about it.
pub async fn run(context: &Context, args: &args::Drift) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.environment.env.as_deref())?;
    let catalog = project.catalog(context, &[])?;
    let checked = project.checked(context, &catalog)?;
    let config = checked.config.as_ref().expect("a usable configuration is there");
    let notes = Arc::new(Notes::default());
    let wired = wire::wire(context, &project, config, catalog, notes.clone(), 16)?;
    let lease = match args.adopt {
        true => {
            let command = format!("ss drift --adopt --env={}", project.env());
            Some(Arc::from(wired.ports.store.lock(wire::holder(command)).await?))
        }
        false => None,
    };
    let Some(stored) = wired.ports.store.load().await? else {
        return Err(Failure::new("SS0407", format!("nothing is recorded for `{}`", project.env()))
            .hint("deploy first")
            .into());
    };
    local_cloud::ensure(context, &project, &wired.settings.connections)?;
    let kind = if args.adopt { RunKind::Adopt } else { RunKind::Deploy };
    let run = wired.run(kind, stored.state.lineage.clone(), Stop::default(), lease.as_ref());
    let state =
        if args.adopt { prepare::recovered(context, &run, stored).await? } else { stored.state };
    let observed = observe(&run, &state).await;
    let found = Found::of(&observed);
    tell(context, &project, &run, &observed, &notes, &found, args.fix);
    if let Some(lease) = lease {
        if found.drifted && !found.unknown {
            record(context, &run, state, &observed).await?;
        }
        prepare::end(&run, lease).await;
        return Ok(if found.unknown { Exit::Failed } else { Exit::Ok });
    }
    if args.fix && found.drifted && !found.unknown {
        return fix(context, &project).await;
    }
    Ok(match (found.unknown, found.drifted) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Drift,
        (false, false) => Exit::Ok,
    })
}

struct Found {
    drifted: bool,
    unknown: bool,
}

impl Found {
    fn of(observed: &BTreeMap<ServiceId, Observed>) -> Self {
        let any = |is: fn(&Observed) -> bool| observed.values().any(is);
        Self {
            drifted: any(|seen| matches!(seen, Observed::Drifted { .. } | Observed::Gone)),
            unknown: any(|seen| matches!(seen, Observed::Unknown(_))),
        }
    }
}

fn tell(
    context: &Context,
    project: &Project,
    run: &Run,
    observed: &BTreeMap<ServiceId, Observed>,
    notes: &Notes,
    found: &Found,
    fix: bool,
) {
    // With `--fix`, the deploy that follows is the answer.
    if context.json && !fix {
        let service =
            |(id, seen): (&ServiceId, &Observed)| render::json(id.as_str(), seen, &notes.of(id));
        let services: Vec<Value> = observed.iter().map(service).collect();
        crate::render::answer(
            &json!({"version": 1, "kind": "drift", "environment": project.env(), "drifted": found.drifted,
                   "services": services, "requests": run.counts()}),
        );
        return;
    }
    for (id, seen) in observed {
        let text = render::text(context.style, id.as_str(), seen, &notes.of(id));
        if context.json { eprint!("{text}") } else { print!("{text}") }
    }
    if !context.quiet {
        eprintln!("{}", context.style.dim(&plan::requests(run.counts())));
    }
}

async fn record(
    context: &Context,
    run: &Run,
    state: State,
    observed: &BTreeMap<ServiceId, Observed>,
) -> Result<(), CommandError> {
    adopt(run, state, observed).await?;
    if !context.json {
        println!(
            "{} Recorded as it is. `ss plan` shows where that is not as configured.",
            context.style.green("✓")
        );
    }
    Ok(())
}

/// Brings everything back to what is configured: a deploy that looks first.
async fn fix(context: &Context, project: &Project) -> Result<Exit, CommandError> {
    let deploy = args::Deploy::of(project.env(), true);
    super::deploy::run(context, &deploy).await
}
