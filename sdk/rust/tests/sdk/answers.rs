//! Reading answers, and what a status stands for.

use serde::Deserialize;
use starsystem_provisioner::serde_json::{self, Value};
use starsystem_provisioner::testing::Phase;
use starsystem_provisioner::{CallErrorKind, Failure, FailureKind, Reply, Request, compose, json};

use crate::manifest::script;

fn reply(status: u16, body: &str) -> Reply {
    let mut script = script(Phase::Read);
    script.on("get").header("retry-after", "3").header("x-page", "2").reply_text(status, body);
    script.run(|| Request::new("get").param("id", "s1").send()).result.expect("a reply")
}

#[test]
fn a_status_becomes_a_kind_and_a_sentence() {
    use FailureKind::{Broken, Conflict, Declined, Invalid, Unauthorized, Unavailable};
    for (status, kind) in [
        (400, Invalid),
        (401, Unauthorized),
        (402, Declined),
        (403, Unauthorized),
        (404, Broken),
        (409, Conflict),
        (412, Conflict),
        (422, Invalid),
        (423, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ] {
        let failure = reply(status, r#"{"error": "so it is"}"#).success("read it").unwrap_err();
        assert_eq!(failure.kind, kind, "{status}");
        assert_eq!(failure.message, format!("could not read it: so it is (status {status})"));
        assert_eq!(failure.retry_after_ms, Some(3_000));
    }
    assert!(reply(204, "").success("read it").is_ok());
}

#[test]
fn only_a_broken_way_leaves_it_open_whether_a_write_took_effect() {
    let open: Vec<u16> = (100..600).filter(|status| reply(*status, "").is_ambiguous()).collect();
    assert_eq!(open, [408, 500, 502, 504, 520, 521, 522, 523, 524, 525, 526, 527]);
}

#[test]
fn finds_what_the_vendor_says() {
    for (body, message) in [
        (r#"{"message": "a"}"#, Some("a")),
        (r#"{"error": {"message": "b"}}"#, Some("b")),
        (r#"{"errors": [{"message": "c"}]}"#, Some("c")),
        (r#"{"message": null, "detail": "d"}"#, Some("d")),
        (r#"{"message": ""}"#, None),
        ("404 page not found\n", Some("404 page not found")),
        ("<html>an error page</html>", None),
        ("", None),
        ("null", None),
    ] {
        assert_eq!(reply(500, body).error_message().as_deref(), message, "{body}");
    }
}

#[test]
fn null_is_absent() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Shelf {
        #[serde(default, deserialize_with = "json::or_default")]
        boards: Vec<u8>,
        colour: Option<String>,
    }
    for body in [r#"{"boards": null, "colour": null}"#, "{}"] {
        assert_eq!(
            reply(200, body).json::<Shelf>(),
            Ok(Shelf { boards: Vec::new(), colour: None }),
            "{body}"
        );
        let value = reply(200, body).value().unwrap();
        assert_eq!(json::at(&value, "/colour"), None);
        assert_eq!(json::text_at(&value, "/colour"), None);
    }
    let failure = reply(200, r#"{"boards": "x"}"#).json::<Shelf>().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Broken);
    assert!(failure.message.starts_with("the answer to `get` is not as expected:"), "{failure}");
}

#[test]
fn headers_and_pointers() {
    assert_eq!(reply(200, "{}").header("x-page"), Some("2"));
    assert_eq!(reply(200, "{}").header("x-other"), None);
    assert_eq!(json::pointer(["env", "A/B~"]), "/env/A~1B~0");
}

#[test]
fn secrets_are_taken_out_of_answers_and_composed_unseen() {
    let mut script = script(Phase::Read);
    script.owns("id", "s1");
    script.on("reveal").reply(200, json!({"keys": [{"value": "p@ss"}, {"value": null}]}));
    let run = script.run(|| {
        let reply = Request::new("reveal").param("id", "s1").send()?;
        let body: Value = reply.json()?;
        let secret = reply.require_secret("/keys/0/value")?;
        assert_eq!(reply.secret("/keys/1/value"), None);
        assert!(reply.require_secret("/keys/7/value").is_err());
        let url = compose("redis://:{key|url}@h?raw={key}", &[("key", secret)])?;
        assert!(compose("{other}", &[("key", secret)]).is_err());
        Ok::<_, Failure>((body, url))
    });
    let (body, url) = run.result.as_ref().unwrap();
    assert_eq!(body["keys"], serde_json::json!([{"value": "secret#0"}, {"value": null}]));
    assert_eq!(run.reveal(*url), "redis://:p%40ss@h?raw=p@ss");
}

#[test]
fn no_reply_becomes_a_failure_too() {
    use FailureKind::{Broken, Declined, Unavailable};
    for (error, kind) in [
        (CallErrorKind::Denied, Declined),
        (CallErrorKind::TimedOut, Unavailable),
        (CallErrorKind::Unreachable, Unavailable),
        (CallErrorKind::TooLarge, Broken),
        (CallErrorKind::OutcomeUnknown, Unavailable),
    ] {
        let mut script = script(Phase::Read);
        script.on("get").fails(error, "because");
        let run = script.run(|| Ok::<_, Failure>(Request::new("get").param("id", "s1").send()?));
        assert_eq!(run.result.unwrap_err(), Failure::new(kind, "because"));
    }
}
