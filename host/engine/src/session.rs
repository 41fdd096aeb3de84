//! The host's side of one provisioner call: gate, tape, secrets and egress in the order that makes them hold.
//!
//! For each request: decide, write it down (durably, when it is unsafe), fill, send, take secrets out, scrub,
//! write the answer down, answer. While a recorded tape is left, answers come from it and nothing is sent.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use serde_json::Value;
use ss_core::ident::ServiceId;
use ss_core::record::{CallId, Entry, RequestLine};
use ss_core::redact::{Redacted, Secret};
use ss_core::state::{Owned, Recorded};
use ss_core::text::printable;
use ss_gate::call::{
    Call, CallFailure, CallFailureKind, NamedSecret, Param, Reply, ResourceRecord, SecretIndex,
};
use ss_gate::decide::{Context, Denial, Grant, Origin, Permit, Phase, Usage, decide};
use ss_gate::manifest::Manifest;
use ss_gate::owned::learn;
use ss_gate::secrets::{Scrubber, capture, fill};
use ss_ports::{
    Abort, EgressError, Event, Exchange, HostCalls, HttpReply, HttpRequest, RetryRules, TapeRecord,
    TapeWriter,
};

use crate::run::{Run, lock};
use crate::{compose, tokens};

/// Steps and log lines one call may write; what comes after is dropped.
const LINES_MAX: u32 = 2_000;
const LINE_CHARACTERS_MAX: usize = 400;
/// The reply header in which a plugin that asks for it finds the URL that was really used.
const URL_HEADER: &str = "x-ss-url";

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
}

/// What a call has come to, for the engine to read when it is over.
#[derive(Default)]
pub(crate) struct Progress {
    pub secrets: Vec<(Secret, Origin)>,
    pub owned: Owned,
    pub usage: Usage,
    pub denials: Vec<Denial>,
    /// Whether an unsafe request may have left the machine.
    pub wrote: bool,
    /// Whether the plugin asked for something else than the tape holds.
    pub diverged: bool,
}

/// The implementation of [`HostCalls`].
pub(crate) struct Session {
    run: Arc<Run>,
    facts: CallFacts,
    progress: Arc<Mutex<Progress>>,
    tape: Option<Box<dyn TapeWriter>>,
    replay: VecDeque<TapeRecord>,
    scrubber: Scrubber,
    /// Authorisation values that were used: in no secret table, and still never to come back in a reply.
    tokens: Vec<Secret>,
    lines: u32,
}

impl Session {
    pub(crate) fn new(
        run: Arc<Run>,
        facts: CallFacts,
        progress: Arc<Mutex<Progress>>,
        tape: Option<Box<dyn TapeWriter>>,
        replay: VecDeque<TapeRecord>,
    ) -> Self {
        let scrubber = Scrubber::new(lock(&progress).secrets.iter().map(|(secret, _)| secret));
        Self { run, facts, progress, tape, replay, scrubber, tokens: Vec::new(), lines: 0 }
    }

    async fn write(&mut self, record: &TapeRecord, durable: bool) -> Result<(), Abort> {
        match &mut self.tape {
            None => Ok(()),
            Some(tape) => tape
                .append(record, durable)
                .await
                .map_err(|error| Abort(format!("the tape cannot be written: {error}"))),
        }
    }

    fn go_on(&self) -> Result<(), Abort> {
        if self.run.stop.is_stopped() { Err(interrupted()) } else { Ok(()) }
    }

    fn diverged<T>(&self) -> Result<T, Abort> {
        lock(&self.progress).diverged = true;
        Err(Abort("the provisioner no longer asks what its tape holds".to_owned()))
    }

    fn add_secrets(&mut self, secrets: impl IntoIterator<Item = (Secret, Origin)>) {
        let mut secrets = secrets.into_iter().peekable();
        if secrets.peek().is_some() {
            lock(&self.progress).secrets.extend(secrets);
            self.look_for_secrets();
        }
    }

