//! One step of a plan: what goes in, the call or calls it takes, and what the run's state says afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use ss_core::ident::ServiceId;
use ss_core::plan::{Action, Apply, Step};
use ss_core::record::{CallEnd, CallId, CallKind, Entry, fold};
use ss_core::redact::Secret;
use ss_core::state::{Progress, Recorded, State};
use ss_core::value;
use ss_gate::manifest::ChangePhase;
use ss_ports::{Event, Provisioner};

use crate::call::{self, Change, Changed, NotChanged, Stands};
use crate::failure::Failure;
use crate::run::{Run, lock};

/// How a step ended, before it is told and written down.
pub(crate) enum StepEnd {
    Done(String),
    Unchanged,
    Failed(Failure),
    /// A call is still open.
    Interrupted(Failure),
}

/// A step that was tried.
pub(crate) struct Performed {
    /// What was done: an unchanged service becomes an update when a value injected into it changed.
    pub action: Action,
    pub end: StepEnd,
    pub duration_ms: u64,
}

/// Does what a step says.
pub(crate) async fn perform(run: &Arc<Run>, state: &Mutex<State>, step: &Step) -> Performed {
    let begun = run.ports.clock.now_ms();
    let (action, result) = act(run, state, step).await;
    let duration_ms = u64::try_from(run.ports.clock.now_ms() - begun).unwrap_or(0);
    let end = match result {
        Ok(None) => StepEnd::Unchanged,
        Ok(Some(summary)) => StepEnd::Done(summary),
        Err(NotChanged { failure, stands }) => stand(state, &step.service, failure, stands),
    };
    let result = match &end {
        StepEnd::Unchanged => return Performed { action, end, duration_ms },
        StepEnd::Done(summary) => Ok(summary.clone()),
        StepEnd::Failed(failure) | StepEnd::Interrupted(failure) => Err(failure.message.clone()),
    };
    let service = step.service.clone();
    run.ports.events.event(Event::Finished { service, action, result, duration_ms });
    Performed { action, end, duration_ms }
}

/// `None`: nothing had to be done.
async fn act(
    run: &Arc<Run>,
    state: &Mutex<State>,
    step: &Step,
) -> (Action, Result<Option<String>, NotChanged>) {
    let before = lock(state).services.get(&step.service).cloned();
    let Some(apply) = &step.wanted else {
        started(run, step, step.action);
        return (step.action, destroy(run, state, step, before.as_ref()).await.map(Some));
    };
    if step.action == Action::Unchanged {
        match inputs_changed(run, apply, before.as_ref()).await {
            Ok(false) => return (Action::Unchanged, Ok(None)),
            Ok(true) => {}
            Err(failure) => return (Action::Update, Err(failure.into())),
        }
        let operations = apply.update_operations.clone();
        let step = Step { action: Action::Update, operations, ..step.clone() };
        started(run, &step, step.action);
        return (
            step.action,
            create_or_update(run, state, &step, apply, before, 0).await.map(Some),
        );
    }
    started(run, step, step.action);
    let result = match step.action {
        Action::Replace => replace(run, state, step, apply, before.as_ref()).await,
        _ => create_or_update(run, state, step, apply, before, 0).await,
    };
    (step.action, result.map(Some))
}

fn started(run: &Run, step: &Step, action: Action) {
    let (service, provider) = (step.service.clone(), step.kind.clone());
    run.ports.events.event(Event::Started { service, provider, action });
}

/// What is known after a failed call goes into the run's state, as the journal has it.
fn stand(state: &Mutex<State>, service: &ServiceId, failure: Failure, stands: Stands) -> StepEnd {
    match stands {
        Stands::Before => StepEnd::Failed(failure),
        Stands::Partial(record) => {
            lock(state).services.insert(service.clone(), *record);
            StepEnd::Failed(failure)
        }
        Stands::Open => StepEnd::Interrupted(failure),
    }
}

/// What the journal says of a finished call goes into the run's state.
fn remember(state: &Mutex<State>, call: &CallId, end: CallEnd) {
    let mut state = lock(state);
    let empty = State::empty(state.lineage.clone());
    let before = std::mem::replace(&mut *state, empty);
    *state = fold(before, &[Entry::Outcome { call: call.clone(), end }]).state;
}

async fn replace(
    run: &Arc<Run>,
    state: &Mutex<State>,
    step: &Step,
    apply: &Apply,
    before: Option<&Recorded>,
) -> Result<String, NotChanged> {
    destroy(run, state, step, before).await?;
    create_or_update(run, state, step, apply, None, 1).await
}

