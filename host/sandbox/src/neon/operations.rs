//! Operations: how a mutation plans them, and how they are read.
//!
//! Planned times are fixed when the mutation is answered; `worker` makes them come true.

use axum::Json;
use axum::extract::{Path, State as Context};
use serde_json::{Value, json};

use super::Neon;
use super::call::Call;
use super::error::ApiError;
use super::model::{Action, EndpointState, Operation, OperationStatus, PlannedEnd, Project};
use super::view;
use crate::faults::{OperationEnd, OperationFault};
use crate::settings::Durations;

/// What one mutation wants done, in order.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) branch_id: String,
    pub(crate) endpoint_id: Option<String>,
}

impl Step {
    pub(crate) fn branch(action: Action, branch_id: &str) -> Self {
        Self { action, branch_id: branch_id.to_owned(), endpoint_id: None }
    }

    pub(crate) fn endpoint(action: Action, branch_id: &str, endpoint_id: &str) -> Self {
        let endpoint_id = Some(endpoint_id.to_owned());
        Self { action, branch_id: branch_id.to_owned(), endpoint_id }
    }
}

/// When things happen, for one mutation.
#[derive(Clone, Debug)]
pub(crate) struct Planning<'a> {
    pub(crate) now_ms: i64,
    pub(crate) durations: &'a Durations,
    pub(crate) fault: Option<&'a OperationFault>,
}

/// Adds the operations of one mutation to the project and returns them as answered.
pub(crate) fn plan(project: &mut Project, planning: &Planning, steps: &[Step]) -> Vec<Operation> {
    let mut starts_ms = planning.now_ms + planning.durations.scheduling;
    let mut planned: Vec<Operation> = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let ends_ms = starts_ms + duration(planning.durations, step.action);
        let hit = planning.fault.filter(|fault| is_hit(fault, step.action, index, steps.len()));
        planned.push(Operation {
            id: uuid::Uuid::new_v4().to_string(),
            branch_id: Some(step.branch_id.clone()),
            endpoint_id: step.endpoint_id.clone(),
            action: step.action,
            status: if starts_ms <= planning.now_ms {
                OperationStatus::Running
            } else {
                OperationStatus::Scheduling
            },
            error: None,
            failures_count: 0,
            retry_ms: None,
            created_ms: planning.now_ms,
            updated_ms: planning.now_ms,
            starts_ms,
            ends_ms,
            planned_end: hit.map(|fault| PlannedEnd {
                end: fault.operation,
                retry_after_ms: fault
                    .retry_after_ms
                    .filter(|_| fault.operation == OperationEnd::Failed),
            }),
        });
        note_pending(project, step);
        starts_ms = ends_ms;
    }
    project.operations.extend(planned.iter().cloned());
    planned
}

fn is_hit(fault: &OperationFault, action: Action, index: usize, count: usize) -> bool {
    match &fault.action {
        Some(wanted) => json!(action) == json!(wanted),
        None => index + 1 == count,
    }
}

fn note_pending(project: &mut Project, step: &Step) {
    let pending = match step.action {
        Action::StartCompute => EndpointState::Active,
        Action::SuspendCompute => EndpointState::Idle,
        _ => return,
    };
    let endpoint = step.endpoint_id.as_deref().and_then(|id| project.endpoint_mut(id));
    if let Some(endpoint) = endpoint {
        endpoint.pending = Some(pending);
    }
}

fn duration(durations: &Durations, action: Action) -> i64 {
    let ms = match action {
        Action::CreateTimeline | Action::CreateBranch => durations.create_timeline,
        Action::StartCompute => durations.start_compute,
        Action::SuspendCompute => durations.suspend_compute,
        Action::ApplyConfig => durations.apply_config,
        Action::DeleteTimeline => durations.delete_timeline,
    };
    ms.max(0)
}

/// `GET /projects/{project_id}/operations/{operation_id}`.
pub(crate) async fn read(
    Context(neon): Context<Neon>,
    Path((project_id, operation_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look(&call, &project_id, |project| {
        let operation = project
            .operations
            .iter()
            .find(|it| it.id == operation_id)
            .ok_or_else(ApiError::no_operation)?;
        Ok(Json(json!({"operation": view::operation(&project.id, operation)})))
    })
}

/// `GET /projects/{project_id}/operations`: newest first, as the vendor's console shows them.
pub(crate) async fn list(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let limit = call.number("limit", 1..=1_000, 1_000)?;
    neon.look(&call, &project_id, |project| {
        let newest_first: Vec<&Operation> = project.operations.iter().rev().collect();
        let start = match call.query("cursor") {
            Some(cursor) => newest_first
                .iter()
                .position(|it| it.id == cursor)
                .map(|index| index + 1)
                .ok_or_else(|| ApiError::invalid("cursor is not known"))?,
            None => 0,
        };
        let page: Vec<Operation> =
            newest_first.into_iter().skip(start).take(limit).cloned().collect();
        let cursor = page.last().map(|it| it.id.clone());
        let cursor = cursor.or_else(|| call.query("cursor").map(str::to_owned));
        let mut answer = json!({"operations": view::operations(&project.id, &page)});
        if let Some(cursor) = cursor {
            answer["pagination"] = json!({"cursor": cursor});
        }
        Ok(Json(answer))
    })
}
