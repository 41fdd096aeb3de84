//! What the journal, the lock and the look before a repetition promise together, as a model small enough to be
//! tried whole: every order of every event of two deployers who make two resources.
//!
//! The model has no clock and no bytes. It takes two things for granted, which `docs/recovery.md` names as limits: a
//! request arrives, or is lost, before the next holder of the lock looks; and whoever has lost the lock does not send
//! between finding that it holds it and sending.

use stateright::{Model, Property};

/// How many deployers and resources there are.
pub const DEPLOYERS: usize = 2;
/// How many resources are wanted.
pub const RESOURCES: usize = 2;

/// What may be wrong with `ss`, so that the check can be seen to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Whoever lost the lock writes and sends all the same.
    NoFencing,
    /// A request is written down after it was answered.
    IntentAfterRequest,
    /// A request whose outcome is not known is repeated without a look.
    NoLook,
}

/// Who takes the lock from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// The kernel, when the process is gone.
    Kernel,
    /// Time, whether the process is gone or only slow.
    Lease,
}

/// `ss`, its cloud, and how much may go wrong.
#[derive(Debug, Clone)]
pub struct Deploys {
    /// What is wrong with `ss`.
    pub flaw: Flaw,
    /// How the lock is taken from whoever does not give it back.
    pub lock: Lock,
    /// How often a run may be killed.
    pub crashes: u8,
    /// How often a run may be so slow that its lease ends.
    pub delays: u8,
    /// How often a request or its answer may be lost.
    pub losses: u8,
}

/// What the journal says of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Note {
    /// Nothing.
    Nothing,
    /// A call was begun.
    Intended,
    /// A request was about to be sent.
    Requested,
    /// The resource is there.
    Done,
}

/// Where a run is with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Not begun.
    Todo,
    /// The intent is durable.
    Intended,
    /// The request may leave.
    Ready,
    /// It is on its way, or its answer is.
    Sent,
    /// Nobody knows whether it arrived.
    Unknown,
    /// It was answered, or what it made was found.
    Answered,
    /// The outcome is durable.
    Recorded,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run {
    /// The lock's number when it was taken.
    epoch: u8,
    steps: [Step; RESOURCES],
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// How many there are of each resource.
    cloud: [u8; RESOURCES],
    /// Whose requests are on their way.
    wire: [Option<usize>; RESOURCES],
    journal: [Note; RESOURCES],
    holder: Option<usize>,
    epoch: u8,
    runs: [Option<Run>; DEPLOYERS],
    crashes: u8,
    delays: u8,
    losses: u8,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A deployer takes the lock and reads the journal.
    Begins(usize),
    /// It does the next thing for a resource.
    Goes(usize, usize),
    /// Its request arrives, and so does the answer.
    Arrives(usize),
    /// Its request arrives, and the answer is lost.
    ArrivesUnheard(usize),
    /// Its request is lost.
    IsLost(usize),
    /// It is killed.
    Crashes(usize),
    /// Its lease ends.
    Expires,
    /// It is done and gives the lock back.
    Ends(usize),
}

impl Deploys {
    fn holds(&self, world: &World, deployer: usize) -> bool {
        let is_newest = world.runs[deployer].as_ref().is_some_and(|run| run.epoch == world.epoch);
        (world.holder == Some(deployer) && is_newest) || self.flaw == Flaw::NoFencing
    }

    fn begins(&self, world: &mut World, deployer: usize) {
        world.holder = Some(deployer);
        world.epoch += 1;
        // The tape is replayed: a request without an answer is of unknown outcome.
        let steps = world.journal.map(|note| match note {
            Note::Nothing => Step::Todo,
            Note::Intended => Step::Intended,
            Note::Requested => Step::Unknown,
            Note::Done => Step::Recorded,
        });
        world.runs[deployer] = Some(Run { epoch: world.epoch, steps });
    }

    fn goes(&self, world: &mut World, deployer: usize, resource: usize) {
        if !self.holds(world, deployer) {
            // The store refuses the write, or the run sees before it sends that the lock is not its own: it ends.
            world.runs[deployer] = None;
            return;
        }
        let Some(run) = &mut world.runs[deployer] else { return };
        let step = &mut run.steps[resource];
        let is_late = self.flaw == Flaw::IntentAfterRequest;
        *step = match *step {
            Step::Todo if is_late => Step::Ready,
            Step::Todo => {
                world.journal[resource] = Note::Intended;
                Step::Intended
            }
            Step::Intended => {
                world.journal[resource] = Note::Requested;
                Step::Ready
            }
            Step::Ready => {
                world.wire[resource] = Some(deployer);
                Step::Sent
            }
            Step::Unknown if self.flaw == Flaw::NoLook => Step::Ready,
            Step::Unknown if world.cloud[resource] > 0 => Step::Answered,
            Step::Unknown => Step::Ready,
            Step::Answered => {
                world.journal[resource] = Note::Done;
                Step::Recorded
            }
            other @ (Step::Sent | Step::Recorded) => other,
        };
    }

