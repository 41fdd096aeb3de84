//! Waiting for Neon's operations: almost every change answers at once and is done afterwards.

use std::time::Duration;

use serde::Deserialize;
use starsystem_provisioner::{Failure, Request, clock, json, log, poll};

use crate::{api, rfc3339};

/// A piece of work at Neon.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Operation {
    id: String,
    #[serde(default)]
    action: String,
    status: String,
    error: Option<String>,
    #[serde(default, deserialize_with = "json::or_default")]
    failures_count: u32,
    retry_at: Option<String>,
}

#[derive(Deserialize)]
struct OneOperation {
    operation: Operation,
}

/// Neon's own client waits as long.
const PATIENCE: Duration = Duration::from_secs(300);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const INTERVAL: Duration = Duration::from_secs(1);
/// How long after the announced time of a retry a `failed` still is no end.
const RETRY_MARGIN_MS: u64 = 10_000;

impl Operation {
    /// Whether it is still going on; an error when it ended badly.
    fn is_running(&self, project_id: &str) -> Result<bool, Failure> {
        match self.status.as_str() {
            "finished" | "skipped" => Ok(false),
            "error" | "cancelled" => Err(self.failure(project_id)),
            "failed" if self.will_be_retried() => Ok(true),
            "failed" => Err(self.failure(project_id)),
            _ => Ok(true),
        }
    }

    fn will_be_retried(&self) -> bool {
        let retry_ms = self.retry_at.as_deref().and_then(rfc3339::parse_ms);
        retry_ms.is_some_and(|retry_ms| clock::now_ms() < retry_ms + RETRY_MARGIN_MS)
    }

    fn failure(&self, project_id: &str) -> Failure {
        let Self { action, status, .. } = self;
        let why =
            self.error.as_deref().filter(|text| !text.is_empty()).unwrap_or("no reason given");
        let tries = match self.failures_count {
            0 | 1 => String::new(),
            count => format!(" after {count} tries"),
        };
        Failure::broken(format!(
            "Neon's `{action}` of project {project_id} ended as {status}{tries}: {why}. The project exists; \
             deploy again to go on with it, and see https://neonstatus.com if this stays"
        ))
    }
}

/// Waits until all of a reply's operations are done.
pub(crate) fn wait_for(project_id: &str, operations: &[Operation]) -> Result<(), Failure> {
    let mut running = Vec::new();
    for operation in operations {
        if operation.is_running(project_id)? {
            running.push(operation);
        }
    }
    if running.is_empty() {
        return Ok(());
    }
    let actions: Vec<&str> = running.iter().map(|operation| operation.action.as_str()).collect();
    log!("waiting for Neon: {}", actions.join(", "));
    clock::wait(FIRST_WAIT);
    for operation in running {
        let done = poll(PATIENCE, INTERVAL, || is_done(project_id, &operation.id))?;
        if done.is_none() {
            return Err(Failure::unavailable(format!(
                "Neon's `{}` of project {project_id} is still going on after {} seconds: deploy again \
                 later, it goes on with this project",
                operation.action,
                PATIENCE.as_secs()
            )));
        }
    }
    Ok(())
}

/// Waits for whatever is going on in a project: after a run that died, nobody knows the operations' ids.
pub(crate) fn wait_for_running(project_id: &str) -> Result<(), Failure> {
    let request =
        Request::new("listOperations").param("project_id", project_id).param("limit", 100);
    let listed: Option<api::Mutated> = api::get(request, "list the operations")?;
    let operations = listed.map(|listed| listed.operations).unwrap_or_default();
    // What ended badly long ago is no reason to stop now.
    let running = |operation: &Operation| operation.is_running(project_id).unwrap_or(false);
    let running: Vec<Operation> = operations.into_iter().filter(running).collect();
    wait_for(project_id, &running)
}

/// `Some` when it is done; an operation that Neon no longer knows is.
fn is_done(project_id: &str, operation_id: &str) -> Result<Option<()>, Failure> {
    let request = Request::new("getOperation")
        .param("project_id", project_id)
        .param("operation_id", operation_id);
    match api::get::<OneOperation>(request, "read the operation")? {
        Some(OneOperation { operation }) if operation.is_running(project_id)? => Ok(None),
        _ => Ok(Some(())),
    }
}
