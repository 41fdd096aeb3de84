//! One provisioner call from intent to outcome.
//!
//! The intent is durable before the call and the outcome after it; credentials reach the vault before the outcome
//! says that they exist.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use ss_core::ident::ServiceId;
use ss_core::plan::Action;
use ss_core::record::{CallEnd, CallId, CallKind, Entry};
use ss_core::redact::Secret;
use ss_core::state::{self, Owned, Progress as RecordProgress, Recorded};
use ss_core::text::printable;
use ss_gate::call::{NamedSecret, Outcome, ResourceRecord, ServiceInput};
use ss_gate::decide::{Origin, Phase};
use ss_gate::manifest::{ChangePhase, Manifest};
use ss_gate::secrets::Scrubber;
use ss_ports::{Abort, CallError, Provisioner, StoreError, TapeEnd, TapeRecord, TapeWriter};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::failure::Failure;
use crate::run::{Run, lock};
use crate::session::{CallFacts, Progress, Session, SharedTape};
use crate::tape::Told;

/// A change that is about to be made to one service.
pub(crate) struct Change {
    pub call: CallId,
    pub kind: CallKind,
    pub action: Action,
    pub provisioner: Arc<dyn Provisioner>,
    /// The record as it will be, but for what the provisioner finds out.
    pub draft: Recorded,
    /// The record that goes in.
    pub recorded: Option<ResourceRecord>,
    /// The injected values, in the order of the secret table.
    pub inputs: Vec<(String, Secret)>,
    /// The unsafe operations that the plan approved.
    pub approved: BTreeSet<String>,
    /// The interrupted call that this one goes on from.
    pub continues: Option<Interrupted>,
}

/// An interrupted call and what its tape holds.
pub(crate) struct Interrupted {
    pub call: CallId,
    pub records: Vec<TapeRecord>,
}

/// What came of a change.
pub(crate) enum Changed {
    /// The resource is as recorded.
    Applied { record: Box<Recorded>, outputs: BTreeMap<String, Secret>, summary: String },
    /// The resource is gone.
    Destroyed,
}

/// A change that did not come to its end.
pub(crate) struct NotChanged {
    pub failure: Failure,
    pub stands: Stands,
}

/// What is recorded after a change that did not come to its end.
pub(crate) enum Stands {
    /// What was recorded before it: nothing was begun, or nothing unsafe was sent.
    Before,
    /// As much as is known; the next plan goes on from it.
    Partial(Box<Recorded>),
    /// The call is still open: the next run finishes it from its tape.
    Open,
}

impl From<Failure> for NotChanged {
    fn from(failure: Failure) -> Self {
        Self { failure, stands: Stands::Before }
    }
}

impl NotChanged {
    fn open(failure: Failure) -> Self {
        Self { failure, stands: Stands::Open }
    }
}

fn phase(kind: CallKind) -> Phase {
    match kind {
        CallKind::Create => Phase::Change(ChangePhase::Create),
        CallKind::Update => Phase::Change(ChangePhase::Update),
        CallKind::Destroy => Phase::Change(ChangePhase::Destroy),
        CallKind::Read => Phase::Read,
    }
}

/// The tag that the resource of a record carries.
pub(crate) fn mark(run: &Run, service: &ServiceId, record: &Recorded) -> String {
    state::mark(&run.lineage, run.settings.environment.as_str(), service, record.generation)
}

/// Makes a change, or goes on with one that was interrupted.
pub(crate) async fn change(run: &Arc<Run>, mut change: Change) -> Result<Changed, NotChanged> {
    let (continues, records) = match change.continues.take() {
        Some(Interrupted { call, records }) => (Some(call), records),
        None => (None, Vec::new()),
    };
    let mark = mark(run, &change.call.service, &change.draft);
    let manifest = &change.provisioner.plugin().manifest;
    let told = Told::read(manifest, &mark, &change.draft.owned, &records);
    change.draft = told.added_to(change.draft, run.ports.clock.now_ms());
    let mut tape = run.ports.store.tape(&change.call).await.map_err(Failure::from)?;
    let replay = begin_tape(&mut *tape, &change, &mark, records).await.map_err(Failure::from)?;
    // The intent is durable before the call: a crash in between must leave a trace that recovery can follow.
    run.ports.store.append(&intent(&change, continues)).await.map_err(Failure::from)?;

    let progress = Arc::new(Mutex::new(Progress {
        secrets: change.inputs.iter().map(|(_, secret)| (secret.clone(), Origin::Input)).collect(),
        owned: told.owned,
        usage: told.usage,
        wrote: told.wrote,
        replay,
        ..Progress::default()
    }));
    let tape: SharedTape = Arc::new(tokio::sync::Mutex::new(tape));
    let facts = facts(run, &change, mark.clone());
    let session = Session::new(run.clone(), facts, progress.clone(), Some(tape.clone()));
    let result = call(&change, mark, session).await;
    end_tape(&tape, &result).await;
    let progress = std::mem::take(&mut *lock(&progress));
    finish(run, change, progress, result).await
}

