//! `/projects`: list, create, read, update, delete, recover.

use axum::Json;
use axum::extract::{Path, State as Context};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::access::known;
use super::call::Call;
use super::error::ApiError;
use super::model::{Action, EndpointState, Project, State};
use super::operations::{self, Step};
use super::{Neon, account, branch_create, endpoints, names, validate, view};

#[derive(Debug, Deserialize)]
struct CreateBody {
    project: CreateFields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CreateFields {
    name: Option<String>,
    region_id: Option<String>,
    pg_version: Option<u32>,
    org_id: Option<String>,
    provisioner: Option<String>,
    store_passwords: Option<bool>,
    history_retention_seconds: Option<i64>,
    settings: Option<Map<String, Value>>,
    default_endpoint_settings: Option<Map<String, Value>>,
    autoscaling_limit_min_cu: Option<f64>,
    autoscaling_limit_max_cu: Option<f64>,
    branch: branch_create::FirstBranch,
}

#[derive(Debug, Deserialize)]
struct UpdateBody {
    project: UpdateFields,
}

/// The four fields that can change; any other is ignored, as the vendor does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UpdateFields {
    name: Option<String>,
    settings: Option<Map<String, Value>>,
    default_endpoint_settings: Option<Map<String, Value>>,
    history_retention_seconds: Option<i64>,
}

/// `POST /projects`.
pub(crate) async fn create(
    Context(neon): Context<Neon>,
    call: Call,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let CreateBody { project: fields } = call.body()?;
    let org_id = call.principal.organization(fields.org_id.as_deref())?;
    let settings = neon.settings();
    let planning = neon.planning(&call, &settings);
    let (id, answer) = neon.change(|state| {
        let live = state.projects.values().filter(|it| it.deleted_ms.is_none());
        let count = live.filter(|it| it.org_id == org_id).count();
        if count >= settings.projects_max {
            return Err(ApiError::projects_limit(settings.projects_max, count));
        }
        let mut project =
            fields.project(names::project_id(state), org_id, planning.now_ms, &settings)?;
        let branch = fields.branch.build(
            names::branch_id(state),
            state.next_database_id(),
            planning.now_ms,
        )?;
        let mut endpoint = endpoints::fresh(state, &project, &branch.id, planning.now_ms);
        endpoint.pending = Some(EndpointState::Active);
        let (branch_id, endpoint_id) = (branch.id.clone(), endpoint.id.clone());
        project.branches.push(branch);
        project.endpoints.push(endpoint);
        let steps = [
            Step::branch(Action::CreateTimeline, &branch_id),
            Step::endpoint(Action::StartCompute, &branch_id, &endpoint_id),
        ];
        let planned = operations::plan(&mut project, &planning, &steps);
        let mut answer = branch_create::with_everything(&project, &branch_id);
        answer["project"] = view::project(&project);
        answer["operations"] = view::operations(&project.id, &planned);
        let id = project.id.clone();
        state.projects.insert(id.clone(), project);
        Ok((id, answer))
    })?;
    neon.conceal_passwords();
    neon.wake(&id);
    Ok((StatusCode::CREATED, Json(answer)))
}

impl CreateFields {
    fn project(
        &self,
        id: String,
        org_id: String,
        now_ms: i64,
        settings: &crate::settings::NeonSettings,
    ) -> Result<Project, ApiError> {
        let name = self.name.clone().unwrap_or_else(|| id.clone());
        validate::display_name(&name)?;
        let region_id = self.region_id.clone().unwrap_or_else(|| account::DEFAULT_REGION.into());
        if !account::is_region(&region_id) {
            return Err(ApiError::invalid(format!("region_id {region_id:?} is not supported")));
        }
        let pg_version = self.pg_version.unwrap_or(17);
        if !(14..=18).contains(&pg_version) {
            return Err(ApiError::invalid("pg_version must be from 14 to 18"));
        }
        let history = self.history_retention_seconds;
        let history = history.unwrap_or_else(|| settings.history_seconds_max.min(86_400));
        validate::history(history, settings.history_seconds_max)?;
        Ok(Project {
            id,
            name,
            org_id,
            region_id,
            pg_version,
            provisioner: self.provisioner.clone().unwrap_or_else(|| "k8s-neonvm".into()),
            store_passwords: self.store_passwords.unwrap_or(true),
            history_retention_seconds: history,
            settings: validate::project_settings(
                &view::default_settings(),
                &self.settings.clone().unwrap_or_default(),
            )?,
            default_endpoint_settings: self.endpoint_defaults()?,
            created_ms: now_ms,
            updated_ms: now_ms,
            deleted_ms: None,
            branches: Vec::new(),
            endpoints: Vec::new(),
            operations: Vec::new(),
        })
    }

    /// The newer nested form wins over the older top-level one.
    fn endpoint_defaults(&self) -> Result<Map<String, Value>, ApiError> {
        let mut given = self.default_endpoint_settings.clone().unwrap_or_default();
        let older = [
            ("autoscaling_limit_min_cu", self.autoscaling_limit_min_cu),
            ("autoscaling_limit_max_cu", self.autoscaling_limit_max_cu),
        ];
        for (name, value) in older {
            if let Some(value) = value {
                given.entry(name).or_insert(json!(value));
            }
        }
        validate::endpoint_defaults(&Map::new(), &given)
    }
}

