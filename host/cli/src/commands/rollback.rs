//! `ss rollback`: back to what an earlier deploy left, in the vault and in the state. Nothing real is changed.

use std::sync::Arc;

use ss_core::check::Checked;
use ss_core::plan::Wanted;
use ss_core::record::{Receipt, RunKind, Snapshot};
use ss_core::value::diff;
use ss_engine::{Failure, RolledBack, Stop, roll_back};
use ss_ports::StateStore;

use super::inspect::{choose, list};
use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::progress::{Output, Progress};
use crate::render::rollback::{self as render, Apart};
use crate::{local_cloud, prepare, wire};

/// Lists the deploys, or goes back to one.
pub async fn run(context: &Context, args: &args::Rollback) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.environment.env.as_deref())?;
    match &args.to {
        Some(to) => {
            go_back(context, args, &project, to).await?;
            if args.deploy {
                return super::deploy::run(context, &args::Deploy::of(project.env(), false)).await;
            }
            Ok(Exit::Ok)
        }
        None if args.list => deploys(context, &project).await,
        None => Err(CommandError::usage(format!(
            "say where to: `--to=ID`; `ss rollback --list --env={}` lists the deploys",
            project.env()
        ))),
    }
}

async fn deploys(context: &Context, project: &Project) -> Result<Exit, CommandError> {
    let config = project.config()?;
    let overlay = Some(project.overlay_path());
    let (store, _) = wire::store_and_vault(context, &config, project.env(), overlay)?;
    list(context, &store.receipts().await?.found);
    Ok(Exit::Ok)
}

async fn go_back(
    context: &Context,
    args: &args::Rollback,
    project: &Project,
    to: &str,
) -> Result<(), CommandError> {
    let catalog = project.catalog(context, &[])?;
    let config = project.config()?;
    let events = Arc::new(Progress::new(Output::Quiet, context.style));
    let wired = wire::wire(context, project, &config, catalog, events, 16)?;
    let store = wired.ports.store.clone();
    let lease =
        Arc::from(store.lock(wire::holder(format!("ss rollback --env={}", project.env()))).await?);
    let Some(stored) = store.load().await? else {
        return Err(Failure::new("SS0407", format!("nothing is recorded for `{}`", project.env()))
            .hint("there is nothing to go back from")
            .into());
    };
    let receipts = store.receipts().await?.found;
    let receipt = choose(&receipts, Some(to), project.env().as_str())?;
    let snapshot = snapshot(&*store, receipt, args.restore_config).await?;
    if !stored.open.is_empty() {
        local_cloud::ensure(context, project, &wired.settings.connections)?;
    }
    let run =
        wired.run(RunKind::Rollback, stored.state.lineage.clone(), Stop::default(), Some(&lease));
    let state = prepare::recovered(context, &run, stored).await?;
    let rolled = roll_back(&run, state, &snapshot).await?;
    if let Some(overlay) = snapshot.overlay.as_ref().filter(|_| args.restore_config) {
        ss_store::replace_overlay(&project.overlay_path(), overlay)?;
    }
    prepare::end(&run, lease).await;
    tell(context, args, project, &rolled, &snapshot)
}

async fn snapshot(
    store: &dyn StateStore,
    receipt: &Receipt,
    with_config: bool,
) -> Result<Snapshot, CommandError> {
    let id = &receipt.header.id;
    let missing =
        |what: &str| Failure::new("SS0408", format!("deploy {id} {what}; nothing was changed"));
    match store.snapshot(id).await? {
        None => Err(missing("left no snapshot to go back to")
            .hint("a run that was interrupted leaves none; the one after it does")
            .into()),
        Some(snapshot) if with_config && snapshot.overlay.is_none() => {
            Err(missing("kept no overlay").hint("go back without `--restore-config`").into())
        }
        Some(snapshot) => Ok(snapshot),
    }
}

fn tell(
    context: &Context,
    args: &args::Rollback,
    project: &Project,
    rolled: &RolledBack,
    snapshot: &Snapshot,
) -> Result<(), CommandError> {
    // The overlay may be another one by now.
    let project = Project::open(context, Some(project.env().as_str()))?;
    let apart = apart(&project.check(&project.catalog(context, &[])?), snapshot);
    for warning in render::warnings(rolled) {
        eprintln!("warning: {warning}");
    }
    if context.json {
        // With `--deploy`, the deploy that follows is the answer.
        if !args.deploy {
            let value = render::json(&snapshot.deploy, rolled, &apart, args.restore_config);
            crate::render::answer(&value);
        }
        return Ok(());
    }
    print!("{}", render::text(&snapshot.deploy, rolled, &apart, context.style));
    if args.restore_config {
        let overlay = &project.overlay.as_ref().expect("a rollback has an overlay").1.name;
        println!("{} {overlay} is as that deploy read it", context.style.green("✓"));
    }
    if !context.quiet && !args.deploy {
        eprintln!("next: `ss plan --env={}` shows what a deploy would do now", project.env());
    }
    Ok(())
}

/// Where the configuration is not what that deploy applied.
fn apart(checked: &Checked, snapshot: &Snapshot) -> Apart {
    let one = |desired: &ss_core::plan::Desired| {
        let record = snapshot.state.services.get(&desired.id)?;
        let Wanted::Target { fields, .. } = &desired.target else { return None };
        let differences = diff(&record.target, fields);
        (!differences.is_empty()).then(|| (desired.id.clone(), differences))
    };
    checked.desired.iter().filter_map(one).collect()
}
