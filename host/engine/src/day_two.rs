//! What a service is asked after its deploy: its log lines, and to run a command.
//!
//! The manifest says which operation that is and where the answer holds what is wanted; no provisioner code runs. The
//! gate decides as always: logs are read in the read phase, and the operation that runs a command is allowed for that
//! alone, on ids that this service owns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use ss_core::ident::ServiceId;
use ss_core::record::CallId;
use ss_core::state::Recorded;
use ss_core::text::printable;
use ss_gate::call::{Call, Param, Reply};
use ss_gate::decide::{Origin, Phase};
use ss_gate::manifest::{ChangePhase, Exec, Logs, Manifest, Target};
use ss_gate::pointer::Pattern;
use ss_ports::HostCalls;

use crate::call;
use crate::failure::Failure;
use crate::run::{Run, lock};
use crate::session::{CallFacts, Progress, Session};

/// Longest log line that is shown.
const LINE_CHARACTERS_MAX: usize = 8_000;

/// A line of a service's log, safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, as the vendor says it.
    pub time: String,
    /// Who wrote it.
    pub source: String,
    /// What it says.
    pub message: String,
}

/// Some lines, oldest first, and the way to those that come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// What to ask with next; `None` when there is no asking for more.
    pub next: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Its exit code.
    pub code: i32,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote to its other output.
    pub stderr: String,
}

/// What can be asked of a target type through its vendor's API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offers {
    /// Log lines.
    pub logs: bool,
    /// Running a command.
    pub exec: bool,
}

impl Offers {
    /// What the manifest of the plugin for a target type says.
    pub fn of(run: &Run, kind: &str) -> Self {
        let Ok(provisioner) = run.ports.provisioners.for_target(kind) else {
            return Self::default();
        };
        let target = target(&provisioner.plugin().manifest, kind);
        target.map_or_else(Self::default, |target| Self {
            logs: target.logs.is_some(),
            exec: target.exec.is_some(),
        })
    }
}

/// Reads log lines: the newest, or those after a page. Credentials that the service was given are blanked.
pub async fn logs(
    run: &Arc<Run>,
    id: &ServiceId,
    record: &Recorded,
    after: Option<&str>,
) -> Result<LogPage, Failure> {
    let manifest = manifest(run, record)?;
    let Some(logs) = target(&manifest, &record.provider).and_then(|target| target.logs.as_ref())
    else {
        return Err(not_offered(id, record, "log lines"));
    };
    let mut params = params(id, &logs.params, &record.attributes)?;
    if let (Some(next), Some(token)) = (&logs.next, after) {
        params.push(Param { name: next.param.clone(), value: token.to_owned() });
    }
    let call = call_of(&logs.operation, params, None);
    let secrets = given(run, record).await?;
    let reply = ask(run, id, record, &manifest, Phase::Read, call, secrets).await?;
    Ok(page(logs, &reply))
}

/// Runs a command. What it writes is the user's own and left as it is.
pub async fn exec(
    run: &Arc<Run>,
    id: &ServiceId,
    record: &Recorded,
    command: &[String],
) -> Result<Executed, Failure> {
    let manifest = manifest(run, record)?;
    let Some(exec) = target(&manifest, &record.provider).and_then(|target| target.exec.as_ref())
    else {
        return Err(not_offered(id, record, "commands"));
    };
    let params = params(id, &exec.params, &record.attributes)?;
    let mut body = exec.body.clone();
    body.insert(exec.command.clone(), Value::from(command));
    let call = call_of(&exec.operation, params, Some(Value::Object(body)));
    let phase = Phase::Change(ChangePhase::Exec);
    let reply = ask(run, id, record, &manifest, phase, call, Vec::new()).await?;
    executed(id, exec, &reply)
}

fn manifest(run: &Run, record: &Recorded) -> Result<Arc<Manifest>, Failure> {
    let provisioner = run.ports.provisioners.for_target(&record.provider);
    let provisioner = provisioner.map_err(|error| Failure::new("SS0301", error.to_string()))?;
    Ok(provisioner.plugin().manifest.clone())
}

fn target<'m>(manifest: &'m Manifest, kind: &str) -> Option<&'m Target> {
    manifest.targets.iter().find(|target| target.kind == kind)
}

fn not_offered(id: &ServiceId, record: &Recorded, what: &str) -> Failure {
    Failure::new("SS0801", format!("`{id}` is a `{}`, which offers no {what}", record.provider))
}

fn call_of(operation: &str, params: Vec<Param>, body: Option<Value>) -> Call {
    let body = body.map(|body| body.to_string().into_bytes());
    Call { operation: operation.to_owned(), params, body, fill: Vec::new() }
}

