//! Receipts and state as text and as JSON.

use serde_json::{Value, json};
use ss_core::plan;
use ss_core::record::{DeployStatus, Receipt};
use ss_core::state::State;
use ss_core::text::printable;
use time::OffsetDateTime;
use time::macros::format_description;

use super::style::Style;

/// `2026-05-02 14:32:01 UTC`.
pub fn moment(ms: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
        .ok()
        .and_then(|time| time.format(&format).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// `87.3s`.
#[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 ms")]
pub fn seconds(ms: u64) -> String {
    format!("{:.1}s", ms as f64 / 1000.0)
}

fn status(status: DeployStatus, style: Style) -> String {
    match status {
        DeployStatus::Completed => format!("{} completed", style.green("✓")),
        DeployStatus::Failed => format!("{} failed", style.red("✗")),
        DeployStatus::Running => format!("{} running", style.yellow("…")),
        DeployStatus::Interrupted => format!("{} interrupted", style.yellow("!")),
        DeployStatus::RolledBack => format!("{} rolled-back", style.yellow("↩")),
    }
}

fn duration_ms(receipt: &Receipt) -> Option<u64> {
    receipt.ended_ms.map(|ended| u64::try_from(ended - receipt.header.started_ms).unwrap_or(0))
}

/// One receipt for a person.
pub fn text(receipt: &Receipt, style: Style) -> String {
    let env = &receipt.header.environment;
    let mut out = format!("ss inspect {}\n\n", receipt.header.id);
    out.push_str(&format!("  status:    {}\n", status(receipt.status, style)));
    if let Some(duration) = duration_ms(receipt) {
        out.push_str(&format!("  duration:  {}\n", seconds(duration)));
    }
    out.push_str(&format!("  started:   {}\n", moment(receipt.header.started_ms)));
    if let Some(ended) = receipt.ended_ms {
        out.push_str(&format!("  ended:     {}\n", moment(ended)));
    }
    if let Some(trace) = &receipt.header.trace_id {
        out.push_str(&format!("  trace:     {}\n", printable(trace, 40)));
    }
    out.push_str("\n── Timeline ──\n");
    for service in &receipt.services {
        let (glyph, note) = match service.status.as_str() {
            "completed" => (style.green("✓"), format!("({})", seconds(service.duration_ms))),
            "unchanged" | "skipped" => (style.dim("="), format!("({})", service.status)),
            other => (style.red("✗"), format!("({other})")),
        };
        out.push_str(&format!("  {glyph} ss.deploy.service.{} {note}\n", service.service));
        if let Some(error) = &service.error {
            out.push_str(&format!("      {}\n", printable(error, 2_000)));
        }
    }
    out.push_str("\n── Next actions ──\n");
    out.push_str(&format!("  Check drift    ss drift --env={env}\n"));
    out.push_str(&format!("  Re-deploy      ss deploy --env={env}\n"));
    out.push_str(&format!("  List deploys   ss inspect --list --env={env}\n"));
    out
}

/// What there is, for a person: a service before those that stand on it.
pub fn state_text(receipt: &Receipt, state: &State, heading: &str) -> String {
    let mut out = format!("\n── {heading} ──\n");
    let backwards = plan::destroy(&receipt.header.system, &receipt.header.environment, state, None);
    for id in backwards.steps.iter().rev().map(|step| &step.service) {
        let record = &state.services[id];
        out.push_str(&format!("{id}\n"));
        out.push_str(&format!("  provider: {}\n", record.provider));
        out.push_str(&format!(
            "  plugin: {} {} ({})\n",
            record.plugin.name,
            printable(&record.plugin.version, 64),
            record.plugin.digest
        ));
        if let Some(resource_id) = &record.resource_id {
            out.push_str(&format!("  resource_id: {}\n", printable(resource_id, 400)));
        }
        if let Some(url) = &record.url {
            out.push_str(&format!("  url: {}\n", printable(&without_password(url), 2_000)));
        }
        if let Some(region) = &record.region {
            out.push_str(&format!("  region: {}\n", printable(region, 100)));
        }
        if let Value::Object(attributes) = &record.attributes {
            for (name, value) in attributes {
                out.push_str(&format!(
                    "  {}: {}\n",
                    printable(name, 100),
                    printable(&plain(value), 2_000)
                ));
            }
        }
        for (connection, params) in &record.owned {
            for (param, ids) in params {
                let ids: Vec<String> = ids.iter().map(|id| printable(id, 100)).collect();
                out.push_str(&format!("  owns: {connection} {param} {}\n", ids.join(" ")));
            }
        }
        out.push_str(&format!("  provisioned_at: {}\n", record.provisioned_at));
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A URL with `***` in place of a password. A record never holds one; this is the second net.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((user, host)) = authority.rsplit_once('@') else { return url.to_owned() };
    let Some((name, _)) = user.split_once(':') else { return url.to_owned() };
    format!("{scheme}://{name}:***@{host}{}", &rest[authority.len()..])
}

/// The ledger for a person.
pub fn requests_text(receipt: &Receipt) -> String {
    let mut out = String::from("\n── Requests ──\n");
    for line in &receipt.requests {
        let status = line.status.map_or_else(|| "—".to_owned(), |status| status.to_string());
        let error = line
            .error
            .as_ref()
            .map(|error| format!("  {}", printable(error, 400)))
            .unwrap_or_default();
        out.push_str(&format!(
            "  {:<12} {:<6} {:<60} {status:>4} {:>7}ms {:>8}B ×{}{error}\n",
            line.service.as_str(),
            line.method,
            printable(&line.route, 400),
            line.ms,
            line.bytes,
            line.attempts
        ));
    }
    out
}

/// All receipts, for a person.
pub fn list_text(receipts: &[Receipt], style: Style) -> String {
    let mut out = String::new();
    for receipt in receipts {
        let services: Vec<&str> =
            receipt.services.iter().map(|service| service.service.as_str()).collect();
        out.push_str(&format!(
            "{}  {}  {:<13} {:>8}  {}\n",
            receipt.header.id,
            moment(receipt.header.started_ms),
            status(receipt.status, style),
            duration_ms(receipt).map(seconds).unwrap_or_default(),
            services.join(" ")
        ));
    }
    out
}

/// One receipt for a program: the shape that `deploy --json` and `inspect --json` share.
pub fn json(receipt: &Receipt, kind: &str) -> Value {
    json!({
        "version": 1, "kind": kind, "id": receipt.header.id, "run": receipt.header.run,
        "environment": receipt.header.environment, "status": receipt.status,
        "started": moment_rfc3339(receipt.header.started_ms),
        "ended": receipt.ended_ms.map(moment_rfc3339),
        "duration_ms": duration_ms(receipt), "services": receipt.services,
        "requests": receipt.counts,
    })
}

/// The rest of `inspect --json`.
pub fn json_full(receipt: &Receipt, state: &State) -> Value {
    let mut value = json(receipt, "inspect");
    let timeline: Vec<Value> = receipt
        .services
        .iter()
        .map(|service| {
            json!({"name": format!("ss.deploy.service.{}", service.service), "status": service.status, "duration_ms": service.duration_ms})
        })
        .collect();
    let services: serde_json::Map<String, Value> = state
        .services
        .iter()
        .map(|(id, record)| {
            let value = json!({
                "provider": record.provider, "plugin": record.plugin, "resource_id": record.resource_id,
                "url": record.url.as_deref().map(without_password), "region": record.region,
                "attributes": record.attributes, "owned": record.owned,
            });
            (id.to_string(), value)
        })
        .collect();
    if let Value::Object(map) = &mut value {
        map.insert("trace_id".to_owned(), json!(receipt.header.trace_id));
        map.insert("timeline".to_owned(), Value::Array(timeline));
        map.insert("state".to_owned(), Value::Object(services));
        map.insert("request_counts".to_owned(), json!(receipt.counts));
        map.insert("requests".to_owned(), json!(receipt.requests));
    }
    value
}

fn moment_rfc3339(ms: i64) -> String {
    moment(ms).replacen(' ', "T", 1).replace(" UTC", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_starred() {
        assert_eq!(
            without_password("postgresql://u:p%40w@h:1/db?x=1"),
            "postgresql://u:***@h:1/db?x=1"
        );
        assert_eq!(without_password("postgresql://u@h/db"), "postgresql://u@h/db");
        assert_eq!(without_password("https://h/p@q:r"), "https://h/p@q:r");
    }

    #[test]
    fn times_read_like_the_walkthrough() {
        assert_eq!(moment(1_777_732_321_000), "2026-05-02 14:32:01 UTC");
        assert_eq!(seconds(87_300), "87.3s");
    }
}
