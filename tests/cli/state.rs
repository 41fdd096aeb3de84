//! A state that machines share: two people and CI on one bucket, the same in PostgreSQL, and what must be refused.

use serde_json::Value;
use ss_testkit::servers::{PostgresServer, S3Server};

use crate::common::project::{database, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

const OVERLAY: &str = "starsystem.sandbox.yaml";

fn in_bucket(server: &S3Server) -> String {
    format!(
        "state: {{ backend: s3, bucket: states, region: us-east-1, endpoint: \"{}\" }}\n",
        server.endpoint()
    )
}

/// A machine of somebody's, with credentials for the bucket.
fn machine() -> Place {
    let mut place = Place::new();
    place.env = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    place
}

fn add(place: &Place, name: &str, text: &str) {
    place.write(name, &format!("{}\n{text}", place.read(name)));
}

/// The key of a machine's vault, which is made if need be.
fn key(place: &Place) -> String {
    place.ss(["vault", "set", "some.token", "x"]).exits(0);
    let listed = place.json(["vault", "recipients", "list", "--json"]);
    listed["recipients"][0]["key"].as_str().expect("a key").to_owned()
}

/// Every command of `docs/teams.md`, by whom it says, in its order.
#[test]
fn two_people_and_ci_on_one_bucket_as_the_page_says() {
    let Some(server) = S3Server::start("states") else { return };
    let (alice, bob, ci, carol) = (machine(), machine(), machine(), machine());
    let port = free_port();
    for place in [&alice, &bob, &ci] {
        walkthrough(place, port);
        let overlay = place.read(OVERLAY).replace("environment: sandbox", "environment: prod");
        std::fs::remove_file(place.path().join(OVERLAY)).expect("it is there");
        place.write("starsystem.prod.yaml", &overlay);
    }
    let sandbox = Sandbox::start(&alice, port, &alice.path().join("sandbox.yaml"));
    sandbox.without_limits();
    // She has deployed so far.
    alice.ss(["deploy", "--env=prod"]).exits(0);
    let keys = [("ALICE", &alice), ("BOB", &bob), ("CI", &ci), ("CAROL", &carol)]
        .map(|(name, place)| (format!("AGE_KEY_OF_{name}"), key(place)));

    let page = include_str!("../../docs/teams.md");
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    assert!(
        yaml.expect("an example")
            .contains("state: { backend: s3, bucket: my-app-state, region: eu-central-1 }")
    );
    for place in [&alice, &bob, &ci] {
        let state = in_bucket(&server);
        place.write("starsystem.prod.yaml", &(state + &place.read("starsystem.prod.yaml")));
    }
    let mut ran = 0;
    for line in page.lines() {
        let Some((who, command)) = line.split_once("$ ss ") else { continue };
        let place = match who {
            "alice" => &alice,
            "bob" => &bob,
            "ci" => &ci,
            _ => continue,
        };
        let mut command = command.to_owned();
        for (name, key) in &keys {
            command = command.replace(name, key);
        }
        let (command, file) = match command.split_once(" > ") {
            Some((command, file)) => (command.to_owned(), Some(file.to_owned())),
            None => (command, None),
        };
        let out = place.ss(command.split(' ')).exits(0);
        if let Some(file) = file {
            place.write(&file, &out.stdout);
        }
        if command.starts_with("state migrate") {
            // Committed, and pulled by the others.
            let overlay = place.read("starsystem.prod.yaml");
            assert!(overlay.contains("backend: \"s3\"") && !overlay.contains("resource_id"));
            for other in [&bob, &ci] {
                other.write("starsystem.prod.yaml", &overlay);
            }
        }
        ran += 1;
    }
    assert!(ran > 20, "the page has only {ran} commands");
    assert_eq!(sandbox.holds(), (1, 1, 1));
    let url = |place: &Place| {
        place.ss(["vault", "get", "app-db.DATABASE_URL", "--env=prod"]).exits(0).stdout
    };
    assert_eq!(url(&alice), url(&bob));
    // The local files are out of the way: without `state` nothing goes on from them.
    let state = alice.home().join("systems/my-app/prod/state.json");
    assert!(!state.exists() && state.with_extension("json.moved").exists());
    let overlay = alice.read("starsystem.prod.yaml");
    alice.write("starsystem.prod.yaml", &overlay.replace(&in_bucket(&server), ""));
    alice.ss(["deploy", "--env=prod"]).exits(1).says("SS0403").says("no `state`");
}

#[test]
fn who_would_lock_somebody_out_is_told_whom_to_add() {
    let Some(server) = S3Server::start("states") else { return };
    let (alice, bob) = (machine(), machine());
    let port = free_port();
    for place in [&alice, &bob] {
        database(place, port);
        add(place, OVERLAY, &in_bucket(&server));
    }
    let _sandbox = Sandbox::guard(&alice, port);
    let (alices, bobs) = (key(&alice), key(&bob));
    alice.ss(["deploy", "--env=sandbox"]).exits(0);
    bob.ss(["plan", "--env=sandbox"]).exits(1).says("SS0404").says("cannot be opened");
    alice.ss(["vault", "recipients", "add", &bobs, "--name=bob"]).exits(0);
    alice.ss(["state", "reseal", "--env=sandbox"]).exits(0).says("encrypted again");
    bob.ss(["plan", "--env=sandbox"]).exits(0).says("1 unchanged");
    // What bob would write, alice could not read.
    for command in [
        &["deploy", "--env=sandbox"][..],
        &["vault", "set", "app-db.X", "y", "--env=sandbox"],
        &["destroy", "--env=sandbox", "--yes=sandbox"],
    ] {
        bob.ss(command).exits(1).says("SS0403").says(&format!("ss vault recipients add {alices}"));
    }
    bob.ss(["vault", "recipients", "add", &alices, "--name=alice"]).exits(0);
    bob.ss(["vault", "set", "app-db.X", "y", "--env=sandbox"]).exits(0);
    assert_eq!(alice.ss(["vault", "get", "app-db.X", "--env=sandbox"]).exits(0).stdout, "y");
    alice.ss(["vault", "rm", "app-db.X", "--env=sandbox"]).exits(0);
    bob.ss(["vault", "get", "app-db.X", "--env=sandbox"]).exits(1).says("SS0504");
    bob.ss(["destroy", "--env=sandbox", "--yes=sandbox"]).exits(0);
}

#[test]
fn all_commands_work_in_postgres() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = PostgresServer::start(folder.path()) else { return };
    let mut place = Place::new();
    let port = free_port();
    database(&place, port);
    add(&place, OVERLAY, "state: { backend: postgres, url_env: STATE_URL }\n");
    place.ss(["plan", "--env=sandbox"]).exits(1).says("SS0412").says("STATE_URL is not set");
    place.env.push(("STATE_URL".to_owned(), server.url()));
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let env = "--env=sandbox";
    place.ss(["plan", env]).exits(0).says("1 to create");
    place.ss(["deploy", env]).exits(0);
    place.ss(["deploy", env]).exits(0).says("Nothing to change");
    place.ss(["plan", "--refresh", env]).exits(0).says("0 writes (enforced)");
    place.ss(["drift", env]).exits(0);
    let first = place.latest();
    place.ss(["inspect", "--list", env]).exits(0).says(&first);
    place.ss(["inspect", "--verify", env]).exits(0);
    place.edit(OVERLAY, "project_name: my-app", "project_name: renamed");
    place.ss(["deploy", env]).exits(0);
    place.ss(["rollback", "--to", &first, env]).exits(0);
    place.ss(["deploy", env]).exits(0);
    place.ss(["unlock", env]).exits(0).says("Nobody");
    place.ss(["vault", "list", env]).exits(0).says("app-db.DATABASE_URL");
    assert_eq!(sandbox.holds().0, 1);
    place.ss(["destroy", env, "--yes=sandbox"]).exits(0);
    assert_eq!(sandbox.holds().0, 0);
    assert!(!place.home().join("systems").exists(), "something of the state is on this machine");
}

