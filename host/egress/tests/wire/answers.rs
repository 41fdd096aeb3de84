//! Answers: good ones, and every way for one to be too much or nonsense.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ss_egress::{EgressOptions, HttpEgress};
use ss_ports::Egress;

use crate::server::{Server, Step, answer, answer_with};
use crate::support::{
    HastyClock, assert_failure, body, egress, egress_with, failure_of, get, hurried, once, post,
    status,
};

fn small_caps() -> EgressOptions {
    EgressOptions { body_bytes_max: 1000, header_bytes_max: 8 * 1024, ..EgressOptions::default() }
}

#[tokio::test]
async fn the_whole_request_arrives_and_the_whole_answer_comes_back() {
    let headers = "content-type: application/json\r\nX-Two: a\r\nx-two: b\r\n";
    let server = Server::start(vec![Step::Answer(answer_with(201, headers, "{\"id\":1}"))]).await;
    let exchange = egress().send(post(server.url(), "{\"name\":\"x\"}")).await;
    assert_eq!((status(&exchange), body(&exchange)), (201, &b"{\"id\":1}"[..]));
    assert_eq!((exchange.attempts, exchange.bytes), (1, 8));
    let headers = &exchange.result.unwrap().headers;
    assert_eq!(
        (headers["content-type"].as_str(), headers["x-two"].as_str()),
        ("application/json", "a, b")
    );

    let log = server.log();
    let request = &log.requests[0];
    assert!(request.starts_with("POST /v2/projects HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"name\":\"x\"}"), "{request}");
    for line in [
        format!("host: {}", server.address),
        "authorization: Bearer canary-token".to_owned(),
        "accept: application/json".to_owned(),
        "accept-encoding: identity".to_owned(),
        "content-type: application/json".to_owned(),
        format!("user-agent: starsystem/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(request.lines().any(|sent| sent == line), "{line}\n{request}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_goes_there() {
    let elsewhere = Server::start(Vec::new()).await;
    let location = format!("location: {}\r\n", elsewhere.url());
    let script =
        [301, 302, 303, 307, 308].map(|status| Step::Answer(answer_with(status, &location, "")));
    let server = Server::start(script.to_vec()).await;
    let egress = egress();
    for expected in [301, 302, 303, 307, 308] {
        let exchange = egress.send(get(server.url())).await;
        assert_eq!(status(&exchange), expected);
        assert_eq!(exchange.result.unwrap().headers["location"], elsewhere.url());
    }
    assert_eq!(elsewhere.log().connections, 0);
}

#[tokio::test]
async fn a_body_at_the_cap_passes_and_one_byte_more_does_not() {
    let full = "x".repeat(1000);
    let more = "x".repeat(1001);
    let chunked = |body: &str| {
        let (half, rest) = body.split_at(500);
        let rest_length = rest.len();
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1f4\r\n{half}\r\n{rest_length:x}\r\n{rest}\r\n0\r\n\r\n"
        )
    };
    let until_close = |body: &str| format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let egress = egress_with(small_caps());
    for good in [answer(200, &full), chunked(&full).into_bytes(), until_close(&full).into_bytes()] {
        let server = Server::start(vec![Step::AnswerAndClose(good)]).await;
        assert_eq!(egress.send(get(server.url())).await.bytes, 1000);
    }
    for bad in [answer(200, &more), chunked(&more).into_bytes(), until_close(&more).into_bytes()] {
        let server = Server::start(vec![Step::AnswerAndClose(bad)]).await;
        assert_failure!(failure_of(&egress, get(server.url())).await, TooLarge);
        assert_eq!(server.log().requests.len(), 1, "asked again for what is too large");
    }
}

#[tokio::test]
async fn an_announced_giant_is_refused_before_it_is_read() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n".to_vec();
    // It never comes: only the announcement can be the reason.
    let server = Server::start(vec![Step::Answer(head)]).await;
    assert_failure!(failure_of(&egress(), get(server.url())).await, TooLarge);
}

#[tokio::test]
async fn an_endless_body_ends_at_the_cap() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let server = Server::start(vec![Step::Drip([head, vec![b'x'; 995]].concat())]).await;
    assert_failure!(failure_of(&egress_with(small_caps()), get(server.url())).await, TooLarge);
}

#[tokio::test]
async fn a_head_request_may_speak_of_a_giant() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n".to_vec();
    let server = Server::start(vec![Step::Answer(head)]).await;
    let mut request = get(server.url());
    request.method = "HEAD".into();
    let exchange = egress().send(request).await;
    assert_eq!((status(&exchange), exchange.bytes), (200, 0));
}

#[tokio::test]
async fn too_many_headers_are_no_answer() {
    let egress = egress_with(small_caps());
    let long = format!("x-long: {}\r\n", "x".repeat(9 * 1024));
    let many = "x-many: 1\r\n".repeat(200);
    for headers in [long, many] {
        let server = Server::start(vec![Step::Answer(answer_with(200, &headers, "{}"))]).await;
        assert_failure!(failure_of(&egress, post(server.url(), "{}")).await, Lost);
    }
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for garbage in [
        &b"HELLO\r\n\r\n"[..],
        b"HTTP/1.1 999999 No\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nabcdefg",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b",
    ] {
        let server = Server::start(vec![Step::AnswerAndClose(garbage.to_vec())]).await;
        let error = failure_of(&egress(), post(server.url(), "{}")).await;
        assert!(matches!(error, ss_ports::EgressError::Lost(_)), "{garbage:?}: {error:?}");
        assert_eq!(server.log().requests.len(), 1);
    }
}

#[tokio::test]
async fn silence_and_dripping_run_out_of_time() {
    let dripping_body = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec();
    let dripping_head = b"HTTP/1.1 200 OK\r\nx-slow: ".to_vec();
    for step in [Step::Silence, Step::Drip(dripping_body), Step::Drip(dripping_head)] {
        let server = Server::start(vec![step]).await;
        assert_failure!(failure_of(&egress(), hurried(get(server.url()))).await, Lost);
        assert_eq!(server.log().requests.len(), 1);
    }
}

#[tokio::test]
async fn a_locked_vendor_is_asked_again_when_it_says() {
    let locked = answer_with(423, "Retry-After: 3\r\n", "{}");
    let script = vec![Step::Answer(locked), Step::Answer(answer(201, "{}"))];
    let server = Server::start(script).await;
    let clock = Arc::new(HastyClock::default());
    let egress = HttpEgress::new(EgressOptions::default(), Arc::clone(&clock) as _);
    let exchange = egress.send(post(server.url(), "{\"n\":1}")).await;
    assert_eq!((status(&exchange), exchange.attempts), (201, 2));
    assert_eq!(clock.slept_ms.load(Ordering::SeqCst), 3_000);
    // The same request, whole, both times.
    assert_eq!(server.log().count("{\"n\":1}"), 2);
}

#[tokio::test]
async fn a_status_that_promises_nothing_is_not_asked_again() {
    let server = Server::start(vec![Step::Answer(answer(500, "{}"))]).await;
    assert_eq!(status(&egress().send(post(server.url(), "{}")).await), 500);
    assert_eq!(status(&egress().send(once(get(server.url()))).await), 200);
    assert_eq!(server.log().requests.len(), 2);
}
