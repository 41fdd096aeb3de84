//! `/projects/{project_id}/branches`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State as Context};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::known;
use super::call::Call;
use super::endpoints::{self, NewEndpoint};
use super::error::ApiError;
use super::model::{
    Action, Branch, Change, Database, EndpointKind, EndpointState, InitSource, Operation, Project,
    Role,
};
use super::operations::{self, Step};
use super::{Neon, names, validate, view};
use crate::settings::NeonSettings;

/// The branch a project is born with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FirstBranch {
    name: Option<String>,
    role_name: Option<String>,
    database_name: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CreateBody {
    branch: CreateFields,
    endpoints: Vec<NewEndpoint>,
    annotation_value: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CreateFields {
    name: Option<String>,
    parent_id: Option<String>,
    parent_lsn: Option<String>,
    parent_timestamp: Option<String>,
    protected: bool,
    init_source: Option<String>,
    expires_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct UpdateBody {
    branch: UpdateFields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UpdateFields {
    name: Option<String>,
    protected: Option<bool>,
    /// `Some(Null)` lifts the expiry; `None` leaves it.
    #[serde(deserialize_with = "present")]
    expires_at: Option<Value>,
}

/// Tells an explicit `null` from an absent field.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl FirstBranch {
    /// The branch with its role and its database, which Postgres has yet to be told about.
    pub(crate) fn build(
        &self,
        id: String,
        database_id: i64,
        now_ms: i64,
    ) -> Result<Branch, ApiError> {
        let name = self.name.clone().unwrap_or_else(|| "main".into());
        validate::display_name(&name)?;
        let database = self.database_name.clone().unwrap_or_else(|| "neondb".into());
        validate::identifier("database", &database)?;
        let role = self.role_name.clone().unwrap_or_else(|| format!("{database}_owner"));
        validate::identifier("role", &role)?;
        if let Some(annotations) = &self.annotations {
            validate::annotations(annotations)?;
        }
        Ok(Branch {
            id,
            name,
            parent_id: None,
            default: true,
            protected: false,
            ready: false,
            state_changed_ms: now_ms,
            init_source: InitSource::ParentData,
            source_id: None,
            annotations: self.annotations.clone(),
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms: None,
            changes: vec![
                Change::Role { name: role.clone() },
                Change::Database { name: database.clone() },
            ],
            roles: vec![Role {
                name: role.clone(),
                password: Some(names::password()),
                no_login: false,
                created_ms: now_ms,
                updated_ms: now_ms,
            }],
            databases: vec![Database {
                id: database_id,
                name: database,
                owner_name: role,
                created_ms: now_ms,
                updated_ms: now_ms,
            }],
        })
    }
}

/// The parts of a creating answer: branch, endpoints, roles and databases, with passwords.
pub(crate) fn with_everything(project: &Project, branch_id: &str) -> Value {
    let Some(branch) = project.branch(branch_id) else { return json!({}) };
    let endpoints = project.endpoints.iter().filter(|it| it.branch_id == branch_id);
    json!({
        "branch": view::branch(project, branch),
        "endpoints": endpoints.map(|it| view::endpoint(project, it)).collect::<Value>(),
        "roles": branch.roles.iter().map(|it| view::role_with_password(branch_id, it)).collect::<Value>(),
        "databases": branch.databases.iter().map(|it| view::database(branch_id, it)).collect::<Value>(),
        "connection_uris": connection_uris(project, branch),
    })
}

fn connection_uris(project: &Project, branch: &Branch) -> Value {
    match (project.writer(&branch.id), branch.roles.as_slice(), branch.databases.as_slice()) {
        (Some(endpoint), [role], [database]) if role.password.is_some() => {
            json!([view::connection(endpoint, role, &database.name)])
        }
        _ => json!([]),
    }
}

/// `POST /projects/{project_id}/branches`.
pub(crate) async fn create(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let body: CreateBody = call.body_if_any()?;
    body.check()?;
    let answer = neon.mutate(
        &call,
        &project_id,
        |project| body.parent(project).cloned(),
        |state, context, parent| {
            let id = names::branch_id(state);
            let project = known(state, &project_id)?;
            let branch = body.branch_of(&parent, id, context.planning.now_ms)?;
            allow(project, &branch, context.settings)?;
            let branch_id = branch.id.clone();
            project.branches.push(branch);
            let mut steps = vec![Step::branch(Action::CreateBranch, &branch_id)];
            for wanted in &body.endpoints {
                let endpoint = endpoints::add(
                    state,
                    &project_id,
                    &branch_id,
                    wanted,
                    context.planning.now_ms,
                )?;
                steps.push(Step::endpoint(Action::StartCompute, &branch_id, &endpoint));
            }
            let project = known(state, &project_id)?;
            let planned = operations::plan(project, &context.planning, &steps);
            Ok(body.answer(project, &branch_id, &planned))
        },
    )?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Quotas and the one rule about names.
fn allow(project: &Project, branch: &Branch, settings: &NeonSettings) -> Result<(), ApiError> {
    if !names::is_free_branch_name(project, &branch.name) {
        return Err(ApiError::branch_exists(&branch.name, settings.error_codes));
    }
    if project.branches.len() >= settings.branches_max {
        return Err(ApiError::branches_limit());
    }
    let roots = project.branches.iter().filter(|it| it.parent_id.is_none()).count();
    if branch.parent_id.is_none() && roots >= settings.root_branches_max {
        return Err(ApiError::root_branches_limit());
    }
    Ok(())
}

impl CreateBody {
    fn check(&self) -> Result<(), ApiError> {
        if let Some(annotations) = &self.annotation_value {
            validate::annotations(annotations)?;
        }
        if self.branch.parent_lsn.is_some() || self.branch.parent_timestamp.is_some() {
            let message = "the sandbox keeps no history: branches start from the parent's head";
            return Err(ApiError::new(501, message));
        }
        let writers = self.endpoints.iter().filter(|it| it.kind == EndpointKind::ReadWrite);
        if writers.count() > 1 {
            return Err(ApiError::invalid("a branch has at most one read_write endpoint"));
        }
        self.endpoints.iter().try_for_each(NewEndpoint::check)
    }

    fn parent<'a>(&self, project: &'a Project) -> Result<&'a Branch, ApiError> {
        let parent = match self.branch.parent_id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => project.branch(id),
            None => project.branches.iter().find(|it| it.default),
        };
        let parent = parent.ok_or_else(ApiError::no_branch)?;
        if parent.expires_ms.is_some() {
            return Err(ApiError::new(422, "a branch that expires cannot have children"));
        }
        // While its first operations run the lock answers; afterwards an unready parent does.
        if parent.ready || project.is_busy() {
            Ok(parent)
        } else {
            Err(ApiError::branch_not_ready())
        }
    }

    fn branch_of(&self, parent: &Branch, id: String, now_ms: i64) -> Result<Branch, ApiError> {
        let init_source = match self.branch.init_source.as_deref() {
            None | Some("parent-data") => InitSource::ParentData,
            Some("schema-only") => InitSource::SchemaOnly,
            Some(other) => {
                return Err(ApiError::invalid(format!("init_source {other:?} is not known")));
            }
        };
        let name = self.branch.name.clone().unwrap_or_else(|| id.clone());
        validate::display_name(&name)?;
        let expires_ms =
            self.branch.expires_at.as_deref().map(|it| expiry(it, now_ms)).transpose()?;
        Ok(Branch {
            id,
            name,
            parent_id: (init_source == InitSource::ParentData).then(|| parent.id.clone()),
            source_id: Some(parent.id.clone()),
            default: false,
            protected: self.branch.protected,
            ready: false,
            state_changed_ms: now_ms,
            init_source,
            annotations: self.annotation_value.clone(),
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms,
            changes: parent.changes.clone(),
            roles: parent.roles.clone(),
            databases: parent.databases.clone(),
        })
    }

    /// Passwords are the parent's, so they stay out except in the connection URI.
    fn answer(&self, project: &Project, id: &str, planned: &[Operation]) -> Value {
        let mut answer = with_everything(project, id);
        if let Some(branch) = project.branch(id) {
            answer["roles"] = branch.roles.iter().map(|it| view::role(id, it)).collect();
        }
        if answer["connection_uris"] == json!([])
            && let Some(fields) = answer.as_object_mut()
        {
            fields.remove("connection_uris");
        }
        answer["operations"] = view::operations(&project.id, planned);
        answer
    }
}

