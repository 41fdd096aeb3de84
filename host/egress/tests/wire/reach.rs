//! Where requests may go, with name servers that lie.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ss_egress::{EgressOptions, HttpEgress, Resolver};
use ss_ports::{Egress, EgressError};

use crate::server::Server;
use crate::support::{assert_failure, egress, egress_with, failure_of, get, post};

/// A name server that always says the same.
pub struct Always(pub Vec<IpAddr>);

#[async_trait]
impl Resolver for Always {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

/// A name server that says something else each time, and then knows nothing.
struct Changing(Mutex<VecDeque<Vec<IpAddr>>>);

#[async_trait]
impl Resolver for Changing {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lock().unwrap().pop_front().ok_or_else(|| io::Error::other("no such name"))
    }
}

fn asking(resolver: impl Resolver + 'static) -> HttpEgress {
    egress_with(EgressOptions { resolver: Arc::new(resolver), ..EgressOptions::default() })
}

fn addresses(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn out(url: &str) -> ss_ports::HttpRequest {
    let mut request = get(url);
    request.local = false;
    request
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_checked_each_time() {
    let answers = [
        "169.254.169.254",
        "::ffff:127.0.0.1",
        "127.0.0.1",
        "10.0.0.1",
        "0.0.0.0",
        "::1",
        "fd00:ec2::254",
        // One good address does not make up for a bad one, in whatever order.
        "1.1.1.1 127.0.0.1",
        "127.0.0.1 1.1.1.1",
        "2606:4700:4700::1111 64:ff9b::a9fe:a9fe",
    ];
    let server = Server::start(Vec::new()).await;
    let url = format!("https://api.vendor.test:{}/", server.address.port());
    let egress = asking(Changing(Mutex::new(answers.map(addresses).into())));
    for answer in answers {
        let exchange = egress.send(out(&url)).await;
        assert_eq!(exchange.attempts, 1, "{answer}");
        assert!(matches!(exchange.result, Err(EgressError::Refused(_))), "{answer}: {exchange:?}");
    }
    // The list is used up: every answer was asked for, and a name that is unknown is another matter.
    assert_failure!(failure_of(&egress, out(&url)).await, Unreachable);
    assert_eq!(server.log().connections, 0);
}

#[tokio::test]
async fn a_name_without_addresses_is_unreachable() {
    let egress = asking(Always(Vec::new()));
    assert_failure!(failure_of(&egress, out("https://api.vendor.test/")).await, Unreachable);
}

#[tokio::test]
async fn the_systems_resolver_is_not_trusted_either() {
    let server = Server::start(Vec::new()).await;
    let port = server.address.port();
    // Spellings that only the system's resolver understands, and names it knows by itself.
    for host in ["localhost", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "0"] {
        let error = failure_of(&egress(), out(&format!("https://{host}:{port}/"))).await;
        // A resolver that does not know the spelling is as good.
        let kept_in = matches!(error, EgressError::Refused(_) | EgressError::Unreachable(_));
        assert!(kept_in, "{host}: {error:?}");
    }
    assert_failure!(
        failure_of(&egress(), out(&format!("https://localhost:{port}/"))).await,
        Refused
    );
    assert_eq!(server.log().connections, 0);
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let server = Server::start(Vec::new()).await;
    let exchange = egress().send(out(&server.url())).await;
    assert_eq!(exchange.attempts, 0);
    assert!(matches!(exchange.result, Err(EgressError::Refused(_))), "{exchange:?}");
    let egress = asking(Always(addresses("1.1.1.1")));
    for (url, local) in [
        ("http://api.vendor.test/", false),
        ("http://api.vendor.test/", true),
        ("https://api.vendor.test/", true),
        ("http://1.1.1.1/", true),
    ] {
        let mut request = post(url, "{}");
        request.local = local;
        assert_failure!(failure_of(&egress, request).await, Refused);
    }
    assert_eq!(server.log().connections, 0);
}

#[tokio::test]
async fn localhost_is_this_machine_whatever_the_name_server_says() {
    let server = Server::start(Vec::new()).await;
    let egress = asking(Always(addresses("1.1.1.1")));
    let url = format!("http://localhost:{}/", server.address.port());
    assert!(egress.send(get(url)).await.result.is_ok());
    assert_eq!(server.log().requests.len(), 1);
}
