//! One task per machine that makes its goal true: boots, watches, restarts, ends, buries.
//!
//! Promises that a process is recorded before it runs and that one of an older launch never passes
//! for the present one. Takes no decisions that belong to a request; those only set the goal.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

use super::config::{self, Restart};
use super::exec::program_of;
use super::fault::Fault;
use super::model::{Goal, Machine, Phase, State, StopOrder};
use super::{Fly, checker, lock};
use crate::machine::process::{Exit, Process, Program, free_port, signal_named};
use crate::sandbox_yaml::Image;

/// Images whose build command has run in this sandbox.
pub type Builds = Mutex<HashSet<Vec<String>>>;

/// How long a process may take to end when the sandbox itself ends.
const CLOSING_PATIENCE: Duration = Duration::from_secs(3);
/// How long a destroyed machine stays in lists with `include_deleted`.
const DESTROYED_KEPT_MS: i64 = 24 * 3_600_000;

struct Keeper {
    fly: Fly,
    id: String,
    wake: Arc<Notify>,
    live: Option<Live>,
}

/// The process of the present launch.
struct Live {
    process: Process,
    launch: u64,
    held: bool,
    checkers: Vec<JoinHandle<()>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.checkers.iter().for_each(JoinHandle::abort);
    }
}

/// What the machine is meant to do, as of now.
struct Order {
    goal: Goal,
    launch: u64,
    stop: StopOrder,
    phase: Phase,
}

/// Looks after machine `id` until it is gone or the sandbox closes.
///
/// A disk that refuses ends the care: the process is killed rather than left unrecorded.
pub async fn keep(fly: Fly, id: String, wake: Arc<Notify>) {
    let mut keeper = Keeper { fly, id, wake, live: None };
    loop {
        match keeper.step().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) => {
                keeper.say(&format!("the sandbox gives up on this machine: {}", fault.body));
                break;
            }
        }
    }
    lock(&keeper.fly.inner.keepers).remove(&keeper.id);
}

impl Keeper {
    /// One move towards the goal; false when there is nothing left to do, ever.
    async fn step(&mut self) -> Result<bool, Fault> {
        if self.fly.inner.closing.load(Ordering::SeqCst) {
            self.close().await?;
            return Ok(false);
        }
        let Some(order) = self.order() else { return Ok(false) };
        match (order.goal, &self.live) {
            (Goal::Run, Some(live)) if live.launch == order.launch => self.run().await?,
            (Goal::Run, None) => self.boot(&order).await?,
            (Goal::Suspend, Some(live)) if live.held => self.watch().await?,
            (Goal::Suspend, Some(_)) => self.hold()?,
            (Goal::Stop | Goal::Suspend, None) => self.rest(&order).await?,
            (Goal::Destroy, None) => return self.bury().map(|()| false),
            (_, Some(_)) => self.end(order.stop).await?,
        }
        Ok(true)
    }

    fn order(&self) -> Option<Order> {
        self.fly.read(|state| {
            let m = state.machines.get(&self.id)?;
            Some(Order { goal: m.goal, launch: m.launch, stop: m.stop.clone(), phase: m.phase })
        })
    }

    fn change(&self, change: impl FnOnce(&mut Machine, i64)) -> Result<(), Fault> {
        let now = self.fly.now_ms();
        self.fly.change(|state| {
            let machine = state.machines.get_mut(&self.id).ok_or_else(Fault::no_machine)?;
            change(machine, now);
            Ok(())
        })
    }

    fn say(&self, message: &str) {
        self.fly.inner.logs.append(&self.id, "runner", "info", message);
    }

    /// Sleeps by the clock; false when the goal changed meanwhile.
    async fn pause(&self, ms: i64) -> bool {
        tokio::select! {
            () = self.fly.inner.clock.sleep(ms) => true,
            () = self.wake.notified() => false,
        }
    }

    /// From no process to a started one.
    async fn boot(&mut self, order: &Order) -> Result<(), Fault> {
        let boot_ms = self.fly.read(|state| state.settings.boot_ms);
        if order.phase == Phase::Created {
            if !self.pause(boot_ms / 2).await {
                return Ok(());
            }
            self.change(|machine, _| machine.phase = Phase::Starting)?;
        }
        if order.phase != Phase::Restarting && !self.pause(boot_ms - boot_ms / 2).await {
            return Ok(());
        }
        match self.launch(order.launch).await {
            Ok(()) => Ok(()),
            Err(LaunchError::Overtaken) => Ok(()),
            Err(LaunchError::Refused(fault)) => Err(fault),
            Err(LaunchError::Failed(why)) => self.fail(&why),
        }
    }

