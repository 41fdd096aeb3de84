//! What a provisioner can see of a secret: nothing. The binary's own linear memories are read from the outside, at
//! every request it sends, while the provisioner's call is under way.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ss_selftest::holds;

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
