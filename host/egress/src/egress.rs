//! The port's implementation: check, be polite, attempt.

use std::sync::Arc;

use async_trait::async_trait;
use ss_ports::{Clock, Egress, EgressError, Exchange, HttpRequest};

use crate::client::Clients;
use crate::destination::Destination;
use crate::limits::Limits;
use crate::options::EgressOptions;
use crate::polite::Politeness;

/// Sends requests over HTTP. Needs a Tokio runtime with time and I/O when it sends, and nothing before.
pub struct HttpEgress {
    clients: Clients,
    politeness: Politeness,
}

impl HttpEgress {
    /// Costs nothing: TLS, resolver and pools are made when the first request needs them.
    pub fn new(options: EgressOptions, clock: Arc<dyn Clock>) -> Self {
        let on_wait = options.on_wait.clone();
        let politeness = Politeness { clock, limits: Limits::default(), on_wait };
        Self { clients: Clients::new(options), politeness }
    }
}

#[async_trait]
impl Egress for HttpEgress {
    async fn send(&self, request: HttpRequest) -> Exchange {
        let destination = match Destination::parse(&request.url, request.local) {
            Ok(destination) => destination,
            Err(refused) => return never_tried(refused),
        };
        let attempt = |limit| self.clients.attempt(&request, &destination, limit);
        self.politeness.send(&request, &destination.origin(), attempt).await
    }
}

fn never_tried(refused: EgressError) -> Exchange {
    Exchange { result: Err(refused), attempts: 0, bytes: 0, duration_ms: 0 }
}
