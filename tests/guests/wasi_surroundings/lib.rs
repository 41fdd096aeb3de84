//! Looks around with the standard library: files, environment, arguments, input, clocks, chance, sleep.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    let mut input = String::new();
    let read = std::io::stdin().read_to_string(&mut input);
    let unix =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_millis());
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(1_500));
    let slept = start.elapsed().as_millis();
    // Its seed is asked of the host.
    let map = HashMap::from([(1, 2)]);
    Ok(guest::outcome(
        "x",
        &format!(
            r#"{{"file": {}, "written": {}, "variables": {}, "arguments": {}, "input": {}, "unix": {unix}, "slept": {slept}, "map": {}}}"#,
            std::fs::read("/etc/passwd").is_ok(),
            std::fs::write("/tmp/x", "x").is_ok(),
            std::env::vars().count(),
            std::env::args().count(),
            read.map_or(0, |bytes| bytes),
            map[&1],
        ),
    ))
}

guest::apply!(apply);
