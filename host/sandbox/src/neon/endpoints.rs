//! `/projects/{project_id}/endpoints`: computes.

use axum::Json;
use axum::extract::{Path, State as Context};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::access::known;
use super::call::Call;
use super::error::ApiError;
use super::model::{Action, Endpoint, EndpointKind, EndpointState, Operation, Project, State};
use super::operations::{self, Step};
use super::validate::{self, ComputeFields};
use super::{Neon, names, view};

#[derive(Debug, Deserialize)]
struct CreateBody {
    endpoint: NewEndpoint,
}

/// What a new endpoint may be given.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewEndpoint {
    #[serde(rename = "type")]
    pub(crate) kind: EndpointKind,
    #[serde(default)]
    branch_id: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(flatten)]
    fields: Fields,
}

#[derive(Debug, Deserialize)]
struct UpdateBody {
    endpoint: Fields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(flatten)]
    compute: ComputeFields,
    settings: Option<Map<String, Value>>,
    name: Option<String>,
    pooler_enabled: Option<bool>,
    disabled: Option<bool>,
    provisioner: Option<String>,
}

impl NewEndpoint {
    /// What can be said without knowing the project.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        self.fields.settings.iter().try_for_each(validate::endpoint_settings)
    }
}

impl Fields {
    fn apply(&self, endpoint: &mut Endpoint) -> Result<(), ApiError> {
        (endpoint.min_cu, endpoint.max_cu) =
            self.compute.check(endpoint.min_cu, endpoint.max_cu)?;
        if let Some(seconds) = self.compute.suspend_timeout_seconds {
            endpoint.suspend_timeout_seconds = seconds;
        }
        if let Some(settings) = &self.settings {
            validate::endpoint_settings(settings)?;
            endpoint.settings.clone_from(settings);
        }
        if let Some(name) = &self.name {
            endpoint.name = Some(name.clone());
        }
        if let Some(provisioner) = &self.provisioner {
            endpoint.provisioner.clone_from(provisioner);
        }
        endpoint.pooler_enabled = self.pooler_enabled.unwrap_or(endpoint.pooler_enabled);
        endpoint.disabled = self.disabled.unwrap_or(endpoint.disabled);
        Ok(())
    }
}

/// A read-write endpoint with the project's defaults.
pub(crate) fn fresh(state: &State, project: &Project, branch_id: &str, now_ms: i64) -> Endpoint {
    let number = |name: &str| project.default_endpoint_settings.get(name).and_then(Value::as_f64);
    let timeout = project.default_endpoint_settings.get("suspend_timeout_seconds");
    let pg_settings = project.default_endpoint_settings.get("pg_settings");
    let (port, pooler_port) = names::ports(state);
    Endpoint {
        id: names::endpoint_id(state),
        branch_id: branch_id.to_owned(),
        name: None,
        kind: EndpointKind::ReadWrite,
        state: EndpointState::Init,
        pending: None,
        min_cu: number("autoscaling_limit_min_cu").unwrap_or(0.25),
        max_cu: number("autoscaling_limit_max_cu").unwrap_or(0.25),
        suspend_timeout_seconds: timeout.and_then(Value::as_i64).unwrap_or(0),
        settings: pg_settings
            .map(|it| ("pg_settings".to_owned(), it.clone()))
            .into_iter()
            .collect(),
        pooler_enabled: false,
        disabled: false,
        provisioner: project.provisioner.clone(),
        port,
        pooler_port,
        created_ms: now_ms,
        updated_ms: now_ms,
        started_ms: None,
        suspended_ms: None,
        last_active_ms: now_ms,
    }
}

