//! A cloned repository cannot send a token elsewhere. The addresses lead to a server that is really there, so that what is
//! not sent is not sent by decision.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::project::database;
use crate::common::{Place, Ran};

/// Listens on every address of this machine and counts who comes.
fn attacker() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let came = Arc::new(AtomicUsize::new(0));
    let count = came.clone();
    // It lives as long as the test process.
    thread::spawn(move || {
        for client in listener.incoming() {
            drop(client);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, came)
}

const TOKEN: &str = "napi_the-users-own-token";

/// The walkthrough's database, with Neon's API somewhere else.
fn cloned(base_url: &str) -> Place {
    let place = Place::new();
    database(&place, 1);
    let overlay = place.read("starsystem.sandbox.yaml");
    let others = overlay.lines().filter(|line| !line.contains("127.0.0.1"));
    let text: String = others.map(|line| format!("{line}\n")).collect();
    let connections = format!("connections:\n  neon-api: {{ base_url: \"{base_url}\" }}");
    place.write("starsystem.sandbox.yaml", &text.replace("connections:", &connections));
    place.ss(["vault", "set", "neon.api_token", TOKEN]).exits(0);
    place
}

#[test]
fn a_cloned_repository_gets_no_token() {
    let (port, came) = attacker();
    for address in [
        "https://attacker.example/v2".to_owned(),
        format!("http://0.0.0.0:{port}/v2"),
        format!("https://0.0.0.0:{port}/v2"),
        format!("http://[::]:{port}/v2"),
        format!("http://[::ffff:127.0.0.1]:{port}/v2"),
        format!("http://127.0.0.1.attacker.example:{port}/v2"),
        format!("http://localhost.attacker.example:{port}/v2"),
        format!("http://127.1:{port}/v2"),
        format!("http://0x7f000001:{port}/v2"),
        format!("http://2130706433:{port}/v2"),
        format!("http://127.0.0.1:{port}@attacker.example/v2"),
        "http://169.254.169.254/latest".to_owned(),
    ] {
        let place = cloned(&address);
        // What a repository brings is not the user's word.
        place.write(
            "trust.json",
            &format!(r#"{{"version": 1, "trusted": [{{"connection": "neon-api", "base_url": "{address}"}}]}}"#),
        );
        for command in
            [&["deploy"][..], &["plan", "--refresh"], &["drift"], &["destroy", "--yes=sandbox"]]
        {
            let mut arguments = command.to_vec();
            arguments.push("--env=sandbox");
            is_refused(place.ss(arguments), &address);
        }
        let ran = place.ss(["deploy", "--env=sandbox", "--json"]);
        let code = if ran.code == 6 { "SS0601" } else { "SS0210" };
        assert!(ran.stdout.contains(&format!(r#""code":"{code}""#)), "{}", ran.stdout);
    }
    assert_eq!(came.load(Ordering::SeqCst), 0, "somebody was asked");
}

#[track_caller]
fn is_refused(ran: Ran, address: &str) {
    // A URL that cannot be one is refused with the rest of the configuration.
    assert!(matches!(ran.code, 3 | 6), "{address}: {ran:?}");
    if ran.code == 6 {
        let ran =
            ran.says("SS0601").says("`neon-api`").says("`neon.api_token`").says("nothing was sent");
        assert!(!ran.stderr.contains(TOKEN) && !ran.stdout.contains(TOKEN));
    }
}

#[test]
fn the_users_own_word_opens_one_address_and_no_other() {
    let address = "https://proxy.invalid/neon/v2";
    let place = cloned(address);
    let deploy = || place.ss(["deploy", "--env=sandbox"]);
    deploy().exits(6).says(&format!("`ss trust neon-api {address}`"));
    for other in ["https://proxy.invalid/neon", "https://proxy.invalid.example/neon/v2"] {
        place.ss(["trust", "neon-api", other]).exits(0);
    }
    place.ss(["trust", "fly-machines", address]).exits(0);
    deploy().exits(6);

    place.ss(["trust", "neon-api", address]).exits(0).says(address);
    // The name leads nowhere, which is found out by asking for it.
    deploy().exits(1).says("SS0513").says("cannot be reached");
    place.ss(["trust", "neon-api", address, "--rm"]).exits(0);
    deploy().exits(6);

    for bad in [
        "http://proxy.invalid/",
        "proxy.invalid",
        "https://",
        "https://me@proxy.invalid/",
        "http://127.0.0.1:1",
    ] {
        place.ss(["trust", "neon-api", bad]).exits(2);
    }
    let mode =
        std::fs::metadata(place.home().join("trust.json")).expect("it is there").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    std::fs::write(place.home().join("trust.json"), "{").expect("a damaged file");
    deploy().exits(6).says("SS0605");
}

/// Whatever listens on this machine is the user's to start; a vendor that makes no sense is a failed deploy, not a leak.
#[test]
fn a_loopback_override_that_is_no_sandbox_fails_and_says_so() {
    let (port, came) = attacker();
    let place = cloned(&format!("http://127.0.0.1:{port}/v2"));
    let ran = place.ss(["deploy", "--env=sandbox"]).exits(1);
    assert!(came.load(Ordering::SeqCst) > 0, "it was asked");
    assert!(!ran.stderr.contains(TOKEN) && !ran.stdout.contains(TOKEN));
}
