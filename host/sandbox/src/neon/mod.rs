//! A local Neon, API v2: projects, branches, computes, roles, databases and their operations.
//!
//! Handlers change the state and plan operations; each project's `worker` carries them out by the
//! clock, in order, against a real Postgres. What differs from the vendor is listed in the README.

mod access;
mod account;
mod auth;
mod branch_create;
mod branches;
mod call;
mod connection;
mod databases;
mod door;
mod effects;
mod endpoints;
mod error;
mod gate;
mod limits;
mod model;
mod names;
mod operations;
mod projects;
mod roles;
mod startup;
mod validate;
mod view;
mod worker;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::routing::{get, patch, post};
use axum::{Router, middleware};
use serde_json::{Value, json};
use tokio::sync::watch;

use self::error::ApiError;
use self::gate::Gates;
use self::limits::Limits;
use self::model::{EndpointState, Project, State};
use self::worker::Worker;
use crate::persist::Persisted;
use crate::postgres::Postgres;
use crate::settings::NeonSettings;
use crate::shared::Shared;

/// The local Neon; clones are the same one.
#[derive(Clone, Debug)]
pub struct Neon {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Shared,
    state: Persisted<State>,
    postgres: Postgres,
    limits: Limits,
    gates: Gates,
    workers: Mutex<HashMap<String, Worker>>,
    /// Counts what workers finished, for whoever waits for one of them.
    progress: watch::Sender<u64>,
}

