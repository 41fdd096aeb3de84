//! `cargo xtask bench`: generated systems through `ss` and through terraform, in turn, as one table and as JSON.
//! `--check` is the short form for CI: instructions, bytes and how both grow; never seconds.

mod check;
pub mod measure;
mod workload;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Scratch, release_binary, root};
use measure::{Cost, median, run};
use workload::{Shape, Target};

const TURNS: usize = 3;

/// A line of the table.
struct Row {
    what: String,
    ours: Cost,
    /// Absent when there is no peer, or when it would take minutes.
    peer: Option<Cost>,
}

/// Measures, or with `--check` compares with the budget.
pub fn bench(arguments: &[String]) -> Result<(), String> {
    let option = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name));
    let ss = match option("--binary=") {
        Some(path) => std::path::absolute(path).map_err(|error| error.to_string())?,
        None => release_binary()?,
    };
    let scratch = Scratch::new("bench")?;
    let noop = workload::noop()?;
    if arguments.iter().any(|argument| argument == "--check") {
        return check::check(&ss, &noop, &scratch.0);
    }
    let bench =
        Bench { ss, noop, scratch, slow_peers: arguments.iter().any(|it| it == "--slow-peers") };
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for count in [1_000, 10_000] {
            bench.decide(shape, count, &mut rows)?;
        }
    }
    for shape in [Shape::Independent, Shape::Layered] {
        for count in [1_000, 10_000] {
            bench.deploy(shape, count, &mut rows)?;
        }
    }
    print(&rows);
    let size = std::fs::metadata(&bench.ss).map_err(|error| error.to_string())?.len();
    println!("\nthe binary: {size} bytes");
    match option("--json=") {
        Some(path) => {
            std::fs::write(path, json(&rows, size)).map_err(|error| format!("`{path}`: {error}"))
        }
        None => Ok(()),
    }
}

struct Bench {
    ss: PathBuf,
    noop: PathBuf,
    scratch: Scratch,
    slow_peers: bool,
}

impl Bench {
    /// `validate` and `plan`, beside terraform's plan where that takes seconds.
    fn decide(&self, shape: Shape, count: usize, rows: &mut Vec<Row>) -> Result<(), String> {
        let directory = self.scratch.0.join(format!("{}-{count}", shape.name()));
        workload::system(&directory, shape, count, Target::Neon)?;
        let home = directory.join("home");
        let peer = self.terraform(shape, count)?;
        for verb in ["validate", "plan"] {
            let mut ours = Vec::new();
            let mut theirs = Vec::new();
            for _ in 0..TURNS {
                ours.push(run(&mut command(&self.ss, &directory, &home, verb))?);
                if let Some(peer) = &peer {
                    theirs.push(run(&mut terraform(peer, &[verb]))?);
                }
            }
            rows.push(Row::of(format!("{verb}, {count} {}", shape.name()), &ours, &theirs));
        }
        Ok(())
    }

    /// A deploy of nothing, and the plan and the deploy that find nothing to do.
    fn deploy(&self, shape: Shape, count: usize, rows: &mut Vec<Row>) -> Result<(), String> {
        let directory = self.scratch.0.join(format!("noop-{}-{count}", shape.name()));
        workload::system(&directory, shape, count, Target::Noop(&self.noop))?;
        let home = directory.join("home");
        grant(&self.ss, &directory, &home)?;
        let applied = match self.terraform(shape, count)?.filter(|_| self.slow_peers) {
            Some(peer) => vec![run(&mut terraform(&peer, &["apply", "-auto-approve"]))?],
            None => Vec::new(),
        };
        let name = |verb: &str| format!("{verb}, {count} {} of nothing", shape.name());
        let first = run(&mut command(&self.ss, &directory, &home, "deploy"))?;
        rows.push(Row::of(name("deploy"), &[first], &applied));
        for verb in ["plan", "deploy"] {
            let again = run(&mut command(&self.ss, &directory, &home, verb))?;
            rows.push(Row::of(name(&format!("no-change {verb}")), &[again], &[]));
        }
        Ok(())
    }

    /// The same system for terraform, where it is installed and does not take minutes.
    fn terraform(&self, shape: Shape, count: usize) -> Result<Option<PathBuf>, String> {
        if count > 1_000 || Command::new("terraform").arg("version").output().is_err() {
            return Ok(None);
        }
        let directory = self.scratch.0.join(format!("terraform-{}-{count}", shape.name()));
        workload::terraform(&directory, shape, count)?;
        run(&mut terraform(&directory, &["init"]))?;
        Ok(Some(directory))
    }
}

impl Row {
    fn of(what: String, ours: &[Cost], theirs: &[Cost]) -> Self {
        let middle = |costs: &[Cost]| Cost {
            cpu: median(costs, |cost| cost.cpu),
            wall: median(costs, |cost| cost.wall),
            memory: median(costs, |cost| cost.memory),
        };
        Self { what, ours: middle(ours), peer: (!theirs.is_empty()).then(|| middle(theirs)) }
    }
}

fn terraform(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("terraform");
    command.args(arguments).current_dir(directory).env("CHECKPOINT_DISABLE", "1");
    if arguments != ["validate"] {
        command.arg("-input=false");
    }
    command
}

fn command(ss: &Path, directory: &Path, home: &Path, verb: &str) -> Command {
    let mut command = Command::new(ss);
    command.args([verb, "--env=prod"]).current_dir(directory).env("STARSYSTEM_HOME", home);
    command
}

/// The user's word for the component that makes nothing, as `ss` asks for it.
fn grant(ss: &Path, directory: &Path, home: &Path) -> Result<(), String> {
    let refused = crate::shell::output(&mut command(ss, directory, home, "plan"))?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let consent = said.split_once("--grant=").map(|(_, rest)| rest);
    let consent = consent
        .and_then(|rest| rest.split(|c: char| !(c.is_alphanumeric() || "@:-".contains(c))).next());
    let consent = consent.ok_or_else(|| format!("`ss plan` asked for no grant:\n{said}"))?;
    run(command(ss, directory, home, "plan").arg(format!("--grant={consent}"))).map(drop)
}

fn print(rows: &[Row]) {
    println!(
        "{:<44} {:>8} {:>8} {:>6}   {:>9} {:>6} {:>7}",
        "", "CPU s", "wall s", "MiB", "terraform", "MiB", "ratio"
    );
    for row in rows {
        let Cost { cpu, wall, memory } = row.ours;
        print!("{:<44} {cpu:>8.2} {wall:>8.2} {memory:>6.0}", row.what);
        match &row.peer {
            Some(peer) => println!(
                "   {:>9.2} {:>6.0} {:>7.1}",
                peer.cpu,
                peer.memory,
                peer.cpu / cpu.max(0.01)
            ),
            None => println!("   {:>9}", "-"),
        }
    }
}

fn json(rows: &[Row], size: u64) -> String {
    let cost = |cost: &Cost| {
        format!(
            "{{\"cpu_s\": {:.3}, \"wall_s\": {:.3}, \"mib\": {:.1}}}",
            cost.cpu, cost.wall, cost.memory
        )
    };
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let peer = row.peer.as_ref().map_or_else(|| "null".to_owned(), cost);
            format!(
                "    {{\"what\": \"{}\", \"ss\": {}, \"terraform\": {peer}}}",
                row.what,
                cost(&row.ours)
            )
        })
        .collect();
    format!(
        "{{\n  \"version\": 1,\n  \"kind\": \"bench\",\n  \"binary_bytes\": {size},\n  \"rows\": [\n{}\n  ]\n}}\n",
        rows.join(",\n")
    )
}

/// Where cargo builds.
fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