    fn lands(world: &mut World, resource: usize, has_effect: bool, is_heard: bool) {
        let sender = world.wire[resource].take();
        world.cloud[resource] += u8::from(has_effect);
        let run = sender.and_then(|sender| world.runs[sender].as_mut());
        if let Some(run) = run.filter(|run| run.steps[resource] == Step::Sent) {
            run.steps[resource] = if is_heard { Step::Answered } else { Step::Unknown };
        }
        world.losses += u8::from(!is_heard);
    }
}

impl Model for Deploys {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            cloud: [0; RESOURCES],
            wire: [None; RESOURCES],
            journal: [Note::Nothing; RESOURCES],
            holder: None,
            epoch: 0,
            runs: [None, None],
            crashes: 0,
            delays: 0,
            losses: 0,
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        let is_calm = world.wire.iter().all(Option::is_none);
        let is_done = world.journal.iter().all(|note| *note == Note::Done);
        for deployer in 0..DEPLOYERS {
            let Some(run) = &world.runs[deployer] else {
                if world.holder.is_none() && is_calm && !is_done {
                    events.push(Event::Begins(deployer));
                }
                continue;
            };
            for (resource, step) in run.steps.iter().enumerate() {
                if !matches!(step, Step::Sent | Step::Recorded) {
                    events.push(Event::Goes(deployer, resource));
                }
            }
            if run.steps.iter().all(|step| *step == Step::Recorded) {
                events.push(Event::Ends(deployer));
            }
            if world.crashes < self.crashes {
                events.push(Event::Crashes(deployer));
            }
        }
        for resource in (0..RESOURCES).filter(|at| world.wire[*at].is_some()) {
            events.push(Event::Arrives(resource));
            if world.losses < self.losses {
                events.extend([Event::ArrivesUnheard(resource), Event::IsLost(resource)]);
            }
        }
        if let (Lock::Lease, Some(holder)) = (self.lock, world.holder) {
            let is_gone = world.runs[holder].is_none();
            if is_gone || world.delays < self.delays {
                events.push(Event::Expires);
            }
        }
    }

    fn next_state(&self, last: &World, event: Event) -> Option<World> {
        let mut world = last.clone();
        match event {
            Event::Begins(deployer) => self.begins(&mut world, deployer),
            Event::Goes(deployer, resource) => self.goes(&mut world, deployer, resource),
            Event::Arrives(resource) => Self::lands(&mut world, resource, true, true),
            Event::ArrivesUnheard(resource) => Self::lands(&mut world, resource, true, false),
            Event::IsLost(resource) => Self::lands(&mut world, resource, false, false),
            Event::Crashes(deployer) => {
                world.crashes += 1;
                world.runs[deployer] = None;
                if self.lock == Lock::Kernel && world.holder == Some(deployer) {
                    world.holder = None;
                }
            }
            Event::Expires => {
                let holder = world.holder.take();
                let is_slow = holder.is_some_and(|holder| world.runs[holder].is_some());
                world.delays += u8::from(is_slow);
            }
            Event::Ends(deployer) => {
                world.runs[deployer] = None;
                if world.holder == Some(deployer) {
                    world.holder = None;
                }
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no duplicate", |_, world: &World| world.each(|count, _| count <= 1)),
            Property::always("no orphan", |_, world: &World| {
                world.each(|count, note| count == 0 || note != Note::Nothing)
            }),
            Property::always("no phantom", |_, world: &World| {
                world.each(|count, note| note != Note::Done || count > 0)
            }),
            // Where nothing can happen any more, all is done and nobody has to take a lock away.
            Property::always("it ends well", |model: &Self, world: &World| {
                let mut events = Vec::new();
                model.actions(world, &mut events);
                let is_whole = world.each(|count, note| count == 1 && note == Note::Done);
                !events.is_empty() || (is_whole && world.holder.is_none())
            }),
            Property::sometimes(
                "all goes wrong and it ends well",
                |model: &Self, world: &World| {
                    let is_spent = world.crashes == model.crashes && world.losses == model.losses;
                    is_spent && world.each(|count, note| count == 1 && note == Note::Done)
                },
            ),
        ]
    }
}

impl World {
    fn each(&self, is_so: impl Fn(u8, Note) -> bool) -> bool {
        self.cloud.iter().zip(self.journal).all(|(count, note)| is_so(*count, note))
    }
}
