//! One task per project: carries out its operations in order, by the clock, and looks after what
//! happens by itself: sleeping computes, expiring branches, the end of a deleted project.
//!
//! Real work begins when an operation begins and is completed when it ends; it may make an
//! operation later than planned, never earlier. A restarted sandbox goes on where it stopped, so
//! each piece of work can be done twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::gate::Seen;
use super::model::{Action, Endpoint, EndpointState, Operation, OperationStatus, Project};
use super::operations::{self, Planning, Step};
use super::{Neon, branches, view};
use crate::faults::OperationEnd;

const DEFAULT_SUSPEND_SECONDS: i64 = 300;

/// The handle on a project's task.
#[derive(Debug)]
pub(crate) struct Worker {
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn start(neon: Neon, project_id: &str) -> Self {
        let wake = Arc::new(Notify::new());
        let task = tokio::spawn(run(neon, project_id.to_owned(), wake.clone()));
        Self { wake, task }
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.task.is_finished()
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the task where it stands and waits until it has.
    pub(crate) async fn end(self) {
        self.task.abort();
        // Aborted or panicked: either way it no longer runs.
        let _ = self.task.await;
    }
}

/// What a project's task has to do next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next<'a> {
    /// Carry out this operation.
    Operation(&'a Operation),
    /// Look again at this time.
    At(i64),
    /// Wait to be woken.
    Nothing,
}

/// Decides what comes next, from the project and who is connected to it.
pub(crate) fn next<'a>(
    project: &'a Project,
    connected: impl Fn(&str) -> Seen,
    now_ms: i64,
) -> Next<'a> {
    if let Some(operation) = project.operations.iter().find(|it| it.is_open()) {
        return Next::Operation(operation);
    }
    if let Some(deleted_ms) = project.deleted_ms {
        return Next::At(deleted_ms + view::RECOVERY_MS);
    }
    let sleeps = project.endpoints.iter().filter_map(|it| idle_ms(it, connected(&it.id), now_ms));
    let expires = project.branches.iter().filter_map(|it| it.expires_ms);
    sleeps.chain(expires).min().map_or(Next::Nothing, Next::At)
}

/// When an active compute falls asleep if nobody connects until then.
fn idle_ms(endpoint: &Endpoint, seen: Seen, now_ms: i64) -> Option<i64> {
    let seconds = match endpoint.suspend_timeout_seconds {
        -1 => return None,
        0 => DEFAULT_SUSPEND_SECONDS,
        seconds => seconds,
    };
    let last_ms =
        if seen.connections > 0 { now_ms } else { endpoint.last_active_ms.max(seen.last_ms) };
    (endpoint.state == EndpointState::Active).then_some(last_ms + seconds * 1_000)
}

enum Todo {
    Operation(Operation),
    At(i64),
    Wait,
}

async fn run(neon: Neon, project_id: String, wake: Arc<Notify>) {
    neon.resume(&project_id).await;
    loop {
        neon.inner.progress.send_modify(|count| *count += 1);
        let now_ms = neon.now_ms();
        let todo = neon.read(|state| {
            let project = state.projects.get(&project_id)?;
            Some(match next(project, |id| neon.inner.gates.activity(id), now_ms) {
                Next::Operation(operation) => Todo::Operation(operation.clone()),
                Next::At(at_ms) => Todo::At(at_ms),
                Next::Nothing => Todo::Wait,
            })
        });
        match todo {
            None => return,
            Some(Todo::Operation(operation)) => neon.carry_out(&project_id, operation).await,
            Some(Todo::At(at_ms)) => {
                neon.tidy_ports(&project_id).await;
                tokio::select! {
                    () = neon.inner.shared.clock.sleep_until(at_ms) => neon.keep_house(&project_id).await,
                    () = wake.notified() => {}
                }
            }
            Some(Todo::Wait) => {
                neon.tidy_ports(&project_id).await;
                wake.notified().await;
            }
        }
    }
}

impl Neon {
    /// After a restart: computes that were active are active again.
    async fn resume(&self, project_id: &str) {
        let endpoints = self.read(|state| {
            let project = state.live(project_id);
            project.map(|project| project.endpoints.clone()).unwrap_or_default()
        });
        for endpoint in endpoints.iter().filter(|it| it.state == EndpointState::Active) {
            if let Err(error) = self.open_compute(project_id, endpoint).await {
                self.say(&format!("{} did not start again: {error}", endpoint.id));
            }
        }
    }

