//! One request: what the gate lets out, what is written down before it leaves, and what the provisioner is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use ss_core::record::RequestLine;
use ss_engine::Override;
use ss_gate::call::{Call, CallFailureKind, FailureKind, Fill};
use ss_gate::decide::{Budget, Grant};
use ss_ports::{CallError, EgressError, Lease, StateStore, TapeEnd, TapeRecord};
use ss_testkit::sample;

use crate::cloud::Answer;
use crate::faults::{Fault, Faults};
use crate::things::{Answers, Things, call, ensure, failed, on, send, sends, with};
use crate::world::{World, taking, told, wants};

fn kinds(answers: &Answers) -> Vec<Result<u16, CallFailureKind>> {
    let answers = answers.list();
    answers.iter().map(|answer| answer.as_ref().map(|r| r.status).map_err(|f| f.kind)).collect()
}

fn create() -> Call {
    with(call("createThing", &[]), &json!({}))
}

fn line<'l>(lines: &'l [RequestLine], operation: &str) -> &'l RequestLine {
    lines.iter().find(|line| line.operation == operation).expect(operation)
}

#[tokio::test]
async fn a_denial_is_typed_and_recorded_and_nothing_leaves() {
    let denied =
        [call("nothing\u{1b}Such", &[]), on("deleteThing", "th-1"), on("getPassword", "th-9")];
    let (things, answers) = sends(denied.to_vec());
    let world = World::with(things);
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(kinds(&answers), [Err(CallFailureKind::Denied); 3]);
    let rules: Vec<String> =
        answers.list().iter().map(|answer| answer.as_ref().unwrap_err().message.clone()).collect();
    for (message, rule) in rules.iter().zip(["operation", "phase", "ownership"]) {
        assert!(message.starts_with(&format!("denied by the {rule} rule")), "{message}");
    }
    let sent: Vec<String> = world.cloud.seen().into_iter().map(|seen| seen.operation).collect();
    assert_eq!(sent, ["whoAmI"], "only the host's own check of the token left");
    let ledger: Vec<(&str, &str, u32)> = report.receipt.requests[1..]
        .iter()
        .map(|line| (line.operation.as_str(), line.method.as_str(), line.attempts))
        .collect();
    assert_eq!(
        ledger,
        [("nothing\\u{1b}Such", "-", 0), ("deleteThing", "DELETE", 0), ("getPassword", "GET", 0)]
    );
    assert!(report.receipt.requests[2].error.as_ref().unwrap().contains("phase rule"));
    assert_eq!(report.receipt.counts.write, 0);
}

/// Asks for something forbidden; then does something else, or gives up at once.
fn forbidden(then_something_else: bool) -> Things {
    Things::honest().applying(move |_, _, mut host| async move {
        assert!(send(&mut host, on("deleteThing", "th-1")).await?.is_err());
        if then_something_else {
            send(&mut host, call("listThings", &[])).await?.expect("an answer");
        }
        Err(failed(FailureKind::Broken, "it did not work"))
    })
}

#[tokio::test]
async fn a_failure_is_blamed_on_the_gate_only_when_the_gate_had_the_last_word() {
    let report = World::with(forbidden(false)).deploy(&[wants("db", 1)]).await;
    let failure = &report.failures[&sample::service("db")];
    assert_eq!(failure.code, "SS0340");
    assert!(failure.message.contains("denied by the phase rule"), "{}", failure.message);
    assert!(failure.hints[0].contains("it did not work"));
    let report = World::with(forbidden(true)).deploy(&[wants("db", 1)]).await;
    assert_eq!(report.failures[&sample::service("db")].code, "SS0315");
}

#[tokio::test]
async fn only_what_was_granted_leaves() {
    let (things, answers) = sends(vec![call("listThings", &[]), create()]);
    let mut world = World::with(things);
    let grant = Grant::Operations(BTreeSet::from(["listThings".to_owned()]));
    world.settings.grants = BTreeMap::from([(sample::plugin().name, Grant::Manifest)]);
    let name = ss_core::ident::PluginName::new("thing").unwrap();
    world.settings.grants.insert(name, grant);
    world.deploy(&[wants("db", 1)]).await;
    assert_eq!(kinds(&answers), [Ok(200), Err(CallFailureKind::Denied)]);
    assert!(world.cloud.things().is_empty());
}

