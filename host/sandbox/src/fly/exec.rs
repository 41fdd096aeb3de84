//! Running things as a machine: its program, a command beside it, and the list of its processes.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use axum::extract::{Path, State as Extract};
use bytes::Bytes;
use http::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::Fly;
use super::caller::Caller;
use super::config;
use super::fault::Fault;
use super::lifecycle::must_be_started;
use super::model::Machine;
use super::request::{Answer, object, ok};
use crate::machine::orphan::{self, Stamp};
use crate::machine::process::{Program, signal_group};
use crate::sandbox_yaml::Image;

type Target = Path<(String, String)>;

const TIMEOUT_DEFAULT_S: i64 = 60;
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// What runs for `machine`: the image's command in the machine's environment.
#[must_use]
pub fn program_of(machine: &Machine, image: &Image, port: u16) -> Program {
    let init = &machine.config["init"];
    let words = |field: &str| -> Vec<String> {
        config::list(&init[field]).iter().filter_map(|w| w.as_str().map(str::to_owned)).collect()
    };
    let spelled_out = [words("entrypoint"), words("cmd")].concat();
    let command = [words("exec"), spelled_out, image.command.clone()];
    let command = command.into_iter().find(|command| !command.is_empty()).unwrap_or_default();
    Program { command, dir: image.dir.clone(), env: environment(machine, image, port) }
}

/// Later entries win: the image's, the machine's, the app's secrets, then what Fly itself sets.
fn environment(machine: &Machine, image: &Image, port: u16) -> BTreeMap<String, String> {
    let mut env = image.env.clone();
    env.extend(config::env(&machine.config));
    env.extend(machine.secrets.clone());
    let metadata = config::metadata(&machine.config);
    let memory_mb = machine.config["guest"]["memory_mb"].as_u64().unwrap_or(256);
    let group = metadata.get("fly_process_group").map_or("app", String::as_str);
    let own = [
        ("FLY_APP_NAME", machine.app.clone()),
        ("FLY_MACHINE_ID", machine.id.clone()),
        ("FLY_ALLOC_ID", machine.id.clone()),
        ("FLY_MACHINE_VERSION", machine.version.clone()),
        ("FLY_REGION", machine.region.clone()),
        ("FLY_PRIVATE_IP", machine.private_ip.clone()),
        ("FLY_IMAGE_REF", config::image(&machine.config).to_owned()),
        ("FLY_PROCESS_GROUP", group.to_owned()),
        ("FLY_VM_MEMORY_MB", memory_mb.to_string()),
        ("PORT", port.to_string()),
    ];
    env.extend(own.map(|(name, value)| (name.to_owned(), value)));
    env
}

/// `POST …/exec {command, stdin, timeout}`
pub async fn exec(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.machineExecRequest")?;
    let command = words_of(&body);
    if command.is_empty() {
        return Err(Fault::invalid("command cannot be empty"));
    }
    let now_ms = fly.now_ms();
    let machine = fly.read(|state| {
        let machine = caller.machine(state, now_ms, (&app, &id))?;
        must_be_started(machine).map(|()| machine.clone())
    })?;
    let image = fly.inner.images.find(config::image(&machine.config)).ok().flatten();
    let image =
        image.ok_or_else(|| Fault::precondition("the image is no longer in sandbox.yaml"))?;
    let program = program_of(&machine, &image, machine.port);
    let timeout_s = body["timeout"].as_i64().filter(|s| *s > 0).unwrap_or(TIMEOUT_DEFAULT_S);
    let stdin = body["stdin"].as_str().unwrap_or_default();
    tokio::select! {
        answer = run(&program, &command, stdin) => Ok(ok(answer?)),
        () = fly.inner.clock.sleep(timeout_s.saturating_mul(1000)) => {
            let text = "deadline_exceeded: command did not finish in time";
            Err(Fault::new(StatusCode::REQUEST_TIMEOUT, text))
        }
    }
}

/// `command`, or the older `cmd`, which a shell splits.
fn words_of(body: &Value) -> Vec<String> {
    let command = config::list(&body["command"]).iter();
    let command: Vec<String> = command.filter_map(|w| w.as_str().map(str::to_owned)).collect();
    match body["cmd"].as_str() {
        Some(cmd) if command.is_empty() && !cmd.is_empty() => {
            ["/bin/sh", "-c", cmd].map(str::to_owned).to_vec()
        }
        _ => command,
    }
}

/// Kills a command's whole group when the wait for it is given up.
struct Group(Stamp);

impl Drop for Group {
    fn drop(&mut self) {
        if self.0.is_alive() {
            signal_group(&self.0, Signal::KILL);
        }
    }
}

async fn run(program: &Program, command: &[String], stdin: &str) -> Result<Value, Fault> {
    let mut prepared = program.command(command);
    prepared.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match prepared.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let stderr = format!("exec: {:?}: executable file not found in $PATH", command[0]);
            return Ok(
                json!({ "exit_code": 127, "exit_signal": 0, "stdout": "", "stderr": stderr }),
            );
        }
        Err(error) => return Err(error.into()),
    };
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    let _group = Stamp::of(pid).map(Group);
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read its input closes it, which is its right.
        let _ = input.write_all(stdin.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status).unwrap_or(0);
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[..bytes.len().min(OUTPUT_BYTES_MAX)]).into_owned()
    };
    Ok(json!({
        "exit_code": output.status.code().unwrap_or(-1),
        "exit_signal": signal,
        "stdout": text(&output.stdout),
        "stderr": text(&output.stderr),
    }))
}

/// `GET …/ps`
pub async fn ps(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): Target) -> Answer {
    let machine = fly.read(|state| caller.machine(state, fly.now_ms(), (&app, &id)).cloned())?;
    must_be_started(&machine)?;
    let leader = machine.process.map_or(0, |stamp| stamp.pid);
    Ok(ok(orphan::group(leader).into_iter().map(process_view).collect()))
}

fn process_view(pid: i32) -> Value {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let command = read("cmdline").replace('\0', " ");
    let pages: u64 = read("statm").split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    let directory = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    json!({
        "pid": pid,
        "command": command.trim(),
        "directory": directory.display().to_string(),
        "rss": pages * 4096,
        "cpu": 0,
        "rtime": 0,
        "stime": 0,
        "listen_sockets": [],
    })
}
