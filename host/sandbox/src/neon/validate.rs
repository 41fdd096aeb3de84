//! The bounds of fields, and what an answer says when they are left.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::ApiError;

/// Fields that an endpoint and a project's defaults for endpoints share.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ComputeFields {
    pub(crate) autoscaling_limit_min_cu: Option<f64>,
    pub(crate) autoscaling_limit_max_cu: Option<f64>,
    pub(crate) suspend_timeout_seconds: Option<i64>,
}

impl ComputeFields {
    /// Checks the bounds; `was` fills in what is not given for the comparison of the two.
    pub(crate) fn check(&self, was_min: f64, was_max: f64) -> Result<(f64, f64), ApiError> {
        let min = self.autoscaling_limit_min_cu.unwrap_or(was_min);
        let max = self.autoscaling_limit_max_cu.unwrap_or_else(|| was_max.max(min));
        for (name, given) in [("autoscaling_limit_min_cu", min), ("autoscaling_limit_max_cu", max)]
        {
            if given.is_nan() || given < 0.25 {
                return Err(ApiError::invalid(format!("{name} must be at least 0.25")));
            }
        }
        if min > max {
            return Err(ApiError::invalid(
                "autoscaling_limit_min_cu must not exceed autoscaling_limit_max_cu",
            ));
        }
        match self.suspend_timeout_seconds {
            None | Some(-1 | 0 | 60..=604_800) => Ok((min, max)),
            Some(_) => Err(ApiError::invalid(
                "suspend_timeout_seconds must be -1, 0, or from 60 to 604800",
            )),
        }
    }
}

/// A name of 1 to 256 characters.
pub(crate) fn display_name(name: &str) -> Result<(), ApiError> {
    if (1..=256).contains(&name.chars().count()) {
        Ok(())
    } else {
        Err(ApiError::invalid("name must have 1 to 256 characters"))
    }
}

/// A name Postgres can hold: 1 to 63 bytes, and none of its own.
pub(crate) fn identifier(what: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > 63 {
        return Err(ApiError::invalid(format!("{what} name must have 1 to 63 bytes")));
    }
    let reserved = ["cloud_admin", "neon_superuser", "postgres", "template0", "template1"];
    if name.contains('\0') || name.starts_with("pg_") || reserved.contains(&name) {
        return Err(ApiError::invalid(format!("{what} name {name:?} is reserved")));
    }
    Ok(())
}

/// At most 50 annotations.
pub(crate) fn annotations(given: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if given.len() > 50 { Err(ApiError::invalid("at most 50 annotations")) } else { Ok(()) }
}

/// An endpoint's `settings`, which the vendor wants with `pg_settings` in it.
pub(crate) fn endpoint_settings(given: &Map<String, Value>) -> Result<(), ApiError> {
    if given.get("pg_settings").is_some_and(Value::is_object) {
        Ok(())
    } else {
        Err(ApiError::settings_nil())
    }
}

/// A history window the plan allows.
pub(crate) fn history(seconds: i64, max: i64) -> Result<(), ApiError> {
    if !(0..=2_592_000).contains(&seconds) {
        return Err(ApiError::invalid("history_retention_seconds must be from 0 to 2592000"));
    }
    if seconds > max { Err(ApiError::history_too_long(seconds, max)) } else { Ok(()) }
}

/// Puts given project settings over `current`; logical replication only ever goes on.
pub(crate) fn project_settings(
    current: &Map<String, Value>,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, ApiError> {
    let known = [
        ("quota", Value::is_object as fn(&Value) -> bool),
        ("allowed_ips", Value::is_object),
        ("enable_logical_replication", Value::is_boolean),
        ("maintenance_window", Value::is_object),
        ("block_public_connections", Value::is_boolean),
        ("block_vpc_connections", Value::is_boolean),
        ("audit_log_level", Value::is_string),
        ("hipaa", Value::is_boolean),
        ("preload_libraries", Value::is_object),
    ];
    let mut merged = current.clone();
    for (name, fits) in known {
        let Some(value) = given.get(name).filter(|value| !value.is_null()) else { continue };
        if !fits(value) {
            return Err(ApiError::invalid(format!("settings.{name} has the wrong type")));
        }
        merged.insert(name.to_owned(), value.clone());
    }
    let logical = |settings: &Map<String, Value>| {
        settings.get("enable_logical_replication").and_then(Value::as_bool).unwrap_or(false)
    };
    if logical(current) && !logical(&merged) {
        return Err(ApiError::invalid("logical replication cannot be disabled once enabled"));
    }
    Ok(merged)
}

/// Puts given defaults for endpoints over `current`.
pub(crate) fn endpoint_defaults(
    current: &Map<String, Value>,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, ApiError> {
    let fields: ComputeFields = serde_json::from_value(Value::Object(given.clone()))
        .map_err(|error| ApiError::invalid(format!("default_endpoint_settings: {error}")))?;
    let number = |name: &str| current.get(name).and_then(Value::as_f64).unwrap_or(0.25);
    let (min, max) =
        fields.check(number("autoscaling_limit_min_cu"), number("autoscaling_limit_max_cu"))?;
    let mut merged = current.clone();
    merged.extend(
        given.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())),
    );
    merged.insert("autoscaling_limit_min_cu".into(), json!(min));
    merged.insert("autoscaling_limit_max_cu".into(), json!(max));
    merged.entry("suspend_timeout_seconds").or_insert(json!(0));
    Ok(merged)
}