    fn add_token(&mut self, authorization: &Secret) {
        if !self.tokens.contains(authorization) {
            self.tokens.push(authorization.clone());
            self.tokens.push(Secret::new(
                authorization.expose().rsplit(' ').next().unwrap_or_default().to_owned(),
            ));
            self.look_for_secrets();
        }
    }

    fn look_for_secrets(&mut self) {
        let progress = lock(&self.progress);
        self.scrubber =
            Scrubber::new(progress.secrets.iter().map(|(secret, _)| secret).chain(&self.tokens));
    }

    fn line(&mut self, message: &str) -> Option<String> {
        self.lines += 1;
        (self.lines <= LINES_MAX)
            .then(|| printable(&self.scrubber.text(message), LINE_CHARACTERS_MAX))
    }

    /// The answer from the tape: `None` when nothing is left there and the request has to be sent. With
    /// `Some(false)` inside, the request itself is on the tape already.
    fn replayed(&mut self, call: &Call) -> Result<Replayed, Abort> {
        let Some(record) = self.replay.pop_front() else {
            return Ok(Replayed::Send { recorded: false });
        };
        let TapeRecord::Request { call: recorded, writes } = record else { return self.diverged() };
        if recorded != *call {
            return self.diverged();
        }
        if writes {
            lock(&self.progress).wrote = true;
        }
        match self.replay.pop_front() {
            None if writes => Ok(Replayed::Unknown),
            None => Ok(Replayed::Send { recorded: true }),
            Some(TapeRecord::Reply { reply, secrets }) => {
                self.add_secrets(
                    secrets.into_iter().map(|text| (Secret::new(text), Origin::Captured)),
                );
                if let Ok(reply) = &reply {
                    self.learn_again(call, reply);
                }
                Ok(Replayed::Answer(reply))
            }
            Some(_) => self.diverged(),
        }
    }

    fn learn_again(&self, call: &Call, reply: &Reply) {
        let Some((connection, operation)) = self.facts.manifest.operation(&call.operation) else {
            return;
        };
        let request = call.body.as_ref().and_then(|bytes| serde_json::from_slice(bytes).ok());
        if let Ok(body) = serde_json::from_slice::<Value>(&reply.body)
            && is_success(reply.status)
        {
            let owned = &mut lock(&self.progress).owned;
            learn(owned, connection, operation, call, request.as_ref(), &body, &self.facts.mark);
        }
    }

