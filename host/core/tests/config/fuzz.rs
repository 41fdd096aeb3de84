//! Damaged configurations without end: nothing panics, hangs or prints what it should not.
//!
//! Seeds are the whole corpus; mutations know YAML's signs but not what the parser does with them. A short run is part
//! of the tests; `SS_FUZZ_SECONDS=600 cargo test -p ss-core --test config fuzz -- --nocapture` is a long one. A failure
//! leaves the two files in the temporary directory and names the number that makes them again (`SS_FUZZ_SEED`).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use ss_core::check::{TargetType, check};
use ss_core::diag::{SourceFile, render};
use ss_core::ident::EnvName;
use ss_core::overlay;
use ss_core::state::State;

use crate::support::{cases, types};

/// How many pairs of files the tests try.
const RUNS: u64 = 1_500;
/// How long a mutated file may get.
const BYTES_MAX: usize = 64 * 1024;

/// Pieces that mean something to a reader of YAML or of a configuration.
const PIECES: &[&str] = &[
    "\n",
    "\r\n",
    "\r",
    "\t",
    "  ",
    ": ",
    ":",
    "- ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "!x ",
    "| \n",
    ">-\n",
    "\"",
    "'",
    "\\",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\0",
    "\u{1b}[2J",
    "🚀",
    "é",
    "null",
    "~",
    "true",
    "0x1f",
    "017",
    "1e999",
    ".inf",
    "-1",
    "99999999999999999999",
    "\"2\"",
    "version",
    "name",
    "services",
    "environment",
    "target",
    "type",
    "depends_on",
    "inject_from",
    "plugins",
    "connections",
    "state",
    "_state",
    "protect",
    "env",
    "app-db",
    "api",
    "neon",
    "fly",
    "DATABASE_URL",
    "x-a",
    "base_url",
    "http://127.0.0.1",
    "serial",
    "lineage",
];

/// A small generator of its own, so that a number makes the same files on every machine.
struct Chance(u64);

impl Chance {
    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).expect("below a usize")
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = [4, 40, 400][self.below(3)];
        start..(start + self.below(most)).min(length)
    }
}

fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = chance.below(bytes.len() + 1);
    let range = chance.range(bytes.len());
    match chance.below(9) {
        0 | 1 => drop(bytes.splice(at..at, chance.pick(PIECES).bytes())),
        2 => drop(bytes.splice(range, chance.pick(PIECES).bytes())),
        3 => drop(bytes.drain(range)),
        4 => {
            let copy = bytes[range].to_vec();
            bytes.splice(at..at, copy);
        }
        5 => {
            let other = chance.pick(seeds);
            let piece = other[chance.range(other.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        6 => {
            let piece = chance.pick(PIECES).repeat(1 + chance.below(200));
            bytes.splice(at..at, piece.bytes());
        }
        7 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
        _ => bytes.truncate(at),
    }
    bytes.truncate(BYTES_MAX);
}

/// The two files that a number stands for.
fn files(seed: u64, seeds: &[Vec<u8>]) -> [Vec<u8>; 2] {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    chance.next();
    [(); 2].map(|()| {
        let mut bytes = chance.pick(seeds).clone();
        for _ in 0..chance.below(8) {
            mutate(&mut chance, &mut bytes, seeds);
        }
        bytes
    })
}

/// What is done with the files of a user, short of asking anybody.
fn run(files: &[Vec<u8>; 2], types: &BTreeMap<String, TargetType>) {
    let environment = EnvName::new("prod").expect("a name");
    let base = SourceFile::from_bytes("starsystem.yaml", files[0].clone());
    let overlay = SourceFile::from_bytes("starsystem.prod.yaml", files[1].clone());
    let connections = BTreeSet::from(["neon-api".to_owned()]);
    let checked = check(&base, Some((&environment, &overlay)), types, Some(&connections));
    if let Ok(written) = overlay::splice(&overlay.text, Some(&State::empty("x"))) {
        assert_eq!(overlay::read(&written), Ok(Some(State::empty("x"))));
    }
    let files = [base, overlay];
    let shown = render(&checked.diagnostics, &files);
    assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
    assert!(shown.len() < 8 * 1024 * 1024);
    for diagnostic in &checked.diagnostics {
        assert!(!diagnostic.help.is_empty(), "no way out: {diagnostic:?}");
        assert_eq!(diagnostic.report(&files).places.len(), diagnostic.labels.len());
    }
    assert!(checked.is_usable() || !checked.diagnostics.is_empty());
}

#[test]
fn fuzz() {
    let types = types();
    let all = cases("valid").into_iter().chain(cases("invalid"));
    let seeds: Vec<Vec<u8>> = all
        .flat_map(|case| case.files)
        .map(|file| file.text.into_bytes())
        .filter(|text| text.len() < BYTES_MAX)
        .collect();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = number("SS_FUZZ_SECONDS").map(Duration::from_secs);
    let (begun, first) = (Instant::now(), number("SS_FUZZ_SEED").unwrap_or(0));
    let (mut done, mut slowest) = (0, (Duration::ZERO, first));
    while time.map_or(done < RUNS, |time| begun.elapsed() < time) {
        let seed = first + done;
        let files = files(seed, &seeds);
        let started = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| run(&files, &types))).is_err() {
            let folder = std::env::temp_dir().join(format!("ss-fuzz-{seed}"));
            std::fs::create_dir_all(&folder).expect("a folder");
            for (name, bytes) in ["starsystem.yaml", "starsystem.prod.yaml"].iter().zip(&files) {
                std::fs::write(folder.join(name), bytes).expect("a file");
            }
            panic!("SS_FUZZ_SEED={seed} fails; its files are in {}", folder.display());
        }
        slowest = slowest.max((started.elapsed(), seed));
        done += 1;
    }
    println!(
        "{done} pairs of files; the slowest took {:?} (SS_FUZZ_SEED={})",
        slowest.0, slowest.1
    );
}