    async fn launch(&mut self, launch: u64) -> Result<(), LaunchError> {
        let machine = self.fly.read(|state| state.machines.get(&self.id).cloned());
        let machine = machine.ok_or(LaunchError::Overtaken)?;
        let image = self.image(&machine)?;
        self.build(&image).await?;
        let port = free_port()?;
        let program = program_of(&machine, &image, port);
        let mut process = program.start(&self.fly.inner.logs, &self.id)?;
        let stamp = process.stamp().clone();
        let recorded = self.fly.change(|state| {
            let machine = state.machines.get_mut(&self.id).ok_or_else(Fault::no_machine)?;
            if machine.launch != launch || machine.goal != Goal::Run {
                return Ok(false);
            }
            (machine.port, machine.process) = (port, Some(stamp));
            machine.checks.clear();
            machine.enter(self.fly.now_ms(), Phase::Started, "start", "flyd");
            Ok(true)
        })?;
        if !recorded {
            return Err(LaunchError::Overtaken);
        }
        process.release().await;
        let checkers = checker::start(&self.fly, &machine, launch, port);
        self.live = Some(Live { process, launch, held: false, checkers });
        Ok(())
    }

    fn image(&self, machine: &Machine) -> Result<Image, LaunchError> {
        let name = config::image(&machine.config);
        let found =
            self.fly.inner.images.find(name).map_err(|e| LaunchError::Failed(e.to_string()))?;
        found.ok_or_else(|| {
            LaunchError::Failed(format!("no entry for image {name} in sandbox.yaml"))
        })
    }

    /// Runs the image's build command, once for all machines.
    async fn build(&self, image: &Image) -> Result<(), LaunchError> {
        if image.build.is_empty() {
            return Ok(());
        }
        let mut built = tokio::select! {
            built = self.fly.inner.builds.lock() => built,
            () = self.wake.notified() => return Err(LaunchError::Overtaken),
        };
        if built.contains(&image.build) {
            return Ok(());
        }
        self.say(&format!("building {}: {}", image.name, image.build.join(" ")));
        let program = Program {
            command: image.build.clone(),
            dir: image.dir.clone(),
            env: image.env.clone(),
        };
        let mut process = program.start(&self.fly.inner.logs, &self.id)?;
        process.release().await;
        let exit = tokio::select! {
            exit = process.exited() => exit,
            () = self.wake.notified() => return Err(LaunchError::Overtaken),
        };
        if exit.code != 0 {
            let what = format!("build of {} failed with exit code {}", image.name, exit.code);
            return Err(LaunchError::Failed(what));
        }
        built.insert(image.build.clone());
        Ok(())
    }

    fn fail(&self, why: &str) -> Result<(), Fault> {
        self.say(why);
        self.change(|machine, now| {
            machine.goal = Goal::Stop;
            machine.phase = Phase::Failed;
            let request = json!({ "error": why });
            machine.note(now, "launch", Phase::Failed.name(), "flyd", Some(request));
        })
    }

    /// The goal is met: let it run on, or run again after being held.
    async fn run(&mut self) -> Result<(), Fault> {
        if let Some(live) = self.live.as_mut().filter(|live| live.held) {
            live.process.signal(Signal::CONT);
            live.held = false;
            return self.change(|machine, now| machine.enter(now, Phase::Started, "start", "flyd"));
        }
        self.watch().await
    }

    fn hold(&mut self) -> Result<(), Fault> {
        if let Some(live) = &mut self.live {
            live.process.signal(Signal::STOP);
            live.held = true;
        }
        self.change(|machine, now| {
            machine.checks.clear();
            machine.enter(now, Phase::Suspended, "suspend", "flyd");
        })
    }

