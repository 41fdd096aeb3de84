//! The second wall: a stranger's component runs in a process of its own, which the kernel lets do nothing but compute
//! and answer. Should its code break out of the first wall, WebAssembly, there is no file, no network and no other
//! process to be had; tokens and secrets were never in that process.

mod child;
mod lock;
mod protocol;
mod worker;

use std::iter;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use ss_ports::{CallError, HostCalls};

use crate::bounded_host::BoundedHost;
use crate::code::Code;
use crate::invocation::{Invocation, Returned};
use crate::limits::Limits;
use worker::{Lost, Worker};

pub use child::serve_wall;

/// How components are walled in.
#[derive(Debug, Clone)]
pub struct Wall {
    /// A program that, with the arguments, calls [`serve_wall`].
    pub program: PathBuf,
    /// The arguments.
    pub arguments: Vec<String>,
    /// Whether a component may run where the kernel lacks a part of the wall.
    pub required: bool,
}

/// Which parts of the wall stand in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    /// Landlock: no files, no network, no other process.
    pub landlock: bool,
    /// Seccomp: no system calls but the few that are needed.
    pub seccomp: bool,
}

/// Something that was tried behind the wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What.
    pub what: String,
    /// How the kernel refused it; `None` when it went through.
    pub refused: Option<String>,
}

impl Wall {
    /// Locks a process in and lets it try to get out.
    ///
    /// # Errors
    /// The process cannot be started, or dies of it.
    pub fn attempt(&self) -> Result<(Walls, Vec<Attempt>), String> {
        let mut worker = Worker::start(self, &[]).map_err(|lost| lost.to_string())?;
        let attempts = worker.attempt().map_err(|error| error.to_string())?;
        Ok((worker.walls, attempts))
    }
}

/// A component behind the wall.
pub(crate) struct Walled {
    wall: Wall,
    code: Code,
    native: OnceLock<Vec<u8>>,
    /// Processes that have ended a call in good order. A new one is started when all are busy.
    idle: Mutex<Vec<Worker>>,
}

impl Walled {
    pub(crate) fn new(wall: Wall, code: Code) -> Self {
        Self { wall, code, native: OnceLock::new(), idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    pub(crate) fn describe(&self, limits: &Limits) -> Result<Returned, CallError> {
        let mut worker = self.worker()?;
        let described = worker.describe(limits);
        self.keep(worker, &described);
        described
    }

    pub(crate) async fn call(
        &self,
        invocation: Invocation,
        limits: &Limits,
        host: Box<dyn HostCalls>,
    ) -> Result<Returned, CallError> {
        let mut host = BoundedHost::new(host, limits.clone());
        let mut worker = self.worker()?;
        let returned = worker.call(invocation, limits, &mut host).await;
        self.keep(worker, &returned);
        returned
    }

    /// After anything but an orderly end the process goes, with whatever happened to it.
    fn keep(&self, worker: Worker, ended: &Result<Returned, CallError>) {
        if matches!(ended, Ok(_) | Err(CallError::Failed(_))) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
    }

    fn worker(&self) -> Result<Worker, CallError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let worker = match iter::from_fn(idle).find_map(Worker::alive) {
            Some(worker) => worker,
            None => self.start()?,
        };
        if self.wall.required && !worker.walls.are_whole() {
            return Err(CallError::Unusable(
                "this kernel cannot wall it in, and the settings ask for it; `ss doctor` says what is missing"
                    .to_owned(),
            ));
        }
        Ok(worker)
    }

    fn start(&self) -> Result<Worker, CallError> {
        let unusable = |lost: Lost| CallError::Unusable(lost.to_string());
        if let Some(native) = self.native.get() {
            return Worker::start(&self.wall, native).map_err(unusable);
        }
        if let Some(kept) = self.code.kept() {
            match Worker::start(&self.wall, &kept) {
                // The cache may have been filled on another machine, with another processor.
                Err(Lost::Refused(_)) => {}
                started => {
                    let _ = self.native.set(kept);
                    return started.map_err(unusable);
                }
            }
        }
        let compiled = self.code.compiled().map_err(CallError::Unusable)?;
        let worker = Worker::start(&self.wall, &compiled).map_err(unusable)?;
        let _ = self.native.set(compiled);
        Ok(worker)
    }
}
