//! Two machines, one state: the second is told who works, and takes over from a first that was killed.
//!
//! Two checkouts and two homes, with nothing in common but a bucket or a database.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use ss_testkit::servers::{PostgresServer, S3Server};

use crate::common::Place;
use crate::proxy::Fault;
use crate::world::World;

const FILES: [&str; 3] = ["starsystem.yaml", "starsystem.sandbox.yaml", "sandbox.yaml"];
const DEPLOY: [&str; 2] = ["deploy", "--env=sandbox"];

/// The `state` block, and what the environment holds for it.
struct Backend {
    state: String,
    env: Vec<(String, String)>,
}

impl Backend {
    fn bucket(server: &S3Server) -> Self {
        let endpoint = server.endpoint();
        let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
        Self {
            state: format!("state: {{ backend: s3, bucket: states, endpoint: \"{endpoint}\" }}\n"),
            env: keys.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    fn database(server: &PostgresServer) -> Self {
        Self {
            state: "state: { backend: postgres, url_env: STATE_URL }\n".to_owned(),
            env: vec![("STATE_URL".to_owned(), server.url())],
        }
    }

    fn machine(&self) -> Place {
        let mut place = Place::new();
        place.env.clone_from(&self.env);
        place
    }

    /// A second machine with the same checkout, and both list each other's keys.
    fn second(&self, first: &Place) -> Place {
        let overlay = first.read(FILES[1]);
        first.write(FILES[1], &(self.state.clone() + &overlay));
        let second = self.machine();
        for name in FILES {
            second.write(name, &first.read(name));
        }
        let (ours, theirs) = (key(first), key(&second));
        first.ss(["vault", "recipients", "add", &theirs, "--name=second"]).exits(0);
        second.ss(["vault", "recipients", "add", &ours, "--name=first"]).exits(0);
        second
    }
}

fn key(place: &Place) -> String {
    place.ss(["vault", "set", "some.token", "x"]).exits(0);
    let listed = place.json(["vault", "recipients", "list", "--json"]);
    listed["recipients"][0]["key"].as_str().expect("a key").to_owned()
}

/// Killed when the test ends before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `kill -9` in the middle of a create that the vendor works on.
fn the_second_is_told_and_then_goes_on(backend: &Backend) {
    let first = backend.machine();
    let world = World::new(&first);
    let second = backend.second(&first);
    let slow = json!({"neon": {"durations_ms": {"create_timeline": 6000}}});
    world.sandbox.control("POST", "settings", &slow);
    let mut command = first.command();
    command.args(DEPLOY).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("it runs"));
    while world.sandbox.holds().0 == 0 {
        assert!(running.0.try_wait().expect("ours").is_none(), "it ended before it made anything");
        sleep(Duration::from_millis(20));
    }
    let told = second.ss(DEPLOY).exits(5).says("SS0401").says("`ss deploy --env=sandbox` (process");
    assert!(told.stderr.contains(&format!("process {}", running.0.id())), "{}", told.stderr);
    second.ss(["unlock", "--env=sandbox"]).exits(5).says("ss deploy");
    running.0.kill().expect("it can be killed");
    running.0.wait().expect("it ends");
    goes_on(&world, &second);
}

/// Killed before it heard what became of a request that changes something.
fn the_second_finds_what_was_made(backend: &Backend, requests: &[&str]) {
    let rehearsal = Place::new();
    let numbers = {
        let world = World::new(&rehearsal);
        world.run(&DEPLOY).exits(0);
        let all = world.proxy.requests();
        let number = |wanted: &&str| all.iter().position(|request| request == wanted);
        requests.iter().map(|wanted| number(wanted).expect(wanted)).collect::<Vec<_>>()
    };
    let first = backend.machine();
    let world = World::new(&first);
    let second = backend.second(&first);
    for number in numbers {
        world.disturbed(&[], &DEPLOY, Some((number, Fault::KilledAfter)));
        assert!(world.proxy.is_done(), "the run was not killed");
        world.proxy.expect(None);
        goes_on(&world, &second);
        world.run(&["destroy", "--env=sandbox", "--yes=sandbox"]).exits(0);
        assert_eq!(world.sandbox.holds(), (0, 0, 0));
    }
}

/// The second machine finishes the job, with nobody's help.
fn goes_on(world: &World<'_>, second: &Place) {
    let begun = Instant::now();
    second.ss(DEPLOY).exits(0).says("the last run did not end; finishing what it began");
    eprintln!("the second machine was done after {:.1} s", begun.elapsed().as_secs_f64());
    world.works("my-app-api");
    let listed = second.ss(["inspect", "--list", "--env=sandbox"]).exits(0);
    assert!(listed.stdout.contains("interrupted"), "{}", listed.stdout);
    second.ss(["unlock", "--env=sandbox"]).exits(0);
}

#[test]
fn a_second_machine_goes_on_from_a_bucket() {
    let Some(server) = S3Server::start("states") else { return };
    the_second_is_told_and_then_goes_on(&Backend::bucket(&server));
}

#[test]
fn a_second_machine_goes_on_from_postgres() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = PostgresServer::start(folder.path()) else { return };
    the_second_is_told_and_then_goes_on(&Backend::database(&server));
}

#[test]
fn a_second_machine_finds_what_was_made_by_the_tape_in_a_bucket() {
    let Some(server) = S3Server::start("states") else { return };
    let requests = ["POST /neon/api/v2/projects", "POST /fly/v1/apps"];
    the_second_finds_what_was_made(&Backend::bucket(&server), &requests);
}

#[test]
fn a_second_machine_finds_what_was_made_by_the_tape_in_postgres() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = PostgresServer::start(folder.path()) else { return };
    let requests = ["POST /fly/v1/apps/my-app-api/machines"];
    the_second_finds_what_was_made(&Backend::database(&server), &requests);
}