/// A moment in the future, in RFC 3339.
fn expiry(text: &str, now_ms: i64) -> Result<i64, ApiError> {
    use time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| ApiError::invalid("expires_at must be an RFC 3339 timestamp"))?;
    let at_ms = at.unix_timestamp().saturating_mul(1_000);
    if at_ms > now_ms {
        Ok(at_ms)
    } else {
        Err(ApiError::invalid("expires_at must be in the future"))
    }
}

/// `GET /projects/{project_id}/branches`.
pub(crate) async fn list(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let limit = call.number("limit", 1..=10_000, 100)?;
    let sort_by = call.query("sort_by").unwrap_or("updated_at");
    let sort_order = call.query("sort_order").unwrap_or("desc");
    neon.look(&call, &project_id, |project| {
        let mut branches = found(project, &call);
        match sort_by {
            "name" => branches.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id))),
            "created_at" => {
                branches.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)))
            }
            "updated_at" => {
                branches.sort_by(|a, b| (a.updated_ms, &a.id).cmp(&(b.updated_ms, &b.id)))
            }
            _ => return Err(ApiError::invalid("sort_by must be name, created_at or updated_at")),
        }
        match sort_order {
            "asc" => {}
            "desc" => branches.reverse(),
            _ => return Err(ApiError::invalid("sort_order must be asc or desc")),
        }
        let start = match call.query("cursor") {
            Some(cursor) => branches
                .iter()
                .position(|it| it.id == cursor)
                .map(|index| index + 1)
                .ok_or_else(|| ApiError::invalid("cursor is not known"))?,
            None => 0,
        };
        let more = branches.len() > start + limit;
        let page: Vec<&Branch> = branches.into_iter().skip(start).take(limit).collect();
        let annotated = page.iter().filter(|it| it.annotations.is_some());
        let annotations: serde_json::Map<String, Value> =
            annotated.map(|it| (it.id.clone(), view::annotation(it))).collect();
        let mut pagination = json!({"sort_by": sort_by, "sort_order": sort_order});
        if let Some(last) = page.last().filter(|_| more) {
            pagination["next"] = json!(last.id);
        }
        Ok(Json(json!({
            "branches": page.iter().map(|it| view::branch(project, it)).collect::<Value>(),
            "annotations": annotations,
            "pagination": pagination,
        })))
    })
}

