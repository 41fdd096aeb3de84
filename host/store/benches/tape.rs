//! What a record of a tape costs, durable and not: `cargo bench -p ss-store`. A measure, not a test.

use std::sync::Arc;
use std::time::Instant;

use ss_gate::call::Reply;
use ss_ports::{StateStore, TapeRecord};
use ss_store::LocalStore;
use ss_testkit::{MemoryVault, sample};

const TIMES: u32 = 500;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    // Beside the target, which is on a disk; a temporary folder may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let vault = Arc::new(MemoryVault::default());
    let store = LocalStore::open(folder.path().to_owned(), None, vault);
    let reply =
        Reply { status: 200, headers: Vec::new(), body: vec![b'x'; 2_000], captured: Vec::new() };
    let record = TapeRecord::Reply { reply: Ok(reply), secrets: Vec::new() };
    let mut costs = Vec::new();
    for (number, durable) in [(0, false), (1, true)] {
        let mut tape = store.tape(&sample::call(1, "db", number)).await.expect("a tape");
        let begun = Instant::now();
        for _ in 0..TIMES {
            tape.append(&record, durable).await.expect("it is written");
        }
        costs.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
    }
    println!("a record of 2 kB, written:  {:8.1} µs", costs[0]);
    println!("a record of 2 kB, durable:  {:8.1} µs", costs[1]);
    println!("ratio:                      {:8.2}", costs[1] / costs[0]);
}
