//! Taking over a resource that this system did not make. Nothing but reads can leave the machine.
//!
//! First the provisioner finds it by its id. Then it is asked to apply the configuration while the gate lets only
//! reads out: when that succeeds, the resource is as configured, and its credentials are at hand; when the gate stops
//! it, the first request that it stopped says how the next deploy begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use ss_core::plan::{Apply, Step};
use ss_core::record::{CallId, DeployStatus, Receipt};
use ss_core::redact::Secret;
use ss_core::state::{Progress as RecordProgress, Recorded, State};
use ss_core::text::printable;
use ss_gate::call::{Outcome, ResourceRecord};
use ss_gate::decide::{Origin, Phase, Rule};
use ss_gate::manifest::Manifest;
use ss_ports::Provisioner;

use crate::failure::Failure;
use crate::run::{Run, lock};
use crate::session::{CallFacts, Progress, Session};
use crate::{amend, call, snapshot, step};

/// What came of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its receipt.
    pub receipt: Receipt,
    /// The record.
    pub record: Recorded,
    /// Why the next deploy will change the resource; `None` when it is as configured.
    pub pending: Option<String>,
}

/// Takes over the resource of this id for a service. `step` is what the plan says of the service, which is not yet
/// recorded. The caller holds the store's lease, and no call is open.
pub async fn import(
    run: &Arc<Run>,
    mut state: State,
    step: &Step,
    id: &str,
) -> Result<Imported, Failure> {
    let apply = step.wanted.as_ref().expect("what is imported has a target");
    let import = Import { run, step, apply, provisioner: step::planned(run, step, apply)? };
    let retired = state.retired.get(&step.service).copied().unwrap_or(0);
    let draft = step::draft(run, step, apply, None, BTreeMap::new(), retired);
    let found = import.found(draft, id).await?;
    let (record, outputs, pending) = import.tried(found).await?;
    amend::begin(run, &state).await?;
    if !outputs.is_empty() {
        run.ports.vault.replace_credentials(step.service.as_str(), outputs).await?;
    }
    let summary = format!("imported {}", printable(id, 200));
    let line = amend::line(&step.service, &step.kind, "completed", &summary);
    state.services.insert(step.service.clone(), record.clone());
    snapshot::keep_next(run, &state).await?;
    let receipt = amend::commit(run, state, DeployStatus::Completed, vec![line]).await?;
    Ok(Imported { receipt, record, pending })
}

struct Import<'r> {
    run: &'r Arc<Run>,
    step: &'r Step,
    apply: &'r Apply,
    provisioner: Arc<dyn Provisioner>,
}

type Outputs = BTreeMap<String, Secret>;

