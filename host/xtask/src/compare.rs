//! `ss plan` against `terraform plan`, the same two resources, run in turn: processor time as a ratio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench::measure::children_seconds;
use crate::shell::{Scratch, release_binary, root, succeed};

const TURNS: usize = 7;
/// The kernel counts in ticks of 10 ms, so one measure is of many runs.
const OWN_RUNS: u32 = 40;
const PEER_RUNS: u32 = 5;

/// Prints medians and the ratio. Without terraform it says so.
pub fn run() -> Result<(), String> {
    let ss = release_binary()?;
    let scratch = Scratch::new("compare")?;
    let terraform = prepare_terraform(&scratch.0.join("terraform"))?;
    let mut own = Command::new(&ss);
    own.args(["plan", "--env=prod"])
        .current_dir(root().join("examples/postgres-and-api"))
        .env("STARSYSTEM_HOME", scratch.0.join("home"));
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for turn in 0..=TURNS {
        let (mine, peer) =
            (cpu_ms(&mut own, OWN_RUNS)?, terraform.as_deref().map(terraform_ms).transpose()?);
        // The first turn warms the disk.
        if turn > 0 {
            ours.push(mine);
            theirs.extend(peer);
        }
    }
    let mine = median(&mut ours);
    println!("ss plan, 2 services:          {mine:7.2} ms CPU (median of {TURNS})");
    if theirs.is_empty() {
        println!("terraform is not installed; there is nothing to compare with");
    } else {
        let peer = median(&mut theirs);
        println!("terraform plan, 2 resources:  {peer:7.2} ms CPU (median of {TURNS})");
        println!("ratio:                        {:7.1}", peer / mine);
    }
    Ok(())
}

fn prepare_terraform(directory: &Path) -> Result<Option<PathBuf>, String> {
    let version = Command::new("terraform")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if version.is_err() {
        return Ok(None);
    }
    let resources = r#"resource "terraform_data" "db" {
  input = "db"
}
resource "terraform_data" "api" {
  input      = "api"
  depends_on = [terraform_data.db]
}
"#;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(directory.join("main.tf"), resources))
        .map_err(|error| error.to_string())?;
    let mut init = Command::new("terraform");
    init.args(["init", "-input=false"])
        .current_dir(directory)
        .env("CHECKPOINT_DISABLE", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    succeed(&mut init)?;
    Ok(Some(directory.to_owned()))
}

fn terraform_ms(directory: &Path) -> Result<f64, String> {
    let mut plan = Command::new("terraform");
    plan.args(["plan", "-input=false"]).current_dir(directory).env("CHECKPOINT_DISABLE", "1");
    cpu_ms(&mut plan, PEER_RUNS)
}

/// User and system time of one run, averaged over several.
fn cpu_ms(command: &mut Command, runs: u32) -> Result<f64, String> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let before = 1000.0 * children_seconds()?;
    for _ in 0..runs {
        succeed(command)?;
    }
    Ok((1000.0 * children_seconds()? - before) / f64::from(runs))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
