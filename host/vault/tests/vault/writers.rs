//! Several writers at once: threads, processes, and processes that are killed.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use ss_vault::{IdentitySource, VaultHome, VaultOptions};

use crate::support::{Home, secret};

/// Tells a child of this test binary which home to write to, under which name, and how often.
const CHILD: &str = "SS_VAULT_TEST_CHILD";

fn token_names(home: &Home) -> BTreeSet<String> {
    home.vault().token_names().unwrap().into_iter().collect()
}

fn expected(writers: &[&str], writes: usize) -> BTreeSet<String> {
    let names = |writer: &&str| {
        (0..writes).map(move |write| format!("{writer}.{write}")).collect::<Vec<_>>()
    };
    writers.iter().flat_map(names).collect()
}

#[test]
fn threads_lose_nothing() {
    let home = Home::new();
    let shared = home.vault();
    thread::scope(|scope| {
        // Two share what they know; two come with eyes of their own. Nobody has made the identity yet.
        for (writer, vault) in
            [("a", shared.clone()), ("b", shared.clone()), ("c", home.vault()), ("d", home.vault())]
        {
            scope.spawn(move || write(&vault, writer, 10));
        }
    });
    assert_eq!(token_names(&home), expected(&["a", "b", "c", "d"], 10));
}

fn write(vault: &VaultHome, writer: &str, writes: usize) {
    for write in 0..writes {
        vault.set_token(&format!("{writer}.{write}"), secret("value")).unwrap();
        println!("written {write}");
    }
}

/// Starts this very test again in a process of its own, as a writer.
fn child(home: &Home, writer: &str, writes: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "writers::processes_lose_nothing", "--nocapture"])
        .env(CHILD, format!("{writer} {writes} {}", home.path().display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn processes_lose_nothing() {
    if let Ok(order) = env::var(CHILD) {
        let mut words = order.splitn(3, ' ');
        let mut word = || words.next().unwrap();
        let (writer, writes, home) = (word(), word().parse().unwrap(), word().into());
        return write(
            &VaultHome::new(VaultOptions {
                home,
                identity: IdentitySource::Home,
                passphrase: Default::default(),
            }),
            writer,
            writes,
        );
    }
    let home = Home::new();
    let children = ["a", "b", "c"].map(|writer| child(&home, writer, 10));
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(token_names(&home), expected(&["a", "b", "c"], 10));
}

#[test]
fn a_killed_writer_leaves_a_whole_file_and_no_lock() {
    let home = Home::new();
    for round in 0..8 {
        let mut child = child(&home, &format!("w{round}"), 1_000);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let written = lines.filter(|line| line.starts_with("written")).take(2 + round).count();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it reported is there, whatever it was in the middle of.
        let names = token_names(&home);
        assert!(names.is_superset(&expected(&[&format!("w{round}")], written)), "{names:?}");
        home.vault().set_token("after", secret("value")).unwrap();
    }
}
