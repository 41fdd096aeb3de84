//! Removing the project, and telling apart a project that is gone from a key that may not see it.

use std::time::Duration;

use starsystem_provisioner::{Failure, FailureKind, Request, json, log, poll, step};

use crate::api::{self, Mutated, Place};
use crate::attributes::Attributes;
use crate::explain::explain;
use crate::make::{self, Deletion, Listed};
use crate::operations;

/// A deleted project that Neon can still bring back.
pub(crate) struct Deleted {
    at: Option<String>,
    until: Option<String>,
}

impl From<Listed> for Deleted {
    fn from(listed: Listed) -> Self {
        Self { at: listed.deleted_at, until: listed.recoverable_until }
    }
}

impl Deleted {
    /// `deleted at … and can be recovered until …`.
    pub(crate) fn story(&self) -> String {
        let at = self.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        let until = self.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        format!("deleted{at} and can be recovered{until}")
    }
}

/// After a 404: what Neon knows of the deleted project. An error when the key does not see the organisation, for
/// then nothing says that the project is gone.
pub(crate) fn find_deleted(place: &Place) -> Result<Option<Deleted>, Failure> {
    match make::list(&place.project_id, place.org_id.as_deref(), Deletion::Recoverable) {
        Ok(listed) => {
            let same = listed.into_iter().find(|listed| listed.id == place.project_id);
            Ok(same.map(Deleted::from))
        }
        // Listing deleted projects is a beta feature: its refusal says nothing.
        Err(failure) if failure.kind == FailureKind::Invalid => {
            log!("deleted projects cannot be listed: {failure}");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Why a project that is recorded cannot be changed: it is gone.
pub(crate) fn gone_while_wanted(place: &Place) -> Result<Failure, Failure> {
    let id = &place.project_id;
    Ok(match find_deleted(place)? {
        Some(deleted) => Failure::broken(format!(
            "the Neon project {id} was {}. Recover it in the Neon console and deploy again, or plan with \
             `--refresh` to make a new one",
            deleted.story()
        )),
        None => Failure::broken(format!(
            "the Neon project {id} no longer exists: plan with `--refresh` to make a new one"
        )),
    })
}

/// Deletes the project with everything in it. One that is gone already is a success.
pub(crate) fn project(recorded: &Attributes) -> Result<(), Failure> {
    let place = Place {
        project_id: recorded.project_id.clone(),
        org_id: recorded.org_id.clone(),
        branch_id: recorded.branch_id.clone(),
        database: String::new(),
        role: String::new(),
    };
    let id = &place.project_id;
    rename(&place, &recorded.project_name)?;
    let reply = place.request("deleteProject").send()?;
    if api::is_absent(&reply) {
        find_deleted(&place)?;
        return Ok(());
    }
    if !reply.is_success() {
        return Err(explain(&reply, "delete the project"));
    }
    step!("Project deleted: {}-{id} (Neon can recover it for 7 days)", recorded.project_name);
    let gone = || Ok(if api::project(&place)?.is_none() { Some(()) } else { None });
    match poll(Duration::from_secs(60), Duration::from_secs(1), gone)? {
        Some(()) => Ok(()),
        None => Err(Failure::unavailable(format!(
            "Neon still shows the project {id} a minute after it was deleted: try again later"
        ))),
    }
}

/// Marks the project as destroyed on purpose: a later deploy must not take it for an accident.
fn rename(place: &Place, name: &str) -> Result<(), Failure> {
    let name = format!("{name} (destroyed by ss)");
    let request: Request = place.request("updateProject");
    let reply = request.json(&json!({"project": {"name": name}})).send()?;
    if reply.is_success() {
        let mutated: Mutated = reply.json()?;
        operations::wait_for(&place.project_id, &mutated.operations)?;
    } else if !api::is_absent(&reply) {
        let failure = explain(&reply, "rename the project");
        if failure.kind == FailureKind::Unavailable {
            // Deleted under its own name it would stand in the way of the next deploy for a week.
            return Err(failure);
        }
        log!("{failure}");
    }
    Ok(())
}
