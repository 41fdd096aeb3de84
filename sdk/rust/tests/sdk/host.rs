//! The scripted host keeps the rules of the real one: what a deploy could not do, a test cannot either.

use starsystem_provisioner::testing::{self, MARK, Phase, Script};
use starsystem_provisioner::{
    Failure, NamedSecret, Outcome, Provisioner, Recorded, Request, Service, checkpoint, json, log,
    serde_json::Value, step,
};

use crate::manifest::{MANIFEST, script};

/// Sends one request that the script answers with `{}`.
fn send(mut script: Script, operation: &str, request: Request) {
    script.on(operation).reply(200, json!({}));
    script.run(|| request.send()).result.expect("a reply");
}

fn lock() -> Request {
    Request::new("lock").param("id", "s1")
}

#[test]
#[should_panic(expected = "declares no operation `steal`")]
fn refuses_an_operation_that_is_not_declared() {
    send(script(Phase::Create), "steal", Request::new("steal"));
}

#[test]
#[should_panic(expected = "needs the parameter `id`")]
fn refuses_a_missing_parameter() {
    send(script(Phase::Read), "get", Request::new("get"));
}

#[test]
#[should_panic(expected = "declares no parameter `limit`")]
fn refuses_an_undeclared_parameter() {
    send(script(Phase::Read), "list", Request::new("list").param("limit", 1));
}

#[test]
#[should_panic(expected = "is given `tag` twice")]
fn refuses_a_parameter_given_twice() {
    send(script(Phase::Read), "list", Request::new("list").param("tag", 1).param("tag", 2));
}

#[test]
#[should_panic(expected = "is not allowed in Read")]
fn refuses_writes_while_reading() {
    send(script(Phase::Read), "make", Request::new("make"));
}

#[test]
#[should_panic(expected = "is not allowed in Update")]
fn refuses_writes_of_another_phase() {
    send(script(Phase::Update), "make", Request::new("make"));
}

#[test]
#[should_panic(expected = "takes no body")]
fn refuses_a_body_on_a_read() {
    send(script(Phase::Read), "list", Request::new("list").json(&json!({})));
}

#[test]
#[should_panic(expected = "is not this service's")]
fn refuses_writes_to_somebody_elses_ids() {
    send(script(Phase::Update), "lock", lock());
}

#[test]
#[should_panic(expected = "is not this service's")]
fn refuses_to_reveal_somebody_elses_secrets() {
    send(script(Phase::Read), "reveal", Request::new("reveal").param("id", "s1"));
}

#[test]
#[should_panic(expected = "is not this service's")]
fn refuses_a_host_that_is_somebody_elses() {
    send(script(Phase::Read), "health", Request::new("health").param("shelf", "s1"));
}

#[test]
#[should_panic(expected = "may not be filled at `/other`")]
fn refuses_a_secret_where_none_is_declared() {
    let mut script = script(Phase::Update);
    script.owns("id", "s1");
    let secret = script.secret("hidden");
    send(script, "lock", lock().fill("/other", secret));
}

#[test]
#[should_panic(expected = "may only be an output")]
fn refuses_to_send_a_captured_secret() {
    let mut script = script(Phase::Update);
    script.owns("id", "s1");
    script.on("reveal").reply(200, json!({"keys": [{"value": "hidden"}]}));
    script.on("lock").reply(200, json!({}));
    script.run(|| {
        let reply = Request::new("reveal").param("id", "s1").send().expect("a reply");
        lock().fill("/keys/A", reply.secret("/keys/0/value").expect("a secret")).send()
    });
}

#[test]
#[should_panic(expected = "nobody expected")]
fn refuses_a_call_too_many() {
    script(Phase::Read).run(|| Request::new("list").send()).result.expect("a reply");
}

#[test]
#[should_panic(expected = "calls that never came")]
fn misses_a_call_that_never_came() {
    let mut script = script(Phase::Read);
    script.on("list").reply(200, json!([]));
    script.run(|| ());
}

