//! What goes through the hole in the wall: frames of JSON, each after its length.
//!
//! The host believes no frame of the other side: each is bounded, and what it asks for goes through
//! [`BoundedHost`](crate::bounded_host::BoundedHost) again.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ss_gate::call::{Call, CallFailure, Failure, NamedSecret, Reply, ResourceRecord, SecretIndex};
use ss_ports::CallError;

use super::{Attempt, Walls};
use crate::invocation::{Invocation, Returned};
use crate::limits::Limits;

/// The largest frame. A body of 8 MiB, the most that a guest may hand over, is a third of it as JSON.
pub(super) const FRAME: usize = 96 << 20;
/// Bytes of a frame's length.
pub(super) const LENGTH: usize = 4;

/// From the host.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Down {
    /// Native code of this many bytes follows; none comes when it is only tried.
    Load(usize),
    /// Call the provisioner.
    Invoke(Box<Invocation>, Limits),
    /// What the host says to a question.
    Told(Told),
    /// Try to get out.
    Attempt,
}

/// From behind the wall.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Up {
    /// The code is loaded and the wall stands, or why not.
    Ready(Result<Walls, String>),
    /// A question of the guest.
    Ask(Ask),
    /// How the call ended.
    Ended(Result<Returned, Ended>),
    /// What came of the attempts.
    Attempted(Vec<Attempt>),
}

/// A call of [`HostCalls`](ss_ports::HostCalls).
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Send(Call),
    Compose { template: String, parts: Vec<NamedSecret> },
    Step(String),
    Checkpoint(ResourceRecord),
    Log(String),
    NowMs,
    Wait(u32),
    Random(u32),
}

/// The host's answer to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Sent(Result<Reply, CallFailure>),
    Composed(Result<SecretIndex, String>),
    Done,
    NowMs(f64),
    Random(Vec<u8>),
}

/// How a call ends other than well. That the host aborted it, the host knows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ended {
    Failed(Failure),
    Trapped { message: String, stderr: String },
    Exhausted(String),
    Unusable(String),
}

impl From<CallError> for Ended {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(failure) => Self::Failed(failure),
            CallError::Trapped { message, stderr } => Self::Trapped { message, stderr },
            CallError::Exhausted(why) => Self::Exhausted(why),
            CallError::Unusable(why) => Self::Unusable(why),
            CallError::Aborted(abort) => Self::Unusable(abort.0),
        }
    }
}

/// A frame as it is sent.
pub(super) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; LENGTH];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - LENGTH).map_err(io::Error::other)?;
    frame[..LENGTH].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// The length that a frame begins with.
pub(super) fn length(bytes: [u8; LENGTH]) -> io::Result<usize> {
    let length = u32::from_le_bytes(bytes) as usize;
    if length > FRAME {
        return Err(io::Error::other(format!("a message of {length} bytes; {FRAME} is the most")));
    }
    Ok(length)
}

pub(super) fn parsed<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    serde_json::from_slice(frame).map_err(io::Error::other)
}

pub(super) fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(message)?)
}

pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut bytes = [0; LENGTH];
    from.read_exact(&mut bytes)?;
    parsed(&read_exactly(from, length(bytes)?)?)
}

/// Grows as the bytes come: a length is only a promise.
pub(super) fn read_exactly(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if from.take(length as u64).read_to_end(&mut bytes)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
