//! `.../branches/{branch_id}/databases`.

use axum::Json;
use axum::extract::{Path, State as Context};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::known;
use super::call::Call;
use super::endpoints::ready_branch;
use super::error::ApiError;
use super::model::{Branch, Change, Database, Operation, Project};
use super::roles::apply;
use super::{Neon, validate, view};

type Names = (String, String, String);

#[derive(Debug, Deserialize)]
struct CreateBody {
    database: CreateFields,
}

#[derive(Debug, Deserialize)]
struct CreateFields {
    name: String,
    owner_name: String,
}

#[derive(Debug, Deserialize)]
struct UpdateBody {
    database: UpdateFields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UpdateFields {
    name: Option<String>,
    owner_name: Option<String>,
}

/// `GET .../databases`.
pub(crate) async fn list(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look_at_branch(&call, (&project_id, &branch_id), |_, branch| {
        let databases = branch.databases.iter().map(|it| view::database(&branch.id, it));
        Ok(Json(json!({"databases": databases.collect::<Value>()})))
    })
}

/// `POST .../databases`.
pub(crate) async fn create(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let CreateBody { database: fields } = call.body()?;
    validate::identifier("database", &fields.name)?;
    let answer = neon.mutate(
        &call,
        &project_id,
        |project| {
            ready_branch(project, &branch_id)?;
            owner(project, &branch_id, &fields.owner_name)
        },
        |state, context, ()| {
            let id = state.next_database_id();
            let project = known(state, &project_id)?;
            let now_ms = context.planning.now_ms;
            let branch = project.branch_mut(&branch_id).ok_or_else(ApiError::no_branch)?;
            if branch.database(&fields.name).is_some() {
                return Err(ApiError::database_exists(&fields.name));
            }
            branch.databases.push(Database {
                id,
                name: fields.name.clone(),
                owner_name: fields.owner_name.clone(),
                created_ms: now_ms,
                updated_ms: now_ms,
            });
            branch.changes.push(Change::Database { name: fields.name.clone() });
            let planned = apply(project, &context.planning, &branch_id);
            one(project, &branch_id, &fields.name, &planned)
        },
    )?;
    Ok((StatusCode::CREATED, answer))
}

/// `GET .../databases/{database_name}`.
pub(crate) async fn read(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id, name)): Path<Names>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look_at_branch(&call, (&project_id, &branch_id), |_, branch| {
        let database = known_database(branch, &name)?;
        if neon.is_too_fresh(database.created_ms) {
            return Err(ApiError::no_database(&name, &branch_id));
        }
        Ok(Json(json!({"database": view::database(&branch.id, database)})))
    })
}

/// `PATCH .../databases/{database_name}`.
pub(crate) async fn update(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id, name)): Path<Names>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let UpdateBody { database: fields } = call.body()?;
    if let Some(name) = &fields.name {
        validate::identifier("database", name)?;
    }
    neon.mutate(
        &call,
        &project_id,
        |project| {
            ready_branch(project, &branch_id)?;
            let branch = project.branch(&branch_id).ok_or_else(ApiError::no_branch)?;
            known_database(branch, &name)?;
            fields.owner_name.iter().try_for_each(|it| owner(project, &branch_id, it))
        },
        |state, context, ()| {
            let project = known(state, &project_id)?;
            let branch = project.branch_mut(&branch_id).ok_or_else(ApiError::no_branch)?;
            let now_name = fields.name.clone().unwrap_or_else(|| name.clone());
            if now_name != name && branch.database(&now_name).is_some() {
                return Err(ApiError::database_exists(&now_name));
            }
            for database in branch.databases.iter_mut().filter(|it| it.name == name) {
                database.name.clone_from(&now_name);
                if let Some(owner) = &fields.owner_name {
                    database.owner_name.clone_from(owner);
                }
                database.updated_ms = context.planning.now_ms;
            }
            if now_name != name {
                let (from, to) = (name.clone(), now_name.clone());
                branch.changes.push(Change::RenameDatabase { from, to });
            }
            branch.changes.push(Change::Database { name: now_name.clone() });
            let planned = apply(project, &context.planning, &branch_id);
            one(project, &branch_id, &now_name, &planned)
        },
    )
}

/// `DELETE .../databases/{database_name}`.
pub(crate) async fn delete(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id, name)): Path<Names>,
    call: Call,
) -> Result<Response, ApiError> {
    let absent = neon.look_at_branch(&call, (&project_id, &branch_id), |_, branch| {
        Ok(branch.database(&name).is_none())
    })?;
    if absent {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let answer = neon.mutate(
        &call,
        &project_id,
        |project| ready_branch(project, &branch_id),
        |state, context, ()| {
            let project = known(state, &project_id)?;
            let branch = project.branch_mut(&branch_id).ok_or_else(ApiError::no_branch)?;
            let database = known_database(branch, &name)?.clone();
            branch.databases.retain(|it| it.name != name);
            branch.changes.push(Change::DropDatabase { name: name.clone() });
            let planned = apply(project, &context.planning, &branch_id);
            Ok(Json(json!({
                "database": view::database(&branch_id, &database),
                "operations": view::operations(&project.id, &planned),
            })))
        },
    )?;
    Ok(answer.into_response())
}

fn owner(project: &Project, branch_id: &str, name: &str) -> Result<(), ApiError> {
    let known = project.branch(branch_id).and_then(|branch| branch.role(name));
    known.map(|_| ()).ok_or_else(|| ApiError::no_role(name, branch_id))
}

fn known_database<'a>(branch: &'a Branch, name: &str) -> Result<&'a Database, ApiError> {
    branch.database(name).ok_or_else(|| ApiError::no_database(name, &branch.id))
}

fn one(
    project: &Project,
    branch_id: &str,
    name: &str,
    planned: &[Operation],
) -> Result<Json<Value>, ApiError> {
    let branch = project.branch(branch_id).ok_or_else(ApiError::no_branch)?;
    Ok(Json(json!({
        "database": view::database(branch_id, known_database(branch, name)?),
        "operations": view::operations(&project.id, planned),
    })))
}