#[test]
#[should_panic(expected = "`/width` in the body of `make`")]
fn compares_bodies() {
    let mut script = script(Phase::Create);
    script.on("make").body("/width", 80).reply(201, json!({"id": "s1"}));
    script.run(|| Request::new("make").json(&json!({"width": 70})).send()).result.expect("a reply");
}

#[test]
fn learns_ids_that_answers_and_requests_make_and_marks_prove() {
    let mut script = script(Phase::Create);
    script.on("make").reply(201, json!({"id": "made"}));
    script.on("name").body("/id", "named").reply(200, json!({}));
    script.on("list").reply(
        200,
        json!({"items": [{"id": "other", "tags": {"own": "x"}}, {"id": "marked", "tags": {"own": MARK}}]}),
    );
    for id in ["made", "named", "marked"] {
        script.on("lock").param("id", id).reply(200, json!({}));
    }
    let run = script.run(|| {
        Request::new("make").send()?;
        Request::new("name").json(&json!({"id": "named"})).send()?;
        Request::new("list").send()?;
        for id in ["made", "named", "marked"] {
            Request::new("lock").param("id", id).send()?;
        }
        Ok::<_, Failure>(())
    });
    assert_eq!(run.result, Ok(()));
}

#[test]
#[should_panic(expected = "is not this service's")]
fn another_mark_proves_nothing() {
    let mut script = script(Phase::Create);
    script.on("list").reply(200, json!({"items": [{"id": "s1", "tags": {"own": "x"}}]}));
    script.on("lock").reply(200, json!({}));
    script.run(|| {
        Request::new("list").send().expect("a reply");
        lock().send()
    });
}

#[test]
fn fills_inputs_and_keeps_what_was_said() {
    let mut script = script(Phase::Update);
    script.owns("id", "s1");
    let secret = script.secret("hidden");
    script
        .on("lock")
        .param("nonce", "n")
        .body("/keys", json!({"A": "hidden"}))
        .reply(200, json!({}));
    let run = script.run(|| {
        let service = Service {
            id: "shelf".to_owned(),
            target: (),
            inputs: vec![NamedSecret::new("A", secret)],
            mark: MARK.to_owned(),
        };
        assert_eq!(service.input("B"), None);
        let input = service.input("A").expect("an input");
        lock().param("nonce", "n").fill("/keys/A", input).send().expect("a reply");
        step!("Locked: {}", 1);
        log!("{} lines", 2);
        let record = Recorded::new("s1", json!({"width": 1})).with_url("https://s1").with_schema(2);
        checkpoint(&record);
    });
    assert_eq!((run.steps, run.logs), (vec!["Locked: 1".to_owned()], vec!["2 lines".to_owned()]));
    let [kept] = run.checkpoints.as_slice() else { panic!("one checkpoint") };
    assert_eq!((kept.id.as_str(), kept.url.as_deref(), kept.schema), ("s1", Some("https://s1"), 2));
    assert_eq!(kept.attributes, json!({"width": 1}));
}

#[test]
fn a_service_gets_the_defaults_of_its_schema() {
    struct Shelf;
    impl Provisioner for Shelf {
        type Target = Value;
        type Attributes = Value;
        const MANIFEST: &str = MANIFEST;
        fn apply(_: Service<Value>, _: Option<Recorded<Value>>) -> Result<Outcome<Value>, Failure> {
            Err(Failure::invalid("no"))
        }
        fn read(_: Service<Value>, _: Recorded<Value>) -> Result<Option<Recorded<Value>>, Failure> {
            Ok(None)
        }
        fn destroy(_: Recorded<Value>) -> Result<(), Failure> {
            Ok(())
        }
    }
    let service = testing::service::<Shelf>("shelf", json!({"type": "shelf", "feet": {}}));
    assert_eq!(service.target, json!({"type": "shelf", "width": 80, "feet": {"count": 4}}));
    assert_eq!((service.id.as_str(), service.mark.as_str()), ("shelf", MARK));
}
