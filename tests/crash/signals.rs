//! How a run is asked to end, and how little it minds when nobody listens to it any more.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran, project};

const DEPLOY: [&str; 2] = ["deploy", "--env=sandbox"];
const CREATE: &str = "POST /neon/api/v2/projects";

fn database(place: &Place) -> Sandbox<'_> {
    let port = free_port();
    project::database(place, port);
    Sandbox::start(place, port, &place.path().join("sandbox.yaml"))
}

/// A deploy whose project is made while its answer takes a while.
fn waiting(place: &Place, sandbox: &Sandbox<'_>, delay_ms: u32) -> Child {
    sandbox.fault(CREATE, 1, &json!({"delay_ms": delay_ms, "after": true}));
    // Whoever runs the tests may have had signals ignored (`nohup`, `&`), and that is handed down.
    let mut deploy = deploy_below(place, &["env", "--default-signal=INT,TERM,HUP"]);
    let child = deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    until(|| sandbox.holds().0 == 1);
    child
}

/// A deploy that another program becomes.
fn deploy_below(place: &Place, program: &[&str]) -> Command {
    let plain = place.command();
    let mut deploy = Command::new(program[0]);
    deploy.args(&program[1..]).arg(plain.get_program()).args(DEPLOY);
    deploy.current_dir(place.path()).env_clear();
    deploy.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    deploy
}

fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come to be");
        sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

fn ended(child: Child) -> Ran {
    Ran::of(child.wait_with_output().expect("it ends"))
}

/// The next run has nothing to ask and nothing to make twice.
fn next_run_is_whole(place: &Place, sandbox: &Sandbox<'_>) {
    place.ss(DEPLOY).exits(0);
    place.ss(DEPLOY).exits(0).says("Nothing to change: 1 unchanged");
    assert_eq!(sandbox.holds().0, 1);
    place.ss(["vault", "get", "app-db.DATABASE_URL", "--env=sandbox"]).exits(0).says("postgres");
}

#[test]
fn one_signal_lets_the_request_in_flight_end_and_records_it() {
    for name in ["INT", "TERM", "HUP"] {
        let place = Place::new();
        let sandbox = database(&place);
        let deploy = waiting(&place, &sandbox, 1500);
        signal(&deploy, name);
        ended(deploy).exits(130).says("stopping").says("goes on where this one stopped");
        // The answer was waited for, so its id is known.
        assert_eq!(sandbox.count(CREATE), 1, "{name}: the request in flight was not finished");
        place.ss(["inspect", "--env=sandbox"]).exits(0).says("interrupted");
        next_run_is_whole(&place, &sandbox);
        assert_eq!(sandbox.count(CREATE), 1);
    }
}

#[test]
fn two_signals_end_it_at_once_and_nothing_is_lost() {
    let place = Place::new();
    let sandbox = database(&place);
    let mut deploy = waiting(&place, &sandbox, 20_000);
    signal(&deploy, "INT");
    // The second one is another signal only after the first was heard.
    let mut heard = Vec::new();
    let stderr = deploy.stderr.as_mut().expect("a pipe");
    until(|| {
        let mut piece = [0; 512];
        let length = stderr.read(&mut piece).expect("it can be read");
        heard.extend_from_slice(&piece[..length]);
        String::from_utf8_lossy(&heard).contains("once more")
    });
    signal(&deploy, "INT");
    ended(deploy).exits(130);
    next_run_is_whole(&place, &sandbox);
}

/// What a CI system does to a job that is cancelled.
#[test]
fn a_cancelled_job_loses_nothing() {
    let place = Place::new();
    let sandbox = database(&place);
    let mut deploy = waiting(&place, &sandbox, 30_000);
    signal(&deploy, "INT");
    sleep(Duration::from_millis(7_500));
    assert_eq!(ended_yet(&mut deploy), None, "a request in flight is waited for");
    signal(&deploy, "TERM");
    sleep(Duration::from_millis(2_500));
    // It has ended by now; the last signal finds nobody.
    deploy.kill().expect("no process is as well");
    ended(deploy).exits(130);
    next_run_is_whole(&place, &sandbox);
}

fn ended_yet(child: &mut Child) -> Option<ExitStatus> {
    child.try_wait().expect("it can be asked")
}

/// Nobody reads what it says: the pipes are closed before it says anything.
#[test]
fn a_run_whose_readers_went_away_ends_well() {
    let place = Place::new();
    let sandbox = database(&place);
    let mut deploy = waiting(&place, &sandbox, 500);
    drop((deploy.stdout.take(), deploy.stderr.take()));
    assert_eq!(deploy.wait().expect("it ends").code(), Some(0));
    place.ss(DEPLOY).exits(0).says("Nothing to change: 1 unchanged");
    assert_eq!(sandbox.count(CREATE), 1);
}

/// A wish to stop is heard when nobody listens, too.
#[test]
fn a_signal_is_obeyed_when_the_terminal_is_gone() {
    let place = Place::new();
    let sandbox = database(&place);
    let mut deploy = waiting(&place, &sandbox, 1_500);
    drop((deploy.stdout.take(), deploy.stderr.take()));
    signal(&deploy, "HUP");
    assert_eq!(deploy.wait().expect("it ends").code(), Some(130));
    next_run_is_whole(&place, &sandbox);
    assert_eq!(sandbox.count(CREATE), 1);
}

/// Whoever wants a signal ignored gets that.
#[test]
fn nohup_keeps_it_going() {
    let place = Place::new();
    let sandbox = database(&place);
    sandbox.fault(CREATE, 1, &json!({"delay_ms": 1500, "after": true}));
    let mut deploy = deploy_below(&place, &["nohup"]);
    let mut deploy = deploy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    until(|| sandbox.holds().0 == 1);
    signal(&deploy, "HUP");
    assert_eq!(deploy.wait().expect("it ends").code(), Some(0));
    place.ss(DEPLOY).exits(0).says("Nothing to change: 1 unchanged");
}

#[test]
fn unlock_shows_who_holds_the_lock_until_it_dies() {
    let place = Place::new();
    let sandbox = database(&place);
    place.ss(["unlock", "--env=sandbox"]).exits(0).says("Nobody holds the lock");
    let mut deploy = waiting(&place, &sandbox, 20_000);
    let process = format!("process {}", deploy.id());
    let held = place.ss(["unlock", "--env=sandbox"]).exits(5);
    held.says("`ss deploy --env=sandbox`").says(&process);
    place.ss(["unlock", "--env=sandbox", "--json"]).exits(5).says(r#""kind":"lock""#);
    place.ss(DEPLOY).exits(5).says("SS0401").says(&process);
    deploy.kill().expect("it can be killed");
    deploy.wait().expect("it ends");
    // No waiting: the lock went with the process.
    place.ss(["unlock", "--env=sandbox"]).exits(0).says("Nobody holds the lock");
    next_run_is_whole(&place, &sandbox);
}

/// What a killed run wrote beside its files is gone after the next ones.
#[test]
fn nothing_half_written_stays() {
    let place = Place::new();
    let sandbox = database(&place);
    let mut deploy = waiting(&place, &sandbox, 20_000);
    deploy.kill().expect("it can be killed");
    deploy.wait().expect("it ends");
    next_run_is_whole(&place, &sandbox);
    let left = |folder: &std::path::Path| -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("ss-new") || name.ends_with(".tmp")).collect()
    };
    assert_eq!(left(place.path()), Vec::<String>::new());
    assert_eq!(left(&place.home().join("systems/my-app/sandbox")), Vec::<String>::new());
}