fn intent(change: &Change, continues: Option<CallId>) -> Entry {
    Entry::Intent {
        call: change.call.clone(),
        kind: change.kind,
        action: change.action,
        plugin: change.provisioner.plugin().pin.clone(),
        record: Box::new(change.draft.clone()),
        continues,
    }
}

fn facts(run: &Run, change: &Change, mark: String) -> CallFacts {
    let plugin = change.provisioner.plugin();
    CallFacts {
        call: change.call.clone(),
        service: change.call.service.clone(),
        phase: phase(change.kind),
        approved: change.approved.clone(),
        grant: run.grant(&plugin.pin.name),
        manifest: plugin.manifest.clone(),
        mark,
        named: None,
        draft: (change.kind != CallKind::Destroy).then(|| change.draft.clone()),
    }
}

/// Calls the provisioner; `None` when it has destroyed.
async fn call(
    change: &Change,
    mark: String,
    session: Session,
) -> Result<Option<Outcome>, CallError> {
    let session = Box::new(session);
    match (change.kind, change.recorded.clone()) {
        (CallKind::Destroy, Some(recorded)) => {
            change.provisioner.destroy(recorded, session).await.map(|()| None)
        }
        (CallKind::Destroy, None) => Ok(None),
        (_, recorded) => {
            let service = input_of(change, mark);
            change.provisioner.apply(service, recorded, session).await.map(Some)
        }
    }
}

async fn begin_tape(
    tape: &mut dyn TapeWriter,
    change: &Change,
    mark: &str,
    records: Vec<TapeRecord>,
) -> Result<VecDeque<TapeRecord>, StoreError> {
    let begin = TapeRecord::Call {
        kind: change.kind,
        service: Box::new(input_of(change, mark.to_owned())),
        secrets: change.inputs.iter().map(|(_, secret)| secret.expose().clone()).collect(),
        recorded: change.recorded.clone().map(Box::new),
    };
    // A tape that goes on from another begins with a copy of it, so that it can be replayed from its own start.
    let replay: VecDeque<TapeRecord> = records
        .into_iter()
        .filter(|record| !matches!(record, TapeRecord::Call { .. } | TapeRecord::Done(_)))
        .collect();
    // What goes in is durable with the first unsafe request: a call that is lost before it has changed nothing.
    tape.append(&begin, false).await?;
    for (index, record) in replay.iter().enumerate() {
        tape.append(record, index + 1 == replay.len()).await?;
    }
    Ok(replay)
}

/// Writes how the provisioner ended. What the host ended has no end yet.
async fn end_tape(tape: &SharedTape, result: &Result<Option<Outcome>, CallError>) {
    let end = match result {
        Ok(Some(outcome)) => TapeEnd::Applied(outcome.clone()),
        Ok(None) => TapeEnd::Destroyed,
        Err(CallError::Aborted(_)) => return,
        Err(CallError::Failed(failure)) => TapeEnd::Failed(failure.clone()),
        Err(error) => TapeEnd::Broken(error.to_string()),
    };
    // For readers of the tape only: whether the call is over is for the journal to say.
    let _ = tape.lock().await.append(&TapeRecord::Done(Box::new(end)), false).await;
}

fn input_of(change: &Change, mark: String) -> ServiceInput {
    service_input(&change.call.service, &change.draft.target, &change.inputs, mark)
}