    fn decide<'m>(&self, manifest: &'m Manifest, call: &Call) -> Result<Permit<'m>, Denial> {
        let progress = lock(&self.progress);
        let origins: Vec<Origin> = progress.secrets.iter().map(|(_, origin)| *origin).collect();
        decide(
            &Context {
                manifest,
                phase: self.facts.phase,
                approved: &self.facts.approved,
                grant: &self.facts.grant,
                owned: &progress.owned,
                secrets: &origins,
                budget: &self.run.settings.budget,
                usage: &progress.usage,
            },
            call,
        )
    }

    /// The answer to a refused call; recorded like any other, so that a replay meets it again.
    async fn refuse(
        &mut self,
        call: Call,
        denial: Denial,
    ) -> Result<Result<Reply, CallFailure>, Abort> {
        let method = self
            .facts
            .manifest
            .operation(&call.operation)
            .map_or("-", |(_, operation)| operation.route.method());
        self.run.record_request(RequestLine {
            service: self.facts.service.clone(),
            operation: printable(&call.operation, 100),
            method: method.to_owned(),
            route: String::new(),
            status: None,
            error: Some(printable(&self.scrubber.text(&denial.to_string()), LINE_CHARACTERS_MAX)),
            ms: 0,
            bytes: 0,
            attempts: 0,
        });
        let failure = CallFailure { kind: CallFailureKind::Denied, message: denial.to_string() };
        lock(&self.progress).denials.push(denial);
        self.write(&TapeRecord::Request { call, writes: false }, false).await?;
        self.write(&TapeRecord::Reply { reply: Err(failure.clone()), secrets: Vec::new() }, false)
            .await?;
        Ok(Err(failure))
    }

    fn request(
        &self,
        permit: &Permit<'_>,
        authorization: Option<Secret>,
        body: Option<Value>,
    ) -> HttpRequest {
        let operation = permit.operation;
        let overridden = self.run.settings.connections.get(&permit.connection.name);
        let base =
            overridden.map_or(permit.connection.base_url.as_str(), |to| to.base_url.as_str());
        let safe = operation.route.is_read() || operation.repeatable;
        let always: Vec<u16> = operation.retry.keys().copied().collect();
        let attempts = if always.is_empty() { 6 } else { 12 };
        HttpRequest {
            connection: permit.connection.name.clone(),
            operation: operation.name.clone(),
            method: operation.route.method().to_owned(),
            url: permit.url(base),
            local: overridden.is_some_and(|to| to.local),
            authorization,
            headers: permit.headers.clone(),
            body: body.map(|body| Redacted::new(body.to_string().into_bytes())),
            timeout_ms: operation.timeout_ms.unwrap_or(30_000),
            retry: RetryRules { safe, always, attempts, total_ms: 300_000 },
            rate: operation.rate.clone().map(|rate| {
                let value = |name: &String| {
                    permit
                        .base_params
                        .iter()
                        .find(|(n, _)| n == name)
                        .map_or("", |(_, v)| v.as_str())
                };
                let key: Vec<&str> = rate.per.iter().map(value).collect();
                let key = format!("{}/{}/{}", operation.name, permit.path, key.join("/"));
                (rate, key)
            }),
        }
    }

    fn account(&self, permit: &Permit<'_>, exchange: &Exchange) {
        self.run.record_request(RequestLine {
            service: self.facts.service.clone(),
            operation: permit.operation.name.clone(),
            method: permit.operation.route.method().to_owned(),
            route: printable(&self.scrubber.text(&permit.path), LINE_CHARACTERS_MAX),
            status: exchange.result.as_ref().ok().map(|reply| reply.status),
            error: exchange.result.as_ref().err().map(|error| {
                printable(&self.scrubber.text(&error.to_string()), LINE_CHARACTERS_MAX)
            }),
            ms: exchange.duration_ms,
            bytes: exchange.bytes,
            attempts: exchange.attempts,
        });
    }

    /// Takes secrets out of a reply and learns what it makes this service's own.
    fn receive(
        &mut self,
        permit: &Permit<'_>,
        call: &Call,
        url: &str,
        reply: HttpReply,
    ) -> (Reply, Vec<String>) {
        let operation = permit.operation;
        let parsed = serde_json::from_slice::<Value>(reply.body.expose()).ok();
        let first = u32::try_from(lock(&self.progress).secrets.len()).unwrap_or(u32::MAX);
        let mut captured = Vec::new();
        let body = match parsed {
            Some(mut body) => {
                captured = capture(&mut body, &operation.secrets, first);
                if is_success(reply.status) {
                    let owned = &mut lock(&self.progress).owned;
                    learn(
                        owned,
                        permit.connection,
                        operation,
                        call,
                        permit.body.as_ref(),
                        &body,
                        &self.facts.mark,
                    );
                }
                body.to_string().into_bytes()
            }
            // A body that should hold secrets and is no JSON cannot be searched for them, so nobody sees it.
            None if !operation.secrets.is_empty() && is_success(reply.status) => Vec::new(),
            None => reply.body.expose().clone(),
        };
        self.add_secrets(captured.iter().map(|found| (found.value.clone(), Origin::Captured)));
        let mut headers: Vec<Param> = reply
            .headers
            .iter()
            .filter(|(name, _)| *name == "retry-after" || operation.reply_headers.contains(name))
            .map(|(name, value)| Param { name: name.clone(), value: self.scrubber.text(value) })
            .collect();
        if operation.reply_headers.iter().any(|name| name == URL_HEADER) {
            headers.push(Param { name: URL_HEADER.to_owned(), value: url.to_owned() });
        }
        let secrets = captured.iter().map(|found| found.value.expose().clone()).collect();
        let named = captured.into_iter().enumerate().map(|(index, found)| NamedSecret {
            name: found.pointer,
            value: first + u32::try_from(index).unwrap_or(u32::MAX),
        });
        let captured = named.collect();
        (
            Reply { status: reply.status, headers, body: self.scrubber.bytes(body), captured },
            secrets,
        )
    }

    /// Sends a call that is not, or not wholly, on the tape.
    async fn send_live(
        &mut self,
        call: Call,
        recorded: bool,
    ) -> Result<Result<Reply, CallFailure>, Abort> {
        self.go_on()?;
        let manifest = self.facts.manifest.clone();
        let permit = match self.decide(&manifest, &call) {
            Ok(permit) => permit,
            Err(denial) => return self.refuse(call, denial).await,
        };
        let authorization =
            tokens::authorization(&self.run, &self.facts.service, &manifest, permit.connection)
                .await
                .map_err(|failure| Abort(failure.message))?;
        if let Some(authorization) = &authorization {
            self.add_token(authorization);
        }
        let filled = {
            let progress = lock(&self.progress);
            let fills = call.fill.iter().filter_map(|f| {
                progress
                    .secrets
                    .get(f.value as usize)
                    .map(|(secret, _)| (f.pointer.as_str(), secret))
            });
            fill(permit.body.clone(), fills)
        };
        let body = match filled {
            Ok(body) => body,
            Err(pointer) => {
                let message = format!("the body has no place for a secret at `{pointer}`");
                let denial = Denial {
                    rule: ss_gate::decide::Rule::Secret,
                    operation: call.operation.clone(),
                    message,
                };
                return self.refuse(call, denial).await;
            }
        };
        let writes = !(permit.operation.route.is_read() || permit.operation.repeatable);
        lock(&self.progress).usage = permit.usage;
        if !recorded {
            let unsafe_request = !permit.operation.route.is_read();
            self.write(&TapeRecord::Request { call: call.clone(), writes }, unsafe_request).await?;
        }
        if !permit.operation.route.is_read() {
            lock(&self.progress).wrote = true;
        }
        let request = self.request(&permit, authorization, body);
        let url = request.url.clone();
        let exchange = self.run.ports.egress.send(request).await;
        self.account(&permit, &exchange);
        let (reply, secrets) = match exchange.result {
            Ok(reply) => {
                let (reply, secrets) = self.receive(&permit, &call, &url, reply);
                (Ok(reply), secrets)
            }
            Err(error) => (Err(call_failure(&permit, writes, &error)), Vec::new()),
        };
        // A reply to a write holds what only this machine knows now: an id, a password.
        let durable = writes || !secrets.is_empty();
        self.write(&TapeRecord::Reply { reply: reply.clone(), secrets }, durable).await?;
        Ok(reply)
    }
}

