//! Sending one request of a provisioner, in the order that makes the promises hold: decide, write it down (durably,
//! when it is unsafe), fill, send, take secrets out, scrub, write the answer down, answer.

use serde_json::Value;
use ss_core::record::RequestLine;
use ss_core::redact::{Redacted, Secret};
use ss_core::text::printable;
use ss_gate::call::{Call, CallFailure, CallFailureKind, NamedSecret, Param, Reply};
use ss_gate::decide::{Context, Denial, Origin, Permit, Rule, decide};
use ss_gate::manifest::{Manifest, Rate};
use ss_gate::owned::{learn, learn_named};
use ss_gate::secrets::{Captured, capture, fill};
use ss_ports::{Abort, EgressError, Exchange, HttpReply, HttpRequest, RetryRules, TapeRecord};

use crate::run::lock;
use crate::session::Session;
use crate::tokens;

/// The reply header in which a plugin that asks for it finds the URL that was really used.
const URL_HEADER: &str = "x-ss-url";

type Answer = Result<Reply, CallFailure>;

impl Session {
    /// Sends a call that is not, or not wholly, on the tape. `recorded`: the tape ends with this very request.
    pub(crate) async fn send_live(&mut self, call: Call, recorded: bool) -> Result<Answer, Abort> {
        self.go_on()?;
        let manifest = self.facts.manifest.clone();
        let room = self.check_tape(&call).await;
        let decided = room.and_then(|()| self.decide(&manifest, &call));
        let (permit, body) =
            match decided.and_then(|permit| Ok((self.body(&permit, &call)?, permit))) {
                Ok((body, permit)) => (permit, body),
                Err(denial) => return self.refuse(call, denial, recorded).await,
            };
        let authorization = self.authorization(&manifest, &permit).await?;
        let is_unsafe = !permit.operation.route.is_read();
        let writes = is_unsafe && !permit.operation.repeatable;
        if !recorded {
            self.write(&TapeRecord::Request { call: call.clone(), writes }, is_unsafe).await?;
        }
        // After the last wait: writing the tape may have taken longer than the lease lasts.
        if is_unsafe && let Err(error) = self.run.check_lease() {
            return self.abort(error.into());
        }
        let request = self.request(&permit, &call, authorization, body);
        let url = request.url.clone();
        let (reply, secrets) = match self.exchange(&permit, request).await {
            Ok(reply) if writes && is_unreadable(&permit, &reply) => {
                (Err(unreadable(&call)), Vec::new())
            }
            Ok(reply) => {
                let (reply, captured) = self.receive(&permit, &call, &url, reply);
                (Ok(reply), captured)
            }
            Err(error) => (Err(self.call_failure(&permit, writes, &error)), Vec::new()),
        };
        // A reply to a write holds what only this machine knows now: an id, a password.
        let durable = writes || !secrets.is_empty();
        self.write(&TapeRecord::Reply { reply: reply.clone(), secrets }, durable).await?;
        Ok(reply)
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

    /// The body with its secrets.
    fn body(&self, permit: &Permit<'_>, call: &Call) -> Result<Option<Value>, Denial> {
        let progress = lock(&self.progress);
        let fills = call.fill.iter().filter_map(|f| {
            let (secret, _) = progress.secrets.get(f.value as usize)?;
            Some((f.pointer.as_str(), secret))
        });
        fill(permit.body.clone(), fills).map_err(|pointer| Denial {
            rule: Rule::Secret,
            operation: call.operation.clone(),
            message: format!("the body has no place for a secret at `{pointer}`"),
        })
    }

    async fn authorization(
        &mut self,
        manifest: &Manifest,
        permit: &Permit<'_>,
    ) -> Result<Option<Secret>, Abort> {
        let service = &self.facts.service;
        match tokens::authorization(&self.run, service, manifest, permit.connection).await {
            Ok(authorization) => {
                if let Some(authorization) = &authorization {
                    self.add_token(authorization);
                }
                Ok(authorization)
            }
            Err(failure) => self.abort(failure),
        }
    }

    /// The answer to a refused call; recorded like any other, so that a replay meets it again.
    async fn refuse(
        &mut self,
        call: Call,
        denial: Denial,
        recorded: bool,
    ) -> Result<Answer, Abort> {
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
            error: Some(self.safe(&denial.to_string())),
            ms: 0,
            bytes: 0,
            attempts: 0,
        });
        let failure = CallFailure { kind: CallFailureKind::Denied, message: denial.to_string() };
        {
            let mut progress = lock(&self.progress);
            progress.denied_first.get_or_insert_with(|| denial.clone());
            progress.denied = Some(denial);
        }
        if !recorded {
            self.write(&TapeRecord::Request { call, writes: false }, false).await?;
        }
        let reply = TapeRecord::Reply { reply: Err(failure.clone()), secrets: Vec::new() };
        self.write(&reply, false).await?;
        Ok(Err(failure))
    }

    fn request(
        &self,
        permit: &Permit<'_>,
        call: &Call,
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
            service: Some(self.facts.service.clone()),
            route: operation.route.path(),
            method: operation.route.method().to_owned(),
            url: permit.url(base),
            local: overridden.is_some_and(|to| to.local),
            authorization,
            headers: permit.headers.clone(),
            body: body.map(|body| Redacted::new(body.to_string().into_bytes())),
            timeout_ms: operation.timeout_ms.unwrap_or(30_000),
            retry: RetryRules {
                safe,
                always,
                answers: operation.answers.clone(),
                attempts,
                total_ms: 300_000,
            },
            rate: operation.rate.clone().map(|rate| {
                let key = rate_key(call, &rate);
                (rate, key)
            }),
        }
    }

    async fn exchange(
        &self,
        permit: &Permit<'_>,
        request: HttpRequest,
    ) -> Result<HttpReply, EgressError> {
        let is_unsafe = !permit.operation.route.is_read();
        let wrote = {
            let mut progress = lock(&self.progress);
            progress.usage = permit.usage;
            progress.denied = None;
            // Before it is sent: the provisioner may be out of time while its request is under way.
            let wrote = progress.wrote;
            progress.wrote |= is_unsafe;
            wrote
        };
        let exchange = self.run.ports.egress.send(request).await;
        self.account(permit, &exchange);
        if changed_nothing(&exchange) {
            lock(&self.progress).wrote = wrote;
        }
        exchange.result
    }

    fn account(&self, permit: &Permit<'_>, exchange: &Exchange) {
        self.run.record_request(RequestLine {
            service: self.facts.service.clone(),
            operation: permit.operation.name.clone(),
            method: permit.operation.route.method().to_owned(),
            route: self.safe(&permit.path),
            status: exchange.result.as_ref().ok().map(|reply| reply.status),
            error: exchange.result.as_ref().err().map(|error| self.safe(&error.to_string())),
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
        let is_success = (200..300).contains(&reply.status);
        let first = u32::try_from(lock(&self.progress).secrets.len()).unwrap_or(u32::MAX);
        let mut parsed = serde_json::from_slice::<Value>(reply.body.expose()).ok();
        let mut captured = Vec::new();
        if let Some(body) = &mut parsed {
            captured = capture(body, &operation.secrets, first);
            if is_success {
                self.learn(permit, call, body);
            }
        }
        self.add_secrets(captured.iter().map(|found| (found.value.clone(), Origin::Captured)));
        let body = match parsed {
            // String by string, so that it makes no difference how the vendor escapes them.
            Some(body) => self.scrubber().value(body).to_string().into_bytes(),
            // A body that should hold secrets and is no JSON cannot be searched for them, so nobody sees it.
            None if !operation.secrets.is_empty() && is_success => Vec::new(),
            None => reply.body.expose().clone(),
        };
        let seen = Reply {
            status: reply.status,
            headers: self.headers(permit, url, &reply),
            body: self.scrubber().bytes(body),
            captured: named(&captured, first),
        };
        (seen, captured.into_iter().map(|found| found.value.expose().clone()).collect())
    }

    fn learn(&self, permit: &Permit<'_>, call: &Call, body: &Value) {
        let owned = &mut lock(&self.progress).owned;
        let (connection, operation) = (permit.connection, permit.operation);
        learn(owned, connection, operation, call, permit.body.as_ref(), body, &self.facts.mark);
        if let Some(named) = &self.facts.named {
            learn_named(owned, connection, operation, call, body, named);
        }
    }

    fn headers(&self, permit: &Permit<'_>, url: &str, reply: &HttpReply) -> Vec<Param> {
        let declared = &permit.operation.reply_headers;
        let mut headers: Vec<Param> = reply
            .headers
            .iter()
            .filter(|(name, _)| *name == "retry-after" || declared.contains(name))
            .map(|(name, value)| Param { name: name.clone(), value: self.scrubber().text(value) })
            .collect();
        if declared.iter().any(|name| name == URL_HEADER) {
            headers.push(Param { name: URL_HEADER.to_owned(), value: url.to_owned() });
        }
        headers
    }

    fn call_failure(&self, permit: &Permit<'_>, writes: bool, error: &EgressError) -> CallFailure {
        let kind = match error {
            EgressError::Refused(_) => CallFailureKind::Denied,
            EgressError::Unreachable(_) => CallFailureKind::Unreachable,
            EgressError::TooLarge(_) if !writes => CallFailureKind::TooLarge,
            EgressError::Lost(_) if !writes => CallFailureKind::TimedOut,
            EgressError::Lost(_) | EgressError::TooLarge(_) => CallFailureKind::OutcomeUnknown,
        };
        let why = self.scrubber().text(&error.to_string());
        let message = format!("{} ({}): {why}", permit.operation.name, permit.connection.name);
        CallFailure { kind, message }
    }
}

/// Whether the request certainly had no effect: it was not sent, or the vendor turned it down at the first attempt.
fn changed_nothing(exchange: &Exchange) -> bool {
    match &exchange.result {
        Err(EgressError::Refused(_) | EgressError::Unreachable(_)) => true,
        Err(EgressError::Lost(_) | EgressError::TooLarge(_)) => false,
        Ok(reply) => {
            exchange.attempts <= 1 && matches!(reply.status, 400..=405 | 410 | 415 | 422 | 429)
        }
    }
}

/// Whether an answer that should say whose an id is says nothing that can be read. Taken as it is, what was made could never
/// be touched again; so it counts as lost, and the provisioner looks before it goes on.
fn is_unreadable(permit: &Permit<'_>, reply: &HttpReply) -> bool {
    !permit.operation.owns.is_empty()
        && (200..300).contains(&reply.status)
        && serde_json::from_slice::<Value>(reply.body.expose()).is_err()
}

fn unreadable(call: &Call) -> CallFailure {
    CallFailure {
        kind: CallFailureKind::OutcomeUnknown,
        message: format!("the answer to `{}` cannot be read", call.operation),
    }
}

fn named(captured: &[Captured], first: u32) -> Vec<NamedSecret> {
    let numbered = captured.iter().zip(first..);
    numbered.map(|(found, value)| NamedSecret { name: found.pointer.clone(), value }).collect()
}

/// What a rate limit is counted under: the operation, and the values of the parameters that it names.
fn rate_key(call: &Call, rate: &Rate) -> String {
    let value = |name: &String| {
        let found = call.params.iter().find(|param| param.name == *name);
        found.map_or("", |param| param.value.as_str())
    };
    let values: Vec<&str> = rate.per.iter().map(value).collect();
    format!("{}/{}", call.operation, values.join("/"))
}
