//! TLS: who is believed, and HTTP/2 over it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ss_egress::{EgressOptions, HttpEgress};
use ss_ports::Egress;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::server::Server;
use crate::support::{assert_failure, egress_with, failure_of, get, once, post, status};

/// Somebody who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What those who believe it hold.
    pub fn root(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A server's side of TLS, with a certificate for the names.
    pub fn acceptor(&self, names: &[&str], protocols: &[&[u8]]) -> TlsAcceptor {
        self.acceptor_for(params(names), protocols)
    }

    fn acceptor_for(&self, params: CertificateParams, protocols: &[&[u8]]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        acceptor(certificate.der().clone(), &key, protocols)
    }

    fn believed_by(&self) -> HttpEgress {
        egress_with(EgressOptions { extra_roots: vec![self.root()], ..EgressOptions::default() })
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

fn acceptor(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    protocols: &[&[u8]],
) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    );
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/", server.address.port())
}

#[tokio::test]
async fn a_good_certificate_is_believed() {
    let authority = Authority::new();
    let server = Server::start_tls(Vec::new(), authority.acceptor(&["localhost"], &[])).await;
    let egress = authority.believed_by();
    for _ in 0..5 {
        assert_eq!(status(&egress.send(post(url(&server), "{}")).await), 200);
    }
    assert_eq!((server.log().connections, server.log().requests.len()), (1, 5));
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_refused_at_once() {
    let authority = Authority::new();
    let mut expired = params(&["localhost"]);
    expired.not_before = date_time_ymd(2001, 1, 1);
    expired.not_after = date_time_ymd(2002, 1, 1);
    let key = KeyPair::generate().unwrap();
    let self_signed = params(&["localhost"]).self_signed(&key).unwrap();
    for (what, acceptor) in [
        ("another name", authority.acceptor(&["other.test"], &[])),
        ("a stranger's signature", Authority::new().acceptor(&["localhost"], &[])),
        ("expired", authority.acceptor_for(expired, &[])),
        ("self-signed", acceptor(self_signed.der().clone(), &key, &[])),
    ] {
        let server = Server::start_tls(Vec::new(), acceptor).await;
        let exchange = authority.believed_by().send(post(url(&server), "{}")).await;
        assert_eq!(exchange.attempts, 1, "{what}: trying again cannot help");
        assert_failure!(exchange.result.unwrap_err(), Refused);
        assert!(server.log().requests.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn without_additional_roots_only_the_webs_are_believed() {
    let authority = Authority::new();
    let server = Server::start_tls(Vec::new(), authority.acceptor(&["localhost"], &[])).await;
    let egress = egress_with(EgressOptions::default());
    assert_failure!(failure_of(&egress, post(url(&server), "{}")).await, Refused);
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_before_anything_else() {
    let egress =
        egress_with(EgressOptions { extra_roots: vec![vec![1, 2, 3]], ..EgressOptions::default() });
    assert_failure!(failure_of(&egress, get("https://localhost:9/")).await, Refused);
}

#[tokio::test]
async fn a_server_without_tls_is_unreachable_over_https() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let babbler = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 welcome\r\n\r\n").await;
        }
    });
    let egress = egress_with(EgressOptions::default());
    let request = once(post(format!("https://localhost:{}/", address.port()), "{}"));
    assert_failure!(failure_of(&egress, request).await, Unreachable);
    babbler.abort();
}

/// An HTTP/2 server that counts connections and requests, and may hang up in the middle of each.
struct Http2 {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Answer,
    HangUp,
}

impl Http2 {
    async fn start(acceptor: TlsAcceptor, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, requests) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.0.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(serve(acceptor.clone(), stream, Arc::clone(&counts.1), then));
            }
        });
        Self { port, connections, requests, task }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }

    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: tokio::net::TcpStream,
    requests: Arc<AtomicUsize>,
    then: Then,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let (hang_up, mut hung_up) = tokio::sync::mpsc::channel::<()>(1);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (requests, hang_up) = (Arc::clone(&requests), hang_up.clone());
        async move {
            assert_eq!(request.version(), http::Version::HTTP_2);
            requests.fetch_add(1, Ordering::SeqCst);
            if then == Then::HangUp {
                let _ = hang_up.send(()).await;
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"{}"))))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        _ = hung_up.recv() => {}
    }
}

#[tokio::test]
async fn http2_serves_many_requests_over_one_connection() {
    let authority = Authority::new();
    let server = Http2::start(authority.acceptor(&["localhost"], &[b"h2"]), Then::Answer).await;
    let egress = authority.believed_by();
    assert_eq!(status(&egress.send(get(server.url())).await), 200);
    let together = (0..20).map(|_| egress.send(post(server.url(), "{}")));
    for exchange in futures_util::future::join_all(together).await {
        assert_eq!(status(&exchange), 200);
    }
    assert_eq!(server.counts(), (1, 21));
}

#[tokio::test]
async fn http2_cut_in_the_middle_is_lost_and_not_repeated() {
    let authority = Authority::new();
    let server = Http2::start(authority.acceptor(&["localhost"], &[b"h2"]), Then::HangUp).await;
    let egress = authority.believed_by();
    assert_failure!(failure_of(&egress, post(server.url(), "{}")).await, Lost);
    assert_eq!(server.counts(), (1, 1));
    let exchange = egress.send(get(server.url())).await;
    assert_eq!(exchange.attempts, 3);
    assert_failure!(exchange.result.unwrap_err(), Lost);
    assert_eq!(server.counts(), (4, 4));
}
