//! The host's side of one provisioner call: what the provisioner asks for, answered from its tape or for real.
//!
//! While a recorded tape is left, answers come from it and nothing is sent. What is answered for real is written
//! down first. Requests are `send`'s.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use ss_core::ident::ServiceId;
use ss_core::record::{CallId, Entry};
use ss_core::redact::Secret;
use ss_core::state::{Owned, Recorded};
use ss_core::text::printable;
use ss_gate::call::{
    Call, CallFailure, CallFailureKind, NamedSecret, Reply, ResourceRecord, SecretIndex,
};
use ss_gate::decide::{Denial, Grant, Origin, Phase, Rule, Usage};
use ss_gate::manifest::Manifest;
use ss_gate::secrets::Scrubber;
use ss_ports::{Abort, Event, HostCalls, StoreError, TAPE_BYTES_MAX, TapeRecord, TapeWriter};

use crate::compose::{self, COMPOSED_MAX};
use crate::failure::Failure;
use crate::run::{Run, lock};

/// Steps and log lines one call may write; what comes after is dropped.
const LINES_MAX: u32 = 2_000;
/// Longest text that is shown or kept of what a provisioner or a vendor says.
pub(crate) const LINE_CHARACTERS_MAX: usize = 400;

/// What a call is, for the whole of its life.
pub(crate) struct CallFacts {
    pub call: CallId,
    pub service: ServiceId,
    pub phase: Phase,
    pub approved: BTreeSet<String>,
    pub grant: Grant,
    pub manifest: Arc<Manifest>,
    pub mark: String,
    /// The record that a checkpoint fills in; absent while only reading.
    pub draft: Option<Recorded>,
    /// The id of the resource that the user wants to take over.
    pub named: Option<String>,
}

/// What a call has come to, for the engine to read when it is over.
#[derive(Default)]
pub(crate) struct Progress {
    pub secrets: Vec<(Secret, Origin)>,
    pub owned: Owned,
    pub usage: Usage,
    /// The gate's answer to the last request, when it was no.
    pub denied: Option<Denial>,
    /// The first time that the gate's answer was no.
    pub denied_first: Option<Denial>,
    /// Whether an unsafe request may have left the machine.
    pub wrote: bool,
    /// What is left of the tape that is replayed.
    pub replay: VecDeque<TapeRecord>,
    /// Whether the provisioner asked for something else than the tape holds.
    pub diverged: bool,
    /// The record as the journal's last checkpoint of this call has it.
    pub checkpoint: Option<Recorded>,
    /// Why the host ended the call.
    pub abort: Option<Failure>,
}

/// A tape that the call writes and the engine ends.
pub(crate) type SharedTape = Arc<tokio::sync::Mutex<Box<dyn TapeWriter>>>;

/// The implementation of [`HostCalls`].
pub(crate) struct Session {
    pub(crate) run: Arc<Run>,
    pub(crate) facts: CallFacts,
    pub(crate) progress: Arc<Mutex<Progress>>,
    /// Made when it is needed, forgotten when there is more to look for.
    scrubber: OnceLock<Scrubber>,
    tape: Option<SharedTape>,
    /// Authorisation values that were used: in no secret table, and still never to come back in a reply.
    tokens: Vec<Secret>,
    lines: u32,
    composed: u32,
}

impl Session {
    pub(crate) fn new(
        run: Arc<Run>,
        facts: CallFacts,
        progress: Arc<Mutex<Progress>>,
        tape: Option<SharedTape>,
    ) -> Self {
        let scrubber = OnceLock::new();
        Self { run, facts, progress, scrubber, tape, tokens: Vec::new(), lines: 0, composed: 0 }
    }