fn found<'a>(project: &'a Project, call: &Call) -> Vec<&'a Branch> {
    let search = call.query("search").unwrap_or_default().to_lowercase();
    project
        .branches
        .iter()
        .filter(|it| it.name.to_lowercase().contains(&search) || it.id.contains(&search))
        .collect()
}

/// `GET /projects/{project_id}/branches/count`.
pub(crate) async fn count(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look(&call, &project_id, |project| Ok(Json(json!({"count": found(project, &call).len()}))))
}

/// `GET /projects/{project_id}/branches/{branch_id}`.
pub(crate) async fn read(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look_at_branch(&call, (&project_id, &branch_id), |project, branch| {
        if neon.is_too_fresh(branch.created_ms) {
            return Err(ApiError::no_branch());
        }
        Ok(Json(json!({
            "branch": view::branch(project, branch),
            "annotation": view::annotation(branch),
        })))
    })
}

/// `PATCH /projects/{project_id}/branches/{branch_id}`.
pub(crate) async fn update(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let UpdateBody { branch: fields } = call.body()?;
    if let Some(name) = &fields.name {
        validate::display_name(name)?;
    }
    let expires_ms = match &fields.expires_at {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(expiry(text, neon.now_ms())?)),
        Some(_) => return Err(ApiError::invalid("expires_at must be a timestamp or null")),
    };
    neon.mutate(
        &call,
        &project_id,
        |project| project.branch(&branch_id).map(|_| ()).ok_or_else(ApiError::no_branch),
        |state, context, ()| {
            let project = known(state, &project_id)?;
            if let Some(name) = &fields.name
                && project.branches.iter().any(|it| it.name == *name && it.id != branch_id)
            {
                return Err(ApiError::branch_exists(name, context.settings.error_codes));
            }
            fields.may_expire(project, &branch_id, expires_ms)?;
            if let Some(branch) = project.branch_mut(&branch_id) {
                branch.name = fields.name.clone().unwrap_or_else(|| branch.name.clone());
                branch.protected = fields.protected.unwrap_or(branch.protected);
                branch.expires_ms = expires_ms.unwrap_or(branch.expires_ms);
                branch.updated_ms = context.planning.now_ms;
            }
            one(project, &branch_id, &[])
        },
    )
}

