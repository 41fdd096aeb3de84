//! What CI holds `ss` to: instructions of a small plan, and how instructions, bytes and the binary grow. A machine that is
//! busy or slow changes none of it.

use std::path::Path;
use std::process::Command;

use super::measure::{bytes, instructions, run};
use super::workload::{Shape, Target, system};
use super::{command, grant};
use crate::shell::root;

/// `ss plan` of the example's two services, in user space.
const PLAN_INSTRUCTIONS_MAX: f64 = 12_500_000.0;
/// What ten times as many services may cost, beside as many.
const GROWTH_MAX: f64 = 12.0;
/// The release binary, in bytes: as large as it is, so that nothing makes it larger unnoticed. The wish is 30 MB.
const BINARY_MAX: u64 = 48_000_000;
const FEW: usize = 100;

/// Says every number beside its bound; an error when one is over it.
pub fn check(ss: &Path, noop: &Path, scratch: &Path) -> Result<(), String> {
    let mut over = Vec::new();
    let mut told = |what: &str, found: f64, most: f64| {
        println!("{what:<56} {found:>14.1} (at most {most})");
        if found > most {
            over.push(what.to_owned());
        }
    };
    let size = std::fs::metadata(ss).map_err(|error| error.to_string())?.len();
    #[expect(clippy::cast_precision_loss, reason = "a binary is smaller than 2^52 bytes")]
    told("bytes of the binary", size as f64, BINARY_MAX as f64);
    for (what, found) in growth_of_bytes(ss, noop, scratch)? {
        told(&what, found, GROWTH_MAX);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Err("valgrind is needed to count instructions".to_owned());
    }
    let example = root().join("examples/postgres-and-api");
    let plan = ["-C", &example.display().to_string(), "plan", "--env=prod"].map(str::to_owned);
    let counted = instructions(ss, &plan.each_ref().map(String::as_str), &scratch.join("home"))?;
    told("instructions of `ss plan`, 2 services", counted, PLAN_INSTRUCTIONS_MAX);
    for shape in Shape::ALL {
        let what = format!("instructions of `ss plan`, {} / {FEW}, {}", FEW * 10, shape.name());
        told(&what, growth_of_plan(ss, shape, scratch)?, GROWTH_MAX);
    }
    if over.is_empty() { Ok(()) } else { Err(format!("over the budget: {}", over.join("; "))) }
}

fn growth_of_plan(ss: &Path, shape: Shape, scratch: &Path) -> Result<f64, String> {
    let count = |services: usize| {
        let directory = scratch.join(format!("check-{}-{services}", shape.name()));
        system(&directory, shape, services, Target::Neon)?;
        let directory_text = directory.display().to_string();
        instructions(ss, &["-C", &directory_text, "plan", "--env=prod"], &directory.join("home"))
    };
    Ok(count(FEW * 10)? / count(FEW)?)
}

/// What a deploy leaves on disk: journal's end, tapes, receipt, snapshot, state, and the overlay.
fn growth_of_bytes(ss: &Path, noop: &Path, scratch: &Path) -> Result<Vec<(String, f64)>, String> {
    let left = |shape: Shape, services: usize| {
        let directory = scratch.join(format!("check-noop-{}-{services}", shape.name()));
        system(&directory, shape, services, Target::Noop(noop))?;
        let home = directory.join("home");
        grant(ss, &directory, &home)?;
        run(&mut command(ss, &directory, &home, "deploy"))?;
        Ok::<f64, String>(bytes(&home.join("systems")))
    };
    [Shape::Independent, Shape::Layered]
        .into_iter()
        .map(|shape| {
            let what = format!("bytes left by `ss deploy`, {FEW} / {}, {}", FEW / 10, shape.name());
            Ok((what, left(shape, FEW)? / left(shape, FEW / 10)?))
        })
        .collect()
}
