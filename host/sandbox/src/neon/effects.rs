//! What operations do in the real world: data, servers, ports, roles and databases.

use super::Neon;
use super::model::{
    Action, Branch, Change, Endpoint, EndpointState, InitSource, Operation, Project,
};
use crate::postgres::{Admin, PostgresError};

impl Neon {
    /// The part of an operation that may take as long as the operation does.
    pub(super) async fn begin(
        &self,
        project_id: &str,
        operation: &Operation,
    ) -> Result<(), String> {
        let Some(branch) = self.branch_of(project_id, operation) else { return Ok(()) };
        match operation.action {
            Action::CreateTimeline => {
                self.inner.postgres.create(&branch.id).await.map_err(|error| error.0)
            }
            Action::CreateBranch => self.fork(project_id, &branch).await.map_err(|error| error.0),
            Action::StartCompute if !self.inner.postgres.is_off() => {
                let logical = self.is_logical(project_id);
                let started = self.inner.postgres.start(&branch.id, logical).await;
                started.map(|_| ()).map_err(|error| error.0)
            }
            _ => Ok(()),
        }
    }

    /// The part that others can see, done at the operation's end.
    pub(super) async fn complete(
        &self,
        project_id: &str,
        operation: &Operation,
    ) -> Result<(), String> {
        match operation.action {
            Action::StartCompute => {
                self.apply_changes(project_id, operation).await.map_err(|error| error.0)?;
                match self.endpoint_of(project_id, operation) {
                    Some(endpoint) => self.open_compute(project_id, &endpoint).await,
                    None => Ok(()),
                }
            }
            Action::ApplyConfig => {
                self.apply_changes(project_id, operation).await.map_err(|error| error.0)
            }
            Action::SuspendCompute => {
                self.close_compute(project_id, operation).await;
                Ok(())
            }
            Action::DeleteTimeline => {
                let branch_id = operation.branch_id.as_deref().unwrap_or_default();
                self.inner.postgres.remove(branch_id).await.map_err(|error| error.0)
            }
            Action::CreateTimeline | Action::CreateBranch => Ok(()),
        }
    }

    /// Starts the server and opens the endpoint's ports.
    pub(super) async fn open_compute(
        &self,
        project_id: &str,
        endpoint: &Endpoint,
    ) -> Result<(), String> {
        if self.inner.postgres.is_off() || endpoint.disabled {
            return Ok(());
        }
        let logical = self.is_logical(project_id);
        let started = self.inner.postgres.start(&endpoint.branch_id, logical).await;
        started.map_err(|error| error.0)?;
        let opened = self.inner.gates.open(self, project_id, endpoint).await;
        opened.map_err(|error| error.to_string())
    }

    /// Stops the server when no other compute of the branch is using it. The ports stay open for
    /// whoever wakes it, unless the endpoint is disabled or gone.
    async fn close_compute(&self, project_id: &str, operation: &Operation) {
        let (Some(branch_id), Some(endpoint_id)) =
            (operation.branch_id.as_deref(), operation.endpoint_id.as_deref())
        else {
            return;
        };
        let in_use = self.read(|state| {
            let project = state.live(project_id);
            project.is_some_and(|project| is_used_by_others(project, branch_id, endpoint_id))
        });
        match self.endpoint_of(project_id, operation) {
            Some(endpoint) if !endpoint.disabled => {}
            _ => self.inner.gates.close(endpoint_id),
        }
        if !in_use {
            self.inner.postgres.stop(branch_id).await;
        }
    }

    async fn fork(&self, project_id: &str, branch: &Branch) -> Result<(), PostgresError> {
        let Some(source) = &branch.source_id else { return Ok(()) };
        self.inner.postgres.fork(source, &branch.id).await?;
        if branch.init_source == InitSource::SchemaOnly && !self.inner.postgres.is_off() {
            let admin = self.session(project_id, &branch.id).await?;
            admin.empty_tables().await?;
            drop(admin);
            self.inner.postgres.stop(&branch.id).await;
        }
        Ok(())
    }

    /// Tells PostgreSQL what it does not know yet, starting it for the moment if it sleeps.
    async fn apply_changes(
        &self,
        project_id: &str,
        operation: &Operation,
    ) -> Result<(), PostgresError> {
        let Some(branch) = self.branch_of(project_id, operation) else { return Ok(()) };
        if branch.changes.is_empty() || self.inner.postgres.is_off() {
            return Ok(());
        }
        let was_running = self.inner.postgres.is_running(&branch.id).await;
        let admin = self.session(project_id, &branch.id).await?;
        for change in &branch.changes {
            apply(&admin, &branch, change).await?;
        }
        drop(admin);
        if !was_running {
            self.inner.postgres.stop(&branch.id).await;
        }
        Ok(())
    }

    async fn session(&self, project_id: &str, branch_id: &str) -> Result<Admin, PostgresError> {
        self.inner.postgres.start(branch_id, self.is_logical(project_id)).await?;
        self.inner.postgres.admin(branch_id).await
    }

    pub(super) fn is_logical(&self, project_id: &str) -> bool {
        self.read(|state| {
            let setting = state.live(project_id)?.settings.get("enable_logical_replication")?;
            setting.as_bool()
        })
        .unwrap_or(false)
    }

    fn branch_of(&self, project_id: &str, operation: &Operation) -> Option<Branch> {
        self.read(|state| {
            state.projects.get(project_id)?.branch(operation.branch_id.as_deref()?).cloned()
        })
    }

    fn endpoint_of(&self, project_id: &str, operation: &Operation) -> Option<Endpoint> {
        self.read(|state| {
            state.projects.get(project_id)?.endpoint(operation.endpoint_id.as_deref()?).cloned()
        })
    }
}

fn is_used_by_others(project: &Project, branch_id: &str, endpoint_id: &str) -> bool {
    project.endpoints.iter().any(|it| {
        it.branch_id == branch_id && it.id != endpoint_id && it.state == EndpointState::Active
    })
}

/// One change; what it names may be gone again by a later one.
async fn apply(admin: &Admin, branch: &Branch, change: &Change) -> Result<(), PostgresError> {
    match change {
        Change::Role { name } => match branch.role(name) {
            Some(role) => admin.role(name, role.password.as_deref(), !role.no_login).await,
            None => Ok(()),
        },
        Change::DropRole { name } => match branch.role(name) {
            Some(_) => Ok(()),
            None => admin.drop_role(name).await,
        },
        Change::Database { name } => match branch.database(name) {
            Some(database) => admin.database(name, &database.owner_name).await,
            None => Ok(()),
        },
        Change::RenameDatabase { from, to } => admin.rename_database(from, to).await,
        Change::DropDatabase { name } => match branch.database(name) {
            Some(_) => Ok(()),
            None => admin.drop_database(name).await,
        },
    }
}