/// `GET /projects`.
pub(crate) async fn list(
    Context(neon): Context<Neon>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let org_id = call.principal.organization(call.query("org_id"))?;
    let limit = call.number("limit", 1..=400, 10)?;
    let recoverable = call.flag("recoverable")?;
    let search = call.query("search").unwrap_or_default().to_lowercase();
    let seen_ms = neon.now_ms() - neon.settings().list_lag_ms;
    let unavailable = call.unavailable_projects();
    let answer = neon.read(|state| {
        let mut all: Vec<&Project> = state
            .projects
            .values()
            .filter(|it| it.org_id == org_id && it.deleted_ms.is_some() == recoverable)
            .filter(|it| it.created_ms <= seen_ms)
            .filter(|it| it.name.to_lowercase().contains(&search) || it.id.contains(&search))
            .filter(|it| !unavailable.contains(&it.id))
            .collect();
        all.sort_by_key(|project| (project.created_ms, project.id.clone()));
        let after = call.query("cursor");
        let start = match after {
            Some(cursor) => all.iter().position(|it| it.id == cursor).map_or(all.len(), |i| i + 1),
            None => 0,
        };
        let page: Vec<&Project> = all.into_iter().skip(start).take(limit).collect();
        let items: Value = page.iter().map(|it| view::project_item(it)).collect();
        let mut answer = json!({"projects": items, "applications": {}, "integrations": {}});
        if let Some(cursor) = page.last().map(|it| it.id.as_str()).or(after) {
            answer["pagination"] = json!({"cursor": cursor});
        }
        if !unavailable.is_empty() {
            answer["unavailable_project_ids"] = json!(unavailable);
        }
        answer
    });
    Ok(Json(answer))
}

/// `GET /projects/{project_id}`.
pub(crate) async fn read(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look(&call, &project_id, |project| {
        if neon.is_too_fresh(project.created_ms) {
            return Err(ApiError::no_project());
        }
        Ok(Json(json!({"project": view::project(project)})))
    })
}

/// `PATCH /projects/{project_id}`.
pub(crate) async fn update(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let UpdateBody { project: fields } = call.body()?;
    let history_max = neon.settings().history_seconds_max;
    neon.mutate(
        &call,
        &project_id,
        |project| fields.applied_to(project, history_max),
        |state, context, mut changed| {
            changed.updated_ms = context.planning.now_ms;
            let replicates =
                |project: &Project| project.settings.get("enable_logical_replication").cloned();
            let project = known(state, &project_id)?;
            let steps = if replicates(project) == replicates(&changed) {
                Vec::new()
            } else {
                restart_steps(&changed)
            };
            *project = changed;
            let planned = operations::plan(project, &context.planning, &steps);
            Ok(Json(json!({
                "project": view::project(project),
                "operations": view::operations(&project.id, &planned),
            })))
        },
    )
}

/// Turning logical replication on suspends every active compute; the next start has it.
fn restart_steps(project: &Project) -> Vec<Step> {
    project
        .endpoints
        .iter()
        .filter(|it| it.state == EndpointState::Active)
        .map(|it| Step::endpoint(Action::SuspendCompute, &it.branch_id, &it.id))
        .collect()
}

impl UpdateFields {
    fn applied_to(&self, project: &Project, history_max: i64) -> Result<Project, ApiError> {
        let mut changed = project.clone();
        if let Some(name) = &self.name {
            validate::display_name(name)?;
            changed.name.clone_from(name);
        }
        if let Some(settings) = &self.settings {
            changed.settings = validate::project_settings(&project.settings, settings)?;
        }
        if let Some(defaults) = &self.default_endpoint_settings {
            let current = &project.default_endpoint_settings;
            changed.default_endpoint_settings = validate::endpoint_defaults(current, defaults)?;
        }
        if let Some(seconds) = self.history_retention_seconds {
            validate::history(seconds, history_max)?;
            changed.history_retention_seconds = seconds;
        }
        Ok(changed)
    }
}

/// `DELETE /projects/{project_id}`: recoverable for seven days.
pub(crate) async fn delete(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.mutate(
        &call,
        &project_id,
        |_| Ok(()),
        |state, context, ()| {
            let project = known(state, &project_id)?;
            let answer = json!({"project": view::project(project)});
            project.deleted_ms = Some(context.planning.now_ms);
            for endpoint in &mut project.endpoints {
                endpoint.state = EndpointState::Idle;
            }
            Ok(Json(answer))
        },
    )
}

/// `POST /projects/{project_id}/recover`.
pub(crate) async fn recover(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    call.principal.reaches(&project_id)?;
    let answer = neon.change(|state| {
        let project = recoverable(state, &project_id, &call.principal.org_id)?;
        project.deleted_ms = None;
        let branches: Value = project.branches.iter().map(|it| view::branch(project, it)).collect();
        Ok(json!({"project": view::project(project), "branches": branches}))
    })?;
    neon.wake(&project_id);
    Ok(Json(answer))
}

fn recoverable<'a>(
    state: &'a mut State,
    id: &str,
    org_id: &str,
) -> Result<&'a mut Project, ApiError> {
    let project = state.projects.get_mut(id).filter(|it| it.org_id == org_id);
    match project {
        Some(project) if project.deleted_ms.is_some() => Ok(project),
        Some(_) => Err(ApiError::new(422, "project is not deleted")),
        None => Err(ApiError::no_project()),
    }
}
