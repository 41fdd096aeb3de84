//! `ss deploy`: makes it so.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use ss_core::check::Checked;
use ss_core::plan::{Action, Plan};
use ss_core::record::{DeployStatus, RunKind};
use ss_core::state::State;
use ss_engine::{Failure, Offers, Report, Run, Stop, execute, note_unchanged};

use crate::args;
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::{CommandError, failure_text};
use crate::exit::Exit;
use crate::project::Project;
use crate::render::progress::{Output, Progress};
use crate::render::{inspect, plan as render};
use crate::{commands, local_cloud, prepare, signals, wire};

/// Deploys.
pub async fn run(context: &Context, args: &args::Deploy) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.scope.environment.env.as_deref())?;
    let catalog = project.catalog(context, &args.scope.grant)?;
    let checked = project.checked(context, &catalog)?;
    refuse_skips(args, &checked)?;
    if args.dry_run {
        let plan = args::Plan { scope: args.scope.clone(), out: None };
        return commands::plan::run(context, &plan).await;
    }
    deploy(context, args, &project, &checked, catalog).await
}

async fn deploy(
    context: &Context,
    args: &args::Deploy,
    project: &Project,
    checked: &Checked,
    catalog: Catalog,
) -> Result<Exit, CommandError> {
    let config = checked.config.as_ref().expect("a usable configuration is there");
    let events = Arc::new(Progress::new(output(context), context.style));
    let wired = wire::wire(context, project, config, catalog, events, args.parallelism)?;
    let store = wired.ports.store.clone();
    let lease =
        Arc::from(store.lock(wire::holder(format!("ss deploy --env={}", project.env()))).await?);
    let stored = store.load().await?;
    let lineage = stored.as_ref().map_or_else(new_lineage, |stored| stored.state.lineage.clone());
    if stored.is_some() || !checked.desired.is_empty() {
        local_cloud::ensure(context, project, &wired.settings.connections)?;
    }
    let stop = Stop::default();
    signals::listen(&stop);
    let run = wired.run(RunKind::Deploy, lineage.clone(), stop, Some(&lease));
    let unfinished = stored
        .as_ref()
        .is_some_and(|stored| stored.unfinished.is_some() || !stored.open.is_empty());
    let mut state = match stored {
        Some(stored) => prepare::recovered(context, &run, stored).await?,
        None => State::empty(lineage),
    };
    if args.scope.refresh {
        state = prepare::refreshed(&run, state).await?;
    }
    let plan = prepare::plan(&*run.ports.vault, project, checked, &args.scope, &state).await?;
    if let Some(path) = &args.plan {
        same_as_saved(path, &plan)?;
    }
    refuse(context, &plan)?;
    let conditional = plan.steps.iter().any(|step| step.if_inputs_change);
    let noted = note_unchanged(&plan, &mut state);
    if plan.is_empty() && !unfinished && !conditional && !noted {
        return Ok(nothing_to_do(context, &plan, &run));
    }
    confirm(context, args, &plan)?;
    let report = execute(&run, &plan, state).await?;
    prepare::end(&run, lease).await;
    Ok(tell(context, project, &run, &plan, &report))
}

/// Where progress goes.
pub fn output(context: &Context) -> Output {
    match (context.quiet, context.json) {
        (true, _) => Output::Quiet,
        (false, true) => Output::Stderr,
        (false, false) => Output::Stdout,
    }
}

/// A lineage for a first deploy.
pub fn new_lineage() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn refuse_skips(args: &args::Deploy, checked: &Checked) -> Result<(), CommandError> {
    let unknown: Vec<String> = checked
        .desired
        .iter()
        .filter_map(|service| match &service.target {
            ss_core::plan::Wanted::Unknown(kind) => {
                Some(format!("`{}` (type `{kind}`)", service.id))
            }
            _ => None,
        })
        .collect();
    if unknown.is_empty() || args.allow_skip || args.dry_run {
        return Ok(());
    }
    let failure = Failure::new(
        "SS0304",
        format!("no provisioner for {}; nothing was done", unknown.join(", ")),
    )
    .hint("check the type for a typo, or leave such services out with `--allow-skip`");
    Err(CommandError::new(Exit::Invalid, failure))
}

