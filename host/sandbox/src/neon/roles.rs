//! `.../branches/{branch_id}/roles`.

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
use super::model::{Action, Branch, Change, Operation, Project, Role};
use super::operations::{self, Planning, Step};
use super::{Neon, names, validate, view};

type Names = (String, String, String);

#[derive(Debug, Deserialize)]
struct CreateBody {
    role: CreateFields,
}

#[derive(Debug, Deserialize)]
struct CreateFields {
    name: String,
    #[serde(default)]
    no_login: bool,
}

/// `GET .../roles`.
pub(crate) async fn list(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look_at_branch(&call, (&project_id, &branch_id), |_, branch| {
        let roles: Value = branch.roles.iter().map(|it| view::role(&branch.id, it)).collect();
        Ok(Json(json!({"roles": roles})))
    })
}

/// `POST .../roles`.
pub(crate) async fn create(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id)): Path<(String, String)>,
    call: Call,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let CreateBody { role: fields } = call.body()?;
    validate::identifier("role", &fields.name)?;
    let answer = neon.mutate(
        &call,
        &project_id,
        |project| ready_branch(project, &branch_id),
        |state, context, ()| {
            let project = known(state, &project_id)?;
            let now_ms = context.planning.now_ms;
            let branch = project.branch_mut(&branch_id).ok_or_else(ApiError::no_branch)?;
            if branch.role(&fields.name).is_some() {
                return Err(ApiError::role_exists(&fields.name));
            }
            branch.roles.push(Role {
                name: fields.name.clone(),
                password: (!fields.no_login).then(names::password),
                no_login: fields.no_login,
                created_ms: now_ms,
                updated_ms: now_ms,
            });
            branch.changes.push(Change::Role { name: fields.name.clone() });
            let planned = apply(project, &context.planning, &branch_id);
            one(project, &branch_id, &fields.name, &planned, view::role_with_password)
        },
    )?;
    neon.conceal_passwords();
    Ok((StatusCode::CREATED, answer))
}

/// `GET .../roles/{role_name}`.
pub(crate) async fn read(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id, name)): Path<Names>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look_at_branch(&call, (&project_id, &branch_id), |_, branch| {
        let role = known_role(branch, &name)?;
        if neon.is_too_fresh(role.created_ms) {
            return Err(ApiError::no_role(&name, &branch_id));
        }
        Ok(Json(json!({"role": view::role(&branch.id, role)})))
    })
}

/// `GET .../roles/{role_name}/reveal_password`.
pub(crate) async fn reveal(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id, name)): Path<Names>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    neon.look_at_branch(&call, (&project_id, &branch_id), |project, branch| {
        let role = known_role(branch, &name)?;
        let password = stored_password(project, role)?;
        Ok(Json(json!({"password": password})))
    })
}

/// The password, where the project keeps them.
pub(crate) fn stored_password<'a>(project: &Project, role: &'a Role) -> Result<&'a str, ApiError> {
    let kept = role.password.as_deref().filter(|_| project.store_passwords);
    kept.ok_or_else(ApiError::passwords_not_stored)
}

/// `POST .../roles/{role_name}/reset_password`: the old one counts until the operations end.
pub(crate) async fn reset(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id, name)): Path<Names>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let answer = neon.mutate(
        &call,
        &project_id,
        |project| {
            ready_branch(project, &branch_id)?;
            let branch = project.branch(&branch_id).ok_or_else(ApiError::no_branch)?;
            if known_role(branch, &name)?.no_login {
                return Err(ApiError::new(422, "role cannot log in"));
            }
            Ok(())
        },
        |state, context, ()| {
            let project = known(state, &project_id)?;
            let branch = project.branch_mut(&branch_id).ok_or_else(ApiError::no_branch)?;
            for role in branch.roles.iter_mut().filter(|role| role.name == name) {
                role.password = Some(names::password());
                role.updated_ms = context.planning.now_ms;
            }
            branch.changes.push(Change::Role { name: name.clone() });
            let planned = apply(project, &context.planning, &branch_id);
            one(project, &branch_id, &name, &planned, view::role_with_password)
        },
    )?;
    neon.conceal_passwords();
    Ok(answer)
}

/// `DELETE .../roles/{role_name}`.
pub(crate) async fn delete(
    Context(neon): Context<Neon>,
    Path((project_id, branch_id, name)): Path<Names>,
    call: Call,
) -> Result<Response, ApiError> {
    let absent = neon.look_at_branch(&call, (&project_id, &branch_id), |_, branch| {
        Ok(branch.role(&name).is_none())
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
            if let Some(owned) = branch.databases.iter().find(|it| it.owner_name == name) {
                let message = format!("role {name:?} owns database {:?}", owned.name);
                return Err(ApiError::new(422, message));
            }
            let role = known_role(branch, &name)?.clone();
            branch.roles.retain(|it| it.name != name);
            branch.changes.push(Change::DropRole { name: name.clone() });
            let planned = apply(project, &context.planning, &branch_id);
            Ok(Json(json!({
                "role": view::role(&branch_id, &role),
                "operations": view::operations(&project.id, &planned),
            })))
        },
    )?;
    Ok(answer.into_response())
}

/// Plans the operation that tells Postgres about the branch's changes.
pub(crate) fn apply(project: &mut Project, planning: &Planning, branch_id: &str) -> Vec<Operation> {
    let step = match project.writer(branch_id) {
        Some(writer) => Step::endpoint(Action::ApplyConfig, branch_id, &writer.id),
        None => Step::branch(Action::ApplyConfig, branch_id),
    };
    operations::plan(project, planning, &[step])
}

fn known_role<'a>(branch: &'a Branch, name: &str) -> Result<&'a Role, ApiError> {
    branch.role(name).ok_or_else(|| ApiError::no_role(name, &branch.id))
}

fn one(
    project: &Project,
    branch_id: &str,
    name: &str,
    planned: &[Operation],
    show: impl Fn(&str, &Role) -> Value,
) -> Result<Json<Value>, ApiError> {
    let branch = project.branch(branch_id).ok_or_else(ApiError::no_branch)?;
    Ok(Json(json!({
        "role": show(branch_id, known_role(branch, name)?),
        "operations": view::operations(&project.id, planned),
    })))
}
