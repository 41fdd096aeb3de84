//! `/projects/{project_id}/branches`: list, read, update, delete. `branch_create` makes them.

use axum::Json;
use axum::extract::{Path, State as Context};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::known;
use super::branch_create::expiry;
use super::call::Call;
use super::error::ApiError;
use super::model::{Action, Branch, EndpointState, Operation, Project};
use super::operations::{self, Step};
use super::{Neon, validate, view};

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
