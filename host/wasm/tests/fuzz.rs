//! Damaged components and manifests without end: nothing panics, hangs or says what it should not.
//!
//! A short run is part of the tests; `SS_FUZZ_SECONDS=600 cargo test -p ss-wasm --test wasm fuzz -- --nocapture` is a long
//! one of each. A failure names the number that makes it again (`SS_FUZZ_SEED`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use ss_gate::manifest::Manifest;
use ss_wasm::load;

use crate::guests::{component, root};

/// Runs a target for as long as is asked for, or a number of times.
fn fuzz(target: &str, runs: u64, mut run: impl FnMut(u64) -> bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = number("SS_FUZZ_SECONDS").map(Duration::from_secs);
    let (begun, first) = (Instant::now(), number("SS_FUZZ_SEED").unwrap_or(0));
    let (mut done, mut taken, mut slowest) = (0, 0, (Duration::ZERO, first));
    while time.map_or(done < runs, |time| begun.elapsed() < time) {
        let seed = first + done;
        let started = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(is_taken) => taken += u64::from(is_taken),
            Err(_) => panic!("{target}: SS_FUZZ_SEED={seed} fails"),
        }
        slowest = slowest.max((started.elapsed(), seed));
        done += 1;
    }
    // Both ways were gone.
    assert!(taken > 0 && taken < done, "{target}: {taken} of {done} were taken");
    println!(
        "{target}: {done} tried, {taken} taken; the slowest took {:?} (SS_FUZZ_SEED={})",
        slowest.0, slowest.1
    );
}

/// What a refusal says can be printed, and is not endless.
fn is_fit_to_print(text: &str) {
    let trick = text.chars().find(|character| character.is_control() && *character != '\n');
    assert_eq!(trick, None, "{text:?}");
    assert!(text.len() < 64 << 10, "{} bytes", text.len());
}

fn damaged(random: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.choice(seeds).expect("a seed").clone();
    for _ in 0..random.usize(0..4) {
        let at = random.usize(..bytes.len());
        let length = random.usize(1..64).min(bytes.len() - at);
        match random.u8(..8) {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes[at] = random.u8(..),
            // The end of a number, or its going on, as the format writes them.
            2 => bytes[at] = *random.choice(&[0, 1, 0x7f, 0x80, 0xff]).expect("one"),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let piece = bytes[at..at + length].to_vec();
                let to = random.usize(..bytes.len());
                bytes.splice(to..to, piece);
            }
            5 => bytes.truncate(at.max(8)),
            // The first bytes say what sections there are.
            6 => {
                let at = random.usize(..bytes.len().min(512));
                bytes[at] = random.u8(..);
            }
            _ => {
                let other = random.choice(seeds).expect("a seed");
                let from = random.usize(..other.len());
                let piece = &other[from..(from + length).min(other.len())];
                bytes.splice(at..at + length, piece.iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn fuzz_components() {
    let small = "(component (core module $m (memory (export \"memory\") 1) (func (export \"f\") (result i32) i32.const 8) \
         (data (i32.const 8) \"\\10\\00\\00\\00\\02\\00\\00\\00{}\")) (core instance $i (instantiate $m)) \
         (func $f (result string) (canon lift (core func $i \"f\") (memory $i \"memory\"))) \
         (instance $l (export \"manifest\" (func $f))) (export \"starsystem:provisioner/lifecycle@0.1.0\" (instance $l)))";
    let mut seeds = vec![wat::parse_str(small).expect("a component")];
    seeds.extend(["smoke", "ssh_box", "export_other_types", "import_foreign"].map(component));
    fuzz("components", 400, |seed| {
        let mut random = Rng::with_seed(seed);
        let loaded = load(damaged(&mut random, &seeds), "fuzz", None, None);
        if let Err(error) = &loaded {
            is_fit_to_print(&error.to_string());
        }
        loaded.is_ok()
    });
}

/// Values that mean something to a reader of manifests.
fn odd(random: &mut Rng) -> Value {
    let text = [
        "",
        "/",
        "/*/id",
        "~2",
        "https://{x}.com",
        "https://a.b/",
        "GET /{}",
        "POST /../a",
        "\u{202e}",
        "\u{1b}[2J",
        "request:/name",
        "authorization",
        "create",
        "exec",
        "listThings",
        "169.254.169.254",
    ];
    match random.u8(..8) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 => json!(random.i64(..)),
        3 => json!([]),
        4 => json!({}),
        5 => json!("x".repeat(random.usize(..70_000))),
        6 => (0..random.usize(..200)).fold(json!(1), |inner, _| json!([inner])),
        _ => json!(random.choice(&text).expect("a text")),
    }
}

/// Puts an odd value in some place of a document.
fn spoil(random: &mut Rng, value: &mut Value) {
    let inside = match value {
        Value::Object(map) if !map.is_empty() => {
            let index = random.usize(..map.len());
            if random.u8(..12) == 0 {
                let key = map.keys().nth(index).expect("a key").clone();
                let taken = map.remove(&key).expect("it is there");
                map.insert(
                    random.choice(["", "in", "owns", "x", "\u{7}"]).expect("a key").to_owned(),
                    taken,
                );
                return;
            }
            map.values_mut().nth(index)
        }
        Value::Array(list) if !list.is_empty() => {
            let index = random.usize(..list.len());
            if random.u8(..12) == 0 {
                let again = list[index].clone();
                list.push(again);
                return;
            }
            list.get_mut(index)
        }
        _ => None,
    };
    match inside {
        Some(inside) if random.u8(..8) != 0 => spoil(random, inside),
        Some(inside) => *inside = odd(random),
        None => *value = odd(random),
    }
}

#[test]
fn fuzz_manifests() {
    let read = |name: &str| {
        let path = root().join("plugins").join(name).join("manifest.json");
        std::fs::read_to_string(path).expect("a manifest")
    };
    let seeds = [read("neon"), read("fly")];
    fuzz("manifests", 5_000, |seed| {
        let mut random = Rng::with_seed(seed);
        let seed = random.choice(&seeds).expect("a seed");
        let text = if random.bool() {
            let mut document: Value = serde_json::from_str(seed).expect("JSON");
            (0..random.usize(0..3)).for_each(|_| spoil(&mut random, &mut document));
            document.to_string()
        } else {
            let bytes = damaged(&mut random, &[seed.clone().into_bytes()]);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        match Manifest::parse(&text) {
            Ok(manifest) => {
                // What is granted is shown to people.
                ss_gate::rights(&manifest).iter().for_each(|line| is_fit_to_print(line));
                true
            }
            Err(error) => {
                error.problems.iter().for_each(|problem| is_fit_to_print(problem));
                false
            }
        }
    });
}
