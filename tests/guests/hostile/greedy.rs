//! Takes more than its share: of the processor, the memory, the disk, the vendor and the user's patience.

use std::hint::black_box;

use guest::model::NamedSecret;
use guest::{Failure, Outcome, clock, progress, secrets};

use crate::{Refused, ask, call, create, done, failure, with_body};

pub(crate) fn apply(behaviour: &str) -> Result<Outcome, Failure> {
    match behaviour {
        "greedy-loop" => compute(),
        "greedy-calls" => forever(|| {
            black_box(clock::now_ms());
        }),
        "greedy-spins" => forever(|| clock::wait(0)),
        "greedy-sleeps" => forever(|| clock::wait(u32::MAX)),
        "greedy-allocates" => allocate(),
        "greedy-grows" => drop(black_box(core::arch::wasm32::memory_grow::<0>(65_000))),
        "greedy-recurses" => drop(black_box(recurse(1))),
        "greedy-out-of-bounds" => out_of_bounds(),
        "greedy-unreachable" => std::process::abort(),
        "greedy-panics" => panic!("\u{1b}[2Jboom \u{202e}\u{9b}31m"),
        "greedy-exits" => std::process::exit(0),
        "greedy-socket" => drop(std::net::TcpStream::connect(("127.0.0.1", 80))),
        "greedy-prints" => (0..2_000).for_each(|_| println!("{}", "x".repeat(50_000))),
        "greedy-steps" => forever(|| progress::step(&"s".repeat(7_000))),
        "greedy-logs" => forever(|| progress::log("line")),
        "greedy-random" => forever(|| drop(clock::random(1024))),
        "greedy-random-at-once" => drop(clock::random(u32::MAX)),
        "greedy-checkpoints" => checkpoints(),
        "greedy-composes" => compose()?,
        "greedy-long-name" => drop(ask(&call(&"o".repeat(300), &[]))?),
        "greedy-long-value" => drop(ask(&call("getThing", &[("thing", &"v".repeat(70_000))]))?),
        "greedy-many-params" => drop(ask(&call("getThing", &vec![("thing", "v"); 2_000]))?),
        "greedy-body" => drop(ask(&with_body("createThing", &[], &" ".repeat(9 << 20)))?),
        "greedy-string" => drop(ask(&with_body("createThing", &[], &"x".repeat(18 << 20)))?),
        "greedy-refusals" => forever(|| drop(ask(&with_body("nothing", &[], "1")))),
        "greedy-creates" => return insists(|| create().map(drop)),
        "greedy-attributes" => {
            return Ok(guest::outcome("x", &format!("{{\"a\": \"{}\"}}", "x".repeat(2 << 20))));
        }
        "greedy-deep-attributes" => return Ok(guest::outcome("x", &"{\"a\":".repeat(50_000))),
        "greedy-array-attributes" => return Ok(guest::outcome("x", "[1]")),
        "greedy-outputs" => {
            let output = NamedSecret { name: "PASSWORD".to_owned(), value: 0 };
            return Ok(Outcome { outputs: vec![output; 5_000], ..done("x") });
        }
        other => return Err(failure(format!("no such behaviour: {other}"))),
    }
    Ok(done("x"))
}

pub(crate) fn compute() {
    let mut number = 0_u32;
    forever(|| number = black_box(number.wrapping_add(1)));
}

fn forever(mut act: impl FnMut()) {
    while black_box(true) {
        act();
    }
}

/// Until it is refused; then it says so.
fn insists(mut act: impl FnMut() -> Result<(), Refused>) -> Result<Outcome, Failure> {
    loop {
        act()?;
    }
}

fn allocate() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    forever(|| kept.push(black_box(vec![1; 1 << 20])));
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[3]
}

fn out_of_bounds() {
    // The last page of the address space, far behind any memory it was given.
    unsafe { black_box(std::ptr::read_volatile(0xffff_fff0 as *const u32)) };
}

fn checkpoints() {
    let record = guest::record("x", &format!("{{\"a\": \"{}\"}}", "x".repeat(900_000)));
    forever(|| progress::checkpoint(&record));
}

/// Secrets made of secrets, each twice as long.
fn compose() -> Result<(), Failure> {
    let part = |value| NamedSecret { name: "p".to_owned(), value };
    let mut last = secrets::compose(&"a".repeat(30_000), &[]).map_err(failure)?;
    loop {
        last = secrets::compose("{p}", &[part(last)]).map_err(failure)?;
    }
}
