//! Neon's objects as far as they matter here, and reading them. A 404 is `None`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use starsystem_provisioner::{Failure, Reply, Request, json, poll};

use crate::attributes::Attributes;
use crate::explain::explain;
use crate::operations::Operation;
use crate::target::{Sizing, Target};

/// Where the service's things are: ids and names, nothing that changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) project_id: String,
    pub(crate) org_id: Option<String>,
    pub(crate) branch_id: String,
    pub(crate) database: String,
    pub(crate) role: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) region_id: String,
    pub(crate) pg_version: u32,
    pub(crate) org_id: Option<String>,
    pub(crate) history_retention_seconds: Option<u64>,
    #[serde(default, deserialize_with = "json::or_default")]
    pub(crate) default_endpoint_settings: Sizing,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Branch {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) current_state: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) host: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    pub(crate) current_state: String,
    #[serde(default, deserialize_with = "json::or_default")]
    pub(crate) disabled: bool,
    #[serde(flatten)]
    pub(crate) sizing: Sizing,
}

/// What a mutation answers, as far as it is common.
#[derive(Debug, Deserialize)]
pub(crate) struct Mutated {
    #[serde(default, deserialize_with = "json::or_default")]
    pub(crate) operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct OneProject {
    project: Project,
}

#[derive(Deserialize)]
struct OneBranch {
    branch: Branch,
}

#[derive(Deserialize)]
struct Endpoints {
    endpoints: Vec<Endpoint>,
}

/// A reply of which only the existence counts.
#[derive(Deserialize)]
struct Anything {}

impl Place {
    /// Where a recorded project is. Its own names go first: the target's may be a wish for a replacement.
    pub(crate) fn of(attributes: &Attributes, target: &Target) -> Self {
        Self {
            project_id: attributes.project_id.clone(),
            org_id: attributes.org_id.clone(),
            branch_id: attributes.branch_id.clone(),
            database: attributes.database.clone().unwrap_or_else(|| target.database.clone()),
            role: attributes.role.clone().unwrap_or_else(|| target.role()),
        }
    }

    /// A request about the project.
    pub(crate) fn request(&self, operation: &str) -> Request {
        Request::new(operation).param("project_id", &self.project_id)
    }

    /// A request about the branch.
    pub(crate) fn branch_request(&self, operation: &str) -> Request {
        self.request(operation).param("branch_id", &self.branch_id)
    }
}

pub(crate) fn project(place: &Place) -> Result<Option<Project>, Failure> {
    let found: Option<OneProject> = get(place.request("getProject"), "read the project")?;
    Ok(found.map(|found| found.project))
}

pub(crate) fn branch(place: &Place) -> Result<Option<Branch>, Failure> {
    let found: Option<OneBranch> = get(place.branch_request("getBranch"), "read the branch")?;
    Ok(found.map(|found| found.branch))
}

/// The branch's read-write compute; there is at most one.
pub(crate) fn endpoint(place: &Place) -> Result<Option<Endpoint>, Failure> {
    let request = place.branch_request("listBranchEndpoints");
    let found: Option<Endpoints> = get(request, "list the computes")?;
    Ok(found.and_then(|found| writer(found.endpoints)))
}

pub(crate) fn writer(endpoints: Vec<Endpoint>) -> Option<Endpoint> {
    endpoints.into_iter().find(|endpoint| endpoint.kind == "read_write")
}

pub(crate) fn database(place: &Place) -> Result<Option<()>, Failure> {
    let request = place.branch_request("getDatabase").param("database_name", &place.database);
    Ok(get::<Anything>(request, "read the database")?.map(|_| ()))
}

pub(crate) fn role(place: &Place) -> Result<Option<()>, Failure> {
    let request = place.branch_request("getRole").param("role_name", &place.role);
    Ok(get::<Anything>(request, "read the role")?.map(|_| ()))
}

/// The connection URL without its password.
pub(crate) fn url(place: &Place, host: &str) -> String {
    let (role, database) = (encoded(&place.role), encoded(&place.database));
    format!("postgresql://{role}@{host}/{database}?sslmode=require")
}

/// Percent-encodes a name for a URL.
pub(crate) fn encoded(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}

/// Asks again for something absent while Neon may lag.
pub(crate) fn patiently<T>(
    lag: Duration,
    ask: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    poll(lag, Duration::from_secs(1), ask)
}

/// Sends a read. A 404 is `None`, unless it means that the key may not look.
pub(crate) fn get<T: DeserializeOwned>(
    request: Request,
    doing: &str,
) -> Result<Option<T>, Failure> {
    let reply = request.send()?;
    if is_absent(&reply) {
        return Ok(None);
    }
    if reply.is_success() { reply.json().map(Some) } else { Err(explain(&reply, doing)) }
}

/// Whether a 404 speaks of the thing, not of the key.
pub(crate) fn is_absent(reply: &Reply) -> bool {
    let of_the_key = |text: String| text.contains("not allowed");
    reply.status == 404 && !reply.error_message().is_some_and(of_the_key)
}
