//! What must never be seen: by the provisioner, by the user, by a reader of state, journal and receipts.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use ss_core::value::hex;
use ss_gate::call::{CallFailureKind, FailureKind, NamedSecret};
use ss_ports::{CallError, EgressError};
use ss_testkit::{MemoryVault, sample};

use crate::cloud::{Answer, TOKEN};
use crate::things::{Things, call, failed, on, outcome, send, sends, thing, with};
use crate::world::{World, taking, wants};
use encodings::{base64, percent};

mod encodings {
    //! Encodings written out, so that the scrubber is not tested against itself.

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    /// Base64 without padding.
    pub fn base64(bytes: &[u8]) -> String {
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for index in 0..=chunk.len() {
                text.push(ALPHABET[(bits >> (18 - 6 * index) & 63) as usize] as char);
            }
        }
        text
    }

    /// Every byte percent-encoded that is no letter or digit.
    pub fn percent(text: &str) -> String {
        text.bytes()
            .map(|byte| match byte.is_ascii_alphanumeric() {
                true => (byte as char).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect()
    }
}

const SECRET: &str = "s3cr\"et/päss word";

/// The ways a vendor may give a secret back.
fn echoes(secret: &str) -> Vec<String> {
    let json = Value::String(secret.to_owned()).to_string();
    vec![
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        percent(secret),
        percent(secret).to_lowercase(),
        hex(secret.as_bytes()),
        hex(secret.as_bytes()).to_uppercase(),
        base64(secret.as_bytes()),
        base64(format!("user:{secret}").as_bytes()),
        base64(format!("ab{secret}").as_bytes()),
    ]
}

/// The middle of an echo: what stands around a secret may change the ends of its encoding, never the middle.
fn middle(echo: &str) -> String {
    let characters: Vec<char> = echo.chars().collect();
    characters[4..characters.len() - 4].iter().collect()
}

fn create() -> ss_gate::call::Call {
    with(call("createThing", &[]), &json!({}))
}

#[tokio::test]
async fn a_captured_secret_is_never_seen_again_however_it_is_written() {
    for echo in echoes(SECRET) {
        let (things, answers) =
            sends(vec![create(), on("getThing", "x"), on("getThing", "x"), on("getThing", "x")]);
        let world = World::with(things);
        world.cloud.answers(
            "createThing",
            Answer::Says(201, json!({"id": "x", "password": SECRET, "again": echo})),
        );
        world
            .cloud
            .answers("getThing", Answer::Says(200, json!({ "deep": [{ echo.as_str(): echo }] })));
        let raw = Answer::Raw(
            500,
            vec![("x-trace", echo.clone())],
            format!("<p>{echo}</p>").into_bytes(),
        );
        world.cloud.answers("getThing", raw);
        world.cloud.answers("getThing", Answer::Fails(EgressError::Lost(format!("at {echo}"))));
        let report = world.deploy(&[wants("db", 1)]).await;
        let answers = answers.list();
        let mut seen = String::new();
        for answer in answers.iter() {
            match answer {
                Ok(reply) => {
                    seen.push_str(&String::from_utf8_lossy(&reply.body));
                    seen.push_str(&format!("{:?}", reply.headers));
                }
                Err(failure) => seen.push_str(&failure.message),
            }
        }
        assert!(!seen.contains(&middle(&echo)), "{echo} in {seen}");
        assert!(seen.contains("secret#0") && seen.contains("***"), "{seen}");
        let receipt = serde_json::to_string(&report.receipt).unwrap();
        assert!(!receipt.contains(&middle(&echo)), "{receipt}");
        world.holds_no_secret(&[SECRET]).await;
    }
}

#[tokio::test]
async fn the_token_is_never_seen_even_if_the_vendor_gives_it_back() {
    let bearer = format!("Bearer {TOKEN}");
    for echo in echoes(TOKEN).into_iter().chain(echoes(&bearer)) {
        let (things, answers) = sends(vec![on("getThing", "x")]);
        let world = World::with(things);
        let body = json!({"you": {"sent": echo}}).to_string().into_bytes();
        world.cloud.answers("getThing", Answer::Raw(200, vec![("x-trace", echo.clone())], body));
        world.deploy(&[wants("db", 1)]).await;
        let answers = answers.list();
        let reply = answers[0].as_ref().unwrap();
        let seen = format!("{}{:?}", String::from_utf8_lossy(&reply.body), reply.headers);
        assert!(!seen.contains(&middle(&echo)), "{echo} in {seen}");
    }
}

#[tokio::test]
async fn an_injected_secret_is_never_seen_when_it_comes_back() {
    let (things, answers) = sends(vec![on("getThing", "x")]);
    let mut world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    let url = world.credential("db", "URL").await.unwrap();
    world.offer("thing", things);
    world.cloud.answers("getThing", Answer::Says(200, json!({"env": {"URL": url}})));
    world.deploy(&[wants("db", 1), taking(wants("api", 1), "db")]).await;
    let answers = answers.list();
    let body = String::from_utf8_lossy(&answers[0].as_ref().unwrap().body).into_owned();
    assert_eq!(body, r#"{"env":{"URL":"***"}}"#);
}

#[tokio::test]
async fn a_body_that_should_hold_a_secret_and_cannot_be_searched_is_withheld() {
    let (things, answers) = sends(vec![create(), on("getPassword", "th-1"), create()]);
    let world = World::with(things);
    let garbage = || format!("password={SECRET}").into_bytes();
    world.cloud.answers("getPassword", Answer::Raw(200, Vec::new(), garbage()));
    world.deploy(&[wants("db", 1)]).await;
    let answers = answers.list();
    assert!(answers[1].as_ref().unwrap().body.is_empty());
}

/// It would say whose the new id is; taken as it is, what was made could never be touched again.
#[tokio::test]
async fn an_answer_to_a_create_that_cannot_be_read_counts_as_lost() {
    let (things, answers) = sends(vec![create(), create()]);
    let world = World::with(things);
    for status in [200, 500] {
        let body = format!("password={SECRET}").into_bytes();
        world.cloud.answers("createThing", Answer::Raw(status, Vec::new(), body));
    }
    world.deploy(&[wants("db", 1)]).await;
    let answers = answers.list();
    assert_eq!(answers[0].as_ref().unwrap_err().kind, CallFailureKind::OutcomeUnknown);
    assert!(
        !answers[1].as_ref().unwrap().body.is_empty(),
        "an error page is for the author to read"
    );
}

/// Learns a secret by other means, and tells everybody.
fn traitor() -> Things {
    Things::honest().applying(|_, _, mut host| async move {
        let aborted = CallError::Aborted;
        send(&mut host, create()).await?.expect("an answer");
        host.step(format!("made with {SECRET}\u{1b}[2J\u{202e}")).await.map_err(aborted)?;
        host.log(format!("{SECRET}\nnext line")).await.map_err(aborted)?;
        host.checkpoint(thing(SECRET, &json!(SECRET))).await.map_err(aborted)?;
        let mut ended = outcome(&format!("id-{SECRET}"), &json!({SECRET: [SECRET]}), Vec::new());
        ended.made.url = Some(format!("https://u:{SECRET}@h/"));
        ended.summary = format!("done: {SECRET}\u{7}");
        match send(&mut host, call("listThings", &[])).await?.expect("an answer").status {
            200 => Ok(ended),
            _ => Err(failed(FailureKind::Broken, &format!("failed: {SECRET}\u{1b}c"))),
        }
    })
}

#[tokio::test]
async fn what_a_provisioner_says_is_scrubbed_and_safe_to_print() {
    for status in [200, 500] {
        let world = World::with(traitor());
        world
            .cloud
            .answers("createThing", Answer::Says(201, json!({"id": "x", "password": SECRET})));
        world.cloud.answers("listThings", Answer::Says(status, json!([])));
        let report = world.deploy(&[wants("db", 1)]).await;
        let mut shown = world.shown();
        shown.push(report.receipt.services[0].summary.clone());
        shown.extend(report.failures.values().map(|failure| failure.message.clone()));
        shown.extend(report.receipt.services[0].error.clone());
        for text in &shown {
            assert!(!text.contains("s3cr"), "{text}");
            assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']), "{text}");
        }
        assert_eq!(shown[0], "made with ***\\u{1b}[2J\\u{202e}");
        let record = world.recorded("db").await.expect("recorded");
        let kept = serde_json::to_string(&record).unwrap();
        assert!(kept.contains("***") && !kept.contains("s3cr"), "{kept}");
        world.holds_no_secret(&[SECRET]).await;
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_off() {
    let world = World::with(Things::honest().applying(|_, _, mut host| async move {
        for _ in 0..5_000 {
            host.log("x".repeat(5_000)).await.map_err(CallError::Aborted)?;
        }
        Ok(outcome("x", &Value::Null, Vec::new()))
    }));
    world.deploy(&[wants("db", 1)]).await;
    let shown = world.shown();
    assert_eq!(shown.len(), 2_000);
    assert!(shown.iter().all(|line| line.chars().count() <= 401));
}

#[tokio::test]
async fn secrets_too_short_to_look_for_do_not_blank_ordinary_text() {
    let (things, answers) = sends(vec![create(), on("getThing", "x")]);
    let world = World::with(things);
    world.cloud.answers("createThing", Answer::Says(201, json!({"id": "x", "password": "prod"})));
    world.cloud.answers("getThing", Answer::Says(200, json!({"name": "products"})));
    world.deploy(&[wants("db", 1)]).await;
    let answers = answers.list();
    let created = String::from_utf8_lossy(&answers[0].as_ref().unwrap().body).into_owned();
    assert!(
        !created.contains("prod"),
        "where it is declared it is taken out, however short: {created}"
    );
    assert_eq!(answers[1].as_ref().unwrap().body, br#"{"name":"products"}"#);
}

#[tokio::test]
async fn what_is_composed_of_a_captured_part_may_be_an_output_and_nothing_else() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let world = World::with(Things::honest().applying(move |_, _, mut host| {
        let kept = kept.clone();
        async move {
            let reply = send(&mut host, create()).await?.expect("an answer");
            let part = NamedSecret { name: "p".to_owned(), value: reply.captured[0].value };
            let parts = vec![part];
            let good = host.compose("x://{p|url}".to_owned(), parts.clone()).await;
            let value = good.map_err(CallError::Aborted)?.expect("good");
            for template in ["{q}", "{p", "{p|base64}"] {
                let bad = host.compose(template.to_owned(), parts.clone()).await;
                kept.lock().unwrap().push(bad.map_err(CallError::Aborted)?.is_err());
            }
            let fill = ss_gate::call::Fill { pointer: "/env/A".to_owned(), value };
            let change = with(on("changeThing", "x"), &json!({}));
            let change = ss_gate::call::Call { fill: vec![fill], ..change };
            let denied = send(&mut host, change).await?.is_err();
            kept.lock().unwrap().push(denied);
            let output = NamedSecret { name: "URL".to_owned(), value };
            Ok(outcome("x", &Value::Null, vec![output]))
        }
    }));
    world
        .cloud
        .answers("createThing", Answer::Says(201, json!({"id": "x", "password": "a b/c-d-e"})));
    world.deploy(&[wants("db", 1)]).await;
    assert_eq!(*seen.lock().unwrap(), [true; 4]);
    assert_eq!(world.credential("db", "URL").await.as_deref(), Some("x://a%20b%2Fc%2Dd%2De"));
}

#[tokio::test]
async fn a_snapshot_holds_credentials_sealed() {
    let world = World::on(MemoryVault::with_tokens([("thing.token", TOKEN)]), Things::honest());
    world.deploy(&[wants("db", 1)]).await;
    let snapshot =
        ss_ports::StateStore::snapshot(&world.store, &sample::deploy(1)).await.unwrap().unwrap();
    let url = world.credential("db", "URL").await.unwrap();
    assert!(!String::from_utf8_lossy(&snapshot.credentials).contains(&url));
    let open = ss_ports::Vault::open(&*world.vault, &snapshot.credentials).await.unwrap();
    let credentials: Value = serde_json::from_slice(open.expose()).unwrap();
    assert_eq!(credentials, json!({"db": {"URL": url}}));
}
