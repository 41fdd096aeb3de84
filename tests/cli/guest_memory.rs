//! What a provisioner can see of a secret: nothing. Linear memories are read from the outside: those of the binary at
//! every request it sends, while the provisioner's call is under way; those behind the second wall at every word that a
//! component has with its host, and when its memory is given back.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ss_selftest::holds;

use crate::as_files::walkthrough_as_files;
use crate::common::canary::Canary;
use crate::common::project::walkthrough;
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

#[test]
fn no_secret_is_ever_in_a_provisioners_memory() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let watcher = Watcher::start(port);
    place.edit("starsystem.sandbox.yaml", &format!(":{port}"), &format!(":{}", watcher.port));

    let child = place
        .command()
        .args(["deploy", "--env=sandbox"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    watcher.watched.store(child.id(), Ordering::SeqCst);
    Ran::of(child.wait_with_output().expect("it ends")).exits(0);
    let requests = sandbox.requests().len();
    let dumps = watcher.stop();

    // The proof that it is the guests' memory that was read: each holds the name of what it is making.
    let seen = |text: &str| dumps.iter().filter(|dump| holds(dump, text.as_bytes())).count();
    assert!(dumps.len() >= requests / 2, "{} dumps at {requests} requests", dumps.len());
    assert!(seen("createProject") > 0, "Neon's memory was not read");
    assert!(seen("my-app-api") > 5, "Fly's memory was not read");

    let password = place.database_password();
    for canary in [
        Canary::new("the Neon token", "sandbox-neon-key"),
        Canary::new("the Fly token", "sandbox-fly-token"),
        Canary::new("the database's password", &password),
    ] {
        for (index, dump) in dumps.iter().enumerate() {
            canary.is_not_in(&format!("a guest's memory (dump {index})"), dump);
        }
    }
}

#[test]
fn no_secret_is_ever_in_the_memory_behind_the_wall() {
    if !strace_is_there() {
        return;
    }
    let place = Place::new();
    let port = free_port();
    if !walkthrough_as_files(&place, port) {
        return;
    }
    let _sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let grants = ["neon", "fly"].map(|name| {
        let digest = Sha256::digest(
            std::fs::read(place.path().join(format!("{name}.wasm"))).expect("a file"),
        );
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("--grant={name}@sha256:{hex}")
    });
    // Compiled, so that nothing but calls is watched.
    place.ss(["plan", "--env=sandbox", &grants[0], &grants[1]]).exits(0);

    let log = place.path().join("strace.log");
    let ss = place.command();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log).args(STOPPING).arg(ss.get_program());
    command.args(["deploy", "--env=sandbox"]).current_dir(place.path()).env_clear();
    command.envs(ss.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut deploy =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let (mut seen, mut looks) = (0, Vec::new());
    while deploy.try_wait().expect("it can be waited for").is_none() {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[seen..whole].lines().filter(|line| line.contains(STOPPED)) {
            looks.extend(look_and_go_on(thread_of(line)));
        }
        seen = whole;
        looks.extend(walled_below(deploy.id()).into_iter().filter_map(look_at_the_end));
        thread::sleep(Duration::from_millis(1));
    }
    Ran::of(deploy.wait_with_output().expect("it ends")).exits(0);

    // Each word of theirs was looked at: who is stopped goes on when that has happened, and not before.
    let text = std::fs::read_to_string(&log).expect("a log");
    let walled: BTreeSet<u32> = looks.iter().map(|look| look.thread).collect();
    let words =
        text.lines().filter(|line| line.contains("sendto(") && walled.contains(&thread_of(line)));
    let words = words.count();
    let of = |at: At| looks.iter().filter(move |look| look.at == at);
    assert!(words > 50 && of(At::Word).count() >= words, "{words} words, {} looks", looks.len());
    let seen = |text: &str, at| of(at).filter(|look| holds(&look.memory, text.as_bytes())).count();
    assert!(seen("createProject", At::Word) > 0, "Neon's memory was not read");
    assert!(seen("my-app-api", At::Word) > 5, "Fly's memory was not read");
    assert!(seen("my-app-api", At::End) > 0, "no memory was read at its end");

    let password = place.database_password();
    for canary in [
        Canary::new("the Neon token", "sandbox-neon-key"),
        Canary::new("the Fly token", "sandbox-fly-token"),
        Canary::new("the database's password", &password),
    ] {
        for (index, look) in looks.iter().enumerate() {
            let place = format!("a guest's memory ({:?}, {index})", look.at);
            canary.is_not_in(&place, &look.memory);
        }
    }
}

/// Processes are stopped with every word to their host, and wait a moment before they give memory back.
const STOPPING: [&str; 6] = [
    "-e",
    "trace=sendto,munmap",
    "-e",
    "inject=sendto:signal=STOP",
    "-e",
    "inject=munmap:delay_enter=100000",
];

fn strace_is_there() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let found = tried.is_ok_and(|output| output.status.success());
    assert!(
        found || std::env::var_os("SS_CRASH_TOOLS_REQUIRED").is_none(),
        "strace cannot be used"
    );
    if !found {
        eprintln!("skipped: strace cannot be used, so nothing behind the wall is looked at");
    }
    found
}