pub(crate) fn service_input(
    id: &ServiceId,
    target: &Value,
    inputs: &[(String, Secret)],
    mark: String,
) -> ServiceInput {
    let inputs =
        inputs.iter().zip(0..).map(|((name, _), value)| NamedSecret { name: name.clone(), value });
    ServiceInput { id: id.to_string(), target: target.clone(), inputs: inputs.collect(), mark }
}

async fn finish(
    run: &Run,
    change: Change,
    mut progress: Progress,
    result: Result<Option<Outcome>, CallError>,
) -> Result<Changed, NotChanged> {
    if result.is_ok() && !progress.replay.is_empty() {
        progress.diverged = true;
        let error =
            CallError::Aborted(Abort("the provisioner asks less than its tape holds".to_owned()));
        return Err(not_changed(run, &change, progress, None, error).await);
    }
    let changed = match result {
        Ok(None) => Changed::Destroyed,
        Ok(Some(outcome)) => {
            let scrubber = scrubber(&progress);
            let record = made(run, &change, &progress, &scrubber, &outcome.made);
            let manifest = &change.provisioner.plugin().manifest;
            match outputs(manifest, &change.draft.provider, &progress, outcome.outputs) {
                Ok(outputs) => applied(record, outputs, &scrubber.text(&outcome.summary)),
                Err(why) => {
                    // The resource is there all the same, so what it is has to be kept.
                    let error = CallError::Unusable(why);
                    return Err(not_changed(run, &change, progress, Some(record), error).await);
                }
            }
        }
        Err(error) => return Err(not_changed(run, &change, progress, None, error).await),
    };
    // Until the outcome is written the call counts as open, and its tape gives the same credentials again.
    keep(run, &change, &changed).await.map_err(NotChanged::open)?;
    Ok(changed)
}

/// Credentials first: an outcome must never promise a credential that was lost.
async fn keep(run: &Run, change: &Change, changed: &Changed) -> Result<(), Failure> {
    let (credentials, end) = match changed {
        Changed::Applied { record, outputs, .. } => {
            (outputs.clone(), CallEnd::Done { record: record.clone() })
        }
        Changed::Destroyed => (BTreeMap::new(), CallEnd::Gone),
    };
    // The destroy half of a replace leaves the credentials for the create half to replace.
    if change.kind != CallKind::Destroy || change.action == Action::Destroy {
        run.ports.vault.replace_credentials(change.call.service.as_str(), credentials).await?;
    }
    let outcome = Entry::Outcome { call: change.call.clone(), end };
    Ok(run.ports.store.append(&outcome).await?)
}

fn applied(record: Recorded, outputs: BTreeMap<String, Secret>, summary: &str) -> Changed {
    let record = Box::new(Recorded {
        progress: RecordProgress::Complete,
        outputs: outputs.keys().cloned().collect(),
        ..record
    });
    Changed::Applied { record, outputs, summary: printable(summary, 200) }
}

/// The outputs by name, or why they cannot be used.
pub(crate) fn outputs(
    manifest: &Manifest,
    kind: &str,
    progress: &Progress,
    outputs: Vec<NamedSecret>,
) -> Result<BTreeMap<String, Secret>, String> {
    let target = manifest.targets.iter().find(|target| target.kind == kind);
    let declared: BTreeSet<&str> = target
        .iter()
        .flat_map(|target| &target.outputs)
        .map(|output| output.name.as_str())
        .collect();
    let found = outputs.into_iter().map(|NamedSecret { name, value }| {
        let shown = printable(&name, 80);
        if !declared.contains(name.as_str()) {
            return Err(format!("it gave an output `{shown}` that its manifest does not declare"));
        }
        match progress.secrets.get(value as usize) {
            Some((secret, _)) => Ok((name, secret.clone())),
            None => Err(format!("it gave secret#{value} as `{shown}`, and there is none")),
        }
    });
    found.collect()
}

/// The draft with what the provisioner made, every known secret blanked.
fn made(
    run: &Run,
    change: &Change,
    progress: &Progress,
    scrubber: &Scrubber,
    made: &ResourceRecord,
) -> Recorded {
    let made = scrubbed(scrubber, made);
    filled(change.draft.clone(), &made, progress.owned.clone(), run.ports.clock.now_ms())
}

