//! How what we remember looks from outside: the vendor's JSON shapes.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::model::{Branch, Database, Endpoint, InitSource, Operation, Project, Role};
use crate::clock::rfc3339;

/// How long a deleted project can be recovered.
pub(crate) const RECOVERY_MS: i64 = 7 * 24 * 3600 * 1000;

/// The `project` of every answer about one.
pub(crate) fn project(project: &Project) -> Value {
    let mut value = project_common(project);
    extend(
        &mut value,
        json!({
            "data_storage_bytes_hour": 0,
            "data_transfer_bytes": 0,
            "written_data_bytes": 0,
            "compute_time_seconds": 0,
            "active_time_seconds": 0,
            "consumption_period_start": "0001-01-01T00:00:00Z",
            "consumption_period_end": "0001-01-01T00:00:00Z",
        }),
    );
    value
}

/// One line of the project listing.
pub(crate) fn project_item(project: &Project) -> Value {
    let mut value = project_common(project);
    extend(&mut value, json!({"active_time": 0}));
    if let Some(deleted_ms) = project.deleted_ms {
        extend(
            &mut value,
            json!({
                "deleted_at": rfc3339(deleted_ms),
                "recoverable_until": rfc3339(deleted_ms + RECOVERY_MS),
            }),
        );
    }
    value
}

fn project_common(project: &Project) -> Value {
    json!({
        "id": project.id,
        "platform_id": project.region_id.split('-').next().unwrap_or("aws"),
        "region_id": project.region_id,
        "name": project.name,
        "provisioner": project.provisioner,
        "default_endpoint_settings": project.default_endpoint_settings,
        "settings": project.settings,
        "pg_version": project.pg_version,
        "proxy_host": Ipv4Addr::LOCALHOST,
        "branch_logical_size_limit": 512,
        "branch_logical_size_limit_bytes": 536_870_912,
        "store_passwords": project.store_passwords,
        "cpu_used_sec": 0,
        "creation_source": "console",
        "history_retention_seconds": project.history_retention_seconds,
        "created_at": rfc3339(project.created_ms),
        "updated_at": rfc3339(project.updated_ms),
        "owner_id": project.org_id,
        "org_id": project.org_id,
    })
}

/// A branch.
pub(crate) fn branch(project: &Project, branch: &Branch) -> Value {
    let mut value = json!({
        "id": branch.id,
        "project_id": project.id,
        "name": branch.name,
        "current_state": if branch.ready { "ready" } else { "init" },
        "state_changed_at": rfc3339(branch.state_changed_ms),
        "creation_source": "console",
        "primary": branch.default,
        "default": branch.default,
        "protected": branch.protected,
        "cpu_used_sec": 0,
        "compute_time_seconds": 0,
        "active_time_seconds": 0,
        "written_data_bytes": 0,
        "data_transfer_bytes": 0,
        "created_at": rfc3339(branch.created_ms),
        "updated_at": rfc3339(branch.updated_ms),
        "init_source": init_source(branch.init_source),
    });
    if !branch.ready {
        extend(&mut value, json!({"pending_state": "ready"}));
    }
    if let Some(parent) = &branch.parent_id {
        extend(&mut value, json!({"parent_id": parent}));
    }
    if let Some(expires_ms) = branch.expires_ms {
        extend(&mut value, json!({"expires_at": rfc3339(expires_ms)}));
    }
    value
}

fn init_source(source: InitSource) -> &'static str {
    match source {
        InitSource::ParentData => "parent-data",
        InitSource::SchemaOnly => "schema-only",
    }
}

/// A branch's annotation; empty when none was given.
pub(crate) fn annotation(branch: &Branch) -> Value {
    json!({
        "object": {"type": "console/branch", "id": branch.id},
        "value": branch.annotations.clone().unwrap_or_default(),
        "created_at": rfc3339(branch.created_ms),
        "updated_at": rfc3339(branch.created_ms),
    })
}

