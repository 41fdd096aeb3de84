//! The shell: opens the folder, starts both vendors behind one port, stops everything again.
//!
//! Promises that it listens on loopback only, that one folder has one running sandbox, and that
//! `stop` leaves no process behind. What a killed sandbox left is cleaned up by the next start.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::faults::Faults;
use crate::fly::{self, Fly};
use crate::folder::{Folder, default_cache, keep_time, private_folder};
use crate::front::Front;
use crate::journal::Journal;
use crate::log::Log;
use crate::neon::Neon;
use crate::postgres::{Choice, Postgres};
use crate::sandbox_yaml::Images;
use crate::shared::Shared;

/// How long moving the clock waits for what it set off.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// How to run a sandbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept; made if absent.
    pub dir: PathBuf,
    /// Where to listen; loopback only, port 0 for any.
    pub addr: SocketAddr,
    /// Which image runs which command; without it no machine can start.
    pub sandbox_yaml: Option<PathBuf>,
    /// How many times faster than real time passes; 0 stands still until told.
    pub speed: f64,
    /// Whether and from where Postgres is taken.
    pub postgres: Choice,
    /// Where templates and fetched binaries are shared between sandboxes.
    pub cache: PathBuf,
}

impl Options {
    /// Real time, port 4400, Postgres as found, the user's own cache folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            addr: SocketAddr::from(([127, 0, 0, 1], 4400)),
            sandbox_yaml: None,
            speed: 1.0,
            postgres: Choice::Find,
            cache: default_cache(),
        }
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Asked to listen where others could reach it.
    #[error("listen on {0}: the sandbox runs programs and listens on loopback only")]
    NotLoopback(SocketAddr),
    /// Another sandbox holds the folder.
    #[error("use {}: another sandbox is running on it", .0.display())]
    Taken(PathBuf),
    /// The port is taken, or not ours to use.
    #[error("listen on {addr}: {source}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The folder cannot be read or written.
    #[error("use {}: {source}", dir.display())]
    Folder {
        /// Which.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A running sandbox.
pub struct Sandbox {
    /// Where it listens.
    pub addr: SocketAddr,
    cloud: Cloud,
    folder: Folder,
    accepting: JoinHandle<()>,
    keeping_time: JoinHandle<()>,
}

/// Both vendors and what they share; clones are the same cloud.
#[derive(Clone)]
pub(crate) struct Cloud {
    pub(crate) shared: Shared,
    neon: Neon,
    /// Replaced as a whole by a reset, and the routes with it.
    fly: Arc<RwLock<Fly>>,
    vendors: Arc<RwLock<Router>>,
    images: Images,
    stop: Arc<watch::Sender<bool>>,
    started: Instant,
    addr: SocketAddr,
    folder: PathBuf,
}

/// Runs a sandbox until `until` is ready or `/_control/shutdown` is called.
///
/// # Errors
/// It could not start.
pub async fn serve(options: Options, until: impl Future<Output = ()>) -> Result<(), ServeError> {
    let sandbox = Sandbox::start(options).await?;
    tokio::select! {
        () = until => {}
        () = sandbox.asked_to_stop() => {}
    }
    sandbox.stop().await;
    Ok(())
}

impl Sandbox {
    /// Starts one; it answers when this returns.
    ///
    /// # Errors
    /// The folder is taken or unusable, or the port is.
    pub async fn start(options: Options) -> Result<Self, ServeError> {
        if !options.addr.ip().is_loopback() {
            return Err(ServeError::NotLoopback(options.addr));
        }
        let dir = options.dir.clone();
        let folder = Folder::take(&dir)
            .map_err(|source| ServeError::Folder { dir: dir.clone(), source })?
            .ok_or_else(|| ServeError::Taken(dir.clone()))?;
        let listener = TcpListener::bind(options.addr)
            .await
            .map_err(|source| ServeError::Listen { addr: options.addr, source })?;
        let in_folder = |source| ServeError::Folder { dir: dir.clone(), source };
        let addr = listener.local_addr().map_err(in_folder)?;
        let cloud = Cloud::open(&folder, &options, addr).await.map_err(in_folder)?;
        folder.announce(addr).map_err(in_folder)?;
        let front = Front::new(cloud.clone());
        let accepting = tokio::spawn(accept(listener, front, cloud.stop.subscribe()));
        let keeping_time = tokio::spawn(keep_fast_time(cloud.clone()));
        cloud.shared.log.line(&format!("listening on {addr}"));
        Ok(Self { addr, cloud, folder, accepting, keeping_time })
    }

    /// `http://ADDR`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The sandbox's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.cloud.shared.clock.clone()
    }

    /// Returns once `/_control/shutdown` has been called.
    pub async fn asked_to_stop(&self) {
        until_told(&mut self.cloud.stop.subscribe()).await;
    }

    /// Stops answering, then every process, then lets go of the folder.
    pub async fn stop(self) {
        self.cloud.ask_to_stop();
        // A panic in the accept loop must not keep us from stopping the processes.
        let _ = self.accepting.await;
        self.keeping_time.abort();
        let fly = self.cloud.fly();
        tokio::join!(self.cloud.neon.stop(), fly.shutdown());
        if let Err(error) = keep_time(self.folder.path(), &self.cloud.shared.clock) {
            self.cloud.shared.log.line(&format!("time was not kept: {error}"));
        }
        self.cloud.shared.log.line("stopped");
    }
}