enum Replayed {
    Send { recorded: bool },
    Unknown,
    Answer(Result<Reply, CallFailure>),
}

fn interrupted() -> Abort {
    Abort("interrupted".to_owned())
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn call_failure(permit: &Permit<'_>, writes: bool, error: &EgressError) -> CallFailure {
    let kind = match error {
        EgressError::Refused(_) => CallFailureKind::Denied,
        EgressError::Unreachable(_) => CallFailureKind::Unreachable,
        EgressError::TooLarge(_) if !writes => CallFailureKind::TooLarge,
        EgressError::Lost(_) if !writes => CallFailureKind::TimedOut,
        EgressError::Lost(_) | EgressError::TooLarge(_) => CallFailureKind::OutcomeUnknown,
    };
    CallFailure {
        kind,
        message: format!("{} ({}): {error}", permit.operation.name, permit.connection.name),
    }
}

#[async_trait]
impl HostCalls for Session {
    async fn send(&mut self, call: Call) -> Result<Result<Reply, CallFailure>, Abort> {
        match self.replayed(&call)? {
            Replayed::Answer(reply) => Ok(reply),
            Replayed::Send { recorded } => self.send_live(call, recorded).await,
            Replayed::Unknown => {
                let failure = CallFailure {
                    kind: CallFailureKind::OutcomeUnknown,
                    message: format!(
                        "`{}` was sent by a run that was interrupted; its answer is lost",
                        call.operation
                    ),
                };
                self.write(
                    &TapeRecord::Reply { reply: Err(failure.clone()), secrets: Vec::new() },
                    true,
                )
                .await?;
                Ok(Err(failure))
            }
        }
    }

    async fn compose(
        &mut self,
        template: String,
        parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Abort> {
        let composed = compose::compose(&template, &parts, &lock(&self.progress).secrets);
        Ok(composed.map(|(secret, origin)| {
            let index = u32::try_from(lock(&self.progress).secrets.len()).unwrap_or(u32::MAX);
            self.add_secrets([(secret, origin)]);
            index
        }))
    }

    async fn step(&mut self, message: String) -> Result<(), Abort> {
        if let Some(message) = self.line(&message) {
            self.run
                .ports
                .events
                .event(Event::Step { service: self.facts.service.clone(), message });
        }
        Ok(())
    }

    async fn checkpoint(&mut self, partial: ResourceRecord) -> Result<(), Abort> {
        let Some(draft) = &self.facts.draft else { return Ok(()) };
        let partial = ResourceRecord {
            id: self.scrubber.text(&partial.id),
            attributes: self.scrubber.value(partial.attributes),
            url: partial.url.map(|url| self.scrubber.text(&url)),
            schema: partial.schema,
        };
        match self.replay.pop_front() {
            Some(TapeRecord::Checkpoint(recorded)) if *recorded == partial => return Ok(()),
            Some(_) => return self.diverged(),
            None => {}
        }
        let owned = lock(&self.progress).owned.clone();
        let record =
            crate::call::filled(draft.clone(), &partial, owned, self.run.ports.clock.now_ms());
        self.write(&TapeRecord::Checkpoint(Box::new(partial)), true).await?;
        let entry = Entry::Checkpoint { call: self.facts.call.clone(), record: Box::new(record) };
        self.run
            .ports
            .store
            .append(&entry)
            .await
            .map_err(|error| Abort(format!("the journal cannot be written: {error}")))
    }

    async fn log(&mut self, message: String) -> Result<(), Abort> {
        if let Some(message) = self.line(&message) {
            self.run
                .ports
                .events
                .event(Event::Log { service: self.facts.service.clone(), message });
        }
        Ok(())
    }

    async fn now_ms(&mut self) -> Result<f64, Abort> {
        match self.replay.pop_front() {
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
        match self.replay.pop_front() {
            Some(TapeRecord::Waited(waited)) if waited == ms => Ok(()),
            Some(_) => self.diverged(),
            None => {
                self.go_on()?;
                let sleep = self.run.ports.clock.sleep(Duration::from_millis(u64::from(ms)));
                let stop = self.run.stop.clone();
                if let Either::Right(_) = select(sleep, std::pin::pin!(stop.stopped())).await {
                    return Err(interrupted());
                }
                self.write(&TapeRecord::Waited(ms), false).await
            }
        }
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort> {
        match self.replay.pop_front() {
            Some(TapeRecord::Random(bytes)) if bytes.len() == count as usize => Ok(bytes),
            Some(_) => self.diverged(),
            None => {
                let bytes = self.run.ports.clock.random(count.min(1024) as usize);
                self.write(&TapeRecord::Random(bytes.clone()), false).await?;
                Ok(bytes)
            }
        }
    }
}