/// A compute endpoint.
pub(crate) fn endpoint(project: &Project, endpoint: &Endpoint) -> Value {
    let mut value = json!({
        "host": host(endpoint.port),
        "id": endpoint.id,
        "project_id": project.id,
        "branch_id": endpoint.branch_id,
        "autoscaling_limit_min_cu": endpoint.min_cu,
        "autoscaling_limit_max_cu": endpoint.max_cu,
        "region_id": project.region_id,
        "type": endpoint.kind,
        "current_state": endpoint.state,
        "settings": endpoint.settings,
        "pooler_enabled": endpoint.pooler_enabled,
        "pooler_mode": "transaction",
        "disabled": endpoint.disabled,
        "passwordless_access": true,
        "creation_source": "console",
        "created_at": rfc3339(endpoint.created_ms),
        "updated_at": rfc3339(endpoint.updated_ms),
        "proxy_host": Ipv4Addr::LOCALHOST,
        "suspend_timeout_seconds": endpoint.suspend_timeout_seconds,
        "provisioner": endpoint.provisioner,
    });
    if let Some(pending) = endpoint.pending {
        extend(&mut value, json!({"pending_state": pending}));
    }
    if let Some(name) = &endpoint.name {
        extend(&mut value, json!({"name": name}));
    }
    if let Some(at) = endpoint.started_ms {
        extend(
            &mut value,
            json!({"started_at": rfc3339(at), "last_active": rfc3339(endpoint.last_active_ms)}),
        );
    }
    if let Some(at) = endpoint.suspended_ms {
        extend(&mut value, json!({"suspended_at": rfc3339(at)}));
    }
    value
}

/// A role without its password.
pub(crate) fn role(branch_id: &str, role: &Role) -> Value {
    json!({
        "branch_id": branch_id,
        "name": role.name,
        "protected": false,
        "authentication_method": if role.no_login { "no_login" } else { "password" },
        "created_at": rfc3339(role.created_ms),
        "updated_at": rfc3339(role.updated_ms),
    })
}

/// A role with its password: only for the answers that make one.
pub(crate) fn role_with_password(branch_id: &str, given: &Role) -> Value {
    let mut value = role(branch_id, given);
    if let Some(password) = &given.password {
        extend(&mut value, json!({"password": password}));
    }
    value
}

/// A database.
pub(crate) fn database(branch_id: &str, database: &Database) -> Value {
    json!({
        "id": database.id,
        "branch_id": branch_id,
        "name": database.name,
        "owner_name": database.owner_name,
        "created_at": rfc3339(database.created_ms),
        "updated_at": rfc3339(database.updated_ms),
    })
}

/// An operation.
pub(crate) fn operation(project_id: &str, operation: &Operation) -> Value {
    let mut value = json!({
        "id": operation.id,
        "project_id": project_id,
        "action": operation.action,
        "status": operation.status,
        "failures_count": operation.failures_count,
        "created_at": rfc3339(operation.created_ms),
        "updated_at": rfc3339(operation.updated_ms),
        "total_duration_ms": operation.updated_ms.saturating_sub(operation.created_ms),
    });
    let optional = [
        ("branch_id", operation.branch_id.clone()),
        ("endpoint_id", operation.endpoint_id.clone()),
        ("error", operation.error.clone()),
        ("retry_at", operation.retry_ms.map(rfc3339)),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            extend(&mut value, json!({name: text}));
        }
    }
    value
}

/// Every operation of one answer.
pub(crate) fn operations(project_id: &str, operations: &[Operation]) -> Value {
    operations.iter().map(|it| operation(project_id, it)).collect()
}

/// Where a port of ours is reached.
pub(crate) fn host(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

/// One of an answer's `connection_uris`.
pub(crate) fn connection(endpoint: &Endpoint, role: &Role, database: &str) -> Value {
    let password = role.password.as_deref().unwrap_or_default();
    json!({
        "connection_uri": uri(endpoint.port, &role.name, password, database),
        "connection_parameters": {
            "database": database,
            "password": password,
            "role": role.name,
            "host": host(endpoint.port),
            "pooler_host": host(endpoint.pooler_port),
        },
    })
}

/// A connection URI that any PostgreSQL client understands.
pub(crate) fn uri(port: u16, role: &str, password: &str, database: &str) -> String {
    let (role, password, database) = (escape(role), escape(password), escape(database));
    format!("postgresql://{role}:{password}@{}/{database}?sslmode=disable", host(port))
}

fn escape(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}

/// What every project has unless told otherwise.
pub(crate) fn default_settings() -> Map<String, Value> {
    let settings = json!({
        "allowed_ips": {"ips": [], "protected_branches_only": false},
        "enable_logical_replication": false,
        "maintenance_window": {"weekdays": [5], "start_time": "07:00", "end_time": "08:00"},
        "block_public_connections": false,
        "block_vpc_connections": false,
        "hipaa": false,
    });
    settings.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_survives_odd_names() {
        let uri = uri(5432, "a b", "p@:/", "d?");
        assert_eq!(uri, "postgresql://a%20b:p%40%3A%2F@127.0.0.1:5432/d%3F?sslmode=disable");
    }
}
