//! Connections are kept, and kept apart.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ss_egress::EgressOptions;
use ss_ports::Egress;

use crate::reach::Always;
use crate::server::Server;
use crate::support::{assert_failure, egress, egress_with, failure_of, get, post, status};
use crate::tls::Authority;

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start(Vec::new()).await;
    let egress = egress();
    for _ in 0..20 {
        assert_eq!(status(&egress.send(get(server.url())).await), 200);
        assert_eq!(status(&egress.send(post(server.url(), "{}")).await), 200);
    }
    assert_eq!((server.log().connections, server.log().requests.len()), (1, 40));
}

#[tokio::test]
async fn a_kept_local_connection_is_not_there_for_others() {
    let authority = Authority::new();
    let server = Server::start_tls(Vec::new(), authority.acceptor(&["localhost"], &[])).await;
    let egress = egress_with(EgressOptions {
        extra_roots: vec![authority.root()],
        resolver: Arc::new(Always(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])),
        ..EgressOptions::default()
    });
    let mut request = get(format!("https://localhost:{}/", server.address.port()));
    assert_eq!(status(&egress.send(request.clone()).await), 200);
    request.local = false;
    assert_failure!(failure_of(&egress, request).await, Refused);
    assert_eq!(server.log().requests.len(), 1);
}
