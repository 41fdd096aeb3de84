//! `ss sandbox`: a local Neon and Fly.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};
use ss_engine::Failure;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Sandbox, SandboxPlace};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::local_cloud::LocalCloud;

/// Does what is asked of the sandbox.
pub fn run(context: &Context, command: &Sandbox) -> Result<Exit, CommandError> {
    match command {
        Sandbox::Start(place) => start(context, place),
        Sandbox::Serve { place, speed } => serve(context, place, *speed),
        Sandbox::Stop(place) => stop(context, place),
        Sandbox::Status(place) => status(context, place),
        Sandbox::Logs(place) => logs(context, place),
        Sandbox::Reset(place) => reset(context, place),
        Sandbox::Selftest => super::selftest::run(context),
    }
}

fn config(context: &Context, place: &SandboxPlace) -> Result<Option<PathBuf>, CommandError> {
    let path = match &place.config {
        Some(path) => path.clone(),
        None => {
            let beside = context.directory.join("sandbox.yaml");
            if !beside.is_file() {
                return Ok(None);
            }
            beside
        }
    };
    path.canonicalize().map(Some).map_err(|error| {
        Failure::new("SS0702", format!("`{}` cannot be read: {error}", path.display())).into()
    })
}

fn say(context: &Context, value: &Value, text: &str) {
    if context.json {
        println!("{value}");
    } else {
        println!("{text}");
    }
}

fn start(context: &Context, place: &SandboxPlace) -> Result<Exit, CommandError> {
    let cloud = LocalCloud::new(context, place.port)?;
    if cloud.status().is_some() {
        say(
            context,
            &json!({"version": 1, "kind": "sandbox", "running": true}),
            "The sandbox is running already.",
        );
        return Ok(Exit::Ok);
    }
    cloud.start(config(context, place)?.as_deref())?;
    let text = format!(
        "{} The sandbox listens on http://127.0.0.1:{}",
        context.style.green("✓"),
        place.port
    );
    say(
        context,
        &json!({"version": 1, "kind": "sandbox", "running": true, "port": place.port}),
        &text,
    );
    Ok(Exit::Ok)
}

fn serve(context: &Context, place: &SandboxPlace, speed: f64) -> Result<Exit, CommandError> {
    let cloud = LocalCloud::new(context, place.port)?;
    let mut options = ss_sandbox::Options::new(&cloud.directory);
    options.speed = speed;
    options.addr = SocketAddr::from((Ipv4Addr::LOCALHOST, place.port));
    options.sandbox_yaml = config(context, place)?;
    let failed = |message: String| CommandError::from(Failure::new("SS0701", message));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| failed(format!("no threads can be started: {error}")))?;
    runtime.block_on(async {
        let listening = signal(SignalKind::interrupt())
            .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
        let (mut interrupt, mut terminate) =
            listening.map_err(|error| failed(error.to_string()))?;
        let until = async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        };
        ss_sandbox::serve(options, until)
            .await
            .map_err(|error| failed(format!("the sandbox could not {error}")))
    })?;
    Ok(Exit::Ok)
}

fn stop(context: &Context, place: &SandboxPlace) -> Result<Exit, CommandError> {
    let was_there = LocalCloud::new(context, place.port)?.stop()?;
    let text = if was_there { "The sandbox has stopped." } else { "The sandbox is not running." };
    say(context, &json!({"version": 1, "kind": "sandbox", "running": false}), text);
    Ok(Exit::Ok)
}

fn status(context: &Context, place: &SandboxPlace) -> Result<Exit, CommandError> {
    match LocalCloud::new(context, place.port)?.status() {
        Some(status) => {
            let text = serde_json::to_string_pretty(&status).unwrap_or_default();
            say(
                context,
                &json!({"version": 1, "kind": "sandbox", "running": true, "status": status}),
                &text,
            );
        }
        None => say(
            context,
            &json!({"version": 1, "kind": "sandbox", "running": false}),
            "The sandbox is not running.",
        ),
    }
    Ok(Exit::Ok)
}

fn logs(context: &Context, place: &SandboxPlace) -> Result<Exit, CommandError> {
    let path = LocalCloud::new(context, place.port)?.log_path();
    let bytes = std::fs::read(&path).map_err(|error| {
        Failure::new("SS0702", format!("`{}` cannot be read: {error}", path.display()))
    })?;
    for line in String::from_utf8_lossy(&bytes).lines() {
        println!("{}", ss_core::text::printable(line, 4_000));
    }
    Ok(Exit::Ok)
}

fn reset(context: &Context, place: &SandboxPlace) -> Result<Exit, CommandError> {
    let cloud = LocalCloud::new(context, place.port)?;
    cloud.stop()?;
    match std::fs::remove_dir_all(&cloud.directory) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(Failure::new(
                "SS0702",
                format!("`{}` cannot be removed: {error}", cloud.directory.display()),
            )
            .into());
        }
    }
    say(
        context,
        &json!({"version": 1, "kind": "sandbox", "running": false}),
        "The sandbox has stopped, and what was in it is gone.",
    );
    Ok(Exit::Ok)
}
