//! The journal's entries, the receipt, and how they fold into a state.
//!
//! Intent before a call, outcome after it; a crash in between leaves a trace that recovery can follow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ident::{DeployId, EnvName, ServiceId, SystemName};
use crate::plan::Action;
use crate::state::{PluginPin, Progress, Recorded, State};

/// The name of one provisioner call: unique in a deploy, safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// The deploy.
    pub deploy: DeployId,
    /// The service.
    pub service: ServiceId,
    /// Counts the calls for this service in this deploy, from 0.
    pub number: u32,
}

/// Which of a provisioner's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// `apply` without a record.
    Create,
    /// `apply` with one.
    Update,
    /// `read`.
    Read,
    /// `destroy`.
    Destroy,
}

/// What kind of run a receipt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// `ss deploy`.
    Deploy,
    /// `ss rollback`.
    Rollback,
    /// `ss destroy`.
    Destroy,
    /// `ss drift --adopt`.
    Adopt,
    /// `ss import`.
    Import,
}

/// The start of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployHeader {
    /// Its id.
    pub id: DeployId,
    /// What kind of run.
    pub run: RunKind,
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvName,
    /// When it began, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// The version of `ss`.
    pub tool: String,
    /// The trace that the run is part of, when one is exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// A run begins.
    Begin {
        /// Which.
        header: DeployHeader,
        /// The lineage and serial it starts from.
        lineage: String,
        /// The serial.
        serial: u64,
    },
    /// A call is about to be made.
    Intent {
        /// Which call.
        call: CallId,
        /// Which function.
        kind: CallKind,
        /// As part of which action.
        action: Action,
        /// By which plugin.
        plugin: PluginPin,
        /// The record as it will stand if nothing more is heard: partial.
        record: Box<Recorded>,
        /// The interrupted call that this one goes on from; it is no longer open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continues: Option<CallId>,
    },
    /// A call has got this far.
    Checkpoint {
        /// Which call.
        call: CallId,
        /// The record so far: partial.
        record: Box<Recorded>,
    },
    /// A call is over.
    Outcome {
        /// Which call.
        call: CallId,
        /// How it ended.
        end: CallEnd,
    },
    /// The run is over.
    End {
        /// Which run.
        deploy: DeployId,
        /// How it ended.
        status: DeployStatus,
    },
}

