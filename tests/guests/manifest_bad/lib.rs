//! Describes itself with a manifest that declares one operation twice.

fn manifest() -> String {
    let operation = r#"{"name": "twice", "route": "GET /things"}"#;
    format!(
        r#"{{"manifest": 1, "name": "manifest-bad", "version": "0.1.0", "description": "x", "targets": [],
            "connections": [{{"name": "example", "base_url": "https://api.example.com/v1", "operations": [{operation}, {operation}]}}]}}"#
    )
}

guest::describe!(manifest);
