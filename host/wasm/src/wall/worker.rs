//! A process behind the wall, seen from here.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ss_core::text::printable;
use ss_ports::CallError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream as UnixSocket;

use super::protocol::{Ask, Down, Ended, LENGTH, Told, Up, frame, length, parsed, read, write};
use super::{Attempt, Wall, Walls};
use crate::bounded_host::BoundedHost;
use crate::bounds;
use crate::invocation::{Invocation, Returned};
use crate::limits::Limits;
use crate::state::Stop;

/// Loading native code takes milliseconds, on a busy machine a second; describing itself is bounded by processor time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process may take to die.
const DYING: Duration = Duration::from_millis(100);
/// Text of a process that may have broken out.
const TEXT: usize = 4_000;

/// The process. It ends with its owner.
pub(super) struct Worker {
    child: Child,
    socket: UnixStream,
    pub(super) walls: Walls,
}

/// Why a process could not be started, or was lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// It has loaded nothing: the code is of no use to it.
    #[error("{0}")]
    Refused(String),
    #[error("the process that runs it cannot be had: {0}")]
    Io(#[from] io::Error),
}

impl Worker {
    /// Starts it with a component's native code, or with none, only to try the wall.
    pub(super) fn start(wall: &Wall, native: &[u8]) -> Result<Self, Lost> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&wall.program)
            .args(&wall.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the host, which lets what is in flight come to its end.
            .process_group(0)
            .spawn()?;
        let walls = Walls { landlock: false, seccomp: false };
        let mut worker = Self { child, socket: ours, walls };
        worker.socket.set_read_timeout(Some(PATIENCE))?;
        worker.socket.set_write_timeout(Some(PATIENCE))?;
        write(&mut worker.socket, &Down::Load(native.len()))?;
        io::Write::write_all(&mut worker.socket, native)?;
        match read(&mut worker.socket)? {
            Up::Ready(Ok(walls)) => worker.walls = walls,
            Up::Ready(Err(why)) => return Err(Lost::Refused(printable(&why, TEXT))),
            _ => return Err(out_of_turn().into()),
        }
        Ok(worker)
    }

    /// Itself, unless somebody ended it meanwhile.
    pub(super) fn alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Asks the component for its manifest.
    pub(super) fn describe(&mut self, limits: &Limits) -> Result<Returned, CallError> {
        let invoke = Down::Invoke(Box::new(Invocation::Manifest), limits.clone());
        let answer = write(&mut self.socket, &invoke).and_then(|()| read(&mut self.socket));
        match answer {
            Ok(Up::Ended(ended)) => checked(ended),
            Ok(_) => Err(self.broke(&out_of_turn())),
            Err(error) => Err(self.broke(&error)),
        }
    }

    /// Lets it try to get out.
    pub(super) fn attempt(&mut self) -> io::Result<Vec<Attempt>> {
        write(&mut self.socket, &Down::Attempt)?;
        match read(&mut self.socket)? {
            Up::Attempted(attempts) => Ok(attempts),
            _ => Err(out_of_turn()),
        }
    }

    /// Calls the component, and answers its questions.
    pub(super) async fn call(
        &mut self,
        invocation: Invocation,
        limits: &Limits,
        host: &mut BoundedHost,
    ) -> Result<Returned, CallError> {
        let invoke = Down::Invoke(Box::new(invocation), limits.clone());
        match self.converse(&invoke, host).await {
            Ok(Ok(returned)) => returned,
            Ok(Err(stop)) => Err(stop.into()),
            Err(error) => Err(self.broke(&error)),
        }
    }

    async fn converse(
        &self,
        invoke: &Down,
        host: &mut BoundedHost,
    ) -> io::Result<Result<Result<Returned, CallError>, Stop>> {
        let socket = self.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        let mut socket = UnixSocket::from_std(socket)?;
        socket.write_all(&frame(invoke)?).await?;
        loop {
            let mut bytes = [0; LENGTH];
            socket.read_exact(&mut bytes).await?;
            let mut message = Vec::new();
            let length = length(bytes)?;
            // Grows as the bytes come: a length is only a promise.
            if (&mut socket).take(length as u64).read_to_end(&mut message).await? < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match parsed(&message)? {
                Up::Ask(ask) => {
                    let told = match ask {
                        // It says nothing while it waits: what comes is its end. A request, on the other hand, is
                        // always finished and written down.
                        Ask::Wait(ms) => tokio::select! {
                            told = put(Ask::Wait(ms), host) => told,
                            error = hung_up(&socket) => return Err(error),
                        },
                        ask => put(ask, host).await,
                    };
                    match told {
                        Ok(told) => socket.write_all(&frame(&Down::Told(told))?).await?,
                        Err(stop) => return Ok(Err(stop)),
                    }
                }
                Up::Ended(ended) => return Ok(Ok(checked(ended))),
                _ => return Err(out_of_turn()),
            }
        }
    }

    /// It ended in the middle, or spoke nonsense.
    fn broke(&mut self, error: &io::Error) -> CallError {
        // Its end of the socket closes a moment before its end is known.
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < DYING {
            sleep(Duration::from_millis(1));
        }
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => format!("its process ended: {status}"),
            _ => format!("its process does not keep to the protocol: {error}"),
        };
        CallError::Trapped { message: ended, stderr: String::new() }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended already cannot be killed; either way it is waited for, so that none is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends when the other side closes its end, or speaks.
