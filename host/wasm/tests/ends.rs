//! The ways in which a call ends: each is told apart, because the user does something different for each.

use serde_json::json;
use ss_ports::CallError;
use ss_testkit::{HostEvent, ScriptedHost};

use crate::guests::{apply, apply_target, guest};

async fn trap(name: &str) -> (String, String) {
    match apply(&guest(name), ScriptedHost::new([])).await {
        Err(CallError::Trapped { message, stderr }) => (message, stderr),
        other => panic!("expected a trap, not {other:?}"),
    }
}

#[tokio::test]
async fn a_panic_is_a_trap_with_what_was_printed_made_safe() {
    let (message, printed) = trap("trap_panic").await;
    assert!(message.contains("unreachable"), "{message}");
    assert!(printed.contains("on standard output\nabout to \\u{1b}[2Jpanic\n"), "{printed}");
    assert!(printed.contains("this component panics"), "{printed}");
    let paths_of_this_machine = std::env::home_dir().expect("a home").display().to_string();
    assert!(!printed.contains(&paths_of_this_machine), "{printed}");
}

#[tokio::test]
async fn a_trap_without_a_word_is_a_trap() {
    assert_eq!(trap("trap_unreachable").await.1, "");
}

#[tokio::test]
async fn unbounded_recursion_is_a_trap() {
    let (message, _) = trap("deep_recursion").await;
    assert!(message.contains("stack") || message.contains("memory"), "{message}");
}

#[tokio::test]
async fn an_exit_is_a_trap() {
    // WASI 0.2 tells success from failure only.
    assert_eq!(trap("trap_exit").await.0, "it ended itself with exit status 1");
}

#[tokio::test]
async fn a_trap_leaves_the_next_call_alone() {
    let provisioner = guest("trap_unreachable");
    for _ in 0..2 {
        let end = apply(&provisioner, ScriptedHost::new([])).await;
        assert!(matches!(end, Err(CallError::Trapped { .. })), "{end:?}");
    }
}

#[tokio::test]
async fn an_abort_of_the_host_reaches_no_code_of_the_guest() {
    let reply = ss_gate::call::Reply {
        status: 201,
        headers: Vec::new(),
        body: br#"{"id": "thing-1"}"#.to_vec(),
        captured: Vec::new(),
    };
    let host = ScriptedHost::new([Ok(reply)]).aborts_after_steps(0);
    let events = host.events();
    let end = apply_target(&guest("smoke"), json!({ "name": "x" }), host).await;
    match end {
        Err(CallError::Aborted(abort)) => assert_eq!(abort.0, "the script ends here"),
        other => panic!("expected an abort, not {other:?}"),
    }
    let last = events.list().pop();
    assert!(matches!(last, Some(HostEvent::Checkpoint(_))), "nothing follows: {last:?}");
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    let provisioner = guest("bad_json");
    for (place, text) in [
        ("result", "its attributes must be a JSON object: expected ident"),
        ("checkpoint", "its attributes must be a JSON object: key must be a string"),
        ("details", "its failure details must be a JSON object: it is an array"),
    ] {
        let host = ScriptedHost::new([]);
        let events = host.events();
        match apply_target(&provisioner, json!({ "at": place }), host).await {
            Err(CallError::Unusable(message)) => assert!(message.starts_with(text), "{message}"),
            other => panic!("{place}: expected a refusal, not {other:?}"),
        }
        assert_eq!(events.list(), [], "nothing of it reached the host");
    }
}