/// When a memory was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A component has said something to its host.
    Word,
    /// A memory is about to be given back.
    End,
}

/// What was in the memory of a process.
struct Look {
    at: At,
    thread: u32,
    memory: Vec<u8>,
}

/// What strace writes of a thread that stands still.
const STOPPED: &str = "--- stopped by SIGSTOP ---";

/// The thread that a line of strace is about.
fn thread_of(line: &str) -> u32 {
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a thread")
}

fn is_walled(process: u32) -> bool {
    let line = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line.split('\0').nth(1) == Some("__walled-component")
}

/// The walled processes below a strace.
fn walled_below(strace: u32) -> Vec<u32> {
    let children = |parent: u32| -> Vec<u32> {
        let tasks =
            std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let texts =
            tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        texts
            .flat_map(|text| text.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
            .collect()
    };
    children(strace).into_iter().flat_map(children).filter(|id| is_walled(*id)).collect()
}

/// Reads the memory of a process that stands still, if it is walled in, and lets it go on.
fn look_and_go_on(thread: u32) -> Option<Look> {
    let look =
        is_walled(thread).then(|| Look { at: At::Word, thread, memory: linear_memories(thread) });
    let sent = Command::new("kill").args(["-CONT", &thread.to_string()]).status();
    sent.expect("kill runs");
    look
}

/// Reads the memory of a process that waits with giving back something large.
fn look_at_the_end(process: u32) -> Option<Look> {
    const MUNMAP: &str = "11";
    let text = std::fs::read_to_string(format!("/proc/{process}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let length = || -> Option<u64> {
        u64::from_str_radix(words.clone().nth(2)?.trim_start_matches("0x"), 16).ok()
    };
    let is_large = length().is_some_and(|length| length >= 1 << 30);
    let is_end = words.next() == Some(MUNMAP) && is_large;
    is_end.then(|| Look { at: At::End, thread: process, memory: linear_memories(process) })
}

/// Passes every connection on to the sandbox, and first reads the guests' memories of the process it watches.
struct Watcher {
    port: u16,
    watched: Arc<AtomicU32>,
    dumps: Arc<Mutex<Vec<Vec<u8>>>>,
    over: Arc<AtomicBool>,
    accepting: thread::JoinHandle<()>,
}

impl Watcher {
    fn start(sandbox: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let watched = Arc::new(AtomicU32::new(0));
        let dumps = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (pid, kept, ended) = (watched.clone(), dumps.clone(), over.clone());
        let accepting = thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let (pid, kept) = (pid.clone(), kept.clone());
                thread::spawn(move || pass_on(client, sandbox, &pid, &kept));
            }
        });
        Self { port, watched, dumps, over, accepting }
    }

    fn stop(self) -> Vec<Vec<u8>> {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; whether it is answered does not matter.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        self.accepting.join().expect("the watcher ends");
        std::mem::take(&mut self.dumps.lock().expect("no thread panicked"))
    }
}

/// One connection, request after request: a piece from the client is held back until the memories are read.
fn pass_on(mut client: TcpStream, sandbox: u16, pid: &AtomicU32, dumps: &Mutex<Vec<Vec<u8>>>) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, sandbox)) else { return };
    let (Ok(mut answers), Ok(mut back)) = (server.try_clone(), client.try_clone()) else { return };
    let answering = thread::spawn(move || {
        // An end on either side ends both.
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = match client.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let pid = pid.load(Ordering::SeqCst);
        if pid != 0 && !piece[..length].starts_with(b"GET /_control/") {
            let memory = linear_memories(pid);
            if !memory.is_empty() {
                dumps.lock().expect("no thread panicked").push(memory);
            }
        }
        if server.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.set_read_timeout(Some(Duration::from_secs(1)));
    answering.join().expect("the answers end");
}

/// A mapping of `/proc/PID/maps`.
struct Mapping {
    from: u64,
    to: u64,
    rights: String,
}

/// Every writable byte of a process that stands directly before a reservation of a gigabyte or more: that is how the
/// WASM engine lays out linear memories, and nothing else in the process does.
fn linear_memories(pid: u32) -> Vec<u8> {
    const RESERVATION: u64 = 1 << 30;
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/maps")) else { return Vec::new() };
    let mappings: Vec<Mapping> = text.lines().filter_map(mapping).collect();
    let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else { return Vec::new() };
    let mut dump = Vec::new();
    for (index, reserved) in mappings.iter().enumerate() {
        if reserved.rights.contains('r') || reserved.to - reserved.from < RESERVATION {
            continue;
        }
        let mut end = reserved.from;
        for mapping in mappings[..index].iter().rev() {
            if mapping.to != end || !mapping.rights.starts_with("rw") {
                break;
            }
            end = mapping.from;
            let length = usize::try_from(mapping.to - mapping.from).expect("a 64-bit machine");
            let mut bytes = vec![0; length];
            // A memory that was unmapped meanwhile belongs to no call any more.
            if memory.read_exact_at(&mut bytes, mapping.from).is_ok() {
                dump.extend_from_slice(&bytes);
            }
        }
    }
    dump
}

fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping { from: address(from)?, to: address(to)?, rights: fields.next()?.to_owned() })
}