    pub(crate) async fn write(&self, record: &TapeRecord, durable: bool) -> Result<(), Abort> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let written = tape.lock().await.append(record, durable).await;
        written.or_else(|error| self.unwritten("tape", error))
    }

    /// Refuses a request whose answer would make the tape too long to be replayed in good time.
    pub(crate) async fn check_tape(&self, call: &Call) -> Result<(), Denial> {
        let Some(tape) = &self.tape else { return Ok(()) };
        if tape.lock().await.length() <= TAPE_BYTES_MAX {
            return Ok(());
        }
        Err(Denial {
            rule: Rule::Budget,
            operation: call.operation.clone(),
            message: format!("the tape of one call may hold {} MiB", TAPE_BYTES_MAX >> 20),
        })
    }

    fn unwritten<T>(&self, what: &str, error: StoreError) -> Result<T, Abort> {
        let mut failure = Failure::from(error);
        failure.message = format!("the {what} cannot be written: {}", failure.message);
        self.abort(failure)
    }

    /// The host cannot go on with this call; it stays open.
    pub(crate) fn abort<T>(&self, failure: Failure) -> Result<T, Abort> {
        let abort = Abort(failure.message.clone());
        lock(&self.progress).abort = Some(failure);
        Err(abort)
    }

    pub(crate) fn go_on(&self) -> Result<(), Abort> {
        if self.run.stop.is_stopped() { self.interrupted() } else { Ok(()) }
    }

    fn interrupted<T>(&self) -> Result<T, Abort> {
        self.abort(Failure::new("SS0330", "interrupted"))
    }

    fn replayed(&self) -> Option<TapeRecord> {
        lock(&self.progress).replay.pop_front()
    }

    fn diverged<T>(&self) -> Result<T, Abort> {
        lock(&self.progress).diverged = true;
        Err(Abort("the provisioner no longer asks what its tape holds".to_owned()))
    }

    pub(crate) fn add_secrets(&mut self, secrets: impl IntoIterator<Item = (Secret, Origin)>) {
        let mut secrets = secrets.into_iter().peekable();
        if secrets.peek().is_some() {
            lock(&self.progress).secrets.extend(secrets);
            self.scrubber.take();
        }
    }

    pub(crate) fn add_token(&mut self, authorization: &Secret) {
        if !self.tokens.contains(authorization) {
            self.tokens.push(authorization.clone());
            self.tokens.push(Secret::new(
                authorization.expose().rsplit(' ').next().unwrap_or_default().to_owned(),
            ));
            self.scrubber.take();
        }
    }

    pub(crate) fn scrubber(&self) -> &Scrubber {
        self.scrubber.get_or_init(|| {
            let progress = lock(&self.progress);
            Scrubber::new(progress.secrets.iter().map(|(secret, _)| secret).chain(&self.tokens))
        })
    }

    /// Text from outside, safe to show and to keep.
    pub(crate) fn safe(&self, text: &str) -> String {
        printable(&self.scrubber().text(text), LINE_CHARACTERS_MAX)
    }

    fn line(&mut self, message: &str) -> Option<String> {
        self.lines += 1;
        (self.lines <= LINES_MAX).then(|| self.safe(message))
    }

    fn tell(&mut self, message: &str, event: impl FnOnce(ServiceId, String) -> Event) {
        if let Some(message) = self.line(message) {
            self.run.ports.events.event(event(self.facts.service.clone(), message));
        }
    }

    /// What the tape answers to a request.
    fn replayed_request(&mut self, call: &Call) -> Result<Replayed, Abort> {
        let Some(record) = self.replayed() else {
            return Ok(Replayed::Send { recorded: false });
        };
        let TapeRecord::Request { call: recorded, writes } = record else { return self.diverged() };
        if recorded != *call {
            return self.diverged();
        }
        match self.replayed() {
            None if writes => Ok(Replayed::Unknown),
            None => Ok(Replayed::Send { recorded: true }),
            Some(TapeRecord::Reply { reply, secrets }) => {
                self.add_secrets(
                    secrets.into_iter().map(|text| (Secret::new(text), Origin::Captured)),
                );
                Ok(Replayed::Answer(reply))
            }
            Some(_) => self.diverged(),
        }
    }

    /// The answer to an unsafe request that an interrupted run sent.
    async fn unknown(&self, call: &Call) -> Result<CallFailure, Abort> {
        let failure = CallFailure {
            kind: CallFailureKind::OutcomeUnknown,
            message: format!(
                "`{}` was sent by a run that was interrupted; its answer is lost",
                call.operation
            ),
        };
        let reply = TapeRecord::Reply { reply: Err(failure.clone()), secrets: Vec::new() };
        self.write(&reply, true).await?;
        Ok(failure)
    }

    async fn keep(&self, draft: Recorded, partial: ResourceRecord) -> Result<(), Abort> {
        let owned = lock(&self.progress).owned.clone();
        let record = crate::call::filled(draft, &partial, owned, self.run.ports.clock.now_ms());
        self.write(&TapeRecord::Checkpoint(Box::new(partial)), true).await?;
        let entry =
            Entry::Checkpoint { call: self.facts.call.clone(), record: Box::new(record.clone()) };
        if let Err(error) = self.run.ports.store.append(&entry).await {
            return self.unwritten("journal", error);
        }
        lock(&self.progress).checkpoint = Some(record);
        Ok(())
    }
}

