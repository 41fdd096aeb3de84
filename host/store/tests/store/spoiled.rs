//! A disk that fails, and a process that dies, at every system call of a run that changes a file.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::process::{Command, Stdio};

use crate::promise::{Promised, keeps, run};
use crate::{Place, SecondProcess};

/// Calls that change what is on disk, or promise that it is there.
const CALLS: [&str; 6] = ["write", "fsync", "fdatasync", "rename", "ftruncate", "unlink"];
const FAULTS: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];
/// More than any run makes of one of them.
const CALLS_MAX: usize = 60;

/// The second process: tells of each promise in a way that is not among the calls that are spoiled.
#[tokio::test]
async fn runs_as_a_second_process() {
    let Some(place) = Place::of_parent() else { return };
    let mut out = File::options().write(true).open("/dev/stdout").unwrap();
    run(&place.store(), |Promised { entries, commit }| {
        let line = format!("\npromised {entries} {commit}\n");
        let written = out.write_vectored(&[IoSlice::new(line.as_bytes())]);
        assert_eq!(written.unwrap(), line.len());
    })
    .await;
}

fn strace_is_there() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let found = tried.is_ok_and(|output| output.status.success());
    assert!(
        found || std::env::var_os("SS_CRASH_TOOLS_REQUIRED").is_none(),
        "strace cannot be used"
    );
    if !found {
        eprintln!("skipped: strace cannot be used, so no call of the system is spoiled");
    }
    found
}

#[tokio::test]
async fn no_call_that_goes_wrong_loses_what_was_promised() {
    if !strace_is_there() {
        return;
    }
    let mut tried = 0;
    for call in CALLS {
        for fault in FAULTS {
            for number in 1..CALLS_MAX {
                let place = Place::new();
                let log = place.path.join("strace.log");
                let mut strace = Command::new("strace");
                strace.args(["-f", "-q", "-o"]).arg(&log).stderr(Stdio::null());
                strace.args(["-e", &format!("trace={call}")]);
                strace.args(["-e", &format!("inject={call}:{fault}:when={number}")]);
                strace.arg(std::env::current_exe().unwrap());
                strace.args(["--exact", "spoiled::runs_as_a_second_process", "--nocapture"]);
                let last = SecondProcess::start(&place, strace).said_last("promised ");
                let promised = last.map_or(Promised::default(), |text| {
                    let (entries, commit) = text.split_once(' ').unwrap();
                    Promised { entries: entries.parse().unwrap(), commit: commit == "true" }
                });
                let text = std::fs::read_to_string(&log).unwrap();
                if !text.contains("(INJECTED)") && !text.contains("killed by SIGKILL") {
                    assert!(
                        promised.commit,
                        "{call} {number}: it was not spoiled, and did not end"
                    );
                    break;
                }
                tried += 1;
                keeps(&place.store(), promised, &format!("{fault} at {call} {number}")).await;
            }
        }
    }
    assert!(tried > 60, "only {tried} calls were spoiled");
    println!("{tried} calls were spoiled");
}
