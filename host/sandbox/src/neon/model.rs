//! What the local Neon remembers. Data only; `view` says how it looks from outside.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::faults::OperationEnd;
use crate::settings::NeonSettings;

/// Everything, as kept in `neon.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(default)]
    pub(crate) settings: NeonSettings,
    pub(crate) projects: BTreeMap<String, Project>,
    /// Database ids are integers and count up over all projects.
    pub(crate) last_database_id: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) org_id: String,
    pub(crate) region_id: String,
    pub(crate) pg_version: u32,
    pub(crate) provisioner: String,
    pub(crate) store_passwords: bool,
    pub(crate) history_retention_seconds: i64,
    pub(crate) settings: Map<String, Value>,
    pub(crate) default_endpoint_settings: Map<String, Value>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// Set while the project is deleted but can still be recovered.
    pub(crate) deleted_ms: Option<i64>,
    pub(crate) branches: Vec<Branch>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) operations: Vec<Operation>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Branch {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) default: bool,
    pub(crate) protected: bool,
    pub(crate) ready: bool,
    pub(crate) state_changed_ms: i64,
    pub(crate) init_source: InitSource,
    /// Where the data comes from; the parent, except for a schema-only branch, which has none.
    pub(crate) source_id: Option<String>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) expires_ms: Option<i64>,
    pub(crate) roles: Vec<Role>,
    pub(crate) databases: Vec<Database>,
    /// What Postgres has yet to be told, oldest first.
    pub(crate) changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InitSource {
    ParentData,
    SchemaOnly,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    /// Absent for a role that cannot log in, or once told to Postgres in a project that does not
    /// store passwords.
    pub(crate) password: Option<String>,
    pub(crate) no_login: bool,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Database {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) owner_name: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

/// One thing that `apply_config` does in Postgres; each can be done twice without harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// Makes the role if needed and sets its password.
    Role {
        name: String,
    },
    DropRole {
        name: String,
    },
    /// Makes the database if needed and sets its owner.
    Database {
        name: String,
    },
    RenameDatabase {
        from: String,
        to: String,
    },
    DropDatabase {
        name: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) branch_id: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: EndpointKind,
    pub(crate) state: EndpointState,
    pub(crate) pending: Option<EndpointState>,
    pub(crate) min_cu: f64,
    pub(crate) max_cu: f64,
    pub(crate) suspend_timeout_seconds: i64,
    pub(crate) settings: Map<String, Value>,
    pub(crate) pooler_enabled: bool,
    pub(crate) disabled: bool,
    pub(crate) provisioner: String,
    /// The port of `host`, and that of the pooled host.
    pub(crate) port: u16,
    pub(crate) pooler_port: u16,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) suspended_ms: Option<i64>,
    pub(crate) last_active_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndpointKind {
    ReadWrite,
    ReadOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndpointState {
    Init,
    Active,
    Idle,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) branch_id: Option<String>,
    pub(crate) endpoint_id: Option<String>,
    pub(crate) action: Action,
    pub(crate) status: OperationStatus,
    pub(crate) error: Option<String>,
    pub(crate) failures_count: u32,
    pub(crate) retry_ms: Option<i64>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// When it is planned to begin and to end; real work may make it later, never earlier.
    pub(crate) starts_ms: i64,
    pub(crate) ends_ms: i64,
    /// How a test wants it to end.
    pub(crate) planned_end: Option<PlannedEnd>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PlannedEnd {
    pub(crate) end: OperationEnd,
    pub(crate) retry_after_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    CreateTimeline,
    CreateBranch,
    StartCompute,
    SuspendCompute,
    ApplyConfig,
    DeleteTimeline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationStatus {
    Scheduling,
    Running,
    Finished,
    Failed,
    Error,
    Cancelled,
    Skipped,
}

impl Operation {
    /// Still in the way of other mutations.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, OperationStatus::Scheduling | OperationStatus::Running)
            || (self.status == OperationStatus::Failed && self.retry_ms.is_some())
    }
}

impl Project {
    pub(crate) fn is_busy(&self) -> bool {
        self.operations.iter().any(Operation::is_open)
    }

    pub(crate) fn branch(&self, id: &str) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.id == id)
    }

    pub(crate) fn branch_mut(&mut self, id: &str) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.id == id)
    }

    pub(crate) fn endpoint(&self, id: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.id == id)
    }

    pub(crate) fn endpoint_mut(&mut self, id: &str) -> Option<&mut Endpoint> {
        self.endpoints.iter_mut().find(|endpoint| endpoint.id == id)
    }

    /// The branch's read-write endpoint.
    pub(crate) fn writer(&self, branch_id: &str) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .find(|it| it.branch_id == branch_id && it.kind == EndpointKind::ReadWrite)
    }
}

impl Branch {
    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    pub(crate) fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }
}

impl State {
    /// A project that is there, not one that is only recoverable.
    pub(crate) fn live(&self, id: &str) -> Option<&Project> {
        self.projects.get(id).filter(|project| project.deleted_ms.is_none())
    }

    pub(crate) fn live_mut(&mut self, id: &str) -> Option<&mut Project> {
        self.projects.get_mut(id).filter(|project| project.deleted_ms.is_none())
    }

    pub(crate) fn next_database_id(&mut self) -> i64 {
        self.last_database_id = self.last_database_id.max(100_000) + 1;
        self.last_database_id
    }

    /// Every port promised to an endpoint.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.projects
            .values()
            .flat_map(|project| &project.endpoints)
            .flat_map(|endpoint| [endpoint.port, endpoint.pooler_port])
            .collect()
    }
}
