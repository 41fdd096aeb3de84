//! `GET /projects/{project_id}/connection_uri`: the secret again, without a reset.

use axum::Json;
use axum::extract::{Path, State as Context};
use serde_json::{Value, json};

use super::call::Call;
use super::error::ApiError;
use super::model::{Branch, Endpoint, Project};
use super::roles::stored_password;
use super::{Neon, view};

/// Answers a URI for one database and one role.
pub(crate) async fn uri(
    Context(neon): Context<Neon>,
    Path(project_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let database = call.required("database_name")?;
    let role_name = call.required("role_name")?;
    let pooled = call.flag("pooled")?;
    neon.look(&call, &project_id, |project| {
        let (branch, endpoint) =
            place(project, call.query("branch_id"), call.query("endpoint_id"))?;
        let role =
            branch.role(role_name).ok_or_else(|| ApiError::no_role(role_name, &branch.id))?;
        branch.database(database).ok_or_else(|| ApiError::no_database(database, &branch.id))?;
        let password = stored_password(project, role)?;
        let port = if pooled { endpoint.pooler_port } else { endpoint.port };
        Ok(Json(json!({"uri": view::uri(port, role_name, password, database)})))
    })
}

fn place<'a>(
    project: &'a Project,
    branch_id: Option<&str>,
    endpoint_id: Option<&str>,
) -> Result<(&'a Branch, &'a Endpoint), ApiError> {
    let endpoint = match endpoint_id {
        Some(id) => Some(project.endpoint(id).ok_or_else(ApiError::no_endpoint)?),
        None => None,
    };
    let branch = match (branch_id, endpoint) {
        (Some(id), _) => project.branch(id),
        (None, Some(endpoint)) => project.branch(&endpoint.branch_id),
        (None, None) => project.branches.iter().find(|it| it.default),
    };
    let branch = branch.ok_or_else(ApiError::no_branch)?;
    let endpoint = match endpoint {
        Some(endpoint) => Some(endpoint).filter(|it| it.branch_id == branch.id),
        None => project.writer(&branch.id),
    };
    Ok((branch, endpoint.ok_or_else(ApiError::no_endpoint)?))
}
