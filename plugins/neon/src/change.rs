//! Changing a project in place: name, history, branch name, compute. Nothing here destroys.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use starsystem_provisioner::{Failure, Recorded, Request, json, poll, serde_json::Map, step};

use crate::READ_LAG;
use crate::api::{Mutated, Place};
use crate::attributes::{Attributes, Seen};
use crate::explain::explain;
use crate::operations;
use crate::target::{Sizing, Target};

/// A field that can be changed in place, by the user's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Name,
    History,
    /// What the project gives to computes that are made later.
    Defaults,
    Compute,
    Branch,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Name => "project_name",
            Self::History => "history_retention_seconds",
            // One field to the user.
            Self::Defaults | Self::Compute => "compute",
            Self::Branch => "branch",
        }
    }
}

/// The fields' values, as they were read or recorded.
struct Settings<'a> {
    name: &'a str,
    history: Option<u64>,
    defaults: &'a Sizing,
    compute: Option<&'a Sizing>,
    disabled: bool,
    branch: Option<&'a str>,
}

/// What Neon shows to be other than wanted.
fn differing(seen: &Seen, name: &str, target: &Target) -> BTreeSet<Field> {
    let endpoint = seen.endpoint.as_ref();
    Settings {
        name: &seen.project.name,
        history: seen.project.history_retention_seconds,
        defaults: &seen.project.default_endpoint_settings,
        compute: endpoint.map(|endpoint| &endpoint.sizing),
        disabled: endpoint.is_some_and(|endpoint| endpoint.disabled),
        branch: seen.branch.as_ref().map(|branch| branch.name.as_str()),
    }
    .differing(name, target)
}

/// What was recorded otherwise. A read may lag behind a write, and then shows what is wanted too early.
fn recorded_otherwise(recorded: &Attributes, name: &str, target: &Target) -> BTreeSet<Field> {
    // What is not recorded was left to Neon until now: there, only a read can tell.
    let history = recorded.history_retention_seconds.or(target.history_retention_seconds);
    let sizing = recorded.sizing.or(&target.sizing);
    Settings {
        name: &recorded.project_name,
        history,
        defaults: &sizing,
        compute: Some(&sizing),
        disabled: recorded.endpoint_disabled,
        branch: recorded.branch.as_deref(),
    }
    .differing(name, target)
}

impl Settings<'_> {
    fn differing(&self, name: &str, target: &Target) -> BTreeSet<Field> {
        let history = target.history_retention_seconds;
        let fits = |sizing: &Sizing| target.sizing.is_met_by(sizing);
        let found = [
            (Field::Name, self.name != name),
            (Field::History, history.is_some() && history != self.history),
            (Field::Defaults, !fits(self.defaults)),
            (Field::Compute, self.disabled || !self.compute.is_none_or(fits)),
            (Field::Branch, self.branch.is_some_and(|branch| branch != target.branch)),
        ];
        found.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
    }
}

/// Sends what differs and answers with what Neon shows then; `None` when nothing differs.
pub(crate) fn bring_in_line(
    place: &Place,
    seen: &Seen,
    recorded: Option<&Recorded<Attributes>>,
    name: &str,
    target: &Target,
) -> Result<Option<Seen>, Failure> {
    let mut fields = differing(seen, name, target);
    if let Some(recorded) = recorded {
        fields.extend(recorded_otherwise(&recorded.attributes, name, target));
    }
    if fields.is_empty() {
        return Ok(None);
    }
    send_all(place, seen, &fields, name, target)?;
    let mut names: Vec<_> = fields.into_iter().map(Field::name).collect();
    names.dedup();
    step!("Project updated: {name}-{} ({})", place.project_id, names.join(", "));
    let mut last = None;
    poll(READ_LAG, Duration::from_secs(1), || {
        last = Seen::of(place, READ_LAG)?;
        let is_shown = last.as_ref().is_none_or(|seen| differing(seen, name, target).is_empty());
        Ok(is_shown.then_some(()))
    })?;
    last.map(Some).ok_or_else(|| Failure::broken("the project vanished while it was changed"))
}

fn send_all(
    place: &Place,
    seen: &Seen,
    fields: &BTreeSet<Field>,
    name: &str,
    target: &Target,
) -> Result<(), Failure> {
    project(place, fields, name, target)?;
    if fields.contains(&Field::Compute) {
        compute(place, seen, target)?;
    }
    if fields.contains(&Field::Branch) {
        let body = json!({"branch": {"name": target.branch}});
        send(place, place.branch_request("updateBranch"), &body, "rename the branch")?;
    }
    Ok(())
}

fn project(
    place: &Place,
    fields: &BTreeSet<Field>,
    name: &str,
    target: &Target,
) -> Result<(), Failure> {
    let mut project = Map::new();
    if fields.contains(&Field::Name) {
        project.insert("name".to_owned(), json!(name));
    }
    if fields.contains(&Field::History) {
        let history = json!(target.history_retention_seconds);
        project.insert("history_retention_seconds".to_owned(), history);
    }
    if fields.contains(&Field::Defaults) {
        project.insert("default_endpoint_settings".to_owned(), json!(target.sizing));
    }
    if project.is_empty() {
        return Ok(());
    }
    let request = place.request("updateProject");
    send(place, request, &json!({"project": project}), "change the project")
}

/// The project's defaults reach only computes made later: the one that is there is changed itself.
fn compute(place: &Place, seen: &Seen, target: &Target) -> Result<(), Failure> {
    let Some(endpoint) = &seen.endpoint else { return Ok(()) };
    let mut wanted = json!(target.sizing);
    // Without a size to set, there is no other reason to be here.
    if endpoint.disabled || target.sizing.is_empty() {
        wanted["disabled"] = json!(false);
    }
    let request = place.request("updateEndpoint").param("endpoint_id", &endpoint.id);
    send(place, request, &json!({"endpoint": wanted}), "change the compute")
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