    /// Ports of sleeping computes are open, those of deleted projects closed.
    async fn tidy_ports(&self, project_id: &str) {
        self.close_if_deleted(project_id).await;
        self.open_if_asleep(project_id).await;
    }

    /// A sleeping compute that was started once listens, so that a connection can wake it.
    async fn open_if_asleep(&self, project_id: &str) {
        if self.inner.postgres.is_off() {
            return;
        }
        let asleep = self.read(|state| {
            let endpoints = state.live(project_id).map(|it| it.endpoints.clone());
            endpoints.unwrap_or_default()
        });
        let wakeable = |it: &&Endpoint| {
            it.state == EndpointState::Idle && !it.disabled && it.started_ms.is_some()
        };
        for endpoint in asleep.iter().filter(wakeable) {
            if let Err(error) = self.inner.gates.open(self, project_id, endpoint).await {
                self.say(&format!("{} cannot be woken: {error}", endpoint.id));
            }
        }
    }

    async fn carry_out(&self, project_id: &str, operation: Operation) {
        let clock = &self.inner.shared.clock;
        clock.sleep_until(operation.starts_ms).await;
        self.update(project_id, &operation.id, |it, now_ms| {
            it.status = OperationStatus::Running;
            it.updated_ms = now_ms;
        })
        .await;
        self.inner.progress.send_modify(|count| *count += 1);
        let works = operation
            .planned_end
            .as_ref()
            .is_none_or(|planned| planned.end == OperationEnd::Skipped);
        let mut result = Ok(());
        if works {
            result = self.begin(project_id, &operation).await;
        }
        clock.sleep_until(operation.ends_ms).await;
        if works && result.is_ok() {
            result = self.complete(project_id, &operation).await;
        }
        self.conclude(project_id, &operation, result).await;
    }

    /// Writes down how the operation ended, and what that makes of its branch and compute.
    async fn conclude(&self, project_id: &str, operation: &Operation, result: Result<(), String>) {
        let planned = operation.planned_end.clone();
        if let Err(error) = &result {
            self.say(&format!("{project_id}: {:?} failed: {error}", operation.action));
        }
        self.update_project(project_id, |project, now_ms| {
            let Some(stored) = project.operations.iter_mut().find(|it| it.id == operation.id)
            else {
                return;
            };
            stored.updated_ms = now_ms;
            let end = match (&result, &planned) {
                (Err(error), _) => {
                    stored.error = Some(error.clone());
                    OperationStatus::Error
                }
                (Ok(()), Some(planned)) => status_of(planned.end),
                (Ok(()), None) => OperationStatus::Finished,
            };
            stored.status = end;
            if matches!(end, OperationStatus::Finished | OperationStatus::Skipped) {
                succeed(project, operation, now_ms);
                return;
            }
            stored.failures_count += 1;
            stored.error.get_or_insert_with(|| "injected by a fault rule".to_owned());
            let retry_after_ms = planned.as_ref().and_then(|planned| planned.retry_after_ms);
            if let Some(after_ms) = retry_after_ms {
                let took_ms = operation.ends_ms - operation.starts_ms;
                stored.retry_ms = Some(now_ms + after_ms);
                stored.starts_ms = now_ms + after_ms;
                stored.ends_ms = stored.starts_ms + took_ms;
                stored.planned_end = None;
            } else {
                give_up(project, operation, now_ms);
            }
        })
        .await;
    }

    /// What happens by itself, now that its time has come.
    async fn keep_house(&self, project_id: &str) {
        let settings = self.settings();
        let now_ms = self.now_ms();
        let purged = self.read(|state| {
            let deleted = state.projects.get(project_id).and_then(|it| it.deleted_ms);
            deleted.is_some_and(|deleted| deleted + view::RECOVERY_MS <= now_ms)
        });
        if purged {
            self.purge(project_id).await;
            return;
        }
        self.update_project(project_id, |project, now_ms| {
            if project.deleted_ms.is_some() || project.is_busy() {
                return;
            }
            let planning = Planning { now_ms, durations: &settings.durations_ms, fault: None };
            let expired =
                project.branches.iter().find(|it| it.expires_ms.is_some_and(|at| at <= now_ms));
            if let Some(id) = expired.map(|it| it.id.clone()) {
                let steps = branches::delete_steps(project, &id);
                operations::plan(project, &planning, &steps);
                project.branches.retain(|it| it.id != id);
                project.endpoints.retain(|it| it.branch_id != id);
                return;
            }
            let asleep = |it: &&Endpoint| {
                idle_ms(it, self.inner.gates.activity(&it.id), now_ms)
                    .is_some_and(|at| at <= now_ms)
            };
            let steps: Vec<Step> = project
                .endpoints
                .iter()
                .filter(asleep)
                .map(|it| Step::endpoint(Action::SuspendCompute, &it.branch_id, &it.id))
                .collect();
            operations::plan(project, &planning, &steps);
        })
        .await;
    }

