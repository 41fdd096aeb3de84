//! How handlers reach a project: visibility first, then locks, then the change itself.

use super::Neon;
use super::call::Call;
use super::error::ApiError;
use super::model::{Branch, Project, State};
use super::operations::Planning;
use crate::settings::NeonSettings;

/// What a mutation needs besides the project.
pub(crate) struct Change<'a> {
    pub(crate) settings: &'a NeonSettings,
    pub(crate) planning: Planning<'a>,
}

impl Neon {
    /// Looks at a project the caller may see.
    pub(crate) fn look<R>(
        &self,
        call: &Call,
        project_id: &str,
        look: impl FnOnce(&Project) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        call.principal.reaches(project_id)?;
        self.read(|state| look(visible(state, call, project_id)?))
    }

    /// Looks at a branch the caller may see.
    pub(crate) fn look_at_branch<R>(
        &self,
        call: &Call,
        (project_id, branch_id): (&str, &str),
        look: impl FnOnce(&Project, &Branch) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        self.look(call, project_id, |project| {
            look(project, project.branch(branch_id).ok_or_else(ApiError::no_branch)?)
        })
    }

    /// Changes a project on which nothing else is going on, and lets its worker know.
    ///
    /// `check` runs before the lock is looked at, `change` behind it.
    pub(crate) fn mutate<C, R>(
        &self,
        call: &Call,
        project_id: &str,
        check: impl FnOnce(&Project) -> Result<C, ApiError>,
        change: impl FnOnce(&mut State, &Change, C) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        call.principal.reaches(project_id)?;
        let settings = self.settings();
        let context = Change { settings: &settings, planning: self.planning(call, &settings) };
        let answer = self.change(|state| {
            let project = visible(state, call, project_id)?;
            let checked = check(project)?;
            if project.is_busy() {
                return Err(ApiError::locked());
            }
            change(state, &context, checked)
        })?;
        self.wake(project_id);
        Ok(answer)
    }

    /// The time and the fault of this request.
    pub(crate) fn planning<'a>(&self, call: &'a Call, settings: &'a NeonSettings) -> Planning<'a> {
        Planning {
            now_ms: self.now_ms(),
            durations: &settings.durations_ms,
            fault: call.operation_fault(),
        }
    }

    /// Whether something made at `created_ms` is still too fresh to be read.
    pub(crate) fn is_too_fresh(&self, created_ms: i64) -> bool {
        self.now_ms() < created_ms + self.settings().read_lag_ms
    }
}

fn visible<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a Project, ApiError> {
    state
        .live(id)
        .filter(|project| project.org_id == call.principal.org_id)
        .ok_or_else(ApiError::no_project)
}

/// The project `mutate` has already found.
pub(crate) fn known<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Project, ApiError> {
    state.live_mut(id).ok_or_else(ApiError::no_project)
}
