//! Reaches for what is not its own: operations, ids, hosts, phases and secrets.

use guest::model::NamedSecret;
use guest::{Failure, Outcome, ResourceRecord, progress, secrets};

use crate::{Refused, ask, call, create, done, failure, id, with_body, with_fill};

pub(crate) fn apply(
    behaviour: &str,
    recorded: Option<&ResourceRecord>,
) -> Result<Outcome, Failure> {
    let get = |value: &str| ask(&call("getThing", &[("thing", value)]));
    match behaviour {
        // Operations.
        "reach-undeclared" => ask(&call("dropDatabase", &[]))?,
        "reach-url" => ask(&call("https://evil.example/steal", &[]))?,
        "reach-empty-name" => ask(&call("", &[]))?,
        "reach-other-plugin" => ask(&call("createProject", &[]))?,
        "reach-destroy-in-create" => ask(&call("deleteThing", &[("thing", &made()?)]))?,
        "reach-update-in-create" => ask(&with_body("updateThing", &[("thing", &made()?)], "{}"))?,
        // Ids.
        "reach-neighbour" => ask(&with_body("changeThing", &[("thing", "neighbour")], "{}"))?,
        "reach-neighbours-password" => ask(&call("getPassword", &[("thing", "neighbour")]))?,
        "reach-foreign-mark" => {
            ask(&call("listThings", &[]))?;
            ask(&with_body("changeThing", &[("thing", "thing-of-another")], "{}"))?
        }
        "reach-case-of-id" => {
            ask(&with_body("changeThing", &[("thing", &made()?.to_uppercase())], "{}"))?
        }
        "reach-padded-id" => {
            ask(&with_body("changeThing", &[("thing", &format!("{} ", made()?))], "{}"))?
        }
        "reach-time-bomb" => {
            let own = made()?;
            for _ in 0..5 {
                ask(&with_body("changeThing", &[("thing", &own)], "{}"))?;
            }
            ask(&with_body("changeThing", &[("thing", "neighbour")], "{}"))?
        }
        "reach-second-run" if recorded.is_some() => {
            ask(&call("deleteThing", &[("thing", "neighbour")]))?
        }
        "reach-old-id" => {
            // The vendor counts: whoever gets another number was there before.
            let own = made()?;
            if own == "thing-1" {
                return Ok(done(&own));
            }
            ask(&with_body("changeThing", &[("thing", "thing-1")], "{}"))?
        }
        // Hosts and paths.
        "reach-any-host" => ask(&call("probe", &[("thing", "attacker"), ("path", "data")]))?,
        "reach-host-with-dot" => ask(&call("probe", &[("thing", "evil.example/"), ("path", "x")]))?,
        "reach-dot-dot" => get("..")?,
        "reach-nothing" => get("")?,
        "reach-traversal" => get("../../admin")?,
        "reach-encoded-traversal" => get("%2e%2e%2fadmin")?,
        "reach-backslash" => get("..\\admin")?,
        "reach-unicode-dots" => get("\u{2024}\u{2024}/\u{ff0e}\u{ff0e}")?,
        "reach-query-in-path" => get("x?admin=1#y")?,
        "reach-absolute" => get("//evil.example/x")?,
        "reach-nul" => get("a\0b")?,
        "reach-newline" => get("a\r\nHost: evil.example")?,
        "reach-long-value" => get(&"v".repeat(60_000))?,
        "reach-query-smuggling" => ask(&call("listThings", &[("q", "a&admin=1#x")]))?,
        "reach-doubled-param" => ask(&call("getThing", &[("thing", "a"), ("thing", "b")]))?,
        "reach-unknown-param" => ask(&call("getThing", &[("thing", "a"), ("admin", "1")]))?,
        "reach-header-injection" => {
            let own = made()?;
            ask(&with_body(
                "changeThing",
                &[("thing", &own), ("nonce", "a\r\nAuthorization: x")],
                "{}",
            ))?
        }
        "reach-header-beyond-ascii" => {
            let own = made()?;
            ask(&with_body("changeThing", &[("thing", &own), ("nonce", "\u{10d}\u{10a}")], "{}"))?
        }
        // Bodies.
        "reach-body-on-read" => ask(&with_body("listThings", &[], "{}"))?,
        "reach-body-not-json" => {
            ask(&with_body("createThing", &[], "name=thing\r\n\r\nGET /admin"))?
        }
        "reach-large-body" => {
            ask(&with_body("createThing", &[], &format!("\"{}\"", "x".repeat(2 << 20))))?
        }
        "reach-deep-body" => ask(&with_body("createThing", &[], &"[".repeat(100_000)))?,
        // Secrets.
        "reach-no-secret" => {
            ask(&with_fill(with_body("createThing", &[], "{\"env\": {}}"), "/env/X", 99))?
        }
        "reach-last-secret" => {
            ask(&with_fill(with_body("createThing", &[], "{\"env\": {}}"), "/env/X", u32::MAX))?
        }
        "reach-secret-elsewhere" => {
            ask(&with_fill(with_body("createThing", &[], "{}"), "/name", 0))?
        }
        "reach-secret-to-echo" => ask(&with_fill(with_body("echo", &[], "{}"), "/x", 0))?,
        "reach-secret-by-pattern" => {
            ask(&with_fill(with_body("createThing", &[], "{\"env\": {}}"), "/env/*", 0))?
        }
        "reach-secret-of-a-reply" => {
            let born = create()?.captured.first().map_or(0, |secret| secret.value);
            ask(&with_fill(with_body("createThing", &[], "{\"env\": {}}"), "/env/X", born))?
        }
        "reach-secret-composed" => {
            let born = create()?.captured.first().map_or(0, |secret| secret.value);
            let part = NamedSecret { name: "p".to_owned(), value: born };
            let composed = secrets::compose("x{p}", &[part]).map_err(failure)?;
            ask(&with_fill(with_body("createThing", &[], "{\"env\": {}}"), "/env/X", composed))?
        }
        "reach-secret-in-the-template" => {
            let part = NamedSecret { name: "p".to_owned(), value: 99 };
            return Err(failure(
                secrets::compose("{p}", &[part]).expect_err("there is no secret 99"),
            ));
        }
        // Outcomes.
        "reach-undeclared-output" => return output("EVERYTHING", 0),
        "reach-missing-output" => return output("PASSWORD", 77),
        "reach-claims-neighbour" => return Ok(done("neighbour")),
        "reach-hides-refusal" => {
            drop(ask(&with_body("changeThing", &[("thing", "neighbour")], "{}")));
            return Ok(done("x"));
        }
        "reach-traps-with-a-thing" => {
            create()?;
            progress::checkpoint(&guest::record("thing-1", "{}"));
            std::process::abort()
        }
        _ => create()?,
    };
    Ok(done("thing-1"))
}

