//! `ss inspect`: receipts, and what there is.

use serde_json::json;
use ss_core::ledger;
use ss_core::record::{Receipt, RunKind};
use ss_core::state::State;
use ss_engine::Failure;

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::inspect as render;
use crate::wire;

/// The shortest prefix of an id that is looked for.
const PREFIX_MIN: usize = 4;

/// Shows a receipt, or all.
pub async fn run(context: &Context, args: &args::Inspect) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.environment.env.as_deref())?;
    let config = project.config()?;
    let (store, _) =
        wire::store_and_vault(context, &config, project.env(), Some(project.overlay_path()))?;
    let receipts = store.receipts().await?;
    for damaged in &receipts.damaged {
        eprintln!("warning: a receipt is left out: {}", ss_core::text::printable(damaged, 400));
    }
    let receipts = receipts.found;
    if args.list {
        list(context, &receipts);
        return Ok(Exit::Ok);
    }
    let receipt = choose(&receipts, args.id.as_deref(), project.env().as_str())?;
    if args.verify {
        return verify(context, receipt);
    }
    let stored = store.load().await?.map_or_else(|| State::empty(""), |stored| stored.state);
    let is_now = args.id.is_none() || stored.deploy.as_ref() == Some(&receipt.header.id);
    let snapshot = if is_now { None } else { store.snapshot(&receipt.header.id).await? };
    // What there was after that deploy; a deploy without a snapshot left what there is.
    let state = snapshot.map_or(stored, |snapshot| snapshot.state);
    if context.json {
        crate::render::answer(&render::json_full(receipt, &state));
        return Ok(Exit::Ok);
    }
    print!("{}", render::text(receipt, context.style));
    if args.state {
        let replaced = !is_now && receipt.header.run == RunKind::Rollback;
        print!(
            "{}",
            render::state_text(receipt, &state, if replaced { "State before it" } else { "State" })
        );
    }
    if args.requests {
        print!("{}", render::requests_text(receipt));
    }
    Ok(Exit::Ok)
}

/// Whether the receipt is as it was written.
fn verify(context: &Context, receipt: &Receipt) -> Result<Exit, CommandError> {
    let id = &receipt.header.id;
    if let Err(why) = ledger::verify(receipt) {
        let failure =
            Failure::new("SS0410", format!("the receipt of {id} was tampered with: {why}"));
        return Err(failure.hint("every other receipt stands for itself").into());
    }
    let requests = receipt.requests.len();
    if context.json {
        let value =
            json!({"version": 1, "kind": "verify", "id": id, "intact": true, "requests": requests});
        crate::render::answer(&value);
    } else {
        println!("{} {id} is intact: {requests} requests", context.style.green("✓"));
    }
    Ok(Exit::Ok)
}

/// Prints all receipts.
pub fn list(context: &Context, receipts: &[Receipt]) {
    if context.json {
        let deploys: Vec<_> = receipts
            .iter()
            .map(|receipt| {
                let mut value = render::json(receipt, "deploy");
                let services: Vec<&str> =
                    receipt.services.iter().map(|service| service.service.as_str()).collect();
                value["services"] = json!(services);
                value
            })
            .collect();
        crate::render::answer(&json!({"version": 1, "kind": "list", "deploys": deploys}));
    } else if receipts.is_empty() {
        println!("No deploys yet.");
    } else {
        print!("{}", render::list_text(receipts, context.style));
    }
}

/// The receipt that an id, or the beginning of one, means; the latest without.
pub fn choose<'r>(
    receipts: &'r [Receipt],
    id: Option<&str>,
    env: &str,
) -> Result<&'r Receipt, CommandError> {
    let Some(prefix) = id else {
        return receipts.first().ok_or_else(|| {
            Failure::new("SS0407", format!("there are no deploys of `{env}` here"))
                .hint(format!("`ss deploy --env={env}` makes one"))
                .into()
        });
    };
    if prefix.len() < PREFIX_MIN {
        return Err(CommandError::usage(format!(
            "give at least {PREFIX_MIN} characters of the id"
        )));
    }
    let found: Vec<&Receipt> =
        receipts.iter().filter(|receipt| receipt.header.id.as_str().starts_with(prefix)).collect();
    match found[..] {
        [receipt] => Ok(receipt),
        [] => Err(Failure::new("SS0407", format!("no deploy of `{env}` begins with `{prefix}`"))
            .hint(format!("`ss inspect --list --env={env}` lists them"))
            .into()),
        _ => {
            let ids: Vec<&str> = found.iter().map(|receipt| receipt.header.id.as_str()).collect();
            Err(Failure::new(
                "SS0407",
                format!("`{prefix}` begins more than one id: {}", ids.join(", ")),
            )
            .into())
        }
    }
}
