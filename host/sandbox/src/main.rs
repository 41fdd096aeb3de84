//! `ss-sandbox`: the sandbox by itself, in the foreground.
//!
//! For provisioner authors and for tests that must kill it; `ss sandbox` is the comfortable way.

use std::path::PathBuf;
use std::process::ExitCode;

use ss_sandbox::Options;
use ss_sandbox::postgres::Choice;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: ss-sandbox --dir DIR [--addr 127.0.0.1:4400] [--images sandbox.yaml] \
                     [--speed 1] [--postgres BINDIR|off] [--cache DIR]";

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match ss_sandbox::serve(options, told_to_stop()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::new(PathBuf::new());
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--dir" => options.dir = value.into(),
            "--addr" => options.addr = value.parse().map_err(|_| format!("no address: {value}"))?,
            "--images" => options.sandbox_yaml = Some(value.into()),
            "--speed" => {
                options.speed = value.parse().map_err(|_| format!("no number: {value}"))?
            }
            "--postgres" if value == "off" => options.postgres = Choice::Off,
            "--postgres" => options.postgres = Choice::Bin(value.into()),
            "--cache" => options.cache = value.into(),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    if options.dir.as_os_str().is_empty() { Err("--dir is missing".into()) } else { Ok(options) }
}

/// Returns at SIGINT or SIGTERM.
async fn told_to_stop() {
    let (interrupted, terminated) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupted), Ok(mut terminated)) = (interrupted, terminated) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
}
