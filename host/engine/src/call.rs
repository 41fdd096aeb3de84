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
use ss_gate::manifest::ChangePhase;
use ss_gate::secrets::Scrubber;
use ss_ports::{CallError, Provisioner, TapeEnd, TapeRecord, TapeWriter};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::failure::Failure;
use crate::run::{Run, lock};
use crate::session::{CallFacts, Progress, Session};

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
    /// Whether the call stays open, for the next run to finish.
    pub open: bool,
}

impl From<Failure> for NotChanged {
    fn from(failure: Failure) -> Self {
        Self { failure, open: false }
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

/// Makes a change, or goes on with one that was interrupted.
pub(crate) async fn change(run: &Arc<Run>, mut change: Change) -> Result<Changed, NotChanged> {
    let store = &run.ports.store;
    let continues = change.continues.take();
    let intent = Entry::Intent {
        call: change.call.clone(),
        kind: change.kind,
        action: change.action,
        plugin: change.draft.plugin.clone(),
        record: Box::new(change.draft.clone()),
        continues: continues.as_ref().map(|interrupted| interrupted.call.clone()),
    };
    let mark = state::mark(
        &run.lineage,
        run.settings.environment.as_str(),
        &change.call.service,
        change.draft.generation,
    );
    let mut tape = store.tape(&change.call).await.map_err(Failure::from)?;
    let records = continues.map(|interrupted| interrupted.records).unwrap_or_default();
    let replay = begin_tape(&mut *tape, &change, &mark, records).await?;
    // The intent is durable before the call: a crash in between must leave a trace that recovery can follow.
    store.append(&intent).await.map_err(Failure::from)?;

    let progress = Arc::new(Mutex::new(Progress {
        secrets: change.inputs.iter().map(|(_, secret)| (secret.clone(), Origin::Input)).collect(),
        owned: change.draft.owned.clone(),
        ..Progress::default()
    }));
    let manifest = change.provisioner.plugin().manifest.clone();
    let facts = CallFacts {
        call: change.call.clone(),
        service: change.call.service.clone(),
        phase: phase(change.kind),
        approved: change.approved.clone(),
        grant: run.grant(&change.provisioner.plugin().pin.name),
        manifest,
        mark: mark.clone(),
        draft: (change.kind != CallKind::Destroy).then(|| change.draft.clone()),
    };
    let session = Box::new(Session::new(run.clone(), facts, progress.clone(), Some(tape), replay));
    let result = match (change.kind, change.recorded.clone()) {
        (CallKind::Destroy, Some(recorded)) => {
            change.provisioner.destroy(recorded, session).await.map(|()| TapeEnd::Destroyed)
        }
        (CallKind::Destroy, None) => Ok(TapeEnd::Destroyed),
        (_, recorded) => {
            let service =
                service_input(&change.call.service, &change.draft.target, &change.inputs, mark);
            change.provisioner.apply(service, recorded, session).await.map(TapeEnd::Applied)
        }
    };
    finish(run, change, &progress, result).await
}

async fn begin_tape(
    tape: &mut dyn TapeWriter,
    change: &Change,
    mark: &str,
    records: Vec<TapeRecord>,
) -> Result<VecDeque<TapeRecord>, Failure> {
    let service =
        service_input(&change.call.service, &change.draft.target, &change.inputs, mark.to_owned());
    let begin = TapeRecord::Call {
        kind: change.kind,
        service: Box::new(service),
        secrets: change.inputs.iter().map(|(_, secret)| secret.expose().clone()).collect(),
        recorded: change.recorded.clone().map(Box::new),
    };
    // A tape that goes on from another begins with a copy of it, so that it can be replayed from its own start.
    let replay: VecDeque<TapeRecord> =
        records.into_iter().filter(|record| !matches!(record, TapeRecord::Call { .. })).collect();
    tape.append(&begin, replay.is_empty()).await?;
    for (index, record) in replay.iter().enumerate() {
        tape.append(record, index + 1 == replay.len()).await?;
    }
    Ok(replay)
}

pub(crate) fn service_input(
    id: &ServiceId,
    target: &Value,
    inputs: &[(String, Secret)],
    mark: String,
) -> ServiceInput {
    let inputs = inputs.iter().enumerate().map(|(index, (name, _))| NamedSecret {
        name: name.clone(),
        value: u32::try_from(index).unwrap_or(u32::MAX),
    });
    ServiceInput { id: id.to_string(), target: target.clone(), inputs: inputs.collect(), mark }
}

async fn finish(
    run: &Arc<Run>,
    change: Change,
    progress: &Mutex<Progress>,
    result: Result<TapeEnd, CallError>,
) -> Result<Changed, NotChanged> {
    let progress = std::mem::take(&mut *lock(progress));
    let changed = match result {
        Ok(TapeEnd::Applied(outcome)) => applied(run, &change, &progress, outcome)?,
        Ok(TapeEnd::Destroyed) => Changed::Destroyed,
        Ok(TapeEnd::Failed(_) | TapeEnd::Broken(_)) => {
            unreachable!("a call that failed is an error")
        }
        Err(error) => return Err(not_changed(run, &change, &progress, error).await),
    };
    let (credentials, end) = match &changed {
        Changed::Applied { record, outputs, .. } => {
            (outputs.clone(), CallEnd::Done { record: record.clone() })
        }
        Changed::Destroyed => (BTreeMap::new(), CallEnd::Gone),
    };
    // Credentials first: an outcome must never promise a credential that was lost. Until the outcome is written the
    // call counts as open, and its tape gives the same credentials again.
    let kept_open = |failure: Failure| NotChanged { failure, open: true };
    // The destroy half of a replace leaves the credentials for the create half to replace.
    if change.kind != CallKind::Destroy || change.action == Action::Destroy {
        let service = change.call.service.as_str();
        run.ports
            .vault
            .replace_credentials(service, credentials)
            .await
            .map_err(|error| kept_open(error.into()))?;
    }
    let outcome = Entry::Outcome { call: change.call.clone(), end };
    run.ports.store.append(&outcome).await.map_err(|error| kept_open(error.into()))?;
    Ok(changed)
}

fn applied(
    run: &Run,
    change: &Change,
    progress: &Progress,
    outcome: Outcome,
) -> Result<Changed, NotChanged> {
    let provider = &change.draft.provider;
    let mut outputs = BTreeMap::new();
    for NamedSecret { name, value } in outcome.outputs {
        let declared = change.provisioner.plugin().manifest.targets.iter();
        let declared =
            declared.filter(|target| target.kind == *provider).flat_map(|target| &target.outputs);
        if !declared.into_iter().any(|output| output.name == name) {
            return Err(unusable(
                provider,
                &format!(
                    "it gave an output `{}` that its manifest does not declare",
                    printable(&name, 80)
                ),
            ));
        }
        let Some((secret, _)) = progress.secrets.get(value as usize) else {
            return Err(unusable(
                provider,
                &format!("it gave secret#{value} as `{name}`, and there is none"),
            ));
        };
        outputs.insert(name, secret.clone());
    }
    let scrubber = Scrubber::new(progress.secrets.iter().map(|(secret, _)| secret));
    let made = ResourceRecord {
        id: scrubber.text(&outcome.made.id),
        attributes: scrubber.value(outcome.made.attributes),
        url: outcome.made.url.map(|url| scrubber.text(&url)),
        schema: outcome.made.schema,
    };
    let mut record =
        filled(change.draft.clone(), &made, progress.owned.clone(), run.ports.clock.now_ms());
    record.progress = RecordProgress::Complete;
    record.outputs = outputs.keys().cloned().collect();
    let summary = printable(&scrubber.text(&outcome.summary), 200);
    Ok(Changed::Applied { record: Box::new(record), outputs, summary })
}

fn unusable(provider: &str, message: &str) -> NotChanged {
    let error = CallError::Unusable(message.to_owned());
    // The resource may well exist: the call stays open, and its tape says what was done.
    NotChanged { failure: Failure::from_call(provider, error), open: true }
}

async fn not_changed(
    run: &Run,
    change: &Change,
    progress: &Progress,
    error: CallError,
) -> NotChanged {
    if matches!(error, CallError::Aborted(_)) && !progress.diverged {
        // The call stays open: the next run replays its tape and finishes it.
        return NotChanged {
            failure: Failure::from_call(&change.draft.provider, error),
            open: true,
        };
    }
    let denied = progress.denials.last().map(ToString::to_string);
    let mut failure = Failure::from_call(&change.draft.provider, error);
    if let Some(denied) = denied {
        let own = std::mem::take(&mut failure.message);
        failure = Failure::new(
            "SS0340",
            format!("provisioner `{}` was {}", change.draft.provider, printable(&denied, 400)),
        )
        .hint(format!("it said then: {own}"));
    }
    let scrubber = Scrubber::new(progress.secrets.iter().map(|(secret, _)| secret));
    failure.message = scrubber.text(&failure.message);
    failure.hints = failure.hints.iter().map(|hint| scrubber.text(hint)).collect();
    let message = failure.message.clone();
    let end =
        if progress.wrote { CallEnd::Failed { message } } else { CallEnd::Untouched { message } };
    let outcome = Entry::Outcome { call: change.call.clone(), end };
    match run.ports.store.append(&outcome).await {
        Ok(()) => NotChanged { failure, open: progress.diverged },
        Err(error) => NotChanged {
            failure: failure.hint(format!("and the journal could not be written: {error}")),
            open: true,
        },
    }
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