/// The first text at a place.
fn text(value: &Value, pointer: &str) -> Option<String> {
    let pattern = Pattern::parse(pointer).ok()?;
    pattern.select(value).into_iter().find_map(|(_, found)| match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn params(
    id: &ServiceId,
    from: &BTreeMap<String, String>,
    attributes: &Value,
) -> Result<Vec<Param>, Failure> {
    let param = |(name, pointer): (&String, &String)| {
        let Some(value) = text(attributes, pointer) else {
            let message = format!("the record of `{id}` holds no `{pointer}`");
            return Err(Failure::new("SS0803", message).hint("deploy it first"));
        };
        Ok(Param { name: name.clone(), value })
    };
    from.iter().map(param).collect()
}

/// The credentials that were injected into the service.
async fn given(run: &Run, record: &Recorded) -> Result<Vec<ss_core::redact::Secret>, Failure> {
    if record.inputs.is_empty() {
        return Ok(Vec::new());
    }
    let all = run.ports.vault.credentials().await?;
    let named = all.into_values().flatten().filter(|(name, _)| record.inputs.contains_key(name));
    Ok(named.map(|(_, secret)| secret).collect())
}

async fn ask(
    run: &Arc<Run>,
    id: &ServiceId,
    record: &Recorded,
    manifest: &Arc<Manifest>,
    phase: Phase,
    call: Call,
    secrets: Vec<ss_core::redact::Secret>,
) -> Result<Value, Failure> {
    let approved = match phase {
        Phase::Change(_) => BTreeSet::from([call.operation.clone()]),
        _ => BTreeSet::new(),
    };
    let facts = CallFacts {
        call: CallId { deploy: run.header.id.clone(), service: id.clone(), number: 0 },
        service: id.clone(),
        phase,
        approved,
        grant: run.grant(&record.plugin.name),
        manifest: manifest.clone(),
        mark: call::mark(run, id, record),
        draft: None,
        named: None,
    };
    let progress = Arc::new(Mutex::new(Progress {
        owned: record.owned.clone(),
        secrets: secrets.into_iter().map(|secret| (secret, Origin::Input)).collect(),
        ..Progress::default()
    }));
    let mut session = Session::new(run.clone(), facts, progress.clone(), None);
    let operation = call.operation.clone();
    match session.send(call).await {
        Err(abort) => {
            let failure = lock(&progress).abort.take();
            Err(failure.unwrap_or_else(|| Failure::new("SS0802", abort.0)))
        }
        Ok(Err(failure)) => {
            let denied = lock(&progress).denied.is_some();
            let code = if denied { "SS0340" } else { "SS0802" };
            Err(Failure::new(code, printable(&failure.message, 2_000)))
        }
        Ok(Ok(reply)) => answered(&operation, &reply),
    }
}

fn answered(operation: &str, reply: &Reply) -> Result<Value, Failure> {
    let body = serde_json::from_slice::<Value>(&reply.body);
    if (200..300).contains(&reply.status) {
        let unreadable = |_| Failure::new("SS0802", format!("`{operation}` gave no JSON"));
        return body.map_err(unreadable);
    }
    let said = String::from_utf8_lossy(&reply.body);
    let message = format!("`{operation}` answered {}: {}", reply.status, printable(&said, 600));
    Err(Failure::new("SS0802", message))
}

fn page(logs: &Logs, reply: &Value) -> LogPage {
    let Ok(lines) = Pattern::parse(&logs.lines) else {
        return LogPage { lines: Vec::new(), next: None };
    };
    let at = |line: &Value, pointer: &Option<String>| {
        let found = pointer.as_deref().and_then(|pointer| text(line, pointer));
        printable(&found.unwrap_or_default(), 100)
    };
    let line = |(_, line): (Vec<String>, &Value)| LogLine {
        time: at(line, &logs.time),
        source: at(line, &logs.source),
        message: printable(&text(line, &logs.message).unwrap_or_default(), LINE_CHARACTERS_MAX),
    };
    LogPage {
        lines: lines.select(reply).into_iter().map(line).collect(),
        next: logs.next.as_ref().and_then(|next| text(reply, &next.token)),
    }
}

fn executed(id: &ServiceId, exec: &Exec, reply: &Value) -> Result<Executed, Failure> {
    let code = text(reply, &exec.exit_code).and_then(|code| code.parse().ok());
    let Some(code) = code else {
        let message = format!("the answer does not say how the command in `{id}` ended");
        return Err(Failure::new("SS0802", message));
    };
    let output = |pointer: &str| text(reply, pointer).unwrap_or_default();
    Ok(Executed { code, stdout: output(&exec.stdout), stderr: output(&exec.stderr) })
}