async fn hung_up(socket: &UnixSocket) -> io::Error {
    loop {
        match socket.readable().await.and_then(|()| socket.try_read(&mut [0])) {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(_) => return out_of_turn(),
            // It was readable before, and everything was read.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return error,
        }
    }
}

fn out_of_turn() -> io::Error {
    io::Error::other("a message out of turn")
}

/// Puts a question of the guest to the host, within bounds.
async fn put(ask: Ask, host: &mut BoundedHost) -> Result<Told, Stop> {
    Ok(match ask {
        Ask::Send(call) => Told::Sent(host.send(call).await?),
        Ask::Compose { template, parts } => Told::Composed(host.compose(template, parts).await?),
        Ask::Step(message) => done(host.step(message).await)?,
        Ask::Checkpoint(partial) => done(host.checkpoint(partial).await)?,
        Ask::Log(message) => done(host.log(message).await)?,
        Ask::NowMs => Told::NowMs(host.now_ms().await?),
        Ask::Wait(ms) => done(host.wait(ms).await)?,
        Ask::Random(count) => Told::Random(host.random(u64::from(count)).await?),
    })
}

fn done(answer: Result<(), Stop>) -> Result<Told, Stop> {
    answer.map(|()| Told::Done)
}

/// What came back, checked as if nobody had checked it behind the wall.
fn checked(ended: Result<Returned, Ended>) -> Result<Returned, CallError> {
    match ended {
        Ok(Returned::Manifest(document)) => Ok(Returned::Manifest(bounds::manifest(document)?)),
        Ok(Returned::Apply(outcome)) => Ok(Returned::Apply(bounds::outcome(outcome)?)),
        Ok(Returned::Read(Some(record))) => {
            bounds::record(&record)?;
            Ok(Returned::Read(Some(record)))
        }
        Ok(other) => Ok(other),
        Err(Ended::Failed(failure)) => Err(CallError::Failed(bounds::failure(failure)?)),
        Err(Ended::Trapped { message, stderr }) => Err(CallError::Trapped {
            message: printable(&message, TEXT),
            stderr: stderr.lines().map(|line| printable(line, TEXT)).collect::<Vec<_>>().join("\n"),
        }),
        Err(Ended::Exhausted(why)) => Err(CallError::Exhausted(printable(&why, TEXT))),
        Err(Ended::Unusable(why)) => Err(CallError::Unusable(printable(&why, TEXT))),
    }
}