impl Import<'_> {
    /// A session in which only reads are allowed.
    fn session(
        &self,
        record: &Recorded,
        named: Option<&str>,
        inputs: &[(String, Secret)],
    ) -> (Box<Session>, Arc<Mutex<Progress>>) {
        let plugin = self.provisioner.plugin();
        let service = self.step.service.clone();
        let facts = CallFacts {
            call: CallId {
                deploy: self.run.header.id.clone(),
                service: service.clone(),
                number: 0,
            },
            phase: Phase::Read,
            approved: BTreeSet::new(),
            grant: self.run.grant(&plugin.pin.name),
            manifest: plugin.manifest.clone(),
            mark: call::mark(self.run, &service, record),
            draft: None,
            named: named.map(str::to_owned),
            service,
        };
        let secrets = inputs.iter().map(|(_, secret)| (secret.clone(), Origin::Input)).collect();
        let progress = Progress { owned: record.owned.clone(), secrets, ..Progress::default() };
        let progress = Arc::new(Mutex::new(progress));
        (Box::new(Session::new(self.run.clone(), facts, progress.clone(), None)), progress)
    }

    /// The record of what has this id.
    async fn found(&self, draft: Recorded, id: &str) -> Result<Recorded, Failure> {
        let (session, progress) = self.session(&draft, Some(id), &[]);
        let mark = call::mark(self.run, &self.step.service, &draft);
        let input = call::service_input(&self.step.service, &self.apply.target, &[], mark);
        let attributes = Value::Object(serde_json::Map::new());
        let known = ResourceRecord { id: id.to_owned(), attributes, url: None, schema: 0 };
        let read = self.provisioner.read(input, known, session).await;
        let kind = &self.step.kind;
        match read.map_err(|error| call::explained(kind, &mut lock(&progress), error))? {
            Some(found) => {
                let owned = lock(&progress).owned.clone();
                Ok(call::filled(draft, &found, owned, self.run.ports.clock.now_ms()))
            }
            None => Err(Failure::new(
                "SS0316",
                format!(
                    "`{kind}` knows no resource `{}`; nothing was recorded",
                    printable(id, 200)
                ),
            )
            .hint("check the id, and that the credential belongs to the account that has it")),
        }
    }

    /// The record after trying to apply the configuration with reads alone.
    async fn tried(&self, found: Recorded) -> Result<(Recorded, Outputs, Option<String>), Failure> {
        let manifest = &self.provisioner.plugin().manifest;
        let inputs = step::found_inputs(self.run, self.apply).await?;
        if let Some((name, _)) = inputs.iter().find(|(_, value)| value.is_none()) {
            let why = format!("it takes `{name}`, which is not in the vault yet");
            return Ok((as_found(found, manifest), Outputs::new(), Some(why)));
        }
        let inputs: Vec<(String, Secret)> =
            inputs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let (session, progress) = self.session(&found, None, &inputs);
        let mark = call::mark(self.run, &self.step.service, &found);
        let input = call::service_input(&self.step.service, &self.apply.target, &inputs, mark);
        let tried = self.provisioner.apply(input, call::resource(&found), session).await;
        let mut progress = std::mem::take(&mut *lock(&progress));
        // What it makes of the refusal counts for nothing: it wanted to write.
        let stopped = progress.denied_first.as_ref().filter(|denied| denied.rule == Rule::Phase);
        if let Some(denied) = stopped {
            let why = format!("it begins with `{}`", printable(&denied.operation, 100));
            return Ok((as_found(found, manifest), Outputs::new(), Some(why)));
        }
        match tried {
            Ok(outcome) => {
                let digests = step::input_digests(self.run, &inputs).await?;
                let (record, outputs) = self.as_configured(found, digests, &progress, outcome)?;
                Ok((record, outputs, None))
            }
            Err(error) => {
                Err(call::explained(&self.step.kind, &mut progress, error)
                    .hint("nothing was recorded"))
            }
        }
    }

    fn as_configured(
        &self,
        found: Recorded,
        inputs: BTreeMap<String, String>,
        progress: &Progress,
        outcome: Outcome,
    ) -> Result<(Recorded, Outputs), Failure> {
        let manifest = &self.provisioner.plugin().manifest;
        let outputs = call::outputs(manifest, &found.provider, progress, outcome.outputs);
        let outputs = outputs.map_err(|why| Failure::new("SS0322", why))?;
        let now = self.run.ports.clock.now_ms();
        let made = call::scrubbed(&call::scrubber(progress), &outcome.made);
        let record = call::filled(found, &made, progress.owned.clone(), now);
        let names = outputs.keys().cloned().collect();
        let progress = RecordProgress::Complete;
        Ok((Recorded { inputs, outputs: names, progress, ..record }, outputs))
    }
}

/// The record of a resource that is not as configured: the plan shows where a fact and a field of one name differ,
/// and applies the configuration in any case.
fn as_found(record: Recorded, manifest: &Manifest) -> Recorded {
    let record = amend::with_actual(record, manifest, |_| true);
    Recorded { progress: RecordProgress::Unverified, ..record }
}