/// Adds an endpoint to a branch and returns its id.
pub(crate) fn add(
    state: &mut State,
    project_id: &str,
    branch_id: &str,
    wanted: &NewEndpoint,
    now_ms: i64,
) -> Result<String, ApiError> {
    let project = state.live(project_id).ok_or_else(ApiError::no_project)?;
    if wanted.kind == EndpointKind::ReadWrite && project.writer(branch_id).is_some() {
        return Err(ApiError::writer_exists(branch_id));
    }
    if wanted.region_id.as_ref().is_some_and(|region| *region != project.region_id) {
        return Err(ApiError::invalid("only the project's region_id is permitted"));
    }
    let mut endpoint = fresh(state, project, branch_id, now_ms);
    endpoint.kind = wanted.kind;
    wanted.fields.apply(&mut endpoint)?;
    let id = endpoint.id.clone();
    known(state, project_id)?.endpoints.push(endpoint);
    Ok(id)
}

/// `POST /projects/{project_id}/endpoints`.
pub(crate) async fn create(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let CreateBody { endpoint: wanted } = call.body()?;
    wanted.check()?;
    let branch_id =
        wanted.branch_id.clone().ok_or_else(|| ApiError::invalid("branch_id is required"))?;
    let answer = neon.mutate(
        &call,
        &project_id,
        |project| ready_branch(project, &branch_id),
        |state, context, ()| {
            let id = add(state, &project_id, &branch_id, &wanted, context.planning.now_ms)?;
            let project = known(state, &project_id)?;
            let disabled = project.endpoint(&id).is_some_and(|it| it.disabled);
            let steps = match disabled {
                true => Vec::new(),
                false => vec![Step::endpoint(Action::StartCompute, &branch_id, &id)],
            };
            let planned = operations::plan(project, &context.planning, &steps);
            one(project, &id, &planned)
        },
    )?;
    Ok((StatusCode::CREATED, answer))
}

/// A branch that can be worked on; while operations run, the lock is what answers.
pub(crate) fn ready_branch(project: &Project, branch_id: &str) -> Result<(), ApiError> {
    let branch = project.branch(branch_id).ok_or_else(ApiError::no_branch)?;
    if branch.ready || project.is_busy() { Ok(()) } else { Err(ApiError::branch_not_ready()) }
}

/// `GET /projects/{project_id}/endpoints`.
pub(crate) async fn list(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look(&call, &project_id, |project| Ok(all(project, |_| true)))
}

/// `GET /projects/{project_id}/branches/{branch_id}/endpoints`.
pub(crate) async fn list_of_branch(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look_at_branch(&call, (&project_id, &branch_id), |project, branch| {
        Ok(all(project, |it| it.branch_id == branch.id))
    })
}

fn all(project: &Project, which: impl Fn(&&Endpoint) -> bool) -> Json<Value> {
    let endpoints = project.endpoints.iter().filter(which);
    Json(json!({"endpoints": endpoints.map(|it| view::endpoint(project, it)).collect::<Value>()}))
}