impl UpdateFields {
    /// Ours: a branch that expires is one that could be deleted.
    fn may_expire(
        &self,
        project: &Project,
        branch_id: &str,
        expires_ms: Option<Option<i64>>,
    ) -> Result<(), ApiError> {
        let mut project = project.clone();
        let Some(branch) = project.branch_mut(branch_id) else { return Ok(()) };
        branch.protected = self.protected.unwrap_or(branch.protected);
        if expires_ms.unwrap_or(branch.expires_ms).is_none() {
            return Ok(());
        }
        deletable(&project, branch_id).map_err(|_| {
            ApiError::new(422, "a default, root, protected or parent branch cannot expire")
        })
    }
}

/// `POST /projects/{project_id}/branches/{branch_id}/set_as_default`.
pub(crate) async fn set_default(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.mutate(
        &call,
        &project_id,
        |project| project.branch(&branch_id).map(|_| ()).ok_or_else(ApiError::no_branch),
        |state, context, ()| {
            let project = known(state, &project_id)?;
            if project.branch(&branch_id).is_some_and(|it| it.expires_ms.is_some()) {
                return Err(ApiError::new(422, "a branch that expires cannot be the default"));
            }
            for branch in &mut project.branches {
                let default = branch.id == branch_id;
                if branch.default != default {
                    branch.default = default;
                    branch.updated_ms = context.planning.now_ms;
                }
            }
            one(project, &branch_id, &[])
        },
    )
}

/// `DELETE /projects/{project_id}/branches/{branch_id}`.
pub(crate) async fn delete(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, ApiError> {
    if neon.look(&call, &project_id, |project| Ok(project.branch(&branch_id).is_none()))? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let answer = neon.mutate(
        &call,
        &project_id,
        |_| Ok(()),
        |state, context, ()| {
            let project = known(state, &project_id)?;
            deletable(project, &branch_id)?;
            let steps = delete_steps(project, &branch_id);
            let planned = operations::plan(project, &context.planning, &steps);
            let answer = one(project, &branch_id, &planned)?;
            project.branches.retain(|it| it.id != branch_id);
            project.endpoints.retain(|it| it.branch_id != branch_id);
            Ok(answer)
        },
    )?;
    Ok(answer.into_response())
}

pub(crate) fn delete_steps(project: &Project, branch_id: &str) -> Vec<Step> {
    let on_branch = project.endpoints.iter().filter(|it| it.branch_id == branch_id);
    on_branch
        .filter(|it| it.state != EndpointState::Idle)
        .map(|it| Step::endpoint(Action::SuspendCompute, branch_id, &it.id))
        .chain([Step::branch(Action::DeleteTimeline, branch_id)])
        .collect()
}

fn deletable(project: &Project, branch_id: &str) -> Result<(), ApiError> {
    let branch = project.branch(branch_id).ok_or_else(ApiError::no_branch)?;
    let has_children = project.branches.iter().any(|it| it.parent_id.as_deref() == Some(branch_id));
    match branch {
        _ if branch.protected => Err(ApiError::not_deletable("protected")),
        _ if branch.default => Err(ApiError::not_deletable("default")),
        _ if has_children => Err(ApiError::not_deletable("parent")),
        // A schema-only branch is a root too, but one that was made from another.
        _ if branch.source_id.is_none() => Err(ApiError::not_deletable("root")),
        _ => Ok(()),
    }
}

fn one(project: &Project, branch_id: &str, planned: &[Operation]) -> Result<Json<Value>, ApiError> {
    let branch = project.branch(branch_id).ok_or_else(ApiError::no_branch)?;
    Ok(Json(json!({
        "branch": view::branch(project, branch),
        "operations": view::operations(&project.id, planned),
    })))
}