enum Replayed {
    Send { recorded: bool },
    Unknown,
    Answer(Result<Reply, CallFailure>),
}

#[async_trait]
impl HostCalls for Session {
    async fn send(&mut self, call: Call) -> Result<Result<Reply, CallFailure>, Abort> {
        match self.replayed_request(&call)? {
            Replayed::Answer(reply) => Ok(reply),
            Replayed::Send { recorded } => self.send_live(call, recorded).await,
            Replayed::Unknown => self.unknown(&call).await.map(Err),
        }
    }

    async fn compose(
        &mut self,
        template: String,
        parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Abort> {
        self.composed += 1;
        if self.composed > COMPOSED_MAX {
            return Ok(Err(format!("one call may compose {COMPOSED_MAX} secrets")));
        }
        let composed = compose::compose(&template, &parts, &lock(&self.progress).secrets);
        Ok(composed.map(|(secret, origin)| {
            let index = u32::try_from(lock(&self.progress).secrets.len()).unwrap_or(u32::MAX);
            self.add_secrets([(secret, origin)]);
            index
        }))
    }

    async fn step(&mut self, message: String) -> Result<(), Abort> {
        self.tell(&message, |service, message| Event::Step { service, message });
        Ok(())
    }

    async fn checkpoint(&mut self, partial: ResourceRecord) -> Result<(), Abort> {
        let Some(draft) = self.facts.draft.clone() else { return Ok(()) };
        let partial = crate::call::scrubbed(self.scrubber(), &partial);
        match self.replayed() {
            // The intent of this call holds the tape's last checkpoint already.
            Some(TapeRecord::Checkpoint(recorded)) if *recorded == partial => Ok(()),
            Some(_) => self.diverged(),
            None => self.keep(draft, partial).await,
        }
    }

    async fn log(&mut self, message: String) -> Result<(), Abort> {
        self.tell(&message, |service, message| Event::Log { service, message });
        Ok(())
    }

    async fn now_ms(&mut self) -> Result<f64, Abort> {
        match self.replayed() {
            Some(TapeRecord::Now(now)) => Ok(now),
            Some(_) => self.diverged(),
            None => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "milliseconds stay below 2^53 for 285,000 years"
                )]
                let now = self.run.ports.clock.now_ms() as f64;
                self.write(&TapeRecord::Now(now), false).await?;
                Ok(now)
            }
        }
    }

    async fn wait(&mut self, ms: u32) -> Result<(), Abort> {
        match self.replayed() {
            Some(TapeRecord::Waited(waited)) if waited == ms => Ok(()),
            Some(_) => self.diverged(),
            None => {
                self.go_on()?;
                let sleep = self.run.ports.clock.sleep(Duration::from_millis(u64::from(ms)));
                let stop = self.run.stop.clone();
                if let Either::Right(_) = select(sleep, std::pin::pin!(stop.stopped())).await {
                    return self.interrupted();
                }
                self.write(&TapeRecord::Waited(ms), false).await
            }
        }
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort> {
        let count = count.min(1024) as usize;
        match self.replayed() {
            Some(TapeRecord::Random(bytes)) if bytes.len() == count => Ok(bytes),
            Some(_) => self.diverged(),
            None => {
                let bytes = self.run.ports.clock.random(count);
                self.write(&TapeRecord::Random(bytes.clone()), false).await?;
                Ok(bytes)
            }
        }
    }
}
