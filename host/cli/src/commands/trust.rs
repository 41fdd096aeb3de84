//! `ss trust`: which addresses besides a plugin's own may get its credential. The user's word, typed by the user.

use serde_json::json;
use ss_core::text::printable;

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::trust::{Trust, Trusted};
use crate::wire::is_loopback;

/// Adds, removes or lists.
pub fn run(context: &Context, args: &args::Trust) -> Result<Exit, CommandError> {
    let home = context.home()?;
    let mut trust = Trust::load(home)?;
    if let (Some(connection), Some(base_url)) = (&args.connection, &args.base_url) {
        let entry = Trusted { connection: connection.clone(), base_url: base_url.clone() };
        trust.trusted.retain(|known| *known != entry);
        if !args.rm {
            check(base_url)?;
            trust.trusted.push(entry);
        }
        trust.save(home)?;
    }
    if context.json {
        crate::render::answer(&json!({"version": 1, "kind": "trust", "trusted": trust.trusted}));
    } else {
        for Trusted { connection, base_url } in &trust.trusted {
            println!("{}  {}", printable(connection, 100), printable(base_url, 1_000));
        }
    }
    Ok(Exit::Ok)
}

fn check(base_url: &str) -> Result<(), CommandError> {
    if is_loopback(base_url) {
        return Err(CommandError::usage("an address of this machine needs no trust"));
    }
    let authority = base_url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    match authority {
        Some(host) if !host.is_empty() && !host.contains(['@', '\\', '{', '%']) => Ok(()),
        _ => Err(CommandError::usage("write the whole address: https://host/path")),
    }
}
