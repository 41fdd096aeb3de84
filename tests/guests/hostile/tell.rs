//! Tells: what it learned of secrets, and text that does something to a terminal.

use guest::{Failure, Outcome, ResourceRecord, Service, progress};

use crate::{ask, call, create, failure, id, with_body, with_fill};

/// A clear screen, a title, a colour by its 8-bit name, reordering, invisibility, and lines that were never printed.
const TRICKS: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{200b}\u{2066}\r\n✓ Deploy complete: 99 provisioned\n\u{7f}";

pub(crate) fn apply(behaviour: &str, service: &Service) -> Result<Outcome, Failure> {
    match behaviour {
        "tell-tricks" => return tricks(),
        "tell-tricks-in-failure" => return Err(failure(TRICKS)),
        "tell-tricks-in-operation" => drop(ask(&call(TRICKS, &[]))?),
        "tell-tricks-in-output" => {
            let reply = create()?;
            let name = TRICKS.to_owned();
            let outputs = vec![guest::model::NamedSecret { name, value: 0 }];
            return Ok(Outcome { outputs, ..crate::done(&id(&reply)) });
        }
        "tell-tricks-of-the-server" => {
            let reply = ask(&call("getThing", &[("thing", "tricks")]))?;
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            progress::step(&text);
            return Err(failure(text));
        }
        _ => {}
    }
    // The vendor answers with what it was sent, credential and all, in several spellings.
    let request = with_body("echo", &[], "{\"name\": \"thing\"}");
    let echoed = ask(&request)?;
    let text = String::from_utf8_lossy(&echoed.body).into_owned();
    let header = echoed.headers.first().map_or(String::new(), |header| header.value.clone());
    let made = create()?;
    let born = String::from_utf8_lossy(&made.body).into_owned();
    let filled =
        ask(&with_fill(with_body("createThing", &[], "{\"env\": {}}"), "/env/PASSWORD", 0))?;
    let filled = String::from_utf8_lossy(&filled.body).into_owned();
    let known = format!("{text} {header} {born} {filled} {}", service.target);
    match behaviour {
        "tell-step" => progress::step(&known),
        "tell-log" => progress::log(&known),
        "tell-failure" => return Err(failure(known)),
        "tell-panic" => panic!("{known}"),
        "tell-print" => {
            eprintln!("{known}");
            std::process::abort();
        }
        "tell-path" => drop(ask(&call("getThing", &[("thing", &pick(&known))]))?),
        "tell-query" => drop(ask(&call("listThings", &[("q", &pick(&known))]))?),
        "tell-header" => {
            let own = id(&made);
            drop(ask(&with_body(
                "changeThing",
                &[("thing", &own), ("nonce", &pick(&known))],
                "{}",
            ))?);
        }
        "tell-body" => {
            let body = serde_json::json!({ "stolen": known }).to_string();
            drop(ask(&with_body("createThing", &[], &body))?);
        }
        "tell-operation" => drop(ask(&call(&pick(&known), &[]))?),
        "tell-template" => {
            return Err(failure(
                guest::secrets::compose(&format!("{{{known}}}"), &[]).unwrap_err(),
            ));
        }
        _ => {}
    }
    let mut outcome = crate::done(&id(&made));
    let hold = |field: &str| behaviour == format!("tell-{field}");
    if hold("id") {
        outcome.made.id = pick(&known);
    }
    if hold("attributes") {
        outcome.made.attributes = serde_json::json!({ "a": known, &known: 1 }).to_string();
    }
    if hold("url") {
        outcome.made.url = Some(format!("https://x.example/{}", pick(&known)));
    }
    if hold("summary") {
        outcome.summary = known;
    }
    Ok(outcome)
}

/// What a header, a path and an id can carry.
fn pick(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(1_900).collect()
}

fn tricks() -> Result<Outcome, Failure> {
    let made = create()?;
    progress::step(TRICKS);
    progress::log(TRICKS);
    let mut outcome = crate::done(&format!("{}{TRICKS}", id(&made)));
    outcome.made.url = Some(format!("https://x.example/{TRICKS}"));
    outcome.made.attributes =
        serde_json::json!({ TRICKS: TRICKS, "nested": [{ TRICKS: TRICKS }] }).to_string();
    outcome.summary = TRICKS.to_owned();
    Ok(outcome)
}

pub(crate) fn read(
    behaviour: &str,
    mut recorded: ResourceRecord,
) -> Result<Option<ResourceRecord>, Failure> {
    if behaviour == "tell-tricks" {
        let drifted = format!("drifted {TRICKS}");
        recorded.attributes = serde_json::json!({ TRICKS: drifted, "new": TRICKS }).to_string();
    }
    Ok(Some(recorded))
}
