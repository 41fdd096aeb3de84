//! What a manifest asks for, in lines that a person can read and a lock file can keep.
//!
//! Everything that widens what a plugin may do changes a line: a host, a credential, an operation, a phase, a secret.

use crate::manifest::{ChangePhase, Connection, Manifest, Operation};

/// One line for each connection and each operation, sorted.
pub fn rights(manifest: &Manifest) -> Vec<String> {
    let mut lines: Vec<String> = manifest.connections.iter().flat_map(connection_lines).collect();
    lines.sort();
    lines
}

fn connection_lines(connection: &Connection) -> Vec<String> {
    let token = match &connection.auth {
        Some(auth) => format!("with your {}", auth.bearer),
        None => "without a credential".to_owned(),
    };
    let mut lines = vec![format!("{}: {} {token}", connection.name, connection.base_url)];
    lines.extend(
        connection.operations.iter().map(|operation| operation_line(connection, operation)),
    );
    for operation in &connection.operations {
        lines.extend(parameter_lines(connection, operation));
    }
    lines
}

fn operation_line(connection: &Connection, operation: &Operation) -> String {
    let phases = if operation.route.is_read() {
        "any time".to_owned()
    } else {
        let says = |phase: &ChangePhase| match phase {
            ChangePhase::Exec => "when you say `ss exec`",
            phase => phase.as_str(),
        };
        operation.phases.iter().map(says).collect::<Vec<_>>().join(", ")
    };
    let mut line = format!("{}: {} ({phases})", connection.name, operation.route);
    if operation.destroys {
        line.push_str(", destroys");
    }
    if !operation.fills.is_empty() {
        line.push_str(&format!(", sends injected secrets at {}", operation.fills.join(" ")));
    }
    for adoption in &operation.adopts {
        let id = adoption.id.as_deref().unwrap_or("its own parameter");
        line.push_str(&format!(
            ", recognises its own {} at {id} by the mark at {}",
            adoption.param, adoption.mark
        ));
    }
    for (param, source) in &operation.owns {
        match source.strip_prefix("request:") {
            Some(pointer) => line.push_str(&format!(", names its own {param} at {pointer}")),
            None => line.push_str(&format!(", makes {param}, known by {source}")),
        }
    }
    if !operation.secrets.is_empty() {
        line.push_str(&format!(", never sees {}", operation.secrets.join(" ")));
    }
    line
}

/// One line each, so that asking for fewer is no new right.
fn parameter_lines(connection: &Connection, operation: &Operation) -> Vec<String> {
    let line = |what: &str, name: &String| {
        format!("{}: {} sets the {what} {name}", connection.name, operation.route)
    };
    let headers = operation.request_headers.values().map(|name| line("header", name));
    headers.chain(operation.query.iter().map(|name| line("query parameter", name))).collect()
}
