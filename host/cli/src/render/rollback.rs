//! What a rollback did, as text and as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use ss_core::ident::{DeployId, ServiceId};
use ss_core::rollback::Fate;
use ss_core::text::printable;
use ss_core::value::Difference;
use ss_engine::RolledBack;

use super::style::Style;

/// Target fields that are not as that deploy applied them: service → what was, what is.
pub type Apart = BTreeMap<ServiceId, Vec<Difference>>;

/// The sentence, and under it what differs from that deploy.
pub fn text(to: &DeployId, rolled: &RolledBack, apart: &Apart, style: Style) -> String {
    let short = to.as_str().split('-').next().unwrap_or_default();
    let mut out = format!(
        "{} Rolled back to deploy {short} — credentials and overlay state restored. Re-deploy services that depend on \
         rolled-back credentials.\n",
        style.green("✓")
    );
    for (id, differences) in apart {
        for Difference { path, before, after } in differences {
            let (now, was) = (side(after.as_ref()), side(before.as_ref()));
            out.push_str(&format!("  {id}.target.{path}: {now}, was {was}\n"));
        }
    }
    for line in &rolled.receipt.services {
        if line.status == "skipped" {
            out.push_str(&format!("  {}: {}\n", line.service, line.summary));
        }
    }
    out
}

/// What the user should know before they rely on a restored credential.
pub fn warnings(rolled: &RolledBack) -> Vec<String> {
    let gone = rolled.stale.iter().flat_map(|(id, names)| {
        names.iter().map(move |name| {
            format!(
                "`{id}.{name}` was restored and no longer works: the provider gives out another one. `ss deploy` \
                 fetches it"
            )
        })
    });
    let unchecked = rolled.unchecked.iter().map(|(id, failure)| {
        let why = printable(&failure.message, 400);
        format!("whether the restored credentials of `{id}` still work could not be checked: {why}")
    });
    gone.chain(unchecked).collect()
}

fn side(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => printable(text, 100),
        Some(other) => printable(&other.to_string(), 100),
    }
}

/// For a program.
pub fn json(to: &DeployId, rolled: &RolledBack, apart: &Apart, config_restored: bool) -> Value {
    let fate = |fate: &Fate| match fate {
        Fate::Unchanged => "unchanged",
        Fate::Restored => "restored",
        Fate::Newer => "newer",
        Fate::Replaced => "replaced",
        Fate::Destroyed => "destroyed",
    };
    let services: Vec<Value> = rolled
        .fates
        .iter()
        .map(|(id, one)| {
            let restored: BTreeSet<_> = rolled.restored.get(id).cloned().unwrap_or_default();
            json!({"service": id, "result": fate(one), "credentials": restored})
        })
        .collect();
    let config: Vec<Value> = apart
        .iter()
        .flat_map(|(id, differences)| {
            differences.iter().map(move |difference| {
                json!({"service": id, "path": difference.path, "now": difference.after, "then": difference.before})
            })
        })
        .collect();
    let header = &rolled.receipt.header;
    json!({
        "version": 1, "kind": "rollback", "id": header.id, "to": to, "environment": header.environment,
        "status": rolled.receipt.status, "services": services, "config": config, "config_restored": config_restored,
        "warnings": warnings(rolled), "requests": rolled.receipt.counts,
    })
}
