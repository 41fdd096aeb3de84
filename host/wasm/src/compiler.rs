//! Compiling what a stranger wrote: in a process of its own that can be killed, with bounds on its time and its memory.
//!
//! A component can be made to keep a compiler busy for hours or to fill the memory; what is slow here is the child, and
//! only the child ends. Where no program was named (tests, tools), compiling happens in this process.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::engine::engine;

/// Memory of the child. Compiling a Python runtime of 18 MB takes a sixth of it.
const MEMORY: u64 = 2 << 30;
/// Processor time of the child, in seconds; the same runtime takes a tenth of it, unoptimised.
const PROCESSOR: u64 = 150;
/// Native code is larger than the component it was made of, by a factor of three or so.
const COMPILED: u64 = 512 << 20;

struct Elsewhere {
    program: PathBuf,
    arguments: Vec<String>,
    wall: Duration,
}

static ELSEWHERE: OnceLock<Elsewhere> = OnceLock::new();

/// From now on components are compiled by this program, which with these arguments calls [`serve_compiler`]. It is
/// killed when it takes longer than `wall`. The first call counts.
pub fn compile_with(program: PathBuf, arguments: &[&str], wall: Duration) {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let _ = ELSEWHERE.set(Elsewhere { program, arguments, wall });
}

/// The component's native code.
pub(crate) fn compile(component: &[u8]) -> Result<Vec<u8>, String> {
    match ELSEWHERE.get() {
        Some(elsewhere) => elsewhere.compile(component),
        None => compile_here(component),
    }
}

fn compile_here(component: &[u8]) -> Result<Vec<u8>, String> {
    engine()
        .precompile_component(component)
        .map_err(|error| format!("it does not compile: {error:#}"))
}

impl Elsewhere {
    fn compile(&self, component: &[u8]) -> Result<Vec<u8>, String> {
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child =
            child.map_err(|error| format!("the compiler cannot be started: {error}"))?;
        let answer = self.converse(&mut child, component);
        if answer.is_err() {
            // One that has ended already cannot be killed; either way it is waited for.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| format!("the compiler was lost: {error}"))?;
        understood(answer?, status)
    }

    /// Hands over the component and reads the answer, both at once: either pipe may be full.
    fn converse(&self, child: &mut Child, component: &[u8]) -> Result<Vec<u8>, String> {
        let mut stdin = child.stdin.take().expect("it was piped");
        let stdout = child.stdout.take().expect("it was piped");
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            // A child that ended reads no more, and says so by its status.
            scope.spawn(move || stdin.write_all(component));
            thread::spawn(move || {
                let mut answer = Vec::new();
                let read = stdout.take(COMPILED).read_to_end(&mut answer);
                sender.send(read.map(|_| answer))
            });
            let answer = receiver.recv_timeout(self.wall);
            if answer.is_err() {
                // Before the scope ends: the writing thread may be stuck on it.
                let _ = child.kill();
            }
            match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(format!("the compiler was lost: {error}")),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let seconds = self.wall.as_secs();
                    Err(format!("it does not compile within {seconds} seconds"))
                }
            }
        })
    }
}

/// The child answers with native code and success, or with a sentence and failure; everything else is its end.
fn understood(answer: Vec<u8>, status: ExitStatus) -> Result<Vec<u8>, String> {
    match status.code() {
        Some(0) => Ok(answer),
        Some(1) => Err(String::from_utf8_lossy(&answer).into_owned()),
        _ => Err(format!(
            "it does not compile in {} GiB of memory and {PROCESSOR} seconds, or breaks the compiler \
             ({status})",
            MEMORY >> 30
        )),
    }
}

/// The child's side: compiles what stands on standard input. The answer is whether that went well.
pub fn serve_compiler() -> io::Result<bool> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, limit(MEMORY))?;
    setrlimit(Resource::Cpu, limit(PROCESSOR))?;
    setrlimit(Resource::Core, limit(0))?;
    setrlimit(Resource::Fsize, limit(0))?;
    setrlimit(Resource::Nofile, limit(16))?;
    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component)?;
    let compiled = compile_here(&component);
    let answer = compiled.as_ref().map_or_else(|error| error.as_bytes(), Vec::as_slice);
    io::stdout().lock().write_all(answer)?;
    Ok(compiled.is_ok())
}
