//! What is recorded of a project, and how it is seen at Neon: only facts that stay until somebody changes them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use starsystem_provisioner::{Failure, Recorded};

use crate::api::{self, Branch, Endpoint, Place, Project};
use crate::operations;
use crate::target::{Kept, Sizing, Target};

/// The record. What no longer exists at Neon is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attributes {
    /// The project's id.
    pub project_id: String,
    /// The project's name.
    pub project_name: String,
    /// Neon's id of the region.
    pub region: String,
    /// Major version of Postgres.
    pub pg_version: u32,
    /// The organisation that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The first branch's id.
    pub branch_id: String,
    /// The first branch's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The compute's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
    /// Where the compute is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whether connections to the compute are refused; only written down when they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endpoint_disabled: bool,
    /// The database's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The role's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How far back it can be restored, when the user sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_retention_seconds: Option<u64>,
    /// The compute's size, as far as the user sets it.
    #[serde(flatten)]
    pub sizing: Sizing,
}

impl Attributes {
    /// Which settings the user controlled when this was recorded.
    pub(crate) fn kept(&self) -> Kept {
        let history = self.history_retention_seconds.is_some();
        Kept { history, sizing: self.sizing.clone() }
    }
}

/// A project and its parts as they are now.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) project: Project,
    pub(crate) branch: Option<Branch>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) database: bool,
    pub(crate) role: bool,
}

impl Seen {
    /// Reads everything; `None` when the project is gone. What is absent is asked for again until `lag` is over.
    pub(crate) fn of(place: &Place, lag: Duration) -> Result<Option<Self>, Failure> {
        let Some(project) = api::patiently(lag, || api::project(place))? else { return Ok(None) };
        let branch = api::patiently(lag, || api::branch(place))?;
        let has_branch = branch.is_some();
        Ok(Some(Self {
            project,
            branch,
            endpoint: if has_branch { api::patiently(lag, || api::endpoint(place))? } else { None },
            database: has_branch && api::patiently(lag, || api::database(place))?.is_some(),
            role: has_branch && api::patiently(lag, || api::role(place))?.is_some(),
        }))
    }

    /// Like [`of`](Self::of), but a project that is still being made is waited for.
    pub(crate) fn settled(place: &Place, lag: Duration) -> Result<Option<Self>, Failure> {
        match Self::of(place, lag)? {
            Some(seen) if seen.is_unfinished() => {
                operations::wait_for_running(&place.project_id)?;
                Self::of(place, lag)
            }
            seen => Ok(seen),
        }
    }

    /// Whether there is all that a connection needs.
    pub(crate) fn is_whole(&self) -> bool {
        self.endpoint.is_some() && self.database && self.role
    }

    fn is_unfinished(&self) -> bool {
        self.branch.as_ref().is_some_and(|branch| branch.current_state == "init")
            || self.endpoint.as_ref().is_some_and(|endpoint| endpoint.current_state == "init")
    }

    /// Says what is missing or cannot be changed, before anything is touched.
    pub(crate) fn check(&self, place: &Place, target: &Target) -> Result<(), Failure> {
        let id = &place.project_id;
        let lacks = if self.branch.is_none() {
            format!("branch `{}`", place.branch_id)
        } else if self.endpoint.is_none() {
            "read-write compute".to_owned()
        } else if !self.role {
            format!("role `{}`", place.role)
        } else if !self.database {
            format!("database `{}`", place.database)
        } else {
            return self.check_fixed(place, target);
        };
        Err(Failure::broken(format!(
            "the Neon project {id} no longer has its {lacks}: restore or make it in the Neon console \
             (https://console.neon.tech/app/projects/{id}), then deploy again"
        )))
    }

    fn check_fixed(&self, place: &Place, target: &Target) -> Result<(), Failure> {
        let id = &place.project_id;
        if let (Some(wanted), Some(actual)) = (&target.org_id, &self.project.org_id)
            && wanted != actual
        {
            return Err(Failure::invalid(format!(
                "the Neon project {id} belongs to {actual}, not to {wanted}: transfer it in the Neon console, \
                 or set `org_id` back"
            )));
        }
        let fixed = [
            ("region", self.project.region_id.clone(), target.region_id()),
            ("pg_version", self.project.pg_version.to_string(), target.pg_version.to_string()),
        ];
        match fixed.into_iter().find(|(_, actual, wanted)| actual != wanted) {
            None => Ok(()),
            Some((field, actual, wanted)) => Err(Failure::invalid(format!(
                "the Neon project {id} has `{field}` {actual} and Neon cannot change it to {wanted}: set it \
                 back, or replace the project (which loses its data)"
            ))),
        }
    }

    /// The record, with the settings that the user controls.
    pub(crate) fn record(&self, place: &Place, kept: &Kept) -> Recorded<Attributes> {
        let project = &self.project;
        let endpoint = self.endpoint.as_ref();
        let attributes = Attributes {
            project_id: place.project_id.clone(),
            project_name: project.name.clone(),
            region: project.region_id.clone(),
            pg_version: project.pg_version,
            org_id: project.org_id.clone(),
            branch_id: place.branch_id.clone(),
            branch: self.branch.as_ref().map(|branch| branch.name.clone()),
            endpoint_id: endpoint.map(|endpoint| endpoint.id.clone()),
            host: endpoint.map(|endpoint| endpoint.host.clone()),
            endpoint_disabled: endpoint.is_some_and(|endpoint| endpoint.disabled),
            database: self.database.then(|| place.database.clone()),
            role: self.role.then(|| place.role.clone()),
            history_retention_seconds: project.history_retention_seconds.filter(|_| kept.history),
            sizing: endpoint.map(|endpoint| endpoint.sizing.only(&kept.sizing)).unwrap_or_default(),
        };
        let record = Recorded::new(&place.project_id, attributes);
        match endpoint {
            Some(endpoint) => record.with_url(api::url(place, &endpoint.host)),
            None => record,
        }
    }
}