    /// Removes a deleted project for good.
    async fn purge(&self, project_id: &str) {
        let ids =
            |project: &Project| project.branches.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        let branches = self.read(|state| state.projects.get(project_id).map(ids));
        for branch in branches.unwrap_or_default() {
            if let Err(error) = self.inner.postgres.remove(&branch).await {
                self.say(&format!("{branch} was not removed: {error}"));
            }
        }
        self.keep_trying(|neon| {
            neon.inner.state.write(|state| drop(state.projects.remove(project_id)))
        })
        .await;
    }

    /// A deleted project's computes end at once.
    async fn close_if_deleted(&self, project_id: &str) {
        let deleted = self.read(|state| {
            state.projects.get(project_id).filter(|it| it.deleted_ms.is_some()).cloned()
        });
        let Some(project) = deleted else { return };
        for endpoint in &project.endpoints {
            self.inner.gates.close(&endpoint.id);
        }
        for branch in &project.branches {
            self.inner.postgres.stop(&branch.id).await;
        }
    }

    async fn update(
        &self,
        project_id: &str,
        operation_id: &str,
        change: impl Fn(&mut Operation, i64),
    ) {
        self.update_project(project_id, |project, now_ms| {
            let found = project.operations.iter_mut().find(|it| it.id == operation_id);
            found.into_iter().for_each(|it| change(it, now_ms));
        })
        .await;
    }

    async fn update_project(&self, project_id: &str, change: impl Fn(&mut Project, i64)) {
        let now_ms = self.now_ms();
        self.keep_trying(|neon| {
            neon.inner.state.write(|state| {
                let project = state.projects.get_mut(project_id);
                project.into_iter().for_each(|project| change(project, now_ms));
            })
        })
        .await;
    }

    /// A full disk delays an operation; it must not make us forget that it was done.
    async fn keep_trying(&self, write: impl Fn(&Self) -> std::io::Result<()>) {
        while let Err(error) = write(self) {
            self.say(&format!("state was not written, trying again: {error}"));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    pub(crate) fn say(&self, line: &str) {
        self.inner.shared.log.line(&format!("neon: {line}"));
    }
}

fn status_of(end: OperationEnd) -> OperationStatus {
    match end {
        OperationEnd::Failed => OperationStatus::Failed,
        OperationEnd::Error => OperationStatus::Error,
        OperationEnd::Cancelled => OperationStatus::Cancelled,
        OperationEnd::Skipped => OperationStatus::Skipped,
    }
}

fn succeed(project: &mut Project, operation: &Operation, now_ms: i64) {
    let store_passwords = project.store_passwords;
    let branch = operation.branch_id.as_deref().and_then(|id| project.branch_mut(id));
    if let Some(branch) = branch {
        match operation.action {
            Action::CreateTimeline | Action::CreateBranch => {
                branch.ready = true;
                branch.state_changed_ms = now_ms;
            }
            Action::StartCompute | Action::ApplyConfig => {
                branch.changes.clear();
                if !store_passwords {
                    branch.roles.iter_mut().for_each(|role| role.password = None);
                }
            }
            Action::SuspendCompute | Action::DeleteTimeline => {}
        }
    }
    let endpoint = operation.endpoint_id.as_deref().and_then(|id| project.endpoint_mut(id));
    if let Some(endpoint) = endpoint {
        match operation.action {
            Action::StartCompute => {
                endpoint.state = EndpointState::Active;
                endpoint.started_ms = Some(now_ms);
                endpoint.last_active_ms = now_ms;
                endpoint.pending = None;
            }
            Action::SuspendCompute => {
                endpoint.state = EndpointState::Idle;
                endpoint.suspended_ms = Some(now_ms);
                endpoint.pending = None;
            }
            _ => {}
        }
    }
}

/// What was planned behind a failed operation cannot happen either.
fn give_up(project: &mut Project, failed: &Operation, now_ms: i64) {
    for operation in project.operations.iter_mut().filter(|it| it.is_open()) {
        operation.status = OperationStatus::Cancelled;
        operation.updated_ms = now_ms;
    }
    let branch_id = failed.branch_id.as_deref();
    for endpoint in &mut project.endpoints {
        if Some(endpoint.branch_id.as_str()) == branch_id {
            endpoint.pending = None;
        }
    }
}
