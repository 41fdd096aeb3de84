//! What one run of a program cost: processor time, wall time, peak memory, instructions, bytes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::output;

/// What one run cost.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// User and system time, its children included, in seconds.
    pub cpu: f64,
    /// Seconds.
    pub wall: f64,
    /// The most memory it held, in MiB.
    pub memory: f64,
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Result<Cost, String> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (before, begun) = (children_seconds()?, Instant::now());
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0.0_f64;
    let ended = loop {
        // The kernel's own high-water mark: only what came in the last millisecond is missed.
        memory = memory.max(peak(&status).unwrap_or(0.0));
        if let Some(ended) = child.try_wait().map_err(|error| error.to_string())? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), children_seconds()? - before);
    if ended.success() {
        Ok(Cost { cpu, wall, memory })
    } else {
        Err(format!("{command:?} failed: {ended}"))
    }
}

fn peak(status: &str) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

/// What the kernel says of all finished children of this process. It counts in hundredths.
pub fn children_seconds() -> Result<f64, String> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(13) + ticks(14)) / 100.0)
}

/// Instructions in user space, counted by valgrind: the same on every machine, but for a per mille.
pub fn instructions(program: &Path, arguments: &[&str], home: &Path) -> Result<f64, String> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    command.args(arguments).env("STARSYSTEM_HOME", home);
    let output = output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let counted =
        said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match counted {
        Some(counted) if output.status.success() => Ok(counted),
        _ => Err(format!("valgrind did not count:\n{said}")),
    }
}

/// Bytes of all files below a directory.
pub fn bytes(directory: &Path) -> f64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
            #[expect(clippy::cast_precision_loss, reason = "files are smaller than 2^52 bytes")]
            Ok(metadata) => metadata.len() as f64,
            Err(_) => 0.0,
        })
        .sum()
}

/// The one in the middle.
pub fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
