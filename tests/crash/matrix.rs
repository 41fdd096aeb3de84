//! Every point of every change, or a sample of them, on as many worlds as keep two processors busy.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::{self, Case};
use crate::common::Place;
use crate::scenario::{ALL, Scenario};
use crate::strace;
use crate::world::World;

/// One of so many points is tried unless somebody asks for more.
const EVERY: usize = 16;
const WORKERS: usize = 8;
/// What one world does before another may take over.
const CHUNK: usize = 6;

/// What came of it.
#[derive(Default)]
pub struct Results {
    converged: usize,
    /// The run went another way and never came to the point.
    missed: usize,
    longest: BTreeMap<String, Duration>,
    pub failures: Vec<String>,
}

#[test]
fn the_next_run_finishes_the_job_wherever_this_one_ended() {
    let points = enumerated();
    let every = number("SS_CRASH_EVERY", EVERY).max(1);
    let seed = number("SS_CRASH_SEED", std::process::id() as usize);
    let chosen: Vec<Case> = points.iter().skip(seed % every).step_by(every).cloned().collect();
    eprintln!(
        "{} points, {} of them tried: SS_CRASH_EVERY={every} SS_CRASH_SEED={}",
        points.len(),
        chosen.len(),
        seed % every
    );
    let tried = chosen.len();
    let results = all(chosen, number("SS_CRASH_WORKERS", WORKERS), &|_| {});
    eprintln!("{} converged, {} of {tried} never reached", results.converged, results.missed);
    for (what, longest) in &results.longest {
        eprintln!("longest next run of {what}: {:.1}s", longest.as_secs_f64());
    }
    let failures = &results.failures;
    assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n\n"));
    assert!(results.missed * 5 <= tried, "too many points were not reached");
}

/// Tries all of them in worlds that are prepared first.
pub fn all(
    cases: Vec<Case>,
    workers: usize,
    prepare: &(impl Fn(&mut World<'_>) + Sync),
) -> Results {
    let queue = Mutex::new(chunks(cases));
    let results = Mutex::new(Results::default());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&queue, &results, prepare));
        }
    });
    results.into_inner().expect("no thread panicked")
}

/// A number from the environment.
pub fn number(variable: &str, default: usize) -> usize {
    let told = env::var(variable).ok();
    told.map_or(default, |told| told.parse().expect("a number"))
}

/// Also a test by itself: each change, undisturbed, is whole.
fn enumerated() -> Vec<Case> {
    let with_strace = strace::is_there();
    let place = Place::new();
    let world = World::new(&place);
    let only = env::var("SS_CRASH_ONLY").ok();
    let mut all = Vec::new();
    for scenario in ALL {
        let cases = cases::of(scenario, &world, with_strace);
        eprintln!("{scenario:?}: {} points", cases.len());
        all.extend(cases);
    }
    all.retain(|case| only.as_ref().is_none_or(|only| case.to_string().contains(only)));
    all
}

/// What one world does in a row. What was made is unmade, so that little is done for nothing.
fn chunks(cases: Vec<Case>) -> VecDeque<Vec<Case>> {
    let (makes, rest): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| case.scenario == Scenario::Create);
    let (unmakes, changes): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|case| case.scenario == Scenario::Destroy);
    let mut unmakes = unmakes.into_iter();
    let pairs: Vec<Case> =
        makes.into_iter().flat_map(|make| [Some(make), unmakes.next()]).flatten().collect();
    let made: Vec<Case> = pairs.into_iter().chain(unmakes).collect();
    made.chunks(CHUNK).chain(changes.chunks(CHUNK)).map(<[Case]>::to_vec).collect()
}

/// A chunk after the other, each in a world of its own: what was replaced stays with its vendor for days, and on the disk.
fn work(
    queue: &Mutex<VecDeque<Vec<Case>>>,
    results: &Mutex<Results>,
    prepare: &(impl Fn(&mut World<'_>) + Sync),
) {
    let next = || queue.lock().expect("no thread panicked").pop_front();
    while let Some(cases) = next() {
        let mut cases = cases.into_iter().peekable();
        while cases.peek().is_some() {
            let place = Place::new();
            let mut world = World::new(&place);
            prepare(&mut world);
            // After a failure nothing is known of the world: the next case gets a new one.
            for case in cases.by_ref() {
                if !tried(&case, &world, results) {
                    break;
                }
            }
        }
    }
}

fn tried(case: &Case, world: &World<'_>, results: &Mutex<Results>) -> bool {
    let begun = Instant::now();
    let tried = catch_unwind(AssertUnwindSafe(|| {
        case.scenario.arrange(world);
        let reached = case.disturb(world);
        let begun = Instant::now();
        let again = world.run(&case.scenario.next_command(world));
        let took = begun.elapsed();
        assert_eq!(again.code, 0, "the next run failed:\n{}\n{}", again.stdout, again.stderr);
        case.scenario.is_done(world);
        (reached, took)
    }));
    if env::var_os("SS_CRASH_TELL").is_some() {
        eprintln!("{:.1}s {} {case}", begun.elapsed().as_secs_f64(), tried.is_ok());
    }
    let mut results = results.lock().expect("no thread panicked");
    match tried {
        Ok((reached, took)) => {
            results.converged += 1;
            results.missed += usize::from(!reached);
            let longest = results.longest.entry(format!("{:?}", case.scenario)).or_default();
            *longest = took.max(*longest);
            true
        }
        Err(panic) => {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
            let said = std::fs::read_to_string(world.place.home().join("sandbox/err"));
            let (why, said) = (why.unwrap_or_default(), said.unwrap_or_default());
            results.failures.push(format!("{case}\n{why}\nlast on stderr:\n{said}"));
            false
        }
    }
}
