//! What a look at the real resources found, as text and as JSON.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use ss_core::ident::ServiceId;
use ss_core::text::printable;
use ss_engine::Observed;
use ss_ports::{Event, EventSink};

use super::style::Style;

/// Keeps what provisioners say while they look: that a project can still be recovered, for one.
#[derive(Default)]
pub struct Notes(Mutex<BTreeMap<ServiceId, Vec<String>>>);

impl EventSink for Notes {
    fn event(&self, event: Event) {
        if let Event::Log { service, message } = event {
            let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            notes.entry(service).or_default().push(message);
        }
    }
}

impl Notes {
    /// What was said of a service.
    pub fn of(&self, service: &ServiceId) -> Vec<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(service).cloned().unwrap_or_default()
    }
}

fn side(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => printable(text, 100),
        Some(other) => printable(&other.to_string(), 100),
    }
}

/// One service for a person.
pub fn text(style: Style, id: &str, seen: &Observed, notes: &[String]) -> String {
    let mut text = match seen {
        Observed::Same => format!("{} {id}  no drift\n", style.green("✓")),
        Observed::Gone => format!("{} {id}  gone\n", style.red("✗")),
        Observed::Unknown(failure) => {
            format!("{} {id}  could not be checked: {}\n", style.yellow("?"), failure.message)
        }
        Observed::Drifted { .. } => format!("{} {id}  drifted\n", style.yellow("~")),
    };
    if let Observed::Drifted { differences, .. } = seen {
        for difference in differences {
            let (recorded, actual) =
                (side(difference.before.as_ref()), side(difference.after.as_ref()));
            let path = printable(&difference.path, 200);
            text.push_str(&format!("      {path}: {recorded} → {actual}\n"));
        }
    }
    if let Observed::Unknown(failure) = seen {
        for hint in &failure.hints {
            text.push_str(&format!("      hint: {}\n", printable(hint, 2_000)));
        }
    }
    for note in notes {
        text.push_str(&format!("      {note}\n"));
    }
    text
}

/// One service for a program.
pub fn json(id: &str, seen: &Observed, notes: &[String]) -> Value {
    let mut changes = Vec::new();
    let status = match seen {
        Observed::Same => "ok",
        Observed::Gone => "gone",
        Observed::Unknown(_) => "unknown",
        Observed::Drifted { differences, .. } => {
            changes.extend(differences.iter().map(|difference| {
                json!({"path": difference.path, "recorded": difference.before, "actual": difference.after})
            }));
            "drifted"
        }
    };
    let mut value = json!({"service": id, "status": status, "changes": changes, "notes": notes});
    if let Observed::Unknown(failure) = seen {
        value["error"] = json!(failure.message);
    }
    value
}
