//! The plan as text and as JSON.

use serde_json::{Value, json};
use ss_core::plan::{Action, Change, Plan, Step};
use ss_core::record::RequestCount;
use ss_core::text::printable;

use super::style::Style;

const VALUE_CHARACTERS_MAX: usize = 60;
const LINE_CHARACTERS_MAX: usize = 400;

/// The plan for a person.
pub fn text(plan: &Plan, style: Style) -> String {
    let width = plan.steps.iter().map(|step| step.service.as_str().len()).max().unwrap_or(0);
    let mut out = String::new();
    for step in &plan.steps {
        out.push_str(&format!(
            "  {} {:width$}  {}\n",
            glyph(step, style),
            step.service.as_str(),
            what(step)
        ));
        if matches!(step.action, Action::Update | Action::Replace) {
            for change in &step.changes {
                out.push_str(&format!("      {}\n", line(change)));
            }
        }
    }
    if !plan.steps.is_empty() {
        out.push('\n');
    }
    out.push_str(&format!("Plan: {}.\n", counts(plan)));
    for refusal in &plan.refused {
        out.push_str(&format!(
            "{} {}\n",
            style.red("✗"),
            printable(&refusal.reason, LINE_CHARACTERS_MAX)
        ));
    }
    out
}

fn glyph(step: &Step, style: Style) -> String {
    match step.action {
        Action::Create => style.green("+"),
        Action::Update => style.yellow("~"),
        Action::Replace => style.red("±"),
        Action::Unchanged => style.dim("="),
        Action::Destroy => style.red("-"),
        Action::Skip => style.dim("−"),
    }
}

fn what(step: &Step) -> String {
    if step.kind.is_empty() {
        printable(&step.summary, LINE_CHARACTERS_MAX)
    } else {
        printable(&format!("{} · {}", step.kind, step.summary), LINE_CHARACTERS_MAX)
    }
}

/// `path: old → new`.
pub fn line(change: &Change) -> String {
    let path = printable(&change.path, 200);
    let note = if change.replaces { "  (forces a replace)" } else { "" };
    if change.secret {
        return format!("{path}: (secret, changed){note}");
    }
    let side = |value: &Option<Value>, absent: &str| match value {
        None => absent.to_owned(),
        Some(Value::String(text)) => printable(text, VALUE_CHARACTERS_MAX),
        Some(other) => printable(&other.to_string(), VALUE_CHARACTERS_MAX),
    };
    format!(
        "{path}: {} → {}{note}",
        side(&change.before, "(none)"),
        side(&change.after, "(removed)")
    )
}

fn counts(plan: &Plan) -> String {
    let counts = plan.counts;
    let mut parts =
        vec![format!("{} to create", counts.create), format!("{} to update", counts.update)];
    if counts.replace > 0 {
        parts.push(format!("{} to replace", counts.replace));
    }
    if counts.destroy > 0 {
        parts.push(format!("{} to destroy", counts.destroy));
    }
    parts.push(format!("{} unchanged", counts.unchanged));
    if counts.skip > 0 {
        parts.push(format!("{} skipped", counts.skip));
    }
    parts.join(", ")
}

/// `14 GET, 0 writes (enforced)`.
pub fn requests(counts: RequestCount) -> String {
    let writes =
        if counts.write == 1 { "1 write".to_owned() } else { format!("{} writes", counts.write) };
    format!("{} GET, {writes} (enforced)", counts.read)
}

/// The plan for a program.
pub fn json(plan: &Plan, requests: RequestCount) -> Value {
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| {
            json!({
                "service": step.service, "type": step.kind, "action": step.action,
                "changes": step.changes, "summary": step.summary, "operations": step.operations,
            })
        })
        .collect();
    json!({
        "version": 1, "kind": "plan", "system": plan.system, "environment": plan.environment,
        "lineage": plan.lineage, "serial": plan.serial, "steps": steps, "counts": plan.counts,
        "refused": plan.refused, "requests": requests,
    })
}
