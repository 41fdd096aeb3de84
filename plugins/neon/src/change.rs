//! Changing a project in place: name, history, branch name, compute. Nothing here destroys.

use serde::Serialize;
use starsystem_provisioner::{Failure, Request, json, serde_json::Map};

use crate::api::{Mutated, Place};
use crate::attributes::Seen;
use crate::explain::explain;
use crate::operations;
use crate::target::Target;

/// Sends what differs; answers with the fields it changed.
pub(crate) fn bring_in_line(
    place: &Place,
    seen: &Seen,
    name: &str,
    target: &Target,
) -> Result<Vec<&'static str>, Failure> {
    let mut changed = project(place, seen, name, target)?;
    changed.extend(endpoint(place, seen, target)?);
    changed.extend(branch(place, seen, target)?);
    // The project's defaults and its compute are one field to the user.
    changed.dedup();
    Ok(changed)
}

fn project(
    place: &Place,
    seen: &Seen,
    name: &str,
    target: &Target,
) -> Result<Vec<&'static str>, Failure> {
    let mut changed = Vec::new();
    let mut project = Map::new();
    if seen.project.name != name {
        changed.push("project_name");
        project.insert("name".to_owned(), json!(name));
    }
    let history = target.history_retention_seconds;
    if history.is_some() && history != seen.project.history_retention_seconds {
        changed.push("history_retention_seconds");
        project.insert("history_retention_seconds".to_owned(), json!(history));
    }
    if !target.sizing.is_met_by(&seen.project.default_endpoint_settings) {
        changed.push("compute");
        project.insert("default_endpoint_settings".to_owned(), json!(target.sizing));
    }
    if !project.is_empty() {
        let request = place.request("updateProject");
        send(place, request, &json!({"project": project}), "change the project")?;
    }
    Ok(changed)
}

fn branch(place: &Place, seen: &Seen, target: &Target) -> Result<Option<&'static str>, Failure> {
    if seen.branch.as_ref().is_none_or(|branch| branch.name == target.branch) {
        return Ok(None);
    }
    let body = json!({"branch": {"name": target.branch}});
    send(place, place.branch_request("updateBranch"), &body, "rename the branch")?;
    Ok(Some("branch"))
}

/// The project's defaults reach only computes made later: the one that is there is changed itself.
fn endpoint(place: &Place, seen: &Seen, target: &Target) -> Result<Option<&'static str>, Failure> {
    let Some(endpoint) = &seen.endpoint else { return Ok(None) };
    let sizing_fits = target.sizing.is_met_by(&endpoint.sizing);
    if sizing_fits && !endpoint.disabled {
        return Ok(None);
    }
    let mut wanted = json!(target.sizing);
    if endpoint.disabled {
        wanted["disabled"] = json!(false);
    }
    let request = place.request("updateEndpoint").param("endpoint_id", &endpoint.id);
    send(place, request, &json!({"endpoint": wanted}), "change the compute")?;
    Ok(Some("compute"))
}

/// Sends a change and waits until Neon has done it: the next one would be locked out.
fn send(
    place: &Place,
    request: Request,
    body: &impl Serialize,
    doing: &str,
) -> Result<(), Failure> {
    let reply = request.json(body).send()?;
    if !reply.is_success() {
        return Err(explain(&reply, doing));
    }
    let mutated: Mutated = reply.json()?;
    operations::wait_for(&place.project_id, &mutated.operations)
}