#[test]
fn a_pulled_state_comes_back_and_an_older_one_does_not() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let _sandbox = Sandbox::guard(&place, port);
    let env = "--env=sandbox";
    place.ss(["state", "pull", env]).exits(1).says("SS0407");
    place.ss(["deploy", env]).exits(0);
    let pulled = place.ss(["state", "pull", env]).exits(0).stdout;
    let push = |text: &str, more: &[&str]| -> Ran {
        let arguments = [&["state", "push", "-", env][..], more].concat();
        place.ss_with_input(&arguments, text)
    };
    let shown = place.json(["state", "show", env, "--json"]);
    assert_eq!((&shown["backend"], &shown["serial"]), (&"local".into(), &1.into()));
    push(&pulled, &[]).exits(0).says("serial 2");
    push(&pulled, &[]).exits(1).says("SS0413").says("it is at serial 1, and what is there at 2");
    let mut other: Value = serde_json::from_str(&pulled).expect("JSON");
    other["state"]["lineage"] = "another".into();
    other["state"]["serial"] = 9.into();
    push(&other.to_string(), &[]).exits(1).says("SS0413").says("lineage another");
    for text in ["", "{}", "{\"version\":1,\"kind\":\"plan\",\"state\":{}}"] {
        push(text, &["--force"]).exits(1).says("SS0413").says("not a pulled state");
    }
    place.ss(["deploy", env]).exits(0).says("Nothing to change: 1 unchanged");
    push(&pulled, &["--force"]).exits(0).says("replaced: ").says("serial 3");
    push(&other.to_string(), &["--force"]).exits(0).says("serial 10");
    assert_eq!(place.json(["state", "show", env, "--json"])["lineage"], "another");
    place.ss(["state", "migrate", env]).exits(3).says("names no place");
}

