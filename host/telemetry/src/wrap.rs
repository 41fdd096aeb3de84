//! The ports, listened to: what passes is traced and otherwise left alone.

use std::sync::Arc;

use async_trait::async_trait;
use ss_ports::{Egress, Event, EventSink, Exchange, HttpRequest};

use crate::telemetry::Telemetry;

impl Telemetry {
    /// An egress whose requests are spans, and carry a `traceparent`.
    pub fn egress(self: &Arc<Self>, egress: Arc<dyn Egress>) -> Arc<dyn Egress> {
        Arc::new(Traced { telemetry: self.clone(), inner: egress })
    }

    /// A sink that hears every event and hands it on.
    pub fn events(self: &Arc<Self>, events: Arc<dyn EventSink>) -> Arc<dyn EventSink> {
        Arc::new(Traced { telemetry: self.clone(), inner: events })
    }
}

struct Traced<P: ?Sized> {
    telemetry: Arc<Telemetry>,
    inner: Arc<P>,
}

#[async_trait]
impl Egress for Traced<dyn Egress> {
    async fn send(&self, mut request: HttpRequest) -> Exchange {
        let (span, header) = self.telemetry.request(&request);
        request.headers.extend(header.map(|value| ("traceparent".to_owned(), value)));
        let exchange = self.inner.send(request).await;
        self.telemetry.answered(span, &exchange);
        exchange
    }
}

impl EventSink for Traced<dyn EventSink> {
    fn event(&self, event: Event) {
        self.telemetry.hear(&event);
        self.inner.event(event);
    }
}
