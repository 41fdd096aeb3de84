//! Credentials in and out, who can read them, and logging in to a provider.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::project::walkthrough;
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran, http};

#[test]
fn a_credential_goes_in_and_out_and_is_only_listed_by_name() {
    let place = Place::new();
    walkthrough(&place, 4400);
    place.ss(["vault", "set", "neon.api_token", "canary-one"]).exits(0);
    place
        .ss_with_input(&["vault", "set", "app-db.EXTRA", "--env=sandbox"], "canary-two\n")
        .exits(0);
    let listed = place.ss(["vault", "list", "--env=sandbox"]).exits(0);
    assert_eq!(listed.stdout, "neon.api_token\napp-db.EXTRA\n");
    let got = place.ss(["vault", "get", "app-db.EXTRA", "--env=sandbox"]).exits(0);
    assert_eq!(got.stdout, "canary-two", "no newline but on a terminal");
    place.ss(["vault", "rm", "neon.api_token"]).exits(0);
    place.ss(["vault", "get", "neon.api_token"]).exits(1).says("SS0504");
    place
        .ss(["vault", "set", "neon.api_tokne", "x"])
        .exits(0)
        .says("did you mean `neon.api_token`");
}

#[test]
fn a_colleague_reads_the_vault_with_a_key_of_their_own() {
    let (place, colleague) = (Place::new(), Place::new());
    for one in [&place, &colleague] {
        one.ss(["vault", "set", "neon.api_token", "theirs"]).exits(0);
    }
    let list = |place: &Place| -> Value {
        let listed = place.ss(["vault", "recipients", "list", "--json"]).exits(0);
        serde_json::from_str(&listed.stdout).expect("JSON")
    };
    let key = list(&colleague)["recipients"][0]["key"].as_str().expect("a key").to_owned();
    let open = || {
        let mut get = place.command();
        get.args(["vault", "get", "neon.api_token"]);
        get.env("STARSYSTEM_IDENTITY", colleague.home().join("identity"));
        Ran::of(get.output().expect("runs"))
    };
    open().exits(1).says("another identity");
    place.ss(["vault", "recipients", "add", &key, "--name=a colleague"]).exits(0).says("1 files");
    assert_eq!(open().exits(0).stdout, "theirs");
    assert_eq!(
        list(&place)["recipients"][1],
        json!({"key": key, "name": "a colleague", "own": false})
    );
    place.ss(["vault", "recipients", "rm", &key]).exits(0);
    open().exits(1).says("another identity");
    place.ss(["vault", "recipients", "add", "age1nobody"]).exits(1).says("age public key");
}

#[test]
fn a_rotated_key_and_a_passphrase_still_open_the_vault() {
    let place = Place::new();
    place.ss(["vault", "set", "neon.api_token", "kept"]).exits(0);
    place.ss(["vault", "rotate-key"]).exits(0).says("a new key");
    assert_eq!(place.ss(["vault", "get", "neon.api_token"]).exits(0).stdout, "kept");

    place.ss_with_input(&["vault", "passphrase"], "correct horse").exits(0);
    place.ss(["vault", "get", "neon.api_token"]).exits(1).says("STARSYSTEM_PASSPHRASE");
    let mut get = place.command();
    get.args(["vault", "get", "neon.api_token"]).env("STARSYSTEM_PASSPHRASE", "correct horse");
    assert_eq!(Ran::of(get.output().expect("runs")).exits(0).stdout, "kept");
}

#[test]
fn a_pasted_token_is_tried_before_it_is_stored() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let auth = |input: &str| place.ss_with_input(&["auth", "neon", "--env=sandbox"], input);
    auth("sandbox-neon-key\n").exits(1).says("SS0513").says("nothing was stored");
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    auth("napi_wrong\n").exits(1).says("SS0512").says("nothing was stored").says("api-keys");
    place.ss(["vault", "get", "neon.api_token"]).exits(1);
    auth("\n").exits(2);
    auth("sandbox-neon-key\n").exits(0).says("neon.api_token accepted and stored");
    let stored = place.ss(["vault", "get", "neon.api_token"]).exits(0).stdout;
    assert_eq!(stored, "sandbox-neon-key");
    let asked = sandbox.requests();
    assert!(asked.iter().all(|request| request == "GET /neon/api/v2/auth"), "{asked:?}");
    place.ss(["auth", "nobody", "--env=sandbox"]).exits(2).says("neon, fly");
}

#[test]
fn a_login_in_the_browser_brings_a_token_that_works() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let _sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let mut child = place
        .command()
        .args(["auth", "fly", "--browser", "--env=sandbox"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let page = lines
        .find_map(|line| line.ok()?.trim().strip_prefix("http://").map(str::to_owned))
        .expect("the page's address");
    let path = &page[page.find('/').expect("a path")..];
    assert!(http::get(port, path).body.contains("Approve"));

    // The button; then what a browser does with the redirect, after a stranger has tried.
    let back = redirect(port, path);
    let (back_port, back_path) = back.split_once('/').expect("a path");
    let back_port: u16 = back_port.parse().expect("a port");
    assert_eq!(http::get(back_port, "/?code=stolen&state=guessed").status, 404);
    assert_eq!(http::get(back_port, &format!("/{back_path}")).status, 200);

    let mut out = String::new();
    child.stdout.take().expect("stdout").read_to_string(&mut out).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(out, "✓ fly.api_token accepted and stored\n");
    let token = place.ss(["vault", "get", "fly.api_token"]).exits(0).stdout;
    assert!(token.starts_with("fm2_"), "what the sandbox gives is a macaroon");
}

/// Presses the button on the page; gives `PORT/path` of where it sends the browser.
fn redirect(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the sandbox");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let location = answer
        .lines()
        .find_map(|line| line.strip_prefix("location: http://127.0.0.1:"))
        .expect("a redirect");
    location.to_owned()
}
