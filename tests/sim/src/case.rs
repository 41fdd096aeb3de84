//! A life of a system, as data: what is wanted of it and all that happens to it.

use fastrand::Rng;

/// A life of a system.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Where it comes from; also decides how long everything takes.
    pub seed: u64,
    /// How long the cloud's list does not show what was made.
    pub lag_ms: u64,
    /// What is wanted at first.
    pub wishes: Vec<Wish>,
    /// What happens, in order.
    pub acts: Vec<Act>,
}

/// What is wanted of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Whether it is in the configuration.
    pub is_wanted: bool,
    /// Its size, which can be changed.
    pub size: u32,
    /// Its region, which cannot: it is replaced.
    pub region: u32,
    /// Services it stands on, and whether it takes their password.
    pub after: Vec<(usize, bool)>,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// `ss deploy`.
    Deploy {
        /// With `--refresh`.
        refresh: bool,
        /// What goes wrong.
        faults: Vec<Fault>,
    },
    /// Two people deploy; the second one changed this service's size before.
    Together {
        /// How much later the second one begins.
        later_ms: u64,
        /// Which service is changed.
        service: usize,
        /// What goes wrong for each.
        faults: [Vec<Fault>; 2],
    },
    /// `ss destroy`.
    Destroy {
        /// What goes wrong.
        faults: Vec<Fault>,
    },
    /// `ss rollback` to the run that made this commit.
    RollBack {
        /// Counted from the first, modulo how many there are.
        to: usize,
        /// What goes wrong.
        faults: Vec<Fault>,
    },
    /// Another size is wanted.
    Resize(usize, u32),
    /// Another region is wanted.
    Move(usize, u32),
    /// The service is taken out of the configuration, or put back.
    Toggle(usize),
    /// Somebody changes the real thing by hand.
    Meddle(usize, Meddling),
    /// The wall clock is set by so many seconds.
    SetClock(i64),
}

/// What somebody does to a thing by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meddling {
    /// Makes it larger.
    Resizes,
    /// Gives it another password.
    Resets,
    /// Deletes it.
    Deletes,
}

/// Something that goes wrong in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// At the first step that fits and has this number or a later one.
    pub at: usize,
    /// What.
    pub trouble: Trouble,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The process is killed.
    Killed,
    /// The process is killed while it writes; of what it wrote last, half is there.
    Torn,
    /// The power goes: what was not synced is lost.
    PowerCut,
    /// Ctrl-C, once.
    Stopped,
    /// The disk is full for so many writes.
    Full(u32),
    /// The wall clock is set by so many seconds.
    ClockSet(i64),
    /// Somebody removes the lock by hand while this run is suspended in front of its commit.
    Robbed,
    /// A request is spoiled.
    Request(Spoil),
}

/// How a request is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// Nobody can be reached.
    Unreachable,
    /// It is lost on its way.
    CutBefore,
    /// Its answer is lost.
    CutAfter,
    /// The vendor answers this and does nothing.
    Answered(u16),
    /// The vendor does it, and a gateway answers that something went wrong.
    AnsweredAfter(u16),
}

impl Case {
    /// The case of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let wishes = wishes(&mut rng);
        let count = rng.usize(1..=6);
        let acts: Vec<Act> = (0..count).map(|_| act(&mut rng, wishes.len())).collect();
        // Who looks for what a run of somebody else has just lost cannot know how long ago that was.
        let is_shared = acts.iter().any(|act| matches!(act, Act::Together { .. }));
        let lag_ms = if is_shared || rng.bool() { 0 } else { rng.u64(1..1_500) };
        Self { seed, lag_ms, wishes, acts }
    }
}

fn wishes(rng: &mut Rng) -> Vec<Wish> {
    // Most systems are small, and in small ones most goes wrong in interesting places.
    let most = if rng.u32(..24) == 0 { 50 } else { 6 };
    let count = rng.usize(1..=most);
    (0..count)
        .map(|at| {
            let mut after: Vec<(usize, bool)> = Vec::new();
            for _ in 0..rng.usize(0..=at.min(3)) {
                let on = rng.usize(..at);
                if after.iter().all(|(other, _)| *other != on) {
                    after.push((on, rng.bool()));
                }
            }
            Wish { is_wanted: true, size: rng.u32(1..9), region: 0, after }
        })
        .collect()
}

fn act(rng: &mut Rng, services: usize) -> Act {
    let service = rng.usize(..services);
    match rng.u32(..20) {
        0..=8 => Act::Deploy { refresh: rng.u32(..4) == 0, faults: faults(rng, services) },
        9..=11 => Act::Together {
            later_ms: rng.u64(..400),
            service,
            faults: [faults(rng, services), faults(rng, services)],
        },
        12 => Act::Destroy { faults: faults(rng, services) },
        13 => Act::RollBack { to: rng.usize(..8), faults: faults(rng, services) },
        14 => Act::Resize(service, rng.u32(1..9)),
        15 => Act::Move(service, rng.u32(1..4)),
        16 => Act::Toggle(service),
        17 | 18 => {
            let all = [Meddling::Resizes, Meddling::Resets, Meddling::Deletes];
            Act::Meddle(service, all[rng.usize(..3)])
        }
        _ => Act::SetClock(if rng.bool() { 3_600 } else { -3_600 }),
    }
}

fn faults(rng: &mut Rng, services: usize) -> Vec<Fault> {
    // A service takes some forty steps to make.
    let count = rng.usize(0..=3);
    let steps = services.min(8) * 40;
    (0..count).map(|_| Fault { at: rng.usize(..steps), trouble: trouble(rng) }).collect()
}

fn trouble(rng: &mut Rng) -> Trouble {
    match rng.u32(..16) {
        0..=3 => Trouble::Killed,
        4 => Trouble::Torn,
        5 => Trouble::PowerCut,
        6 => Trouble::Stopped,
        7 => Trouble::Full(rng.u32(1..20)),
        8 => Trouble::ClockSet(if rng.bool() { 3_600 } else { -3_600 }),
        9 => Trouble::Robbed,
        _ => Trouble::Request(match rng.u32(..6) {
            0 => Spoil::Unreachable,
            1 => Spoil::CutBefore,
            2 => Spoil::CutAfter,
            3 => Spoil::Answered([429, 500, 503, 423][rng.usize(..4)]),
            4 => Spoil::AnsweredAfter(500),
            _ => Spoil::AnsweredAfter(502),
        }),
    }
}