fn same_as_saved(path: &Path, now: &Plan) -> Result<(), CommandError> {
    let unreadable = |why: String| {
        CommandError::from(Failure::new(
            "SS0305",
            format!("`{}` is not a saved plan: {why}", path.display()),
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let saved: Plan = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if saved == *now {
        return Ok(());
    }
    let what = if saved.serial != now.serial || saved.lineage != now.lineage {
        "the state moved since it was saved"
    } else {
        "the configuration, a plugin or a credential changed since it was saved"
    };
    let failure =
        Failure::new("SS0306", format!("the saved plan is stale: {what}; nothing was done"))
            .hint("plan again");
    Err(failure.into())
}

fn refuse(context: &Context, plan: &Plan) -> Result<(), CommandError> {
    let Some(first) = plan.refused.first() else { return Ok(()) };
    if !context.json && !context.quiet {
        eprint!("{}", render::text(plan, context.style));
    }
    let failure = Failure::new("SS0603", format!("{}; nothing was done", first.reason));
    Err(CommandError::new(Exit::Refused, failure))
}

/// Asks only when something is replaced or destroyed.
fn confirm(context: &Context, args: &args::Deploy, plan: &Plan) -> Result<(), CommandError> {
    let drastic =
        plan.steps.iter().any(|step| matches!(step.action, Action::Replace | Action::Destroy));
    if !drastic || args.yes {
        return Ok(());
    }
    eprint!("{}", render::text(plan, context.style));
    if !std::io::stdin().is_terminal() {
        let failure = Failure::new(
            "SS0604",
            "something would be replaced or destroyed, and nobody is there to ask",
        )
        .hint("say so beforehand with `--yes`");
        return Err(CommandError::new(Exit::Refused, failure));
    }
    eprint!("Go on? [y/N] ");
    // A prompt that cannot be flushed is answered all the same.
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = signals::asking(|| std::io::stdin().read_line(&mut answer));
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CommandError::new(Exit::Refused, Failure::new("SS0604", "not confirmed; nothing was done")))
}

fn nothing_to_do(context: &Context, plan: &Plan, run: &Run) -> Exit {
    if context.json {
        let services: Vec<_> = plan
            .steps
            .iter()
            .map(|step| json!({"service": step.service, "type": step.kind, "action": step.action, "status": "unchanged", "duration_ms": 0, "summary": step.summary}))
            .collect();
        let value = json!({
            "version": 1, "kind": "deploy", "id": null, "environment": plan.environment, "status": "completed",
            "started": null, "ended": null, "duration_ms": 0, "services": services, "requests": run.counts(),
        });
        crate::render::answer(&value);
    } else {
        println!(
            "{} Nothing to change: {} unchanged",
            context.style.green("✓"),
            plan.counts.unchanged
        );
    }
    Exit::Ok
}

fn tell(context: &Context, project: &Project, run: &Run, plan: &Plan, report: &Report) -> Exit {
    let receipt = &report.receipt;
    for (service, failure) in &report.failures {
        eprint!("{}", failed_service(project, run, plan, report, service.as_str(), failure));
    }
    if let Some(trouble) = &report.trouble {
        eprint!("{}", failure_text(trouble));
    }
    let count =
        |status: &str| receipt.services.iter().filter(|service| service.status == status).count();
    let destroyed = receipt
        .services
        .iter()
        .filter(|s| s.status == "completed" && s.action == Action::Destroy)
        .count();
    let provisioned = count("completed") - destroyed;
    if context.json {
        crate::render::answer(&inspect::json(receipt, "deploy"));
    } else {
        let gone = if destroyed > 0 { format!(", {destroyed} destroyed") } else { String::new() };
        let env = project.env();
        match receipt.status {
            DeployStatus::Completed if provisioned + destroyed == 0 => {
                println!(
                    "{} Nothing to change: {} unchanged",
                    context.style.green("✓"),
                    count("unchanged")
                );
            }
            DeployStatus::Completed => println!(
                "{} Deploy complete: {provisioned} provisioned{gone}",
                context.style.green("✓")
            ),
            DeployStatus::Interrupted => {
                println!(
                    "{} Deploy interrupted: {provisioned} provisioned{gone}",
                    context.style.yellow("!")
                );
                eprintln!("next: `ss deploy --env={env}` goes on where this one stopped");
            }
            _ => println!(
                "{} Deploy failed: {provisioned} provisioned{gone}, {} failed, {} blocked",
                context.style.red("✗"),
                count("failed"),
                count("blocked")
            ),
        }
        if !context.quiet {
            eprintln!("{}", context.style.dim(&render::requests(run.counts())));
        }
    }
    match (receipt.status, &report.trouble) {
        (DeployStatus::Interrupted, _) => Exit::Interrupted,
        (DeployStatus::Completed, None) => Exit::Ok,
        _ => Exit::Failed,
    }
}

fn failed_service(
    project: &Project,
    run: &Run,
    plan: &Plan,
    report: &Report,
    service: &str,
    failure: &Failure,
) -> String {
    let overlay = &project.overlay.as_ref().expect("a deploy has an overlay").1;
    let mut text =
        format!("error[{}]: `{service}` was not deployed: {}\n", failure.code, failure.message);
    if let Some(line) =
        overlay.text.lines().position(|line| line.trim_end() == format!("  {service}:"))
    {
        text.push_str(&format!("  where:    {}:{}\n", overlay.name, line + 1));
    }
    let done: Vec<String> = report
        .receipt
        .services
        .iter()
        .filter(|done| matches!(done.status.as_str(), "completed" | "unchanged"))
        .map(|done| format!("`{}`", done.service))
        .collect();
    let safe = if done.is_empty() { String::new() } else { format!("; {} safe", done.join(", ")) };
    text.push_str(&format!("  recorded: {} of {} services{safe}\n", done.len(), plan.steps.len()));
    for hint in &failure.hints {
        text.push_str(&format!("  hint:     {hint}\n"));
    }
    let kind = plan.steps.iter().find(|step| step.service.as_str() == service);
    // What is there and ill has something to say.
    if failure.code == "SS0315" && kind.is_some_and(|step| Offers::of(run, &step.kind).logs) {
        let env = project.env();
        text.push_str(&format!("  log:      `ss logs {service} --env={env}`\n"));
    }
    text.push_str(&format!(
        "  next:     `ss deploy --env={}` goes on at `{service}`\n",
        project.env()
    ));
    text
}
