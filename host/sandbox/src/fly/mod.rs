//! A local Fly: the Machines API, the log and login endpoints beside it, and real processes.
//!
//! `model` is what is remembered, `keeper` makes it true, the handlers decide what may change.
//! Promises that everything answered is durable, that a machine's process follows its goal across
//! a crash of the sandbox, and that time is the sandbox's clock. Knows nothing of `ss`.

mod apps;
mod caller;
mod certificates;
mod checker;
mod config;
mod create;
mod exec;
mod fault;
mod ids;
mod ips;
mod keeper;
mod lease;
mod lifecycle;
mod limits;
mod list;
mod login;
mod logs;
mod metadata;
mod model;
mod pages;
mod platform;
mod request;
mod router;
mod secrets;
mod settings;
mod status;
mod timeline;
mod update;
mod view;
mod volumes;
mod wait;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::machine::log::Logs;
use crate::machine::orphan;
use crate::persist::Persisted;
use crate::sandbox_yaml::Images;

pub use crate::app_proxy::router as app_router;
pub use caller::{READ_ONLY_TOKEN, TOKEN};
pub use login::platform_router;
pub use router::router;
pub use settings::{Action, Settings, Shortage, ShortageKind};

use fault::Fault;
use model::{Goal, Machine, Phase, State};

/// The local Fly; clones are the same one.
#[derive(Clone)]
pub struct Fly {
    inner: Arc<Inner>,
}

struct Inner {
    store: Persisted<State>,
    clock: Clock,
    images: Images,
    logs: Logs,
    changed: watch::Sender<u64>,
    keepers: Mutex<HashMap<String, Arc<Notify>>>,
    tasks: Mutex<JoinSet<()>>,
    timeline: Mutex<timeline::Timeline>,
    limits: Mutex<limits::Limits>,
    builds: keeper::Builds,
    sessions: Mutex<login::Sessions>,
    turn: std::sync::atomic::AtomicUsize,
    closing: AtomicBool,
}

impl Fly {
    /// Opens the Fly kept in `dir`, kills what a dead sandbox left running, and starts again what
    /// should run. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The folder or the state in it cannot be read or written.
    pub fn open(dir: &Path, clock: Clock, images: Images) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let fly = Self {
            inner: Arc::new(Inner {
                store: Persisted::open(dir.join("fly.json"))?,
                logs: Logs::open(dir.join("logs"), clock.clone())?,
                clock,
                images,
                changed: watch::channel(0).0,
                keepers: Mutex::default(),
                tasks: Mutex::default(),
                timeline: Mutex::default(),
                limits: Mutex::default(),
                builds: keeper::Builds::default(),
                sessions: Mutex::default(),
                turn: std::sync::atomic::AtomicUsize::new(0),
                closing: AtomicBool::new(false),
            }),
        };
        fly.recover()?;
        Ok(fly)
    }

    /// The knobs as JSON.
    #[must_use]
    pub fn settings(&self) -> Value {
        self.read(|state| serde_json::to_value(&state.settings)).unwrap_or_default()
    }

    /// Replaces the fields that `patch` names and returns the whole.
    ///
    /// # Errors
    /// An unknown field, a value of the wrong type, or a disk that refuses; in words.
    pub fn set_settings(&self, patch: &Value) -> Result<Value, String> {
        let patched = self.read(|state| state.settings.patched(patch))?;
        let set = |state: &mut State| {
            state.settings = patched;
            Ok(())
        };
        self.change(set).map_err(|fault| fault.body.to_string())?;
        Ok(self.settings())
    }

    /// Since the start: at each change and for each app, how many machines were started, healthy
    /// and uncordoned (`serving`), and what each machine was doing.
    #[must_use]
    pub fn timeline(&self) -> Value {
        lock(&self.inner.timeline).to_json()
    }

    /// Ends every process; a later `open` starts them again.
    pub async fn shutdown(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        for wake in lock(&self.inner.keepers).values() {
            wake.notify_one();
        }
        let mut tasks = std::mem::take(&mut *lock(&self.inner.tasks));
        while tasks.join_next().await.is_some() {}
    }

    fn recover(&self) -> io::Result<()> {
        for (stamp, id) in self.read(recorded_processes) {
            let killed = orphan::kill_left_over(&stamp, &format!("FLY_MACHINE_ID={id}"));
            if killed > 0 {
                self.inner.logs.append(
                    &id,
                    "runner",
                    "info",
                    "killed what a dead sandbox left running",
                );
            }
        }
        let ids = self.inner.store.write(|state| {
            state.machines.values_mut().for_each(after_a_crash);
            let kept = state.machines.values().filter(|m| m.phase != Phase::Destroyed);
            kept.map(|machine| machine.id.clone()).collect::<Vec<_>>()
        })?;
        ids.iter().for_each(|id| self.keep(id));
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    /// Where machines are reached from: used by the proxy.
    pub(crate) fn route(&self, app: &str) -> Route {
        self.read(|state| {
            let Some(found) = state.apps.get(app) else { return Route::NoApp };
            if state.settings.public_ip_needed
                && !found.ips.iter().any(|ip| ips::is_public(&ip.kind))
            {
                return Route::NoAddress;
            }
            let able = |m: &&Machine| m.is_routable() && !state.is_unreachable(m);
            let ports = state.machines_of(&found.id).filter(able);
            let mut ports: Vec<(String, u16)> = ports.map(|m| (m.id.clone(), m.port)).collect();
            if ports.is_empty() {
                return Route::NoMachine;
            }
            let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed) % ports.len();
            ports.rotate_left(turn);
            Route::Machines(ports)
        })
    }

    fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.inner.store.read(look)
    }

    /// Changes the state durably; a closure that refuses must not have changed anything.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> Result<R, Fault>) -> Result<R, Fault> {
        let answer = self.inner.store.write(|state| {
            let answer = change(state);
            // Under the same lock, so that no state in between is missed.
            lock(&self.inner.timeline).record(self.now_ms(), state);
            answer
        })?;
        self.inner.changed.send_modify(|count| *count += 1);
        answer
    }

    /// Starts the keeper of a machine.
    fn keep(&self, id: &str) {
        let wake = Arc::new(Notify::new());
        lock(&self.inner.keepers).insert(id.to_owned(), wake.clone());
        let mut tasks = lock(&self.inner.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(keeper::keep(self.clone(), id.to_owned(), wake));
    }

    /// Tells a machine's keeper that its goal has changed.
    fn wake(&self, id: &str) {
        if let Some(wake) = lock(&self.inner.keepers).get(id) {
            wake.notify_one();
        }
    }
}

/// Where the proxy may send a request.
pub(crate) enum Route {
    /// There is no such app.
    NoApp,
    /// It has no public address.
    NoAddress,
    /// Nothing is up.
    NoMachine,
    /// Machine ids and ports, the one whose turn it is first.
    Machines(Vec<(String, u16)>),
}

fn recorded_processes(state: &State) -> Vec<(orphan::Stamp, String)> {
    let recorded = |m: &Machine| Some((m.process.clone()?, m.id.clone()));
    state.machines.values().filter_map(recorded).collect()
}

fn after_a_crash(machine: &mut Machine) {
    machine.process = None;
    machine.checks.clear();
    if machine.goal == Goal::Run && machine.phase == Phase::Started {
        machine.phase = Phase::Starting;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
