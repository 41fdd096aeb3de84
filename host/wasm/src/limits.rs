//! What one call may use up, and the accounting of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::engine::{TICK, ticks};
use crate::state::Stop;

/// Components above this size carry a language runtime and get more memory.
const LARGE_COMPONENT: usize = 5 << 20;

/// What one call may use up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Linear memory of all instances of the call together, in bytes.
    pub memory: usize,
    /// Elements of all tables of the call together.
    pub table_elements: usize,
    /// Core instances, and so modules, in one component.
    pub instances: usize,
    /// Bytes that cross from the guest to the host in one call of a function.
    pub hostcall_bytes: usize,
    /// Bytes that cross from the guest to the host in the whole call, in requests, checkpoints and templates.
    pub handed_bytes: usize,
    /// Questions to the host in the whole call. Waiting for an answer costs no processor time; this bounds what does
    /// nothing but ask.
    pub host_calls: u32,
    /// Random bytes in the whole call: each is kept, so that the call can be replayed.
    pub random_bytes: u64,
    /// Requests that the gate refuses before the call ends.
    pub refusals: u32,
    /// Handles the component may hold at once.
    pub handles: usize,
    /// Processor time in ticks of 10 ms; waiting for the host costs nothing.
    pub cpu_ticks: u64,
    /// Time on the wall around the whole call.
    pub wall: Duration,
}

impl Limits {
    /// The defaults for a component of this many bytes.
    pub fn for_component(bytes: usize) -> Self {
        Self {
            memory: if bytes > LARGE_COMPONENT { 256 << 20 } else { 64 << 20 },
            table_elements: 100_000,
            instances: 64,
            hostcall_bytes: 16 << 20,
            handed_bytes: 16 << 20,
            host_calls: 20_000,
            random_bytes: 1 << 20,
            refusals: 1_000,
            handles: 1_000,
            cpu_ticks: 1_000,
            wall: Duration::from_secs(20 * 60),
        }
    }
}

/// What one call has used up.
pub(crate) struct Usage {
    limits: Limits,
    memory: usize,
    table_elements: usize,
    handed_bytes: usize,
    host_calls: u32,
    random_bytes: u64,
    refusals: u32,
    ticks_left: u64,
    last_tick: u64,
    waited: u64,
}

impl Usage {
    pub(crate) fn new(limits: Limits) -> Self {
        let ticks_left = limits.cpu_ticks;
        Self {
            limits,
            memory: 0,
            table_elements: 0,
            handed_bytes: 0,
            host_calls: 0,
            random_bytes: 0,
            refusals: 0,
            ticks_left,
            last_tick: ticks(),
            waited: 0,
        }
    }

    /// Counts one question to the host.
    pub(crate) fn asked(&mut self) -> Result<(), Stop> {
        self.host_calls += 1;
        let most = self.limits.host_calls;
        within(self.host_calls <= most, || format!("it asked the host more than {most} times"))
    }

    /// Counts what was handed to the host to keep.
    pub(crate) fn handed(&mut self, bytes: usize) -> Result<(), Stop> {
        self.handed_bytes = self.handed_bytes.saturating_add(bytes);
        let most = self.limits.handed_bytes;
        within(self.handed_bytes <= most, || {
            format!("it handed over more than {} MiB in one call", most >> 20)
        })
    }

    /// Counts random bytes.
    pub(crate) fn drew(&mut self, bytes: u64) -> Result<(), Stop> {
        self.random_bytes = self.random_bytes.saturating_add(bytes);
        let most = self.limits.random_bytes;
        within(self.random_bytes <= most, || {
            format!("it asked for more than {most} random bytes in one call")
        })
    }

    /// Counts one request that was refused.
    pub(crate) fn refused(&mut self) -> Result<(), Stop> {
        self.refusals += 1;
        let most = self.limits.refusals;
        within(self.refusals < most, || format!("it was refused {most} requests and went on"))
    }

    /// Keeps in mind that this many ticks went by while the guest waited for the host.
    pub(crate) fn waited(&mut self, ticks: u64) {
        self.waited += ticks;
    }

