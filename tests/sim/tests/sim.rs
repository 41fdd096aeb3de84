//! Lives of many seeds. A failure prints its seed and the smallest life that was found to fail as well.
//!
//! `SS_SIM_SEED=<n>` lives that one and prints its steps; `SS_SIM_STEPS=<n>` lives until so many steps are done.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ss_sim::{Act, Case, Fault, Trouble, Wish, live, shrink};

/// Steps of one run of the tests, unless somebody wants more.
const STEPS: usize = 120_000;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|told| told.parse().expect("a number"))
}

#[test]
fn every_life_keeps_every_promise() {
    if let Some(seed) = number("SS_SIM_SEED") {
        let case = Case::of(seed);
        eprintln!("{case:#?}");
        lives(seed);
        return;
    }
    let wanted = number("SS_SIM_STEPS").map_or(STEPS, |steps| steps as usize);
    let first = number("SS_SIM_FIRST").unwrap_or(0);
    let (mut steps, mut deaths, mut seed) = (0, 0, first);
    while steps < wanted {
        let (lived, died) = lives(seed);
        (steps, deaths, seed) = (steps + lived, deaths + died, seed + 1);
    }
    let lives = seed - first;
    eprintln!("{lives} lives from seed {first}, {steps} steps, {deaths} runs died");
    assert!(deaths * 1_000 > steps, "hardly anything died: {deaths} runs in {steps} steps");
}

fn lives(seed: u64) -> (usize, usize) {
    let case = Case::of(seed);
    let lived = catch_unwind(AssertUnwindSafe(|| live(&case)));
    match lived {
        Ok(Ok(lived)) => (lived.trace.len(), lived.deaths),
        Ok(Err(_)) => {
            let (smallest, broken) = shrink(&case).expect("the same case takes the same course");
            let trace = broken.trace.join("\n");
            panic!(
                "{}\n\n{trace}\n\nseed {seed}, shrunk to {smallest:#?}\n{}\nagain: SS_SIM_SEED={seed} cargo test -p ss-sim",
                broken.what, broken.what
            );
        }
        Err(panicked) => {
            eprintln!("seed {seed} panicked: SS_SIM_SEED={seed} cargo test -p ss-sim");
            std::panic::resume_unwind(panicked)
        }
    }
}

#[test]
fn the_same_seed_takes_the_same_course() {
    for seed in [3, 14, 159, 2_653] {
        let case = Case::of(seed);
        let courses = [live(&case), live(&case)].map(|lived| lived.map(|lived| lived.trace));
        assert_eq!(courses[0], courses[1], "seed {seed}");
        assert!(courses[0].as_ref().is_ok_and(|trace| trace.len() > 40), "seed {seed}");
    }
    assert_ne!(live(&Case::of(3)), live(&Case::of(4)));
}

/// By an hour, forward or back, at any step of a deploy; and then the deploy is killed as well.
#[test]
fn a_wall_clock_that_is_set_does_no_harm() {
    let wish = |after: &[(usize, bool)]| Wish {
        is_wanted: true,
        size: 1,
        region: 0,
        after: after.to_vec(),
    };
    for at in 0..60 {
        for seconds in [3_600, -3_600] {
            let set = Fault { at, trouble: Trouble::ClockSet(seconds) };
            let killed = Fault { at: at + 5, trouble: Trouble::Killed };
            for faults in [vec![set.clone()], vec![set.clone(), killed]] {
                let case = Case {
                    seed: at as u64,
                    lag_ms: 0,
                    wishes: vec![wish(&[]), wish(&[(0, true)])],
                    acts: vec![Act::Deploy { refresh: false, faults }],
                };
                let broken = live(&case).err().map(|broken| broken.what);
                assert_eq!(broken, None, "{case:?}");
            }
        }
    }
}
