//! Making branches: the one a project is born with, and `POST .../branches`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State as Context};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::known;
use super::call::Call;
use super::endpoints::{self, NewEndpoint};
use super::error::ApiError;
use super::model::{
    Action, Branch, Change, Database, EndpointKind, InitSource, Operation, Project, Role,
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
pub(crate) fn expiry(text: &str, now_ms: i64) -> Result<i64, ApiError> {
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