async fn create_or_update(
    run: &Arc<Run>,
    state: &Mutex<State>,
    step: &Step,
    apply: &Apply,
    before: Option<Recorded>,
    number: u32,
) -> Result<String, NotChanged> {
    let provisioner = planned(run, step, apply)?;
    let inputs = inputs(run, apply).await?;
    let digests = input_digests(run, &inputs).await?;
    let retired = lock(state).retired.get(&step.service).copied().unwrap_or(0);
    let recorded = before.as_ref().and_then(call::resource);
    let change = Change {
        call: call_id(run, &step.service, number),
        kind: if recorded.is_some() { CallKind::Update } else { CallKind::Create },
        action: step.action,
        provisioner,
        draft: draft(run, step, apply, before, digests, retired),
        recorded,
        inputs,
        approved: step.operations.iter().cloned().collect(),
        continues: None,
    };
    let id = change.call.clone();
    match call::change(run, change).await? {
        Changed::Applied { record, outputs, summary } => {
            tell_outputs(run, step, &outputs);
            remember(state, &id, CallEnd::Done { record });
            Ok(summary)
        }
        Changed::Destroyed => unreachable!("an apply does not destroy"),
    }
}

/// The plugin that the plan was made with.
pub(crate) fn planned(
    run: &Run,
    step: &Step,
    apply: &Apply,
) -> Result<Arc<dyn Provisioner>, Failure> {
    let provisioner = run.ports.provisioners.for_target(&step.kind);
    let provisioner = provisioner.map_err(|error| Failure::new("SS0301", error.to_string()))?;
    if provisioner.plugin().pin.digest == apply.plugin.digest {
        return Ok(provisioner);
    }
    let message = format!("the plan is for another build of `{}`", apply.plugin.name);
    Err(Failure::new("SS0302", message).hint("plan again"))
}

pub(crate) fn draft(
    run: &Run,
    step: &Step,
    apply: &Apply,
    before: Option<Recorded>,
    inputs: BTreeMap<String, String>,
    retired: u32,
) -> Recorded {
    let fresh = Recorded {
        provider: step.kind.clone(),
        plugin: apply.plugin.clone(),
        resource_id: None,
        url: None,
        region: apply.target.get("region").and_then(Value::as_str).map(str::to_owned),
        attributes: Value::Null,
        schema: 1,
        target: apply.target.clone(),
        config_digest: config_digest(apply),
        inputs,
        outputs: BTreeSet::new(),
        depends_on: apply.depends_on.clone(),
        owned: BTreeMap::new(),
        protect: apply.protect,
        data: apply.data,
        generation: retired,
        progress: Progress::Partial,
        provisioned_at: call::timestamp(run.ports.clock.now_ms()),
    };
    let Some(before) = before else { return fresh };
    Recorded {
        resource_id: before.resource_id,
        url: before.url,
        attributes: before.attributes,
        schema: before.schema,
        outputs: before.outputs,
        owned: before.owned,
        generation: before.generation,
        ..fresh
    }
}

fn tell_outputs(run: &Run, step: &Step, outputs: &BTreeMap<String, Secret>) {
    if outputs.is_empty() {
        return;
    }
    // Names that another service takes are what the user waits for; without one, all are worth a word.
    let wanted = run.settings.taken.get(&step.service);
    let is_taken = |name: &&str| wanted.is_some_and(|names| names.contains(*name));
    let all = || outputs.keys().map(String::as_str);
    let taken: Vec<&str> = all().filter(is_taken).collect();
    let names = if taken.is_empty() { all().collect() } else { taken };
    let message = format!("{} written to vault", names.join(", "));
    run.ports.events.event(Event::Step { service: step.service.clone(), message });
}

async fn destroy(
    run: &Arc<Run>,
    state: &Mutex<State>,
    step: &Step,
    before: Option<&Recorded>,
) -> Result<String, NotChanged> {
    let Some(record) = before else { return Ok("was not there".to_owned()) };
    let provisioner = run.ports.provisioners.for_target(&record.provider).map_err(|error| {
        Failure::new("SS0301", error.to_string())
            .hint("the plugin that made it is needed to remove it")
    })?;
    let found = match record.resource_id {
        Some(_) => None,
        None => found(run, state, step, record, &provisioner).await?,
    };
    let record = found.as_ref().unwrap_or(record);
    let change = Change {
        call: call_id(run, &step.service, 0),
        kind: CallKind::Destroy,
        action: step.action,
        draft: record.clone(),
        recorded: call::resource(record),
        inputs: Vec::new(),
        approved: provisioner
            .plugin()
            .manifest
            .operations_in(ChangePhase::Destroy)
            .into_iter()
            .collect(),
        continues: None,
        provisioner,
    };
    let id = change.call.clone();
    call::change(run, change).await?;
    remember(state, &id, CallEnd::Gone);
    Ok(match record.resource_id {
        Some(_) => "destroyed".to_owned(),
        // A create that failed, and now does so for a reason that says that there is nothing.
        None => format!(
            "forgotten: no resource is recorded; should one exist, it carries the mark {}",
            call::mark(run, &step.service, record)
        ),
    })
}

