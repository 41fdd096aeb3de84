//! Behind the wall: a process that loads one component, locks itself in, and calls it when it is told to.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use async_trait::async_trait;
use rustix::process::{Pid, getppid, test_kill_process};
use ss_gate::call::{Call, CallFailure, NamedSecret, Reply, ResourceRecord, SecretIndex};
use ss_ports::{Abort, HostCalls};

use super::protocol::{Ask, Down, Ended, Told, Up, read, read_exactly, write};
use super::{Attempt, Walls, lock};
use crate::abi::v0_1::ProvisionerPre;
use crate::code;
use crate::describe::{block_on, describe};
use crate::engine::Ticking;
use crate::invocation::{Invocation, Returned, invoke};
use crate::limits::Limits;
use crate::state::State;

/// What the process may fill beside its guest's memory and its code: the binary's own, stacks, frames.
const MEMORY: u64 = 1 << 30;

/// Serves one host on standard input, a socket, until it hangs up.
///
/// # Errors
/// Standard input is no such socket, or the host is gone.
pub fn serve_wall() -> io::Result<()> {
    close_what_was_inherited();
    // Of a host that is killed nobody hangs up while a guest computes.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let host = getppid();
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    lock::limit(MEMORY)?;
    let landlock = lock::landlock();
    let Down::Load(bytes) = read(&mut socket)? else { return Err(out_of_turn()) };
    let native = read_exactly(&mut socket, bytes)?;
    let loaded = if bytes == 0 { Ok(None) } else { code::prepared(&native).map(Some) };
    drop(native);
    // The thread that ticks: later there are no new ones.
    drop(Ticking::start());
    let seccomp = lock::seccomp();
    let ready = loaded.as_ref().map(|_| Walls { landlock, seccomp }).map_err(String::clone);
    write(&mut socket, &Up::Ready(ready))?;
    let Ok(loaded) = loaded else { return Ok(()) };
    let host_of = Arc::new(Mutex::new(socket));
    loop {
        let down = read(&mut *lock_socket(&host_of));
        let answer = match (down, &loaded) {
            (Err(error), _) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            (Err(error), _) => return Err(error),
            (Ok(Down::Invoke(invocation, limits)), Some(prepared)) => {
                Up::Ended(call(prepared, *invocation, &limits, &host_of).map_err(Ended::from))
            }
            (Ok(Down::Attempt), _) => Up::Attempted(attempts(host)),
            _ => return Err(out_of_turn()),
        };
        write(&mut *lock_socket(&host_of), &answer)?;
    }
}

fn out_of_turn() -> io::Error {
    io::Error::other("a message out of turn")
}

fn lock_socket(socket: &Mutex<UnixStream>) -> MutexGuard<'_, UnixStream> {
    socket.lock().unwrap_or_else(PoisonError::into_inner)
}

fn call(
    prepared: &ProvisionerPre<State>,
    invocation: Invocation,
    limits: &Limits,
    socket: &Arc<Mutex<UnixStream>>,
) -> Result<Returned, ss_ports::CallError> {
    if matches!(invocation, Invocation::Manifest) {
        return describe(prepared, limits);
    }
    let host = Box::new(Outside(socket.clone()));
    block_on(invoke(prepared, limits, host, invocation))
}

/// What the shell that started `ss` left open: a guest that broke out could read or write it.
#[expect(unsafe_code, reason = "closing what was inherited; see SAFETY")]
fn close_what_was_inherited() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The directory itself was among them, and is closed by now.
    let is_open =
        |descriptor: &RawFd| fs::symlink_metadata(format!("/proc/self/fd/{descriptor}")).is_ok();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2).filter(is_open) {
        // SAFETY: this process has just begun and has opened nothing itself that still lives, so that nobody is left
        // who owns the descriptor.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
}

/// The host, asked through the socket.
struct Outside(Arc<Mutex<UnixStream>>);

impl Outside {
    fn ask(&self, ask: Ask) -> Result<Told, Abort> {
        let mut socket = lock_socket(&self.0);
        let told = write(&mut *socket, &Up::Ask(ask)).and_then(|()| read(&mut *socket));
        match told {
            Ok(Down::Told(told)) => Ok(told),
            Ok(_) => Err(Abort(out_of_turn().to_string())),
            Err(error) => Err(Abort(format!("the host is gone: {error}"))),
        }
    }

    fn done(&self, ask: Ask) -> Result<(), Abort> {
        match self.ask(ask)? {
            Told::Done => Ok(()),
            _ => Err(Abort(out_of_turn().to_string())),
        }
    }
}

#[async_trait]
impl HostCalls for Outside {
    async fn send(&mut self, call: Call) -> Result<Result<Reply, CallFailure>, Abort> {
        match self.ask(Ask::Send(call))? {
            Told::Sent(answer) => Ok(answer),
            _ => Err(Abort(out_of_turn().to_string())),
        }
    }

    async fn compose(
        &mut self,
        template: String,
        parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Abort> {
        match self.ask(Ask::Compose { template, parts })? {
            Told::Composed(answer) => Ok(answer),
            _ => Err(Abort(out_of_turn().to_string())),
        }
    }

    async fn step(&mut self, message: String) -> Result<(), Abort> {
        self.done(Ask::Step(message))
    }

    async fn checkpoint(&mut self, partial: ResourceRecord) -> Result<(), Abort> {
        self.done(Ask::Checkpoint(partial))
    }

    async fn log(&mut self, message: String) -> Result<(), Abort> {
        self.done(Ask::Log(message))
    }

    async fn now_ms(&mut self) -> Result<f64, Abort> {
        match self.ask(Ask::NowMs)? {
            Told::NowMs(now) => Ok(now),
            _ => Err(Abort(out_of_turn().to_string())),
        }
    }

    async fn wait(&mut self, ms: u32) -> Result<(), Abort> {
        self.done(Ask::Wait(ms))
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort> {
        match self.ask(Ask::Random(count))? {
            Told::Random(bytes) => Ok(bytes),
            _ => Err(Abort(out_of_turn().to_string())),
        }
    }
}

/// What code that broke out of its instance would try. Each really is tried, here and now.
fn attempts(host: Option<Pid>) -> Vec<Attempt> {
    let attempt = |what: &str, tried: io::Result<()>| Attempt {
        what: what.to_owned(),
        refused: tried.err().map(|error| error.to_string()),
    };
    let host_memory = host.map(|host| format!("/proc/{}/mem", host.as_raw_nonzero()));
    vec![
        attempt("read a file", File::open("/etc/passwd").map(drop)),
        attempt("list a directory", fs::read_dir("/").map(drop)),
        attempt("write a file", File::create("/dev/shm/ss-attempt").map(drop)),
        attempt(
            "read the memory of `ss`",
            File::open(host_memory.as_deref().unwrap_or("/proc/1/mem")).map(drop),
        ),
        attempt("connect to an address", TcpStream::connect((Ipv4Addr::LOCALHOST, 9)).map(drop)),
        attempt("send to an address", UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
        attempt("connect to a socket of this machine", UnixStream::connect("/run/ss").map(drop)),
        attempt("start a program", Command::new("/bin/true").spawn().map(drop)),
        attempt("start a thread", thread::Builder::new().spawn(|| ()).map(drop)),
        attempt(
            "signal `ss`",
            test_kill_process(host.unwrap_or(Pid::INIT)).map_err(io::Error::from),
        ),
    ]
}
