//! Broken connections: "never sent" must be true, and nothing unsafe may be sent twice.

use std::time::Duration;

use futures_util::future::join_all;
use ss_ports::{Egress, EgressError};
use tokio::net::TcpListener;

use crate::server::{Server, Step, answer};
use crate::support::{assert_failure, egress, failure_of, get, hurried, once, post, status};

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[tokio::test]
async fn refused_is_unreachable_and_tried_as_often_as_allowed() {
    let url = nobody().await;
    for request in [get(&url), post(&url, "{}")] {
        let exchange = egress().send(request).await;
        assert_eq!(exchange.attempts, 3);
        assert!(matches!(exchange.result, Err(EgressError::Unreachable(_))), "{exchange:?}");
    }
}

#[tokio::test]
async fn cut_after_the_work_is_done_is_lost_and_not_repeated() {
    let server = Server::start(vec![Step::CutAfter]).await;
    let exchange = egress().send(post(server.url(), "{}")).await;
    assert_eq!(exchange.attempts, 1);
    assert!(matches!(exchange.result, Err(EgressError::Lost(_))), "{exchange:?}");
    assert_eq!((server.log().connections, server.log().requests.len()), (1, 1));
}

#[tokio::test]
async fn cut_after_on_a_kept_connection_is_lost_and_not_repeated() {
    let server = Server::start(vec![Step::Answer(answer(200, "{}")), Step::CutAfter]).await;
    let egress = egress();
    assert_eq!(status(&egress.send(get(server.url())).await), 200);
    // The client library may repeat what a kept connection did not take. This one took it.
    assert_failure!(failure_of(&egress, post(server.url(), "{\"second\":1}")).await, Lost);
    assert_eq!((server.log().connections, server.log().count("second")), (1, 1));
}

#[tokio::test]
async fn a_safe_request_is_asked_again_after_a_cut() {
    let server = Server::start(vec![Step::CutAfter, Step::CutBefore]).await;
    let exchange = egress().send(get(server.url())).await;
    assert_eq!(status(&exchange), 200);
    // The cut before the request is either lost or never begun; both may be repeated.
    assert_eq!((exchange.attempts, server.log().requests.len()), (3, 2));
}

#[tokio::test]
async fn cut_before_reading_is_never_an_answer() {
    let server = Server::start(vec![Step::CutBefore]).await;
    let error = failure_of(&egress(), once(post(server.url(), "{}"))).await;
    // Whether the client noticed in time is chance; that it was not refused is not.
    assert!(matches!(error, EgressError::Lost(_) | EgressError::Unreachable(_)), "{error:?}");
    assert!(server.log().requests.is_empty());
}

#[tokio::test]
async fn cut_in_the_middle_of_a_request_is_lost_even_on_a_kept_connection() {
    for kept in [false, true] {
        let script = [Step::Answer(answer(200, "{}")), Step::CutInside];
        let server = Server::start(script[usize::from(!kept)..].to_vec()).await;
        let egress = egress();
        if kept {
            assert_eq!(status(&egress.send(get(server.url())).await), 200);
        }
        // Bytes left this machine; that nobody acted on them is something only the server knows.
        let exchange = egress.send(post(server.url(), "{}")).await;
        assert_eq!(exchange.attempts, 1);
        assert!(matches!(exchange.result, Err(EgressError::Lost(_))), "{exchange:?}");
        assert_eq!(server.log().connections, 1);
    }
}

/// A server that hangs up at some moment after each answer, without a word: the next request meets a connection that is
/// closed, is being closed, or looks fine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_unsafe_arrives_twice_over_connections_that_close() {
    let closing = |number: u64| {
        Step::AnswerAndCloseAfter(answer(201, "{}"), Duration::from_micros(number * 97 % 2_000))
    };
    let server = Server::start((0..1_000).map(closing).collect()).await;
    let egress = egress();
    for round in 0..40 {
        let marks: Vec<String> = (0..5).map(|number| format!("mark-{round}-{number}-")).collect();
        let together = marks.iter().map(|mark| egress.send(once(post(server.url(), mark))));
        for (mark, exchange) in marks.iter().zip(join_all(together).await) {
            let arrived = server.log().count(mark);
            match exchange.result {
                Ok(_) => assert_eq!(arrived, 1, "{mark}"),
                Err(EgressError::Lost(_)) => assert!(arrived <= 1, "{mark}"),
                Err(EgressError::Unreachable(_)) => assert_eq!(arrived, 0, "{mark}"),
                Err(other) => panic!("{mark}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn out_of_time_after_sending_is_lost() {
    let server = Server::start(vec![Step::Silence]).await;
    assert_failure!(failure_of(&egress(), hurried(post(server.url(), "{}"))).await, Lost);
}

#[tokio::test]
async fn out_of_time_before_sending_is_unreachable() {
    // The system answers the call, and nobody picks up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // TLS greets first, so that the request itself never leaves; plain HTTP has sent it by then.
    let greeting = hurried(post(format!("https://{address}/"), "{}"));
    assert_failure!(failure_of(&egress(), greeting).await, Unreachable);
    let talking = hurried(post(format!("http://{address}/"), "{}"));
    assert_failure!(failure_of(&egress(), talking).await, Lost);
}
