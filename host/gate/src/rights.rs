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
    if !operation.adopts.is_empty() {
        line.push_str(", recognises its own by their mark");
    }
    line
}
