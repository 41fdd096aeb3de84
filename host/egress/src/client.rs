//! The HTTP client, made at first use: one pool for the internet and one for this machine.
//!
//! One attempt, one request: nothing here repeats, follows or remembers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use ss_ports::{EgressError, HttpReply, HttpRequest};
use tokio::time::timeout;

use crate::address::Reach;
use crate::destination::Destination;
use crate::failure::{Sent, classify, timed_out};
use crate::options::EgressOptions;
use crate::outgoing;
use crate::reply;
use crate::resolve::CheckedResolver;

/// How long connecting to all of a host's addresses may take; the attempt's own limit may be shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept: less than the five seconds after which the least patient of common servers
/// (Node's) hang up. An unsafe request on a connection that the server is just closing would be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The smallest header bound that the library takes.
const HEADER_BYTES_MIN: usize = 8 * 1024;

type Pool = Client<HttpsConnector<HttpConnector<CheckedResolver>>, Full<Bytes>>;

/// Both pools. They are apart so that a connection to this machine is never there for a request that may not reach it.
pub(crate) struct Clients {
    options: EgressOptions,
    public: OnceLock<Result<Pool, EgressError>>,
    loopback: OnceLock<Result<Pool, EgressError>>,
}

impl Clients {
    pub(crate) fn new(options: EgressOptions) -> Self {
        Self { options, public: OnceLock::new(), loopback: OnceLock::new() }
    }

    /// Sends the request once and reads its answer, all within `limit`.
    pub(crate) async fn attempt(
        &self,
        request: &HttpRequest,
        destination: &Destination,
        limit: Duration,
    ) -> Result<HttpReply, EgressError> {
        let pool = self.pool(destination.reach)?;
        let mut outgoing = outgoing::build(request, destination)?;
        let captured = capture_connection(&mut outgoing);
        let sent = || match *captured.connection_metadata() {
            Some(_) => Sent::Perhaps,
            None => Sent::Nothing,
        };
        let host = destination.host();
        let answer = timeout(limit, async {
            let response = pool.request(outgoing).await;
            let response = response.map_err(|error| classify(&error, sent(), host))?;
            reply::read(response, self.options.body_bytes_max, host).await
        });
        answer.await.unwrap_or_else(|_| Err(timed_out(limit.as_millis(), sent(), host)))
    }

    fn pool(&self, reach: Reach) -> Result<&Pool, EgressError> {
        let slot = match reach {
            Reach::Public => &self.public,
            Reach::Loopback => &self.loopback,
        };
        slot.get_or_init(|| pool(&self.options, reach)).as_ref().map_err(Clone::clone)
    }
}

fn pool(options: &EgressOptions, reach: Reach) -> Result<Pool, EgressError> {
    let resolver = CheckedResolver { resolver: Arc::clone(&options.resolver), reach };
    let mut http = HttpConnector::new_with_resolver(resolver);
    // The connector below it decides about schemes.
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls(&options.extra_roots)?);
    let https = match reach {
        Reach::Public => https.https_only(),
        Reach::Loopback => https.https_or_http(),
    };
    let header_bytes_max = options.header_bytes_max;
    // The library sends a request a second time only when the connection was handed it back unwritten (a kept
    // connection that turned out closed). That is safe for every method, and what keeping connections needs.
    let pool = Client::builder(TokioExecutor::new())
        .retry_canceled_requests(true)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_buf_size(header_bytes_max.max(HEADER_BYTES_MIN))
        .http2_max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
        .build(https.enable_http1().enable_http2().wrap_connector(http));
    Ok(pool)
}

/// Early data is off (rustls' default): a replayed packet must not be a repeated request.
fn tls(extra_roots: &[Vec<u8>]) -> Result<ClientConfig, EgressError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(root.clone().into()).map_err(|error| {
            EgressError::Refused(format!("an additional root certificate is not usable: {error}"))
        })?;
    }
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("ring supports the default versions of TLS"));
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