#[tokio::test]
async fn every_unsafe_request_is_on_the_tape_before_it_leaves() {
    let world = World::new();
    world.deploy(&[wants("db", 1), taking(wants("api", 1), "db")]).await;
    world.deploy(&[wants("db", 2), taking(wants("api", 2), "db")]).await;
    world.destroy().await;
    let lines = world.log.lines();
    let unsafe_operations = ["createThing", "changeThing", "touchThing", "deleteThing"];
    for operation in unsafe_operations {
        let count = |wanted: &str, until: usize| {
            lines[..until].iter().filter(|line| *line == wanted).count()
        };
        let mut sent = 0;
        for (at, _) in lines.iter().enumerate().filter(|(_, l)| **l == format!("send {operation}"))
        {
            sent += 1;
            assert_eq!(count(&format!("tape {operation} durably"), at), sent, "{operation}");
        }
        assert!(sent >= 2, "{operation}");
        assert_eq!(count(&format!("tape {operation} in the cache"), lines.len()), 0);
    }
}

#[tokio::test]
async fn no_unsafe_request_leaves_when_it_cannot_be_written_down() {
    let wanted = [wants("db", 1)];
    let dry = Faults::none();
    World::new().deploy_under(&dry, &wanted).await.unwrap().unwrap();
    for at in 0..dry.passed() {
        let world = World::new();
        let ended = world.deploy_under(&Faults::at(at, Fault::DiskFull), &wanted).await;
        assert!(ended.is_some());
        for operation in ["createThing", "changeThing", "touchThing"] {
            let taped = world.log.lines().contains(&format!("tape {operation} durably"));
            assert!(taped || world.cloud.asked(operation) == 0, "{at}: {operation}");
        }
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_kind() {
    let touch = || call("touchThing", &[("thing", "th-1"), ("touch", "1")]);
    let lost = || EgressError::Lost("cut".to_owned());
    let large = || EgressError::TooLarge("10 GB".to_owned());
    let cases: Vec<(Call, EgressError, CallFailureKind)> = vec![
        (call("listThings", &[]), lost(), CallFailureKind::TimedOut),
        (call("listThings", &[]), large(), CallFailureKind::TooLarge),
        (touch(), lost(), CallFailureKind::TimedOut),
        (create(), lost(), CallFailureKind::OutcomeUnknown),
        (create(), large(), CallFailureKind::OutcomeUnknown),
        (create(), EgressError::Unreachable("no route".into()), CallFailureKind::Unreachable),
        (create(), EgressError::Refused("a private address".into()), CallFailureKind::Denied),
    ];
    for (call, error, kind) in cases {
        let (things, answers) = sends(vec![create(), call.clone()]);
        let world = World::with(things);
        if call.operation == "createThing" {
            world.cloud.answers("createThing", Answer::Says(201, json!({"id": "th-1"})));
        }
        world.cloud.answers(&call.operation, Answer::Fails(error.clone()));
        let report = world.deploy(&[wants("db", 1)]).await;
        assert_eq!(kinds(&answers)[1], Err(kind), "{error:?}");
        let message = answers.list()[1].as_ref().unwrap_err().message.clone();
        assert_eq!(message, format!("{} (api): {error}", call.operation));
        let errors = report.receipt.requests.iter().filter(|line| line.error.is_some());
        assert_eq!(errors.count(), 1);
    }
}

#[tokio::test]
async fn what_certainly_did_nothing_leaves_nothing_to_go_on_from() {
    let nothing = [
        Answer::Fails(EgressError::Unreachable("no route".to_owned())),
        Answer::Fails(EgressError::Refused("a private address".to_owned())),
        Answer::Says(422, json!({"message": "no such region"})),
    ];
    for answer in nothing {
        let world = World::new();
        world.cloud.answers("createThing", answer);
        world.deploy(&[wants("db", 1)]).await;
        assert!(world.state().await.services.is_empty());
    }
    for answer in [Answer::Says(500, json!({})), Answer::Says(409, json!({}))] {
        let world = World::new();
        world.cloud.answers("createThing", answer);
        world.deploy(&[wants("db", 1)]).await;
        assert_eq!(world.state().await.services.len(), 1, "it may have been made");
    }
}

/// Makes a thing and changes it until the gate says no.
fn greedy() -> Things {
    Things::honest().applying(|service, _, mut host| async move {
        let id = ensure(&mut host, &service.mark).await?;
        for size in 0.. {
            let change = with(on("changeThing", &id), &json!({"size": size}));
            if let Err(failure) = send(&mut host, change).await?
                && failure.kind == CallFailureKind::Denied
            {
                return Err(failed(FailureKind::Broken, &failure.message));
            }
        }
        unreachable!("a budget has an end")
    })
}

#[tokio::test]
async fn a_budget_is_one_for_the_call_and_its_continuation() {
    let wanted = [wants("db", 1)];
    for at in 0.. {
        let mut world = World::with(greedy());
        world.settings.budget = Budget { writes: 6, ..Budget::default() };
        let ended = world.deploy_under(&Faults::at(at, Fault::Killed), &wanted).await;
        assert!(ended.is_none());
        if world.cloud.asked("changeThing") < 3 {
            continue;
        }
        let run = world.run(&Faults::none());
        let (_, recovered) = world.recover_on(&run).await.unwrap();
        assert_eq!(recovered.left_to_plan.len(), 1);
        assert_eq!((world.cloud.asked("createThing"), world.cloud.asked("changeThing")), (1, 5));
        assert!(world.shown().iter().any(|line| line.contains("denied by the budget rule")));
        return;
    }
}

#[tokio::test]
async fn a_tape_that_is_full_takes_no_request_and_closes_the_call() {
    let world = World::new();
    let faults = Faults::at(usize::MAX, Fault::TapeFull);
    let report = world.deploy_under(&faults, &[wants("db", 1)]).await.unwrap().unwrap();
    assert_eq!(world.cloud.asked("createThing"), 0);
    assert!(report.failures.contains_key(&sample::service("db")), "{:?}", told(&report));
    assert!(world.shown().iter().any(|line| line.contains("the tape of one call may hold 32 MiB")));
    // Nobody has to free anything: the next call has a tape of its own.
    assert!(world.open().await.is_empty());
    world.deploy(&[wants("db", 1)]).await;
    world.is_settled().await;
}

/// Lost after it was asked so often.
struct Waning(AtomicUsize);

impl Lease for Waning {
    fn is_held(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[tokio::test]
async fn who_lost_the_lease_sends_nothing_unsafe_and_commits_nothing() {
    for asks in 0.. {
        let mut world = World::new();
        let lease: Arc<dyn Lease> = Arc::new(Waning(AtomicUsize::new(asks)));
        world.lease = Some(lease);
        let report = world.deploy_under(&Faults::none(), &[wants("db", 1)]).await.unwrap().unwrap();
        if report.trouble.is_none() && report.failures.is_empty() {
            assert!(asks >= 2, "it was asked only {asks} times");
            return;
        }
        let failures = report.failures.values().chain(&report.trouble);
        assert!(failures.map(|failure| failure.code).any(|code| code == "SS0411"));
        assert!(world.cloud.asked("createThing") <= asks);
        assert_eq!(world.state().await.serial, 0);
        // Another run, which has it, finishes the job.
        world.lease = None;
        world.deploy(&[wants("db", 1)]).await;
        assert_eq!(world.cloud.asked("createThing"), 1);
        world.is_settled().await;
    }
}

#[tokio::test]
async fn a_fill_reaches_the_vendor_and_nothing_else() {
    let world = World::new();
    world.deploy(&[wants("db", 1), taking(wants("api", 1), "db")]).await;
    let url = world.credential("db", "URL").await.unwrap();
    let bodies: Vec<String> = world
        .cloud
        .seen()
        .into_iter()
        .filter_map(|seen| Some(seen.body?["env"]["URL"].as_str()?.to_owned()))
        .collect();
    assert_eq!(bodies, std::slice::from_ref(&url));
    let tape = world.store.read_tape(&sample::call(1, "api", 0)).await.unwrap().unwrap();
    for record in &tape {
        let TapeRecord::Request { call, .. } = record else { continue };
        let body = String::from_utf8(call.body.clone().unwrap_or_default()).unwrap();
        assert!(!body.contains(&url), "{body}");
    }
    let filled: Vec<&Fill> = tape
        .iter()
        .filter_map(|record| match record {
            TapeRecord::Request { call, .. } => call.fill.first(),
            _ => None,
        })
        .collect();
    assert_eq!(filled, [&Fill { pointer: "/env/URL".to_owned(), value: 0 }]);
}

#[tokio::test]
async fn a_tape_begins_with_what_goes_in_and_ends_with_what_came_out() {
    let world = World::new();
    let all_written = Faults::at(usize::MAX, Fault::KilledLate);
    world.deploy_under(&all_written, &[wants("db", 1)]).await.unwrap().unwrap();
    let tape = world.store.read_tape(&sample::call(1, "db", 0)).await.unwrap().unwrap();
    assert!(matches!(&tape[0], TapeRecord::Call { recorded: None, .. }), "{:?}", tape[0]);
    let Some(TapeRecord::Done(end)) = tape.last() else { panic!("{tape:?}") };
    assert!(matches!(&**end, TapeEnd::Applied(outcome) if outcome.made.id == "th-1"), "{end:?}");
}

#[tokio::test]
async fn a_secret_goes_only_where_the_body_has_room_and_the_manifest_says_so() {
    let fill = |pointer: &str, value| Fill { pointer: pointer.to_owned(), value };
    let change = |body, fill| Call { fill: vec![fill], ..with(on("changeThing", "th-1"), &body) };
    let (things, answers) = sends(vec![
        create(),
        change(json!({"env": "text"}), fill("/env/URL", 0)),
        change(json!({}), fill("/size", 0)),
        change(json!({}), fill("/env/URL", 1)),
        change(json!({}), fill("/env/URL", 7)),
        change(json!({}), fill("/env/URL", 0)),
    ]);
    let mut world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    world.offer("thing", things);
    world
        .cloud
        .answers("createThing", Answer::Says(201, json!({"id": "th-1", "password": "caught!"})));
    world.deploy(&[wants("db", 1), taking(wants("api", 1), "db")]).await;
    let denied = Err(CallFailureKind::Denied);
    assert_eq!(kinds(&answers), [Ok(201), denied, denied, denied, denied, Ok(200)]);
    let url = world.credential("db", "URL").await.unwrap();
    assert_eq!(world.cloud.things()["th-1"].env["URL"], url);
}

#[tokio::test]
async fn a_reply_shows_the_declared_headers_and_the_url_that_was_used() {
    let (things, answers) = sends(vec![on("getThing", "a/b")]);
    let mut world = World::with(things);
    let base_url = "http://127.0.0.1:4400/things".to_owned();
    world.settings.connections.insert("api".to_owned(), Override { base_url, local: true });
    let headers = vec![
        ("x-trace", "t1".to_owned()),
        ("retry-after", "3".to_owned()),
        ("set-cookie", "session".to_owned()),
    ];
    world.cloud.answers("whoAmI", Answer::Says(200, json!({})));
    world.cloud.answers("getThing", Answer::Raw(200, headers, b"{}".to_vec()));
    world.deploy(&[wants("db", 1)]).await;
    let answers = answers.list();
    let seen: Vec<(&str, &str)> = answers[0]
        .as_ref()
        .unwrap()
        .headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str()))
        .collect();
    let url = "http://127.0.0.1:4400/things/things/a%2Fb";
    assert_eq!(seen, [("retry-after", "3"), ("x-trace", "t1"), ("x-ss-url", url)]);
    assert_eq!(world.cloud.seen()[1].url, url);
}

#[tokio::test]
async fn a_rate_is_counted_under_the_parameters_it_names() {
    let touch = |thing, touch| call("touchThing", &[("thing", thing), ("touch", touch)]);
    let (things, _) =
        sends(vec![create(), create(), touch("th-1", "a"), touch("th-1", "b"), touch("th-2", "a")]);
    let world = World::with(things);
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(told(&report), ["db: create completed"]);
    let keys: Vec<Option<String>> =
        world.cloud.seen().into_iter().skip(1).map(|seen| seen.rate_key).collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[2], keys[3], "one thing's touches are counted together, whatever is touched");
    assert_ne!(keys[3], keys[4]);
}

#[tokio::test]
async fn the_ledger_has_the_route_the_status_and_the_size_of_each_request() {
    let world = World::new();
    let report = world.deploy(&[wants("db", 1)]).await;
    let change = line(&report.receipt.requests, "changeThing");
    assert_eq!((change.method.as_str(), change.route.as_str()), ("PATCH", "/things/th-1"));
    assert_eq!((change.status, change.attempts, change.ms), (Some(200), 1, 7));
    assert_eq!(change.bytes, 10, "{{\"size\":1}}");
    let methods: BTreeSet<String> =
        world.cloud.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["GET", "PATCH", "POST", "PUT"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_provisioner_that_runs_out_of_time_over_a_write_leaves_a_record() {
    // The sandbox drops the call while its request is under way.
    let hasty = Things::honest().applying(|_, _, mut host| async move {
        let sending = host.send(create());
        drop(futures_util::poll!(Box::pin(sending)));
        Err(CallError::Exhausted("it did not end in time".to_owned()))
    });
    let world = World::with(hasty);
    world.deploy(&[wants("db", 1)]).await;
    assert_eq!(world.cloud.things().len(), 1);
    assert_eq!(world.state().await.services.len(), 1, "the thing may exist, so it is recorded");
}
