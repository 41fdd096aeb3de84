//! The host of one provisioner call, played from a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ss_gate::call::{Call, CallFailure, NamedSecret, Reply, ResourceRecord, SecretIndex};
use ss_ports::{Abort, HostCalls};

/// What a provisioner asked for, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum HostEvent {
    /// An operation.
    Send(Call),
    /// A secret out of a template.
    Compose(String, Vec<NamedSecret>),
    /// A step for the user.
    Step(String),
    /// What exists so far.
    Checkpoint(ResourceRecord),
    /// A line for the log.
    Log(String),
    /// The time.
    NowMs,
    /// To wait.
    Wait(u32),
    /// Random bytes.
    Random(u32),
}

/// A host that answers from a script, without a clock, a network or chance: time moves with the waits only, random
/// bytes count up, secrets are numbered from 100. A call that the script does not know is an [`Abort`].
#[derive(Debug)]
pub struct ScriptedHost {
    answers: VecDeque<Result<Reply, CallFailure>>,
    events: Arc<Mutex<Vec<HostEvent>>>,
    now_ms: f64,
    next_byte: u8,
    next_secret: SecretIndex,
    steps_left: usize,
    waits_end: bool,
}

impl ScriptedHost {
    /// When the script begins, in milliseconds since the Unix epoch.
    pub const START_MS: f64 = 1_700_000_000_000.0;

    /// A host with these answers to `send`.
    pub fn new(answers: impl IntoIterator<Item = Result<Reply, CallFailure>>) -> Self {
        Self {
            answers: answers.into_iter().collect(),
            events: Arc::default(),
            now_ms: Self::START_MS,
            next_byte: 0,
            next_secret: 100,
            steps_left: usize::MAX,
            waits_end: true,
        }
    }

    /// Cannot go on at the step after this many.
    #[must_use]
    pub fn aborts_after_steps(self, steps: usize) -> Self {
        Self { steps_left: steps, ..self }
    }

    /// Whoever waits waits forever.
    #[must_use]
    pub fn never_stops_waiting(self) -> Self {
        Self { waits_end: false, ..self }
    }

    /// What was asked so far; still there when the host is gone.
    pub fn events(&self) -> Events {
        Events(Arc::clone(&self.events))
    }

    fn note(&self, event: HostEvent) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

/// The questions of one provisioner call.
#[derive(Debug, Clone)]
pub struct Events(Arc<Mutex<Vec<HostEvent>>>);

impl Events {
    /// All of them, in order.
    pub fn list(&self) -> Vec<HostEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl HostCalls for ScriptedHost {
    async fn send(&mut self, call: Call) -> Result<Result<Reply, CallFailure>, Abort> {
        let operation = call.operation.clone();
        self.note(HostEvent::Send(call));
        let over = || Abort(format!("the script has no answer to `{operation}`"));
        self.answers.pop_front().ok_or_else(over)
    }

    async fn compose(
        &mut self,
        template: String,
        parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Abort> {
        self.note(HostEvent::Compose(template, parts));
        self.next_secret += 1;
        Ok(Ok(self.next_secret - 1))
    }

    async fn step(&mut self, message: String) -> Result<(), Abort> {
        let Some(left) = self.steps_left.checked_sub(1) else {
            return Err(Abort("the script ends here".to_owned()));
        };
        self.steps_left = left;
        self.note(HostEvent::Step(message));
        Ok(())
    }

    async fn checkpoint(&mut self, partial: ResourceRecord) -> Result<(), Abort> {
        self.note(HostEvent::Checkpoint(partial));
        Ok(())
    }

    async fn log(&mut self, message: String) -> Result<(), Abort> {
        self.note(HostEvent::Log(message));
        Ok(())
    }

    async fn now_ms(&mut self) -> Result<f64, Abort> {
        self.note(HostEvent::NowMs);
        Ok(self.now_ms)
    }

    async fn wait(&mut self, ms: u32) -> Result<(), Abort> {
        self.note(HostEvent::Wait(ms));
        if !self.waits_end {
            std::future::pending::<()>().await;
        }
        self.now_ms += f64::from(ms);
        Ok(())
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort> {
        self.note(HostEvent::Random(count));
        let first = usize::from(self.next_byte);
        self.next_byte = self.next_byte.wrapping_add(count as u8);
        Ok((first..first + count as usize).map(|byte| byte as u8).collect())
    }
}