/// A record with every known secret blanked.
pub(crate) fn scrubbed(scrubber: &Scrubber, record: &ResourceRecord) -> ResourceRecord {
    ResourceRecord {
        id: scrubber.text(&record.id),
        attributes: scrubber.value(record.attributes.clone()),
        url: record.url.as_deref().map(|url| scrubber.text(url)),
        schema: record.schema,
    }
}

pub(crate) fn scrubber(progress: &Progress) -> Scrubber {
    Scrubber::new(progress.secrets.iter().map(|(secret, _)| secret))
}

/// Writes down that the call failed, unless the host itself ended it. `found` is what was made nevertheless.
async fn not_changed(
    run: &Run,
    change: &Change,
    mut progress: Progress,
    found: Option<Recorded>,
    error: CallError,
) -> NotChanged {
    let is_aborted = matches!(error, CallError::Aborted(_)) && !progress.diverged;
    let failure = explained(&change.draft.provider, &mut progress, error);
    if is_aborted {
        // The next run replays the tape and finishes the call.
        return NotChanged::open(failure);
    }
    match close(run, change, progress, found, &failure.message).await {
        Ok(stands) => NotChanged { failure, stands },
        Err(error) => {
            NotChanged::open(failure.hint(format!("and the journal could not be written: {error}")))
        }
    }
}

/// Why a call ended badly: the host's own reason, the gate's, or what the provisioner says.
pub(crate) fn explained(provider: &str, progress: &mut Progress, error: CallError) -> Failure {
    if let Some(failure) = progress.abort.take() {
        return failure;
    }
    let mut failure = Failure::from_call(provider, error);
    if let Some(denied) = &progress.denied {
        let own = std::mem::take(&mut failure.message);
        let denied = printable(&denied.to_string(), 400);
        failure = Failure::new("SS0340", format!("provisioner `{provider}` was {denied}"))
            .hint(format!("it said then: {own}"));
    }
    let scrubber = scrubber(progress);
    failure.message = scrubber.text(&failure.message);
    failure.hints = failure.hints.iter().map(|hint| scrubber.text(hint)).collect();
    failure
}

async fn close(
    run: &Run,
    change: &Change,
    progress: Progress,
    found: Option<Recorded>,
    message: &str,
) -> Result<Stands, StoreError> {
    let (store, call, message) = (&run.ports.store, &change.call, message.to_owned());
    // A create that found what an earlier one made has sent nothing, and still there is something.
    let is_found = change.kind == CallKind::Create && progress.checkpoint.is_some();
    if !progress.wrote && !is_found {
        let end = CallEnd::Untouched { message };
        store.append(&Entry::Outcome { call: call.clone(), end }).await?;
        return Ok(Stands::Before);
    }
    let journaled = progress.checkpoint.unwrap_or_else(|| change.draft.clone());
    let known = Recorded { owned: progress.owned, ..found.unwrap_or_else(|| journaled.clone()) };
    // An id that was learned after the last checkpoint: without it, what was made could never be touched again.
    if known != journaled {
        let record = Box::new(known.clone());
        store.append(&Entry::Checkpoint { call: call.clone(), record }).await?;
    }
    let end = CallEnd::Failed { message };
    store.append(&Entry::Outcome { call: call.clone(), end }).await?;
    Ok(Stands::Partial(Box::new(Recorded { progress: RecordProgress::Partial, ..known })))
}

/// The draft with what the provisioner found out.
pub(crate) fn filled(
    mut draft: Recorded,
    made: &ResourceRecord,
    owned: Owned,
    now_ms: i64,
) -> Recorded {
    draft.resource_id = Some(printable(&made.id, 400));
    draft.url = made.url.as_deref().map(|url| printable(url, 2_000));
    draft.attributes = made.attributes.clone();
    draft.schema = made.schema;
    draft.owned = owned;
    draft.provisioned_at = timestamp(now_ms);
    draft
}

/// RFC 3339 UTC, to the second.
pub(crate) fn timestamp(now_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(now_ms.div_euclid(1000))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// What goes in to a call from a record.
pub(crate) fn resource(record: &Recorded) -> Option<ResourceRecord> {
    Some(ResourceRecord {
        id: record.resource_id.clone()?,
        attributes: record.attributes.clone(),
        url: record.url.clone(),
        schema: record.schema,
    })
}
