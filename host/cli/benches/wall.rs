//! What the second wall costs: deploys of three services by two components that are not part of `ss`, with and without
//! it, in turn. `cargo bench --workspace --bench wall`

use std::path::Path;
use std::time::Instant;

use ss_selftest::{Arena, hostile};

const TURNS: usize = 21;
/// Two components describe themselves, and three services are made.
const CALLS: f64 = 5.0;

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let arena = Arena::new(Path::new(env!("CARGO_BIN_EXE_ss")), directory.path());
    let arena = arena.expect("an arena");
    let [mut with, mut without] = [Vec::new(), Vec::new()];
    for turn in 0..=TURNS {
        let times = ["required", "off"].map(|wall| deploy_ms(&arena, turn, wall));
        // The first turn compiles.
        if turn > 0 {
            with.push(times[0]);
            without.push(times[1]);
        }
    }
    let [with, without] = [with, without].map(median);
    let cost = with - without;
    println!("ss deploy of 3 services, medians of {TURNS}, in turn");
    println!("  behind the wall:     {with:7.1} ms");
    println!("  STARSYSTEM_WALL=off: {without:7.1} ms");
    println!("  the wall:            {cost:7.1} ms a deploy, {:.1} ms a call", cost / CALLS);
}

fn deploy_ms(arena: &Arena, turn: usize, wall: &str) -> f64 {
    let ring = arena.ring(&format!("{wall}-{turn}"), &hostile("good")).expect("a project");
    let grants = ring.grants().expect("files");
    let mut arguments = vec!["deploy", "--env=prod", "--json"];
    arguments.extend(grants.iter().map(String::as_str));
    let mut command = ring.command(&arguments);
    command.env("STARSYSTEM_WALL", wall);
    let begun = Instant::now();
    let output = command.output().expect("the binary runs");
    let elapsed = begun.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    elapsed.as_secs_f64() * 1_000.0
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