fn made() -> Result<String, Refused> {
    Ok(id(&create()?))
}

fn output(name: &str, value: u32) -> Result<Outcome, Failure> {
    let reply = create()?;
    let outputs = vec![NamedSecret { name: name.to_owned(), value }];
    Ok(Outcome { outputs, ..done(&id(&reply)) })
}

pub(crate) fn read(behaviour: &str) -> Result<(), Failure> {
    match behaviour {
        "read-creates" => drop(create()?),
        "read-changes" => drop(ask(&with_body("changeThing", &[("thing", "thing-1")], "{}"))?),
        "read-deletes" => drop(ask(&call("deleteThing", &[("thing", "thing-1")]))?),
        "read-traps" => std::process::abort(),
        "read-loops" => crate::greedy::compute(),
        "read-checkpoints" => progress::checkpoint(&guest::record("neighbour", "{}")),
        _ => {}
    }
    Ok(())
}

pub(crate) fn destroy(behaviour: &str, recorded: &ResourceRecord) -> Result<(), Refused> {
    match behaviour {
        "destroy-neighbour" => drop(ask(&call("deleteThing", &[("thing", "neighbour")]))?),
        "destroy-creates" => drop(create()?),
        "destroy-changes" => {
            drop(ask(&with_body("changeThing", &[("thing", &recorded.id)], "{}"))?)
        }
        "destroy-traps" => std::process::abort(),
        // Also what `reach-claims-neighbour` runs into: the id is the one it recorded itself.
        _ => drop(ask(&call("deleteThing", &[("thing", &recorded.id)]))?),
    }
    Ok(())
}