    /// Waits until the process ends or the goal changes.
    async fn watch(&mut self) -> Result<(), Fault> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let exit = tokio::select! {
            exit = live.process.exited() => exit,
            () = self.wake.notified() => return Ok(()),
        };
        self.live = None;
        self.ended_by_itself(exit).await
    }

    async fn ended_by_itself(&self, exit: Exit) -> Result<(), Fault> {
        self.change(|machine, now| {
            let again = machine.goal == Goal::Run
                && match config::restart(&machine.config) {
                    Restart::No => false,
                    Restart::Always => true,
                    Restart::OnFailure(most) => exit.code != 0 && machine.restarts < most,
                };
            note_exit(machine, now, exit, again, false);
            if again {
                machine.restarts += 1;
                machine.phase = Phase::Restarting;
            } else if machine.goal == Goal::Run && machine.config["auto_destroy"] == true {
                machine.goal = Goal::Destroy;
                machine.phase = Phase::Destroying;
            } else if machine.goal == Goal::Run {
                machine.goal = Goal::Stop;
                machine.phase = Phase::Stopped;
            }
        })?;
        let delay_ms = self.fly.read(|state| state.settings.restart_delay_ms);
        if self.order().is_some_and(|order| order.phase == Phase::Restarting) {
            self.pause(delay_ms).await;
        }
        Ok(())
    }

    /// Ends the process: first as ordered, then by force.
    async fn end(&mut self, stop: StopOrder) -> Result<(), Fault> {
        let Some(mut live) = self.live.take() else { return Ok(()) };
        let clock = &self.fly.inner.clock;
        let deadline_ms = clock.now_ms() + stop.timeout_ms;
        live.process.signal(signal_named(&stop.signal).unwrap_or(Signal::INT));
        live.process.signal(Signal::CONT);
        let mut killed = false;
        let exit = loop {
            tokio::select! {
                exit = live.process.exited() => break exit,
                () = clock.sleep_until(deadline_ms), if !killed => killed = true,
                () = self.wake.notified(), if !killed => {
                    let closing = self.fly.inner.closing.load(Ordering::SeqCst);
                    killed = closing || self.order().is_none_or(|order| order.stop.timeout_ms == 0);
                }
            }
            if killed {
                live.process.signal(Signal::KILL);
            }
        };
        drop(live);
        self.change(|machine, now| {
            if machine.goal == Goal::Stop {
                machine.phase = Phase::Stopped;
            }
            note_exit(machine, now, exit, false, true);
        })
    }

    /// Nothing to run: say so, and wait.
    async fn rest(&self, order: &Order) -> Result<(), Fault> {
        if order.phase != Phase::Created && !order.phase.is_settled() {
            self.change(|machine, now| machine.enter(now, Phase::Stopped, "stop", "flyd"))?;
        }
        self.wake.notified().await;
        Ok(())
    }

    fn bury(&self) -> Result<(), Fault> {
        let now = self.fly.now_ms();
        let forgotten = self.fly.change(|state| {
            for volume in state.volumes.values_mut() {
                volume.attached = volume.attached.take().filter(|machine| *machine != self.id);
            }
            if let Some(machine) = state.machines.get_mut(&self.id) {
                machine.enter(now, Phase::Destroyed, "destroy", "flyd");
                (machine.destroyed_ms, machine.lease) = (Some(now), None);
            }
            Ok(forget_the_long_gone(state, now))
        })?;
        forgotten.iter().for_each(|id| self.fly.inner.logs.forget(id));
        Ok(())
    }

    /// The sandbox closes: end the process, but not the goal.
    async fn close(&mut self) -> Result<(), Fault> {
        let Some(mut live) = self.live.take() else { return Ok(()) };
        live.process.signal(Signal::TERM);
        live.process.signal(Signal::CONT);
        if tokio::time::timeout(CLOSING_PATIENCE, live.process.exited()).await.is_err() {
            live.process.signal(Signal::KILL);
            live.process.exited().await;
        }
        self.change(|machine, _| {
            machine.process = None;
            machine.checks.clear();
        })
    }
}

/// Why a launch did not happen.
enum LaunchError {
    /// The goal changed.
    Overtaken,
    /// The image cannot be run.
    Failed(String),
    /// The state cannot be kept.
    Refused(Fault),
}

impl From<io::Error> for LaunchError {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!("cannot start: {error}"))
    }
}

impl From<Fault> for LaunchError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

fn note_exit(machine: &mut Machine, now_ms: i64, exit: Exit, restarting: bool, requested: bool) {
    machine.process = None;
    machine.checks.clear();
    let request = json!({
        "exit_event": {
            "exit_code": exit.code,
            "guest_exit_code": exit.code,
            "guest_signal": exit.signal.unwrap_or(-1),
            "signal": exit.signal.unwrap_or(-1),
            "exited_at": now_ms,
            "oom_killed": false,
            "requested_stop": requested,
            "restarting": restarting,
        },
        "restart_count": machine.restarts,
    });
    machine.note(now_ms, "exit", Phase::Stopped.name(), "flyd", Some(request));
}

/// Drops machines destroyed long ago and those whose app is gone; returns their ids.
fn forget_the_long_gone(state: &mut State, now_ms: i64) -> Vec<String> {
    let apps: HashSet<&str> = state.apps.values().map(|app| app.id.as_str()).collect();
    let gone = |machine: &&Machine| {
        let since = machine.destroyed_ms.filter(|_| apps.contains(machine.app_id.as_str()));
        machine.destroyed_ms.is_some()
            && since.is_none_or(|since| now_ms - since > DESTROYED_KEPT_MS)
    };
    let gone: Vec<String> = state.machines.values().filter(gone).map(|m| m.id.clone()).collect();
    gone.iter().for_each(|id| drop(state.machines.remove(id)));
    gone
}
