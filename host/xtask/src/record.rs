//! Draws `docs/deploy.svg`: a real deploy of the example on the sandbox, each line at the time it was printed.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::shell::{Scratch, release_binary, root, succeed};

const LINE_HEIGHT: usize = 20;
const WIDTH: usize = 720;

/// Runs and draws.
pub fn run() -> Result<(), String> {
    let ss = release_binary()?;
    let scratch = Scratch::new("record")?;
    let example = root().join("examples/postgres-and-api");
    let ss_command = || {
        let mut command = Command::new(&ss);
        command.current_dir(&scratch.0).env("STARSYSTEM_HOME", scratch.0.join("home"));
        command
    };
    for name in ["starsystem.yaml", "starsystem.sandbox.yaml"] {
        std::fs::copy(example.join(name), scratch.0.join(name))
            .map_err(|error| format!("{name}: {error}"))?;
    }
    let images = example.join("sandbox.yaml");
    succeed(
        ss_command().args(["sandbox", "start", "--config"]).arg(&images).stdout(Stdio::null()),
    )?;
    let recorded = record(&mut ss_command());
    let stopped = succeed(ss_command().args(["sandbox", "stop"]).stdout(Stdio::null()));
    let lines = recorded?;
    stopped?;
    let path = root().join("docs/deploy.svg");
    std::fs::write(&path, draw(&lines)).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{} lines in docs/deploy.svg", lines.len());
    Ok(())
}

fn record(command: &mut Command) -> Result<Vec<(f64, String)>, String> {
    command.args(["deploy", "--env=sandbox"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let mut lines = vec![(0.0, "$ ss deploy --env=sandbox".to_owned())];
    let out = child.stdout.take().ok_or("no output to read")?;
    for line in BufReader::new(out).lines() {
        lines.push((begun.elapsed().as_secs_f64(), line.map_err(|error| error.to_string())?));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(lines) } else { Err(format!("the deploy failed: {status}")) }
}

fn draw(lines: &[(f64, String)]) -> String {
    let height = (lines.len() + 2) * LINE_HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"ui-monospace,monospace\" font-size=\"14\">\n\
         <style>text{{fill:#d6deeb;white-space:pre;opacity:0;animation:show 0s forwards}}@keyframes show{{to{{opacity:1}}}}\
         .g{{fill:#7fdb9a}}</style>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#10151f\"/>\n"
    );
    for (index, (at, line)) in lines.iter().enumerate() {
        let y = (index + 2) * LINE_HEIGHT - 6;
        let text = line
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('✓', "<tspan class=\"g\">✓</tspan>");
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"20\" y=\"{y}\" style=\"animation-delay:{at:.2}s\">{text}</text>"
        );
    }
    svg.push_str("</svg>\n");
    svg
}
