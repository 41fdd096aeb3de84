//! The user's `target` block.

use serde::{Deserialize, Serialize};
use starsystem_provisioner::Failure;

/// What the user wants; the schema in the manifest says what each field means and fills in defaults.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    region: String,
    project_name: Option<String>,
    /// Major version of Postgres.
    pub pg_version: u32,
    /// Name of the first branch.
    pub branch: String,
    /// Name of the database.
    pub database: String,
    role: Option<String>,
    /// The organisation.
    pub org_id: Option<String>,
    /// How far back the project can be restored.
    pub history_retention_seconds: Option<u64>,
    /// Whether a deleted project of the same name may be passed over.
    #[serde(default)]
    pub ignore_deleted: bool,
    /// The compute's size.
    #[serde(flatten)]
    pub sizing: Sizing,
}

/// The compute's size, as targets, attributes and Neon itself spell it. Absent: Neon decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sizing {
    /// Smallest size in compute units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling_limit_min_cu: Option<f64>,
    /// Largest size in compute units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling_limit_max_cu: Option<f64>,
    /// Idle time before it is suspended: -1 never, 0 Neon's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_timeout_seconds: Option<i64>,
}

/// Which settings the user controls; the others are Neon's to move and are not recorded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) history: bool,
    pub(crate) sizing: Sizing,
}

/// What a suspend timeout of 0 stands for.
const SUSPEND_DEFAULT_SECONDS: i64 = 300;

impl Target {
    /// What the schema cannot say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Sizing { autoscaling_limit_min_cu: min, autoscaling_limit_max_cu: max, .. } =
            self.sizing;
        match (min, max) {
            (Some(min), Some(max)) if min > max => Err(Failure::invalid(format!(
                "`autoscaling_limit_min_cu` ({min}) is larger than `autoscaling_limit_max_cu` ({max})"
            ))),
            _ => Ok(()),
        }
    }

    /// Neon's id of the region: AWS regions may go without their prefix.
    pub(crate) fn region_id(&self) -> String {
        let full = ["aws-", "azure-", "gcp-"].iter().any(|cloud| self.region.starts_with(cloud));
        if full { self.region.clone() } else { format!("aws-{}", self.region) }
    }

    /// The project's name.
    pub(crate) fn project_name<'a>(&'a self, service_id: &'a str) -> &'a str {
        self.project_name.as_deref().unwrap_or(service_id)
    }

    /// The role that owns the database.
    pub(crate) fn role(&self) -> String {
        self.role.clone().unwrap_or_else(|| format!("{}_owner", self.database))
    }

    pub(crate) fn kept(&self) -> Kept {
        let history = self.history_retention_seconds.is_some();
        Kept { history, sizing: self.sizing.clone() }
    }
}

impl Sizing {
    /// Whether nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These values where `kept` has one.
    pub(crate) fn only(&self, kept: &Self) -> Self {
        Self {
            autoscaling_limit_min_cu: self
                .autoscaling_limit_min_cu
                .filter(|_| kept.autoscaling_limit_min_cu.is_some()),
            autoscaling_limit_max_cu: self
                .autoscaling_limit_max_cu
                .filter(|_| kept.autoscaling_limit_max_cu.is_some()),
            suspend_timeout_seconds: self
                .suspend_timeout_seconds
                .filter(|_| kept.suspend_timeout_seconds.is_some()),
        }
    }

    /// These values, and where there is none, the other's.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            autoscaling_limit_min_cu: self
                .autoscaling_limit_min_cu
                .or(other.autoscaling_limit_min_cu),
            autoscaling_limit_max_cu: self
                .autoscaling_limit_max_cu
                .or(other.autoscaling_limit_max_cu),
            suspend_timeout_seconds: self.suspend_timeout_seconds.or(other.suspend_timeout_seconds),
        }
    }

    /// Whether every value that is wanted is the actual one.
    pub(crate) fn is_met_by(&self, actual: &Self) -> bool {
        let plain = |sizing: &Self| Self {
            suspend_timeout_seconds: sizing
                .suspend_timeout_seconds
                .map(|seconds| if seconds == 0 { SUSPEND_DEFAULT_SECONDS } else { seconds }),
            ..sizing.clone()
        };
        plain(self) == plain(&actual.only(self))
    }
}
