//! What a guest sees when it looks around with its language's own library.

use serde_json::json;
use ss_ports::CallError;
use ss_testkit::{HostEvent, ScriptedHost};

use crate::guests::{apply, guest};

#[tokio::test]
async fn there_are_no_files_no_variables_no_input_and_time_is_the_hosts() {
    let host = ScriptedHost::new([]);
    let events = host.events();
    let outcome = apply(&guest("wasi_surroundings"), host).await.expect("runs");
    assert_eq!(
        outcome.made.attributes,
        json!({
            "file": false, "written": false, "variables": 0, "arguments": 0, "input": 0,
            "unix": 1_700_000_000_000_u64, "slept": 1_500, "map": 2,
        })
    );
    let asked = events.list();
    assert!(asked.contains(&HostEvent::Wait(1_500)), "sleeping is waiting: {asked:?}");
    assert!(asked.contains(&HostEvent::Random(8)), "chance is the host's: {asked:?}");
}

#[tokio::test]
async fn a_socket_is_refused_by_name() {
    let host = ScriptedHost::new([]);
    match apply(&guest("trap_socket"), host).await {
        Err(CallError::Trapped { message, .. }) => {
            assert!(message.starts_with("it called `wasi:sockets/"), "{message}");
            assert!(message.ends_with("which no provisioner may use"), "{message}");
        }
        other => panic!("expected a denial, not {other:?}"),
    }
}