/// What a create whose answer was lost may have made: nobody has its id, and only its provisioner can find it, by being
/// asked to create it once more. What is there is taken over; what is made now goes right after. `None` when there is
/// surely nothing.
async fn found(
    run: &Arc<Run>,
    state: &Mutex<State>,
    step: &Step,
    record: &Recorded,
    provisioner: &Arc<dyn Provisioner>,
) -> Result<Option<Recorded>, NotChanged> {
    let message = "its create was never answered; looking for what it may have made".to_owned();
    run.ports.events.event(Event::Log { service: step.service.clone(), message });
    let manifest = &provisioner.plugin().manifest;
    // Only what gives an id, and nothing after that.
    let makes = |name: &String| {
        manifest.operation(name).is_some_and(|(_, operation)| !operation.owns.is_empty())
    };
    let change = Change {
        call: call_id(run, &step.service, 2),
        kind: CallKind::Create,
        action: Action::Create,
        provisioner: provisioner.clone(),
        draft: record.clone(),
        recorded: None,
        inputs: Vec::new(),
        approved: manifest.operations_in(ChangePhase::Create).into_iter().filter(makes).collect(),
        continues: None,
    };
    let call = change.call.clone();
    let found = match call::change(run, change).await {
        Ok(Changed::Applied { record, .. }) => {
            remember(state, &call, CallEnd::Done { record: record.clone() });
            *record
        }
        Ok(Changed::Destroyed) => unreachable!("an apply does not destroy"),
        Err(NotChanged { stands: Stands::Partial(record), .. }) if record.resource_id.is_some() => {
            lock(state).services.insert(step.service.clone(), (*record).clone());
            *record
        }
        // It looked before it asked, and was turned down: an invalid wish, or one that is declined.
        Err(NotChanged { failure, stands })
            if matches!(failure.code, "SS0310" | "SS0312") && !matches!(stands, Stands::Open) =>
        {
            return Ok(None);
        }
        Err(NotChanged { failure, stands }) => {
            let hint = "nothing is forgotten while it may exist: try again, or deploy it first";
            return Err(NotChanged { failure: failure.hint(hint), stands });
        }
    };
    Ok(Some(found))
}

fn call_id(run: &Run, service: &ServiceId, number: u32) -> CallId {
    CallId { deploy: run.header.id.clone(), service: service.clone(), number }
}

fn config_digest(apply: &Apply) -> String {
    let names: BTreeSet<String> =
        apply.inputs.iter().map(|input| format!("{}.{}", input.source, input.name)).collect();
    value::digest(&serde_json::json!({"target": apply.target, "inputs": names}))
}

/// Whether an injected value is not the one that was applied. As in the plan, nothing is said of a value that was
/// applied and is not at hand: the vault of another machine has it.
async fn inputs_changed(
    run: &Run,
    apply: &Apply,
    before: Option<&Recorded>,
) -> Result<bool, Failure> {
    let Some(record) = before else { return Ok(true) };
    let found = found_inputs(run, apply).await?;
    let known: Vec<(String, Secret)> =
        found.iter().filter_map(|(name, found)| Some((name.clone(), found.clone()?))).collect();
    let digests = input_digests(run, &known).await?;
    let differs = |name: &String| match (record.inputs.get(name), digests.get(name)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(then), Some(now)) => then != now,
    };
    Ok(found.iter().any(|(name, _)| differs(name)) || record.inputs.len() != found.len())
}

/// The injected values, read from the vault at the last moment.
async fn inputs(run: &Run, apply: &Apply) -> Result<Vec<(String, Secret)>, Failure> {
    let found = found_inputs(run, apply).await?;
    let values = apply.inputs.iter().zip(found).map(|(input, (name, found))| {
        let Some(secret) = found else {
            let source = &input.source;
            let message = format!("`{source}` has not written `{name}` to the vault");
            return Err(Failure::new("SS0303", message).hint(format!(
                "deploy `{source}` from a machine that has its credentials, or replace it"
            )));
        };
        Ok((name, secret))
    });
    values.collect()
}

/// The injected names in order, with their values as far as the vault has them.
pub(crate) async fn found_inputs(
    run: &Run,
    apply: &Apply,
) -> Result<Vec<(String, Option<Secret>)>, Failure> {
    if apply.inputs.is_empty() {
        return Ok(Vec::new());
    }
    let credentials = run.ports.vault.credentials().await?;
    let found = apply.inputs.iter().map(|input| {
        let names = credentials.get(input.source.as_str());
        (input.name.clone(), names.and_then(|names| names.get(&input.name)).cloned())
    });
    Ok(found.collect())
}

pub(crate) async fn input_digests(
    run: &Run,
    inputs: &[(String, Secret)],
) -> Result<BTreeMap<String, String>, Failure> {
    if inputs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let key = run.ports.vault.digest_key().await?;
    Ok(inputs
        .iter()
        .map(|(name, secret)| (name.clone(), value::keyed_digest(key.expose(), secret.expose())))
        .collect())
}