    /// Charges one tick, unless all of the time since the last one was spent waiting. Never more than one: a machine
    /// that is busy with other things is not the guest's fault.
    pub(crate) fn tick(&mut self, now: u64) -> wasmtime::Result<UpdateDeadline> {
        let busy = now.saturating_sub(self.last_tick).saturating_sub(self.waited);
        self.last_tick = now;
        self.waited = 0;
        if busy > 0 {
            let Some(left) = self.ticks_left.checked_sub(1) else {
                let budget = TICK.as_millis() * u128::from(self.limits.cpu_ticks);
                let text = format!("it used up its processor time of {budget} ms");
                return Err(Stop::Exhausted(text).into());
            };
            self.ticks_left = left;
        }
        Ok(UpdateDeadline::Yield(1))
    }
}

fn within(is_within: bool, otherwise: impl FnOnce() -> String) -> Result<(), Stop> {
    if is_within { Ok(()) } else { Err(Stop::Exhausted(otherwise())) }
}

impl ResourceLimiter for Usage {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        self.memory = self.memory.saturating_add(desired - current);
        if self.memory > self.limits.memory {
            let mebibytes = self.limits.memory >> 20;
            let text = format!("it asked for more than its {mebibytes} MiB of memory");
            return Err(Stop::Exhausted(text).into());
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        self.table_elements = self.table_elements.saturating_add(desired - current);
        if self.table_elements > self.limits.table_elements {
            let most = self.limits.table_elements;
            let text = format!("it asked for more than {most} table elements");
            return Err(Stop::Exhausted(text).into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut usage = Usage::new(Limits { memory: 100, ..Limits::for_component(0) });
        assert!(usage.memory_growing(0, 60, None).is_ok());
        assert!(usage.memory_growing(0, 40, None).is_ok());
        assert!(
            !usage.memory_growing(40, 80, Some(50)).expect("beyond its own maximum: no growth")
        );
        let error = usage.memory_growing(40, 41, None).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Stop::Exhausted(_))), "{error}");
    }

    #[test]
    fn tables_are_counted_together() {
        let mut usage = Usage::new(Limits { table_elements: 10, ..Limits::for_component(0) });
        assert!(usage.table_growing(0, 6, None).is_ok());
        assert!(!usage.table_growing(6, 9, Some(8)).expect("beyond its own maximum: no growth"));
        let error = usage.table_growing(0, 5, None).unwrap_err();
        assert!(error.to_string().contains("more than 10 table elements"), "{error}");
    }

    #[test]
    fn what_is_asked_and_handed_over_is_counted() {
        let limits = Limits {
            handed_bytes: 100,
            host_calls: 1,
            random_bytes: 10,
            refusals: 2,
            ..Limits::for_component(0)
        };
        let mut usage = Usage::new(limits);
        assert!(usage.asked().is_ok() && usage.asked().is_err());
        assert!(usage.handed(100).is_ok() && usage.handed(1).is_err());
        assert!(usage.drew(10).is_ok() && usage.drew(u64::MAX).is_err());
        assert!(usage.refused().is_ok() && usage.refused().is_err());
    }

    #[test]
    fn a_component_with_a_language_runtime_gets_more_memory() {
        assert_eq!(Limits::for_component(1 << 20).memory, 64 << 20);
        assert_eq!(Limits::for_component(18 << 20).memory, 256 << 20);
    }

    #[test]
    fn waiting_costs_nothing_and_an_interruption_one_tick() {
        let mut usage = Usage::new(Limits { cpu_ticks: 1, ..Limits::for_component(0) });
        let start = usage.last_tick;
        usage.waited(100);
        assert!(usage.tick(start + 100).is_ok());
        assert_eq!(usage.ticks_left, 1, "all of it was waiting");
        assert!(usage.tick(start + 200).is_ok());
        assert_eq!(usage.ticks_left, 0, "one tick, however late the interruption came");
        let error = usage.tick(start + 201).err().expect("the budget is used up");
        assert!(error.to_string().contains("processor time of 10 ms"), "{error}");
    }
}