impl Cloud {
    async fn open(folder: &Folder, options: &Options, addr: SocketAddr) -> io::Result<Self> {
        let dir = folder.path();
        let shared = Shared {
            clock: folder.clock(options.speed)?,
            faults: Faults::default(),
            journal: Journal::default(),
            log: Log::open(dir.join("sandbox.log"))?,
        };
        private_folder(&options.cache)?;
        let postgres =
            Postgres::new(options.postgres.clone(), options.cache.clone(), dir.join("neon"));
        let neon = Neon::open(dir, shared.clone(), postgres).await?;
        let images = options.sandbox_yaml.clone().map_or_else(Images::none, Images::from_file);
        let fly = Fly::open(&dir.join("fly"), shared.clock.clone(), images.clone())?;
        let (stop, _) = watch::channel(false);
        Ok(Self {
            shared,
            vendors: Arc::new(RwLock::new(vendor_routes(&neon, &fly))),
            neon,
            fly: Arc::new(RwLock::new(fly)),
            images,
            stop: Arc::new(stop),
            started: Instant::now(),
            addr,
            folder: dir.to_owned(),
        })
    }

    /// The routes of both vendors as they are now.
    pub(crate) fn vendors(&self) -> Router {
        self.vendors.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fly(&self) -> Fly {
        self.fly.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn status(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "addr": self.addr.to_string(),
            "dir": self.folder,
            "uptime_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "now_ms": self.shared.clock.now_ms(),
            "speed": self.shared.clock.speed(),
            "neon": self.neon.status().await,
            "fly": self.fly().status(),
        })
    }

    /// Moves the clock and waits, for a while, until what fell due has happened.
    pub(crate) async fn advance(&self, ms: i64) -> io::Result<()> {
        self.shared.clock.advance(ms);
        if tokio::time::timeout(SETTLE_MAX, self.neon.settle()).await.is_err() {
            self.shared.log.line("not everything that was due has happened yet");
        }
        keep_time(&self.folder, &self.shared.clock)
    }

    pub(crate) fn settings(&self) -> Value {
        json!({"neon": self.neon.knobs(), "fly": self.fly().settings()})
    }

    /// Changes the settings that `patch` names, per vendor.
    pub(crate) fn change_settings(&self, patch: &Value) -> Result<(), String> {
        let parts = patch.as_object().ok_or("settings must be an object")?;
        if let Some(name) = parts.keys().find(|name| !matches!(name.as_str(), "neon" | "fly")) {
            return Err(format!("unknown part `{name}`, expected `neon` or `fly`"));
        }
        if let Some(patch) = parts.get("neon") {
            self.neon.turn_knobs(patch)?;
        }
        if let Some(patch) = parts.get("fly") {
            self.fly().set_settings(patch)?;
        }
        Ok(())
    }

    pub(crate) fn timeline(&self) -> Value {
        self.fly().timeline()
    }

    /// Back to an empty cloud: resources, settings, faults and journal; the clock runs on.
    pub(crate) async fn reset(&self) -> io::Result<()> {
        self.neon.reset().await?;
        self.fly().shutdown().await;
        let dir = self.folder.join("fly");
        std::fs::remove_dir_all(&dir)?;
        let fresh = Fly::open(&dir, self.shared.clock.clone(), self.images.clone())?;
        let routes = vendor_routes(&self.neon, &fresh);
        *self.fly.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        *self.vendors.write().unwrap_or_else(PoisonError::into_inner) = routes;
        self.shared.faults.clear();
        self.shared.journal.clear();
        self.shared.log.line("reset");
        Ok(())
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

fn vendor_routes(neon: &Neon, fly: &Fly) -> Router {
    Router::new()
        .nest("/neon/api/v2", neon.router())
        .nest("/fly/v1", fly::router(fly.clone()))
        .nest("/flyapi", fly::platform_router(fly.clone()))
        .nest_service("/app/{app}", fly::app_router(fly.clone()))
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
}

async fn accept(listener: TcpListener, front: Front, stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stopped = stop.clone();
    loop {
        tokio::select! {
            () = until_told(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, front.clone(), stop.clone()));
                }
                // Out of file descriptors, most likely: others will close theirs.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(2), finish).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    front: Front,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| front.clone().answer(request, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // A client that went away, or one we cut off: neither concerns anyone else.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = until_told(&mut stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn until_told(stop: &mut watch::Receiver<bool>) {
    // It fails when the sender is gone, and then there is nothing left to serve either.
    let _ = stop.wait_for(|stop| *stop).await.map(drop);
}

/// A fast clock runs ahead of the machine's; remember how far, so that time never goes back.
async fn keep_fast_time(cloud: Cloud) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if cloud.shared.clock.speed() > 1.0
            && let Err(error) = keep_time(&cloud.folder, &cloud.shared.clock)
        {
            cloud.shared.log.line(&format!("time was not kept: {error}"));
        }
    }
}
