//! The moments between two requests: every system call by which a run changes a file, seen and spoiled from outside.

use std::fmt;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

/// Calls that change what is on disk, or promise that it is there.
const CALLS: [&str; 9] =
    ["write", "fsync", "fdatasync", "rename", "openat", "unlink", "ftruncate", "mkdir", "fchmod"];

/// A system call of a run.
#[derive(Clone)]
pub struct Point {
    pub call: &'static str,
    /// Counted from 1 among the calls of its name.
    pub number: usize,
    /// What it does, for people.
    pub what: String,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.call, self.number, self.what)
    }
}

/// Whether `strace` is there and may be used.
pub fn is_there() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let found = tried.is_ok_and(|output| output.status.success());
    assert!(
        found || std::env::var_os("SS_CRASH_TOOLS_REQUIRED").is_none(),
        "strace cannot be used"
    );
    if !found {
        eprintln!("skipped: strace cannot be used, so nothing is killed between two requests");
    }
    found
}

/// Writes down what a run does to files.
pub fn watching(log: &Path) -> Vec<String> {
    strace(log, &CALLS.join(","), None)
}

/// Kills a run before it does this.
pub fn killing(point: &Point) -> Vec<String> {
    let inject = format!("{}:signal=KILL:when={}", point.call, point.number);
    strace(Path::new("/dev/null"), point.call, Some(inject))
}

/// Kills a run before it makes durable what it wrote last.
pub fn killing_before_sync(point: &Point, log: &Path) -> Vec<String> {
    let inject = format!("{}:signal=KILL:when={}", point.call, point.number);
    strace(log, &format!("write,{}", point.call), Some(inject))
}

/// The disk has no room for this.
pub fn failing(point: &Point) -> Vec<String> {
    let inject = format!("{}:error=ENOSPC:when={}", point.call, point.number);
    strace(Path::new("/dev/null"), point.call, Some(inject))
}

/// Watches what waits for the disk, and lets it wait.
pub fn counting_syncs() -> Vec<String> {
    strace(Path::new("/dev/null"), "fsync,fdatasync", None)
}

/// A disk that says that all is durable, at once.
pub fn skipping_syncs() -> Vec<String> {
    let skipped = "fsync,fdatasync:retval=0".to_owned();
    strace(Path::new("/dev/null"), "fsync,fdatasync", Some(skipped))
}

fn strace(log: &Path, calls: &str, inject: Option<String>) -> Vec<String> {
    let log = log.to_str().expect("a path in UTF-8");
    let mut words = vec!["strace", "-qq", "-y", "-o", log];
    let calls = format!("trace={calls}");
    words.extend(["-e", &calls]);
    let inject = inject.map(|inject| format!("inject={inject}"));
    words.extend(inject.iter().flat_map(|inject| ["-e", inject]));
    words.into_iter().map(str::to_owned).collect()
}

/// The calls in a log that concern files below a folder, but not below another one.
pub fn points(log: &Path, folder: &Path, but: &Path) -> Vec<Point> {
    let text = read(log);
    let (folder, but) = (folder.display().to_string(), but.display().to_string());
    let mut numbers = [0; CALLS.len()];
    let mut points = Vec::new();
    for line in text.lines() {
        let name = line.split('(').next().unwrap_or_default();
        let Some(at) = CALLS.iter().position(|call| *call == name) else { continue };
        numbers[at] += 1;
        // `openat` names the current folder as well, which is the project's.
        let subject = line.split_once(">, \"").filter(|_| name == "openat");
        let subject = subject.map_or(line, |(_, path)| path);
        let changes = name != "openat" || line.contains("O_CREAT");
        if changes && subject.contains(&folder) && !subject.contains(&but) {
            let what = subject.replace(&folder, "").chars().take(90).collect();
            points.push(Point { call: CALLS[at], number: numbers[at], what });
        }
    }
    points
}

/// Takes back half of what a log says was written last: it was never made durable.
pub fn tear(log: &Path) {
    let text = read(log);
    let last = text.lines().rev().find(|line| line.starts_with("write("));
    let Some((path, written)) = last.and_then(written) else { return };
    let file = OpenOptions::new().write(true).open(path).expect("the file that was written");
    let length = file.metadata().expect("it has a length").len();
    file.set_len(length - written.div_ceil(2).min(length)).expect("it can be cut");
}

/// `write(7</a/path>, "…", 12) = 12`
fn written(line: &str) -> Option<(&str, u64)> {
    let path = line.split_once('<')?.1.split_once('>')?.0;
    Some((path, line.rsplit_once("= ")?.1.trim().parse().ok()?))
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).expect("a log")).into_owned()
}
