//! What a test can turn: quirks, delays, quotas, shortages. Plain data, kept with the state.

use serde::{Deserialize, Serialize};

/// The knobs of the local Fly; every field has a default, unknown names are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// App names that belong to another organisation.
    pub names_taken: Vec<String>,
    /// Shortages, looked at in order; the first that fits refuses.
    pub capacity: Vec<Shortage>,
    /// Machines (id or name) whose host does not answer.
    pub unreachable: Vec<String>,
    /// Answer as the real API bends its own schema: nulls, empty policies, bool `autostop`.
    pub quirks: bool,
    /// How long something new is missing from lists.
    pub list_lag_ms: i64,
    /// How long a new app answers `app_lag_status` to everything.
    pub app_lag_ms: i64,
    /// 404 or 401.
    pub app_lag_status: u16,
    /// Whether requests are limited as on Fly.
    pub rate_limits: bool,
    /// From `created` to `started`.
    pub boot_ms: i64,
    /// Between an exit and the restart that follows it.
    pub restart_delay_ms: i64,
    /// A check that has not passed yet is repeated at least this often; 0 keeps to its interval.
    pub eager_check_ms: i64,
    /// How long a destroyed machine can still be read.
    pub destroyed_readable_ms: i64,
    /// How long `min_secrets_version` waits for a version that is not there.
    pub min_secrets_wait_ms: i64,
    /// A certificate becomes active this long after it was asked for; null: never.
    pub certificate_issue_ms: Option<i64>,
    /// Machines per app; null: no limit.
    pub machines_per_app_max: Option<usize>,
    /// Apps per organisation; null: no limit.
    pub apps_max: Option<usize>,
    /// So many machine creations succeed and yet answer 408.
    pub lost_creates: u32,
    /// Each paged list begins with an empty page.
    pub empty_pages: bool,
    /// Whether `/app/NAME` needs a public IP assignment, as `NAME.fly.dev` does.
    pub public_ip_needed: bool,
}

/// One refusal for lack of room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shortage {
    /// Whether creating or updating machines is refused.
    pub on: Action,
    /// In which words.
    pub kind: ShortageKind,
    /// Only in this region.
    #[serde(default)]
    pub region: Option<String>,
    /// Only in this app.
    #[serde(default)]
    pub app: Option<String>,
    /// How often; null: always.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What a shortage refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `POST /machines`.
    Create,
    /// `POST /machines/{id}`.
    Update,
}

/// The words of a shortage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortageKind {
    /// 409 `aborted: no capacity`.
    NoCapacity,
    /// 422 with status `insufficient_capacity`.
    InsufficientCapacity,
    /// 409 `aborted: could not reserve resource for machine: …`.
    HostFull,
    /// 412 with status `volume_placement_capacity`; only for machines with a volume.
    VolumeHostFull,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names_taken: vec!["taken".to_owned()],
            capacity: Vec::new(),
            unreachable: Vec::new(),
            quirks: false,
            list_lag_ms: 0,
            app_lag_ms: 0,
            app_lag_status: 404,
            rate_limits: true,
            boot_ms: 150,
            restart_delay_ms: 100,
            eager_check_ms: 500,
            destroyed_readable_ms: 60_000,
            min_secrets_wait_ms: 2_000,
            certificate_issue_ms: None,
            machines_per_app_max: None,
            apps_max: None,
            lost_creates: 0,
            empty_pages: false,
            public_ip_needed: true,
        }
    }
}

impl Settings {
    /// These settings with the fields of `patch` (a JSON object) replaced.
    ///
    /// # Errors
    /// A name that does not exist or a value of the wrong type, in words.
    pub fn patched(&self, patch: &serde_json::Value) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let fields = patch.as_object().ok_or("settings must be an object")?;
        for (name, value) in fields {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).map_err(|error| error.to_string())
    }
}