impl Entry {
    /// The run that it is about.
    pub fn deploy(&self) -> &DeployId {
        match self {
            Self::Begin { header, .. } => &header.id,
            Self::Intent { call, .. }
            | Self::Checkpoint { call, .. }
            | Self::Outcome { call, .. } => &call.deploy,
            Self::End { deploy, .. } => deploy,
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum CallEnd {
    /// The resource is as recorded here.
    Done {
        /// The record: complete.
        record: Box<Recorded>,
    },
    /// The resource is gone.
    Gone,
    /// The call failed; what is known of the resource stays as the last checkpoint or the intent says.
    Failed {
        /// Why, for people.
        message: String,
    },
    /// The call failed before anything unsafe was sent: the record from before it stands.
    Untouched {
        /// Why, for people.
        message: String,
    },
}

/// How a run ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployStatus {
    /// It has not ended.
    Running,
    /// Everything was done.
    Completed,
    /// Something was not.
    Failed,
    /// It was stopped.
    Interrupted,
    /// It was a rollback: it put back what an earlier run left.
    RolledBack,
}

impl DeployStatus {
    /// The status in JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// A state with the journal folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// What exists, as far as the journal says.
    pub state: State,
    /// Calls that were begun and not ended, in order.
    pub open: Vec<OpenCall>,
    /// The run that the journal is about, when it did not end.
    pub unfinished: Option<DeployHeader>,
}

/// A call that was begun and not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenCall {
    /// Which.
    pub call: CallId,
    /// Which function.
    pub kind: CallKind,
    /// As part of which action.
    pub action: Action,
    /// By which plugin.
    pub plugin: PluginPin,
    /// The record before the call; absent when there was none.
    pub before: Option<Box<Recorded>>,
}

/// Folds the journal into the state it was begun from. Entries of a run on another lineage are an error of the
/// caller's and left out.
pub fn fold(mut state: State, entries: &[Entry]) -> Folded {
    let mut open: BTreeMap<CallId, OpenCall> = BTreeMap::new();
    let mut unfinished = None;
    for entry in entries {
        match entry {
            Entry::Begin { header, .. } => unfinished = Some(header.clone()),
            Entry::Intent { call, kind, action, plugin, record, continues } => {
                let stood =
                    state.services.insert(call.service.clone(), partial(record)).map(Box::new);
                let before = match continues.as_ref().and_then(|old| open.remove(old)) {
                    Some(old) => old.before,
                    None => stood,
                };
                open.insert(
                    call.clone(),
                    OpenCall {
                        call: call.clone(),
                        kind: *kind,
                        action: *action,
                        plugin: plugin.clone(),
                        before,
                    },
                );
            }
            Entry::Checkpoint { call, record } => {
                state.services.insert(call.service.clone(), partial(record));
            }
            Entry::Outcome { call, end } => {
                let begun = open.remove(call);
                apply_end(&mut state, call, end, begun);
            }
            Entry::End { .. } => unfinished = None,
        }
    }
    Folded { state, open: open.into_values().collect(), unfinished }
}

fn partial(record: &Recorded) -> Recorded {
    Recorded { progress: Progress::Partial, ..record.clone() }
}

fn apply_end(state: &mut State, call: &CallId, end: &CallEnd, begun: Option<OpenCall>) {
    match end {
        CallEnd::Done { record } => {
            state.services.insert(call.service.clone(), (**record).clone());
        }
        CallEnd::Gone => {
            let gone = state.services.remove(&call.service);
            let next = gone.map_or(0, |record| record.generation + 1);
            state.retired.insert(call.service.clone(), next);
        }
        CallEnd::Failed { .. } => {}
        CallEnd::Untouched { .. } => match begun.and_then(|begun| begun.before) {
            Some(before) => {
                state.services.insert(call.service.clone(), *before);
            }
            None => {
                state.services.remove(&call.service);
            }
        },
    }
}

/// One request of a run, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLine {
    /// On whose behalf.
    pub service: ServiceId,
    /// The operation.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The route's path with its parameters filled in; never a query value or a secret.
    pub route: String,
    /// The status; absent when there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was no answer, or why the gate refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took.
    pub ms: u64,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// How many attempts were made; 0 for a denial.
    pub attempts: u32,
}

/// How many requests left the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    /// GET and HEAD.
    pub read: u64,
    /// All others.
    pub write: u64,
}

/// What became of one service in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceReceipt {
    /// The service.
    pub service: ServiceId,
    /// Its target type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was to be done.
    pub action: Action,
    /// `completed`, `failed`, `blocked`, `interrupted`, `unchanged` or `skipped`.
    pub status: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The provisioner's own line.
    pub summary: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The record of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this shape: 1.
    pub version: u32,
    /// How it began.
    pub header: DeployHeader,
    /// How it ended, or that it has not.
    pub status: DeployStatus,
    /// When it ended, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// What became of each service, in order.
    pub services: Vec<ServiceReceipt>,
    /// Every request, in the order it was answered.
    pub requests: Vec<RequestLine>,
    /// How many requests left the machine.
    pub counts: RequestCount,
    /// The state's serial after the run.
    pub serial: u64,
    /// Digests over all of the above, see [`crate::ledger`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
}

/// What a run left behind, to go back to; of a rollback: what it took the place of. The credentials are sealed by
/// the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this shape: 1.
    pub version: u32,
    /// Which run.
    pub deploy: DeployId,
    /// The state after it.
    pub state: State,
    /// The service credentials after it, sealed: a JSON object service → name → value.
    pub credentials: Vec<u8>,
    /// The overlay as the run read it, without `_state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
}
