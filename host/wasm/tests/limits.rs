//! What a call may use up. Bounded by ticks and by a paused clock; no test measures time.

use std::time::Duration;

use serde_json::json;
use ss_ports::{CallError, Provisioner};
use ss_testkit::{HostEvent, ScriptedHost};
use ss_wasm::{Limits, WasmProvisioner};

use crate::guests::{apply, apply_target, guest, service};

fn with_ticks(name: &str, cpu_ticks: u64) -> WasmProvisioner {
    let guest = guest(name);
    let limits = Limits { cpu_ticks, ..guest.limits().clone() };
    guest.with_limits(limits)
}

async fn exhausted(provisioner: &WasmProvisioner, host: ScriptedHost) -> String {
    match apply(provisioner, host).await {
        Err(CallError::Exhausted(text)) => text,
        other => panic!("expected a limit, not {other:?}"),
    }
}

#[tokio::test]
async fn computing_forever_uses_up_the_processor_time() {
    let text = exhausted(&with_ticks("loop_forever", 5), ScriptedHost::new([])).await;
    assert_eq!(text, "it used up its processor time of 50 ms");
}

#[tokio::test]
async fn asking_forever_is_computing() {
    let ticking = with_ticks("loop_calls", 5);
    // A fast machine asks often within 50 ms; how often it may is another bound's business.
    let limits = Limits { host_calls: u32::MAX, ..ticking.limits().clone() };
    let text = exhausted(&ticking.with_limits(limits), ScriptedHost::new([])).await;
    assert_eq!(text, "it used up its processor time of 50 ms");
}

#[tokio::test]
async fn others_go_on_while_one_computes() {
    let provisioner = with_ticks("loop_forever", 5);
    let mut others = 0;
    tokio::select! {
        biased;
        text = exhausted(&provisioner, ScriptedHost::new([])) => drop(text),
        () = async { loop { others += 1; tokio::task::yield_now().await } } => {}
    }
    assert!(others > 0, "the computing guest lets others run");
}

/// A host whose waits take real time.
struct SlowHost(ScriptedHost);

#[async_trait::async_trait]
impl ss_ports::HostCalls for SlowHost {
    async fn wait(&mut self, ms: u32) -> Result<(), ss_ports::Abort> {
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
        self.0.wait(ms).await
    }
    async fn send(
        &mut self,
        call: ss_gate::call::Call,
    ) -> Result<Result<ss_gate::call::Reply, ss_gate::call::CallFailure>, ss_ports::Abort> {
        self.0.send(call).await
    }
    async fn compose(
        &mut self,
        template: String,
        parts: Vec<ss_gate::call::NamedSecret>,
    ) -> Result<Result<u32, String>, ss_ports::Abort> {
        self.0.compose(template, parts).await
    }
    async fn step(&mut self, message: String) -> Result<(), ss_ports::Abort> {
        self.0.step(message).await
    }
    async fn checkpoint(
        &mut self,
        partial: ss_gate::call::ResourceRecord,
    ) -> Result<(), ss_ports::Abort> {
        self.0.checkpoint(partial).await
    }
    async fn log(&mut self, message: String) -> Result<(), ss_ports::Abort> {
        self.0.log(message).await
    }
    async fn now_ms(&mut self) -> Result<f64, ss_ports::Abort> {
        self.0.now_ms().await
    }
    async fn random(&mut self, count: u32) -> Result<Vec<u8>, ss_ports::Abort> {
        self.0.random(count).await
    }
}

#[tokio::test]
async fn waiting_costs_no_processor_time() {
    // Forty waits of two ticks each, under a budget of ten ticks.
    let provisioner = with_ticks("wait_often", 10);
    let host = SlowHost(ScriptedHost::new([]));
    let events = host.0.events();
    let outcome = provisioner.apply(service(json!({ "times": 40 })), None, Box::new(host)).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(events.list(), vec![HostEvent::Wait(20); 40]);
}

#[tokio::test(start_paused = true)]
async fn waiting_forever_ends_with_the_wall_clock() {
    let host = ScriptedHost::new([]).never_stops_waiting();
    let text = exhausted(&guest("sleep_forever"), host).await;
    assert_eq!(text, "it did not end within 1200 seconds");
}

#[tokio::test]
async fn memory_is_bounded() {
    let text = exhausted(&guest("allocate_forever"), ScriptedHost::new([])).await;
    assert_eq!(text, "it asked for more than its 64 MiB of memory");
}

#[tokio::test]
async fn a_component_that_starts_too_large_is_told_so() {
    let guest = guest("smoke");
    let limits = Limits { memory: 1 << 16, ..guest.limits().clone() };
    let text = exhausted(&guest.with_limits(limits), ScriptedHost::new([])).await;
    assert_eq!(text, "it asked for more than its 0 MiB of memory");
}

#[tokio::test]
async fn what_crosses_the_boundary_is_bounded() {
    let provisioner = guest("huge_string");
    for (place, text) in [
        ("result", "it handed over too much data at once"),
        ("id", "its resource id is 100000 bytes long; 65536 is the most"),
        ("template", "its template is 100000 bytes long; 65536 is the most"),
        ("random", "it asked for 1025 random bytes at once; 1024 is the most"),
    ] {
        let host = ScriptedHost::new([]);
        let events = host.events();
        match apply_target(&provisioner, json!({ "at": place }), host).await {
            Err(CallError::Exhausted(message)) => assert_eq!(message, text),
            other => panic!("{place}: expected a limit, not {other:?}"),
        }
        assert_eq!(events.list(), [], "nothing of it reached the host");
    }
}

#[tokio::test]
async fn a_long_line_is_cut_and_costs_nobody_a_deploy() {
    let host = ScriptedHost::new([]);
    let events = host.events();
    let end = apply_target(&guest("huge_string"), json!({ "at": "log" }), host).await;
    assert!(end.is_ok(), "{end:?}");
    match events.list().as_slice() {
        [HostEvent::Log(line)] => assert!(line.len() < 10_000 && line.ends_with("x…")),
        other => panic!("expected one line, not {other:?}"),
    }
}
