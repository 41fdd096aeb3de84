//! One export: a POST of some spans, and what the collector makes of it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{Config, Protocol};
use crate::encode;
use crate::span::Span;

const AGENT: &str = concat!("starsystem/", env!("CARGO_PKG_VERSION"));
/// What a collector answers is not looked at, but for its end.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why spans did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// They may be sent again.
    Later(String),
    /// They will not be taken.
    Never(String),
}

impl NotSent {
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Later(why) | Self::Never(why) => why,
        }
    }
}

/// Speaks to the collector; connections are kept.
pub(crate) struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Sender {
    pub(crate) fn new(config: &Config) -> Result<Self, NotSent> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &config.certificate {
            let bad = || NotSent::Never(format!("`{}` holds no certificate", path.display()));
            let found = CertificateDer::pem_file_iter(path).map_err(|_| bad())?;
            for certificate in found {
                roots.add(certificate.map_err(|_| bad())?).map_err(|_| bad())?;
            }
        }
        let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap_or_else(|_| unreachable!("ring supports the default versions of TLS"))
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = https.enable_http1().enable_http2().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Sends the spans once. `Ok` when the collector took them.
    pub(crate) async fn send(&self, config: &Config, spans: &[Span]) -> Result<(), NotSent> {
        let request = request(config, spans)?;
        let whole = tokio::time::timeout(config.timeout, async {
            let response = self.client.request(request).await;
            let response =
                response.map_err(|_| NotSent::Later("it cannot be reached".to_owned()))?;
            let (head, body) = response.into_parts();
            // Read to its end, so that the connection can be used again. What it says is of no use.
            let _ = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            judge(head.status)
        });
        whole.await.unwrap_or_else(|_| Err(NotSent::Later("it does not answer in time".to_owned())))
    }
}

/// As the protocol has it: these four are worth another try.
fn judge(status: StatusCode) -> Result<(), NotSent> {
    let said = || format!("it answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Ok(()),
        429 | 502..=504 => Err(NotSent::Later(said())),
        _ => Err(NotSent::Never(said())),
    }
}

fn request(config: &Config, spans: &[Span]) -> Result<Request<Full<Bytes>>, NotSent> {
    let (kind, body) = match config.protocol {
        Protocol::Protobuf => {
            ("application/x-protobuf", encode::protobuf(&config.trace, &config.resource, spans))
        }
        Protocol::Json => {
            ("application/json", encode::json(&config.trace, &config.resource, spans))
        }
    };
    let body = if config.gzip { gzipped(&body)? } else { body };
    let mut request = Request::post(config.endpoint.clone())
        .header(CONTENT_TYPE, kind)
        .header(ACCEPT, kind)
        .header(USER_AGENT, AGENT)
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| NotSent::Never("its address cannot be asked".to_owned()))?;
    if config.gzip {
        request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in &config.headers {
        request.headers_mut().insert(name.clone(), value.clone());
    }
    Ok(request)
}

fn gzipped(body: &[u8]) -> Result<Vec<u8>, NotSent> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.map_err(|error| NotSent::Never(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_four_answers_are_worth_another_try() {
        let judged = |status| judge(StatusCode::from_u16(status).unwrap());
        assert_eq!(judged(200), Ok(()));
        for status in [429, 502, 503, 504] {
            assert!(matches!(judged(status), Err(NotSent::Later(_))), "{status}");
        }
        for status in [301, 400, 401, 404, 500] {
            assert!(matches!(judged(status), Err(NotSent::Never(_))), "{status}");
        }
    }
}
