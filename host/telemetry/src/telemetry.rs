//! The trace of one command: which spans there are, how they hang together, what they say.
//!
//! `ss.cli.<command>` → `ss.<command>` → `ss.provision.<type>` → one span per request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ss_core::ident::ServiceId;
use ss_core::record::DeployHeader;
use ss_ports::{EgressError, Event, Exchange, HttpRequest};

use crate::config::Config;
use crate::exporter::Exporter;
use crate::ids::{hex, traceparent};
use crate::span::{Kind, Span, Status, Value};

/// Traces one command from its first moment to its last.
pub struct Telemetry {
    command: &'static str,
    config: Arc<Config>,
    exporter: Exporter,
    spans: Mutex<Spans>,
}

/// The spans that are open.
struct Spans {
    root: Option<Span>,
    run: Option<Span>,
    services: BTreeMap<ServiceId, Span>,
    deploy: Option<String>,
}

impl Telemetry {
    /// Begins the root span, `ss.cli.<command>`.
    pub fn begin(command: &'static str, config: Config) -> Arc<Self> {
        let parent = config.parent.map(|parent| parent.span);
        let root = Span::begin(format!("ss.cli.{command}"), Kind::Internal, parent);
        let spans = Spans { root: Some(root), run: None, services: BTreeMap::new(), deploy: None };
        let config = Arc::new(config);
        let exporter = Exporter::start(config.clone());
        Arc::new(Self { command, config, exporter, spans: Mutex::new(spans) })
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hex(&self.config.trace)
    }

    /// Begins the run's span, `ss.<command>`.
    pub fn run(&self, header: &DeployHeader) {
        let mut spans = self.spans();
        let deploy = header.id.as_str().to_owned();
        let parent = spans.root.as_ref().map(|root| root.id);
        let mut run = Span::begin(format!("ss.{}", self.command), Kind::Internal, parent);
        for span in [&mut run].into_iter().chain(spans.root.as_mut()) {
            span.set("ss.deploy.id", deploy.as_str());
            span.set("ss.system", header.system.as_str());
            span.set("ss.environment", header.environment.as_str());
        }
        spans.run = Some(run);
        spans.deploy = Some(deploy);
    }

    /// Ends every span and sends what is left. Gives what went wrong, for a warning.
    ///
    /// It waits for a collector that has answered during this run, four times as long as the slowest answer took and a
    /// second at most; 0.3 s for one that had no time to answer yet; not at all for one that failed or keeps silent.
    pub fn finish(&self, exit_code: u8) -> Option<String> {
        let (root, run, services) = {
            let mut spans = self.spans();
            (spans.root.take(), spans.run.take(), std::mem::take(&mut spans.services))
        };
        for span in services.into_values() {
            self.exporter.export(span.end(Status::Error("it did not end".to_owned())));
        }
        let status = || match exit_code {
            0 => Status::Ok,
            code => Status::Error(format!("exit code {code}")),
        };
        for mut span in run.into_iter().chain(root) {
            span.set("process.exit.code", i64::from(exit_code));
            self.exporter.export(span.end(status()));
        }
        self.exporter.finish()
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hear(&self, event: &Event) {
        let mut spans = self.spans();
        match event {
            Event::Started { service, provider, action } => {
                let span = spans.begin_service(service, provider, action.as_str());
                if let Some(left) = spans.services.insert(service.clone(), span) {
                    self.exporter.export(left.end(Status::Unset));
                }
            }
            Event::Step { service, message } => {
                if let Some(span) = spans.services.get_mut(service) {
                    span.note(message, Vec::new());
                }
            }
            Event::Log { .. } | Event::Waiting { .. } => {}
            Event::Finished { service, result, .. } => {
                let Some(span) = spans.services.remove(service) else { return };
                let status = match result {
                    Ok(_) => Status::Ok,
                    Err(why) => Status::Error(why.clone()),
                };
                self.exporter.export(span.end(status));
            }
            Event::Blocked { service, by } => {
                if let Some(run) = &mut spans.run {
                    let text =
                        |name: &str, id: &ServiceId| (name.to_owned(), Value::from(id.as_str()));
                    run.note(
                        "blocked",
                        vec![text("ss.service.id", service), text("ss.blocked.by", by)],
                    );
                }
            }
        }
    }

    /// The span of a request, and the header that goes with it.
    pub(crate) fn request(&self, request: &HttpRequest) -> (Span, Option<String>) {
        let spans = self.spans();
        let service = request.service.as_ref();
        let parent = service.and_then(|service| spans.services.get(service));
        let parent = parent.or(spans.run.as_ref()).or(spans.root.as_ref());
        let name = format!("{} {}", request.method, request.route);
        let mut span = Span::begin(name, Kind::Client, parent.map(|parent| parent.id));
        for (name, value) in [
            ("http.request.method", request.method.as_str()),
            // The route as the manifest has it: never a value, so never a secret.
            ("http.route", request.route.as_str()),
            ("ss.connection", request.connection.as_str()),
            ("ss.operation", request.operation.as_str()),
        ] {
            span.set(name, value);
        }
        if let Some(service) = service {
            span.set("ss.service.id", service.as_str());
        }
        if let Some(deploy) = &spans.deploy {
            span.set("ss.deploy.id", deploy.as_str());
        }
        let header = self.config.propagate.then(|| traceparent(&self.config.trace, &span.id));
        (span, header)
    }

    pub(crate) fn answered(&self, mut span: Span, exchange: &Exchange) {
        if exchange.attempts > 1 {
            span.set("http.request.resend_count", i64::from(exchange.attempts) - 1);
        }
        let status = match &exchange.result {
            Ok(reply) => {
                span.set("http.response.status_code", i64::from(reply.status));
                span.set(
                    "http.response.body.size",
                    i64::try_from(exchange.bytes).unwrap_or(i64::MAX),
                );
                if reply.status >= 400 {
                    span.set("error.type", reply.status.to_string().as_str());
                    Status::Error(String::new())
                } else {
                    Status::Unset
                }
            }
            Err(error) => {
                let kind = match error {
                    EgressError::Refused(_) => "refused",
                    EgressError::Unreachable(_) => "unreachable",
                    EgressError::Lost(_) => "lost",
                    EgressError::TooLarge(_) => "too-large",
                };
                span.set("error.type", kind);
                Status::Error(kind.to_owned())
            }
        };
        self.exporter.export(span.end(status));
    }
}

impl Spans {
    fn begin_service(&self, service: &ServiceId, provider: &str, action: &str) -> Span {
        let parent = self.run.as_ref().or(self.root.as_ref()).map(|parent| parent.id);
        let mut span = Span::begin(format!("ss.provision.{provider}"), Kind::Internal, parent);
        span.set("ss.service.id", service.as_str());
        span.set("ss.action", action);
        if let Some(deploy) = &self.deploy {
            span.set("ss.deploy.id", deploy.as_str());
        }
        span
    }
}