#[test]
fn a_cloned_repository_does_not_choose_where_the_users_name_is_used() {
    let place = machine();
    database(&place, 1);
    let overlay = place.read(OVERLAY);
    for (endpoint, says) in [
        ("https://s3.attacker.example", "`ss trust state.endpoint https://s3.attacker.example`"),
        ("http://s3.attacker.example", "must be https"),
        ("https://127.0.0.1.attacker.example", "nothing was sent"),
        ("http://0.0.0.0:1", "must be https"),
    ] {
        let state = format!("state: {{ backend: s3, bucket: states, endpoint: \"{endpoint}\" }}\n");
        place.write(OVERLAY, &format!("{overlay}\n{state}"));
        for command in ["plan", "deploy", "drift", "inspect", "unlock"] {
            place.ss([command, "--env=sandbox"]).exits(6).says("SS0601").says(says);
        }
        place.ss(["state", "show", "--env=sandbox"]).exits(6).says("SS0601");
    }
}

#[test]
fn a_place_that_does_not_fit_to_the_overlay_is_refused() {
    let Some(server) = S3Server::start("states") else { return };
    let place = machine();
    let port = free_port();
    database(&place, port);
    let _sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    add(&place, OVERLAY, &in_bucket(&server));
    place.ss(["plan", "--env=sandbox"]).exits(1).says("SS0403").says("`ss state migrate` moves it");
    let moved = place.json(["state", "migrate", "--env=sandbox", "--json"]);
    assert_eq!((&moved["action"], &moved["serial"]), (&"migrate".into(), &2.into()));
    place.ss(["state", "migrate", "--env=sandbox"]).exits(1).says("moved already");
    place.ss(["deploy", "--env=sandbox"]).exits(0).says("Nothing to change");
    place.ss(["inspect", "--list", "--env=sandbox"]).exits(0).says("completed");
    // Another prefix is another place, and it is empty.
    place.edit(OVERLAY, "bucket: states", "bucket: states, prefix: other");
    place.ss(["deploy", "--env=sandbox"]).exits(1).says("SS0403").says("is empty, but `_state`");
    place.edit(OVERLAY, "prefix: other, ", "");
    place.edit(OVERLAY, "serial: 2", "serial: 7");
    place.ss(["deploy", "--env=sandbox"]).exits(1).says("SS0403").says("notes serial 7");
    place.edit(OVERLAY, "serial: 7", "serial: 2");
    place.ss(["destroy", "--env=sandbox", "--yes=sandbox"]).exits(0);
}