/// `GET /projects/{project_id}/endpoints/{endpoint_id}`.
pub(crate) async fn read(
    Context(neon): Context<Neon>,
    Path((project_id, endpoint_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look(&call, &project_id, |project| {
        let endpoint = project.endpoint(&endpoint_id).ok_or_else(ApiError::no_endpoint)?;
        Ok(Json(json!({"endpoint": view::endpoint(project, endpoint)})))
    })
}

/// `PATCH /projects/{project_id}/endpoints/{endpoint_id}`.
pub(crate) async fn update(
    Context(neon): Context<Neon>,
    Path((project_id, endpoint_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let UpdateBody { endpoint: fields } = call.body()?;
    neon.mutate(
        &call,
        &project_id,
        |project| {
            let mut changed = present(project, &endpoint_id)?.clone();
            fields.apply(&mut changed)?;
            Ok(changed)
        },
        |state, context, mut changed| {
            changed.updated_ms = context.planning.now_ms;
            let was_active = changed.state == EndpointState::Active;
            let step = |action| Step::endpoint(action, &changed.branch_id, &changed.id);
            let steps = match (was_active, changed.disabled) {
                (true, true) => vec![step(Action::ApplyConfig), step(Action::SuspendCompute)],
                (true, false) => vec![step(Action::ApplyConfig)],
                (false, _) => Vec::new(),
            };
            let project = known(state, &project_id)?;
            if let Some(endpoint) = project.endpoint_mut(&endpoint_id) {
                *endpoint = changed;
            }
            let planned = operations::plan(project, &context.planning, &steps);
            one(project, &endpoint_id, &planned)
        },
    )
}

/// `DELETE /projects/{project_id}/endpoints/{endpoint_id}`.
pub(crate) async fn delete(
    Context(neon): Context<Neon>,
    Path((project_id, endpoint_id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, ApiError> {
    if neon.look(&call, &project_id, |project| Ok(project.endpoint(&endpoint_id).is_none()))? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let answer = neon.mutate(
        &call,
        &project_id,
        |project| present(project, &endpoint_id).cloned(),
        |state, context, endpoint| {
            let project = known(state, &project_id)?;
            let steps = [Step::endpoint(Action::SuspendCompute, &endpoint.branch_id, &endpoint.id)];
            let planned = operations::plan(project, &context.planning, &steps);
            let answer = one(project, &endpoint_id, &planned)?;
            project.endpoints.retain(|it| it.id != endpoint_id);
            Ok(answer)
        },
    )?;
    Ok(answer.into_response())
}

/// `POST .../start`.
pub(crate) async fn start(
    Context(neon): Context<Neon>,
    Path((project_id, endpoint_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.switch(&call, &project_id, &endpoint_id, |endpoint| match endpoint.state {
        _ if endpoint.disabled => Err(ApiError::new(422, "endpoint is disabled")),
        EndpointState::Active => Ok(Vec::new()),
        EndpointState::Init | EndpointState::Idle => Ok(vec![Action::StartCompute]),
    })
}

/// `POST .../suspend`.
pub(crate) async fn suspend(
    Context(neon): Context<Neon>,
    Path((project_id, endpoint_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.switch(&call, &project_id, &endpoint_id, |endpoint| match endpoint.state {
        _ if endpoint.pending.is_some() => Err(ApiError::transitive_state()),
        EndpointState::Active => Ok(vec![Action::SuspendCompute]),
        EndpointState::Init | EndpointState::Idle => Ok(Vec::new()),
    })
}

/// `POST .../restart`.
pub(crate) async fn restart(
    Context(neon): Context<Neon>,
    Path((project_id, endpoint_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.switch(&call, &project_id, &endpoint_id, |endpoint| match endpoint.state {
        _ if endpoint.disabled => Err(ApiError::new(422, "endpoint is disabled")),
        EndpointState::Active => Ok(vec![Action::SuspendCompute, Action::StartCompute]),
        EndpointState::Init | EndpointState::Idle => Ok(vec![Action::StartCompute]),
    })
}

impl Neon {
    /// Starts or stops a compute.
    fn switch(
        &self,
        call: &Call,
        project_id: &str,
        endpoint_id: &str,
        actions: impl FnOnce(&Endpoint) -> Result<Vec<Action>, ApiError>,
    ) -> Result<Json<Value>, ApiError> {
        self.mutate(
            call,
            project_id,
            |project| {
                let endpoint = present(project, endpoint_id)?;
                let branch_id = endpoint.branch_id.clone();
                Ok((actions(endpoint)?, branch_id))
            },
            |state, context, (actions, branch_id)| {
                let project = known(state, project_id)?;
                let steps: Vec<Step> = actions
                    .into_iter()
                    .map(|action| Step::endpoint(action, &branch_id, endpoint_id))
                    .collect();
                let planned = operations::plan(project, &context.planning, &steps);
                one(project, endpoint_id, &planned)
            },
        )
    }
}

fn present<'a>(project: &'a Project, id: &str) -> Result<&'a Endpoint, ApiError> {
    project.endpoint(id).ok_or_else(ApiError::no_endpoint)
}

fn one(project: &Project, id: &str, planned: &[Operation]) -> Result<Json<Value>, ApiError> {
    let endpoint = present(project, id)?;
    Ok(Json(json!({
        "endpoint": view::endpoint(project, endpoint),
        "operations": view::operations(&project.id, planned),
    })))
}