impl Neon {
    /// Reads the state and sets every project going again where it stood.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn open(dir: &Path, shared: Shared, postgres: Postgres) -> io::Result<Self> {
        let state = Persisted::<State>::open(dir.join("neon.json"))?;
        let (progress, _) = watch::channel(0);
        let inner = Inner {
            shared,
            state,
            postgres,
            limits: Limits::default(),
            gates: Gates::default(),
            workers: Mutex::default(),
            progress,
        };
        let neon = Self { inner: Arc::new(inner) };
        neon.inner.postgres.clear_left_over().await;
        neon.conceal_passwords();
        for id in neon.read(|state| state.projects.keys().cloned().collect::<Vec<_>>()) {
            neon.wake(&id);
        }
        Ok(neon)
    }

    /// The API, to be mounted at `/neon/api/v2`.
    pub fn router(&self) -> Router {
        let branch = "/projects/{project_id}/branches/{branch_id}";
        let endpoint = "/projects/{project_id}/endpoints/{endpoint_id}";
        let under = |parent: &str, rest: &str| format!("{parent}{rest}");
        Router::new()
            .route("/auth", get(account::auth))
            .route("/regions", get(account::regions))
            .route("/users/me", get(account::me))
            .route("/users/me/organizations", get(account::organizations))
            .route("/organizations/{org_id}", get(account::organization))
            .route("/projects", get(projects::list).post(projects::create))
            .route(
                "/projects/{project_id}",
                get(projects::read).patch(projects::update).delete(projects::delete),
            )
            .route("/projects/{project_id}/recover", post(projects::recover))
            .route("/projects/{project_id}/connection_uri", get(connection::uri))
            .route("/projects/{project_id}/operations", get(operations::list))
            .route("/projects/{project_id}/operations/{operation_id}", get(operations::read))
            .route(
                "/projects/{project_id}/branches",
                get(branches::list).post(branch_create::create),
            )
            .route("/projects/{project_id}/branches/count", get(branches::count))
            .route(branch, get(branches::read).patch(branches::update).delete(branches::delete))
            .route(&under(branch, "/set_as_default"), post(branches::set_default))
            .route(&under(branch, "/endpoints"), get(endpoints::list_of_branch))
            .route(&under(branch, "/roles"), get(roles::list).post(roles::create))
            .route(&under(branch, "/roles/{role_name}"), get(roles::read).delete(roles::delete))
            .route(&under(branch, "/roles/{role_name}/reveal_password"), get(roles::reveal))
            .route(&under(branch, "/roles/{role_name}/reset_password"), post(roles::reset))
            .route(&under(branch, "/databases"), get(databases::list).post(databases::create))
            .route(
                &under(branch, "/databases/{database_name}"),
                patch(databases::update).get(databases::read).delete(databases::delete),
            )
            .route("/projects/{project_id}/endpoints", get(endpoints::list).post(endpoints::create))
            .route(
                endpoint,
                get(endpoints::read).patch(endpoints::update).delete(endpoints::delete),
            )
            .route(&under(endpoint, "/start"), post(endpoints::start))
            .route(&under(endpoint, "/suspend"), post(endpoints::suspend))
            .route(&under(endpoint, "/restart"), post(endpoints::restart))
            .fallback(async || ApiError::no_route())
            .method_not_allowed_fallback(async || ApiError::no_method())
            .layer(middleware::from_fn_with_state(self.clone(), door::enter))
            .with_state(self.clone())
    }

    /// The knobs as they are.
    #[must_use]
    pub fn knobs(&self) -> NeonSettings {
        self.settings()
    }

    /// Changes the knobs that `patch` names, or none.
    ///
    /// # Errors
    /// An unknown name, a value of the wrong type, or a disk that refuses; in words.
    pub fn turn_knobs(&self, patch: &Value) -> Result<(), String> {
        let changed = self.settings().patched(patch)?;
        self.inner.state.write(|state| state.settings = changed).map_err(|error| error.to_string())
    }

    /// Counts and the state of every compute, for people.
    pub async fn status(&self) -> Value {
        let (projects, endpoints) = self.read(|state| {
            let live: Vec<&Project> =
                state.projects.values().filter(|it| it.deleted_ms.is_none()).collect();
            let endpoints: Vec<Value> = live
                .iter()
                .flat_map(|project| project.endpoints.iter().map(move |it| (project, it)))
                .map(|(project, endpoint)| {
                    json!({
                        "id": endpoint.id,
                        "project": project.name,
                        "state": endpoint.state,
                        "port": endpoint.port,
                        "pooler_port": endpoint.pooler_port,
                    })
                })
                .collect();
            (live.len(), endpoints)
        });
        json!({
            "projects": projects,
            "endpoints": endpoints,
            "postgres": self.inner.postgres.status().await,
        })
    }

    /// Waits until everything that is due by now has happened.
    pub async fn settle(&self) {
        let mut progress = self.inner.progress.subscribe();
        while self.read(|state| state.projects.values().any(|it| self.is_due(it))) {
            if progress.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends every worker and every Postgres; the state stays as it is.
    pub async fn stop(&self) {
        let workers: Vec<Worker> = self.workers().drain().map(|(_, worker)| worker).collect();
        for worker in workers {
            worker.end().await;
        }
        self.inner.gates.close_all();
        self.inner.postgres.stop_all().await;
    }

    /// Forgets every project and its data.
    ///
    /// # Errors
    /// The empty state could not be written.
    pub async fn reset(&self) -> io::Result<()> {
        self.stop().await;
        self.inner.state.write(|state| *state = State::default())?;
        self.inner.postgres.remove_all().await
    }

    fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.inner.state.read(look)
    }

    /// Changes the state, or refuses and leaves it as it was.
    fn change<R>(
        &self,
        change: impl FnOnce(&mut State) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        let whole = |state: &mut State| {
            let mut changed = state.clone();
            let answer = change(&mut changed)?;
            *state = changed;
            Ok(answer)
        };
        self.inner.state.write(whole).map_err(|error| ApiError::disk(&error))?
    }

    fn now_ms(&self) -> i64 {
        self.inner.shared.clock.now_ms()
    }

    fn settings(&self) -> NeonSettings {
        self.read(|state| state.settings.clone())
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Worker>> {
        self.inner.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the project's worker look again, starting it if there is none.
    fn wake(&self, project_id: &str) {
        let mut workers = self.workers();
        match workers.get(project_id) {
            Some(worker) if worker.is_alive() => worker.wake(),
            _ => {
                workers.insert(project_id.to_owned(), Worker::start(self.clone(), project_id));
            }
        }
    }

    fn conceal_passwords(&self) {
        self.read(|state| {
            for project in state.projects.values() {
                for role in project.branches.iter().flat_map(|branch| &branch.roles) {
                    role.password.iter().for_each(|it| self.inner.shared.journal.conceal(it));
                }
            }
        });
    }

    /// Whether something in the project should have happened by now.
    fn is_due(&self, project: &Project) -> bool {
        let now = self.now_ms();
        match worker::next(project, |id| self.inner.gates.activity(id), now) {
            worker::Next::At(at_ms) => at_ms <= now,
            worker::Next::Operation(operation) => match operation.status {
                model::OperationStatus::Scheduling => operation.starts_ms <= now,
                model::OperationStatus::Failed => operation.retry_ms.is_some_and(|at| at <= now),
                _ => operation.ends_ms <= now,
            },
            worker::Next::Nothing => false,
        }
    }

    fn is_active(&self, project_id: &str, endpoint_id: &str) -> bool {
        self.read(|state| {
            let endpoint = state.live(project_id).and_then(|it| it.endpoint(endpoint_id));
            endpoint.is_some_and(|it| it.state == EndpointState::Active && it.pending.is_none())
        })
    }
}
