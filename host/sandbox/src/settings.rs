//! What a test may change about the local Neon while it runs: limits, delays, quirks, keys.
//!
//! Changed by merging a JSON patch. Unknown names are refused, so that a typo cannot silently test
//! nothing. The Fly half has its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Limits, delays and quirks of the local Neon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeonSettings {
    /// Plan name shown in the account.
    pub plan: String,
    /// The organisation every sandbox key belongs to.
    pub org_id: String,
    /// Most projects an organisation may have.
    pub projects_max: usize,
    /// Most branches a project may have.
    pub branches_max: usize,
    /// Most root branches a project may have.
    pub root_branches_max: usize,
    /// Longest history window of the plan; also caps the default of 86,400.
    pub history_seconds_max: i64,
    /// How long a new project stays out of the listing.
    pub list_lag_ms: i64,
    /// How long a fresh project, branch or role answers 404.
    pub read_lag_ms: i64,
    /// How long each action takes.
    pub durations_ms: Durations,
    /// `false` answers a duplicate branch with an empty `code`, as the vendor did in 2025.
    pub error_codes: bool,
    /// Requests per second and route, and how many may come at once; 0 switches it off.
    pub route_requests_per_second: u32,
    /// Requests per minute and account; 0 switches it off.
    pub account_requests_per_minute: u32,
    /// Whether a 429 of the rate limit carries `Retry-After`.
    pub retry_after: bool,
    /// Keys accepted besides the documented ones.
    pub keys: Vec<Key>,
}

/// How long operations take, by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Durations {
    /// Before the first operation of an answer begins.
    pub scheduling: i64,
    /// `create_timeline` and `create_branch`.
    pub create_timeline: i64,
    /// `start_compute`.
    pub start_compute: i64,
    /// `suspend_compute`.
    pub suspend_compute: i64,
    /// `apply_config`.
    pub apply_config: i64,
    /// `delete_timeline`.
    pub delete_timeline: i64,
}

/// One more accepted API key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The bearer token itself.
    pub key: String,
    /// What the key may do.
    pub kind: KeyKind,
    /// Its organisation; the sandbox's own when absent.
    #[serde(default)]
    pub org_id: Option<String>,
    /// The project a `project` key is bound to.
    #[serde(default)]
    pub project_id: Option<String>,
}

/// The three kinds of Neon API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Bound to an organisation, which is inferred.
    Org,
    /// A person's; needs `org_id` where organisations matter.
    Personal,
    /// Bound to one project.
    Project,
}

impl Default for NeonSettings {
    fn default() -> Self {
        Self {
            plan: "free_v3".into(),
            org_id: "org-quiet-harbor-40417290".into(),
            projects_max: 100,
            branches_max: 10,
            root_branches_max: 3,
            history_seconds_max: 21_600,
            list_lag_ms: 0,
            read_lag_ms: 0,
            durations_ms: Durations::default(),
            error_codes: true,
            route_requests_per_second: 40,
            account_requests_per_minute: 700,
            retry_after: true,
            keys: Vec::new(),
        }
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            scheduling: 0,
            create_timeline: 150,
            start_compute: 250,
            suspend_compute: 100,
            apply_config: 150,
            delete_timeline: 100,
        }
    }
}

impl NeonSettings {
    /// These settings with `patch` merged in: objects merge, `null` goes back to the default.
    ///
    /// # Errors
    /// An unknown name or a value of the wrong type, in words.
    pub fn patched(&self, patch: &Value) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        merge(&mut whole, patch);
        serde_json::from_value(whole).map_err(|error| error.to_string())
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(fields) = into {
        for (name, change) in changes {
            if change.is_null() {
                fields.remove(name);
            } else {
                merge(fields.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_touches_only_what_it_names_and_null_resets() {
        let changed = NeonSettings::default()
            .patched(&json!({"projects_max": 1, "durations_ms": {"apply_config": 9}}))
            .unwrap();
        assert_eq!(changed.projects_max, 1);
        assert_eq!(changed.durations_ms.apply_config, 9);
        assert_eq!(changed.branches_max, 10);
        let back = changed.patched(&json!({"projects_max": null, "durations_ms": null})).unwrap();
        assert_eq!(back, NeonSettings::default());
    }

    #[test]
    fn a_typo_is_refused() {
        let error = NeonSettings::default().patched(&json!({"project_max": 1})).unwrap_err();
        assert!(error.contains("project_max"), "{error}");
    }
}
