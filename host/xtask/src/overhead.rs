//! What a dead collector costs: `ss deploy` of the example on the sandbox, with traces sent to an endpoint that takes
//! connections and never answers, against the same without traces. Run in turn; the ratio of medians may be 1.05.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::shell::{Scratch, release_binary, root, succeed};

const TURNS: usize = 5;
const RATIO_MAX: f64 = 1.05;

/// Prints medians and the ratio. `--binary=PATH` measures another build than the release.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let given = arguments.iter().find_map(|argument| argument.strip_prefix("--binary="));
    let ss = given.map_or_else(release_binary, |path| Ok(PathBuf::from(path)))?;
    let scratch = Scratch::new("overhead")?;
    let port = listen()?.1;
    project(&scratch.0, port)?;
    let port = port.to_string();
    let images = root().join("examples/postgres-and-api/sandbox.yaml");
    let sandbox = |verb: &str| {
        let mut command = ss_in(&ss, &scratch.0);
        command.args(["sandbox", verb, "--port", &port]);
        command
    };
    succeed(sandbox("start").arg("--config").arg(images))?;
    let measured = measure(&ss, &scratch.0);
    let stopped = succeed(&mut sandbox("stop"));
    let (mut without, mut with) = measured?;
    stopped?;
    let (without, with) = (median(&mut without), median(&mut with));
    let ratio = with / without;
    println!("ss deploy, no traces:             {without:8.0} ms (median of {TURNS})");
    println!("ss deploy, collector is silent:   {with:8.0} ms (median of {TURNS})");
    println!("ratio:                            {ratio:8.3} (at most {RATIO_MAX})");
    if ratio <= RATIO_MAX { Ok(()) } else { Err("a dead collector delays a deploy".to_owned()) }
}

/// A listener on a port of its own. Nobody accepts: the kernel takes the connection, and there is never an answer.
fn listen() -> Result<(TcpListener, u16), String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    Ok((listener, port))
}

fn project(directory: &Path, port: u16) -> Result<(), String> {
    for name in ["starsystem.yaml", "starsystem.sandbox.yaml"] {
        let from = root().join("examples/postgres-and-api").join(name);
        let text = std::fs::read_to_string(&from).map_err(|error| format!("{name}: {error}"))?;
        let text = text.replace(":4400", &format!(":{port}"));
        std::fs::write(directory.join(name), text).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn ss_in(ss: &Path, directory: &Path) -> Command {
    let mut command = Command::new(ss);
    command
        .current_dir(directory)
        .env("STARSYSTEM_HOME", directory.join("home"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn measure(ss: &Path, directory: &Path) -> Result<(Vec<f64>, Vec<f64>), String> {
    let (_silent, port) = listen()?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let plain = deploy_ms(ss, directory, None)?;
        let traced = deploy_ms(ss, directory, Some(&endpoint))?;
        // The first turn makes the Postgres template and warms the disk.
        if turn > 0 {
            without.push(plain);
            with.push(traced);
        }
    }
    Ok((without, with))
}

/// One deploy of both services; what it made is gone again afterwards.
fn deploy_ms(ss: &Path, directory: &Path, endpoint: Option<&str>) -> Result<f64, String> {
    let mut deploy = ss_in(ss, directory);
    deploy.args(["deploy", "--env=sandbox"]);
    if let Some(endpoint) = endpoint {
        deploy.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    }
    let begun = Instant::now();
    succeed(&mut deploy)?;
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    succeed(ss_in(ss, directory).args(["destroy", "--env=sandbox", "--yes=sandbox"]))?;
    Ok(took)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
