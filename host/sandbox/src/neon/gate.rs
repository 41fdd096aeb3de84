//! The port of an endpoint: open once its compute has started, passing connections on to
//! PostgreSQL and waking a compute that sleeps.
//!
//! A `read_only` endpoint asks PostgreSQL for read-only transactions by default; see `startup`.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::model::{Action, Endpoint, EndpointKind, EndpointState};
use super::operations::{self, Planning, Step};
use super::{ApiError, Neon, names, startup};

/// How long a connection waits for its compute.
const WAKE_MAX: Duration = Duration::from_secs(60);

/// The open ports of every endpoint.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    open: Mutex<HashMap<String, Gate>>,
}

#[derive(Debug)]
struct Gate {
    activity: Arc<Activity>,
    accepting: JoinHandle<()>,
}

/// Who is connected, and when somebody last was.
#[derive(Debug, Default)]
struct Activity {
    connections: AtomicUsize,
    last_ms: AtomicI64,
}

/// A look at an endpoint's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) last_ms: i64,
}

impl Gates {
    /// Opens the endpoint's two ports, unless they are open.
    pub(crate) async fn open(
        &self,
        neon: &Neon,
        project_id: &str,
        endpoint: &Endpoint,
    ) -> io::Result<()> {
        if self.lock().contains_key(&endpoint.id) {
            return Ok(());
        }
        let direct = listen(endpoint.port).await?;
        let pooled = listen(endpoint.pooler_port).await?;
        let activity = Arc::new(Activity::default());
        let door = Door {
            neon: neon.clone(),
            project_id: project_id.to_owned(),
            endpoint_id: endpoint.id.clone(),
            branch_id: endpoint.branch_id.clone(),
            kind: endpoint.kind,
            activity: activity.clone(),
        };
        let accepting = tokio::spawn(accept(door, direct, pooled));
        self.lock().insert(endpoint.id.clone(), Gate { activity, accepting });
        Ok(())
    }

    /// Closes the endpoint's ports and drops its connections.
    pub(crate) fn close(&self, endpoint_id: &str) {
        if let Some(gate) = self.lock().remove(endpoint_id) {
            gate.accepting.abort();
        }
    }

    /// Closes every port.
    pub(crate) fn close_all(&self) {
        self.lock().drain().for_each(|(_, gate)| gate.accepting.abort());
    }

    /// Who is connected to the endpoint right now.
    pub(crate) fn activity(&self, endpoint_id: &str) -> Seen {
        let open = self.lock();
        let Some(gate) = open.get(endpoint_id) else { return Seen::default() };
        Seen {
            connections: gate.activity.connections.load(Ordering::Relaxed),
            last_ms: gate.activity.last_ms.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Gate>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds a promised port; a program that took it meanwhile gets a moment to go away.
async fn listen(port: u16) -> io::Result<TcpListener> {
    names::release(port);
    let mut tries = 0;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < 20 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => {
                let what = format!("port 127.0.0.1:{port} is not to be had: {error}");
                return Err(io::Error::new(error.kind(), what));
            }
            Ok(listener) => return Ok(listener),
        }
    }
}

#[derive(Clone, Debug)]
struct Door {
    neon: Neon,
    project_id: String,
    endpoint_id: String,
    branch_id: String,
    kind: EndpointKind,
    activity: Arc<Activity>,
}

async fn accept(door: Door, direct: TcpListener, pooled: TcpListener) {
    // Connections live in the set, so closing the gate drops them too.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = direct.accept() => accepted,
            accepted = pooled.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((client, _)) => {
                connections.spawn(door.clone().pass(client));
            }
            // Out of file descriptors, most likely: others will close theirs.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

impl Door {
    async fn pass(self, mut client: TcpStream) {
        let _counted = Counted::new(&self);
        let port = tokio::time::timeout(WAKE_MAX, self.awake()).await;
        let Ok(Some(port)) = port else { return };
        let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
        // Small messages back and forth: waiting to fill a packet would only slow them down.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        if self.kind == EndpointKind::ReadOnly {
            let Ok(startup) = startup::read_only(&mut client).await else { return };
            if server.write_all(&startup).await.is_err() {
                return;
            }
        }
        // Either side closing, or the compute being suspended, ends the session.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }

    /// The compute's port, after waking it if it sleeps; `None` when it is not to be woken.
    async fn awake(&self) -> Option<u16> {
        let mut progress = self.neon.inner.progress.subscribe();
        loop {
            if self.neon.is_active(&self.project_id, &self.endpoint_id) {
                let logical = self.neon.is_logical(&self.project_id);
                return self.neon.inner.postgres.start(&self.branch_id, logical).await.ok();
            }
            self.neon.wake_compute(&self.project_id, &self.endpoint_id).ok()?;
            progress.changed().await.ok()?;
        }
    }
}

struct Counted<'a> {
    door: &'a Door,
}

impl<'a> Counted<'a> {
    fn new(door: &'a Door) -> Self {
        door.activity.connections.fetch_add(1, Ordering::Relaxed);
        Self { door }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.door.activity.last_ms.store(self.door.neon.now_ms(), Ordering::Relaxed);
        self.door.activity.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Neon {
    /// Plans the start of a sleeping compute; fine if something is already going on.
    fn wake_compute(&self, project_id: &str, endpoint_id: &str) -> Result<(), ApiError> {
        let settings = self.settings();
        let planning =
            Planning { now_ms: self.now_ms(), durations: &settings.durations_ms, fault: None };
        self.change(|state| {
            let project = state.live_mut(project_id).ok_or_else(ApiError::no_project)?;
            let endpoint = project.endpoint(endpoint_id).ok_or_else(ApiError::no_endpoint)?;
            if endpoint.disabled {
                return Err(ApiError::new(422, "endpoint is disabled"));
            }
            if endpoint.state == EndpointState::Idle && !project.is_busy() {
                let branch_id = endpoint.branch_id.clone();
                let step = Step::endpoint(Action::StartCompute, &branch_id, endpoint_id);
                operations::plan(project, &planning, &[step]);
            }
            Ok(())
        })?;
        self.wake(project_id);
        Ok(())
    }
}
