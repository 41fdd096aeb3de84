//! `ss unlock`: who holds the lock of an environment.
//!
//! It takes nothing away from anybody: the lock goes with the process that holds it, however that ends, so there is
//! never one to remove.

use serde_json::json;
use ss_core::text::printable;
use ss_ports::Holder;

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::inspect::moment;
use crate::wire;

/// Shows the holder.
pub async fn run(context: &Context, args: &args::Environment) -> Result<Exit, CommandError> {
    let project = Project::open(context, args.env.as_deref())?;
    let config = project.config()?;
    let (store, _) =
        wire::store_and_vault(context, &config, project.env(), Some(project.overlay_path()))?;
    let holder = store.holder().await?;
    if context.json {
        let env = project.env();
        crate::render::answer(
            &json!({"version": 1, "kind": "lock", "environment": env, "holder": holder}),
        );
    } else {
        tell(context, holder.as_ref());
    }
    Ok(if holder.is_some() { Exit::Locked } else { Exit::Ok })
}

fn tell(context: &Context, holder: Option<&Holder>) {
    let Some(holder) = holder else {
        println!("{} Nobody holds the lock: there is nothing to unlock", context.style.green("✓"));
        return;
    };
    println!("{} since {}", printable(&holder.describe(), 200), moment(holder.since_ms));
    let host = printable(&holder.host, 100);
    eprintln!(
        "next: wait until it ends, or run `kill {}` on {host}: it finishes the requests in flight and records them",
        holder.process
    );
}
