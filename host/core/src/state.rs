//! What exists: one record per service, with lineage and serial. Never a secret.
//!
//! This is the shape of the store's state and of the `_state` block in the overlay.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ident::{DeployId, PluginName, ServiceId};

/// Version of the shape below. A newer one is refused, an older one is read.
pub const STATE_VERSION: u32 = 1;

/// Everything this system has in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Made once, at the first deploy; two states of different lineage never mix.
    pub lineage: String,
    /// Grows by one with each commit.
    pub serial: u64,
    /// The deploy that committed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<DeployId>,
    /// The kind of place that the state is in, where this is only a note of it in an overlay, without services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What is recorded, by service.
    #[serde(default)]
    pub services: BTreeMap<ServiceId, Recorded>,
    /// Services that were destroyed, and the generation that the next resource of that name gets: a new one must
    /// not be taken for the old.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retired: BTreeMap<ServiceId, u32>,
}

impl State {
    /// The state of a system that has nothing yet.
    pub fn empty(lineage: impl Into<String>) -> Self {
        Self {
            version: STATE_VERSION,
            lineage: lineage.into(),
            serial: 0,
            deploy: None,
            backend: None,
            services: BTreeMap::new(),
            retired: BTreeMap::new(),
        }
    }
}

impl State {
    /// What an overlay says of a state that is in a place of this kind.
    pub fn note(&self, backend: &str) -> Self {
        Self {
            serial: self.serial,
            backend: Some(backend.to_owned()),
            ..Self::empty(&self.lineage)
        }
    }
}

/// Whether the last call for a service came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It did: the record says what is there.
    #[default]
    Complete,
    /// It did not: the record is the last checkpoint, and the next deploy goes on from it.
    Partial,
    /// What is there may differ from the record: a rollback put it back, or a look at the real resource found so.
    Unverified,
}

impl Progress {
    fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

/// Ids that this system made or adopted: connection → parameter → ids. The gate lets writes go only to these.
pub type Owned = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What is recorded about one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The target type, e.g. `neon`.
    pub provider: String,
    /// The plugin that made it.
    pub plugin: PluginPin,
    /// The vendor's id; absent while a first call has not reached a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// Where it is reached, without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `region` of the target, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The facts that drift detection compares.
    pub attributes: Value,
    /// Version of the shape of `attributes`, the plugin's own.
    #[serde(default = "first")]
    pub schema: u32,
    /// The target as it was applied.
    pub target: Value,
    /// Digest of `target` and the names of the inputs.
    pub config_digest: String,
    /// Keyed digests of the injected values: environment name → digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Names of the credentials it wrote to the vault.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub outputs: BTreeSet<String>,
    /// What it stands on; destroy goes the other way.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<ServiceId>,
    /// Ids the gate lets this service change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owned: Owned,
    /// Refuses replace and destroy until the overlay says `protect: false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// Whether the target holds data that a destroy would lose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub data: bool,
    /// Grows by one with each replace; part of the service's mark.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// Whether the last call came to its end.
    #[serde(default, skip_serializing_if = "Progress::is_complete")]
    pub progress: Progress,
    /// When the last call ended, RFC 3339 UTC.
    pub provisioned_at: String,
}

/// Which plugin, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginPin {
    /// Its name.
    pub name: PluginName,
    /// Its version, from the manifest.
    pub version: String,
    /// `sha256:…` of the component.
    pub digest: String,
}

fn first() -> u32 {
    1
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The tag of a service's resource: stable for one lineage, environment, service and generation, and hard to
/// meet by chance. `ss-` and 20 characters of `[a-z2-7]`.
pub fn mark(lineage: &str, environment: &str, service: &ServiceId, generation: u32) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = crate::value::keyed_digest(
        lineage.as_bytes(),
        &format!("{environment}/{service}/{generation}"),
    );
    let tag = digest.as_bytes().chunks(2).take(20).map(|pair| {
        let byte =
            u8::from_str_radix(std::str::from_utf8(pair).expect("hex is ASCII"), 16).expect("hex");
        ALPHABET[usize::from(byte & 31)] as char
    });
    std::iter::once("ss-").map(str::to_owned).chain(tag.map(String::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ_by_every_part() {
        let api = ServiceId::new("api").unwrap();
        let web = ServiceId::new("web").unwrap();
        let base = mark("lineage", "prod", &api, 0);
        assert_eq!(base.len(), 23);
        assert_eq!(base, mark("lineage", "prod", &api, 0));
        for other in [
            mark("other", "prod", &api, 0),
            mark("lineage", "dev", &api, 0),
            mark("lineage", "prod", &web, 0),
            mark("lineage", "prod", &api, 1),
        ] {
            assert_ne!(base, other);
        }
    }
}
