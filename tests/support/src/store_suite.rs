//! What every state store must do, run on the real one and on the fake.

use std::sync::Arc;

use ss_core::ident::DeployId;
use ss_core::record::CallEnd;
use ss_core::state::{Progress, State};
use ss_gate::call::{Call, CallFailure, CallFailureKind, Failure, FailureKind, Outcome};
use ss_gate::call::{Reply, ResourceRecord, ServiceInput};
use ss_ports::{
    CallKind, DeployStatus, Entry, Snapshot, StateStore, StoreError, TapeEnd, TapeRecord,
};

use crate::sample::{begin, call, deploy, header, holder, intent, receipt, recorded, service};

/// Opens a store; each time the same one, as a new process would.
pub type Place = Box<dyn Fn() -> Arc<dyn StateStore>>;

/// Runs the suite; `new_place` gives an empty place each time.
pub async fn state_store_suite(new_place: impl Fn() -> Place) {
    is_empty_at_first(new_place()).await;
    one_lease_at_a_time(new_place()).await;
    a_run_begins_with_begin(new_place()).await;
    the_journal_is_folded_in(new_place()).await;
    a_commit_begins_a_new_journal(new_place()).await;
    a_commit_without_a_journal(new_place()).await;
    stale_and_foreign_writers_are_refused(new_place()).await;
    receipts_come_newest_first(new_place()).await;
    snapshots_are_kept(new_place()).await;
    tapes_are_kept(new_place()).await;
    parallel_entries_are_all_kept(new_place()).await;
    old_runs_are_pruned(new_place()).await;
}

async fn is_empty_at_first(place: Place) {
    let store = place();
    assert!(store.load().await.unwrap().is_none());
    assert!(store.receipts().await.unwrap().found.is_empty());
    assert_eq!(store.snapshot(&deploy(1)).await.unwrap(), None);
    assert_eq!(store.read_tape(&call(1, "db", 0)).await.unwrap(), None);
}

async fn one_lease_at_a_time(place: Place) {
    let store = place();
    let lease = store.lock(holder()).await.unwrap();
    assert_eq!(store.holder().await.unwrap(), Some(holder()));
    assert!(lease.is_held());
    for other in [&store, &place()] {
        match other.lock(holder()).await {
            Err(StoreError::Locked(found)) => assert_eq!(found, holder()),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("two leases at once"),
        }
    }
    drop(lease);
    assert_eq!(store.holder().await.unwrap(), None);
    assert!(place().lock(holder()).await.unwrap().is_held());
}

async fn a_run_begins_with_begin(place: Place) {
    let store = place();
    let early = store.append(&intent(call(1, "db", 0))).await;
    assert!(matches!(early, Err(StoreError::Mismatch(_))), "{early:?}");
    let later = store.append(&begin(1, "line", 3)).await;
    assert!(matches!(later, Err(StoreError::Stale { expected: 3, found: 0 })), "{later:?}");
    assert!(store.load().await.unwrap().is_none());
}

async fn the_journal_is_folded_in(place: Place) {
    let store = place();
    store.append(&begin(1, "line", 0)).await.unwrap();
    for name in ["db", "api"] {
        store.append(&intent(call(1, name, 0))).await.unwrap();
    }
    let record = Box::new(recorded("quiet-mountain"));
    store.append(&Entry::Checkpoint { call: call(1, "db", 0), record }).await.unwrap();
    let record = Box::new(recorded("machine"));
    let end = CallEnd::Done { record: record.clone() };
    store.append(&Entry::Outcome { call: call(1, "api", 0), end }).await.unwrap();

    let stored = place().load().await.unwrap().unwrap();
    assert_eq!((stored.state.lineage.as_str(), stored.state.serial), ("line", 0));
    assert_eq!(stored.unfinished, Some(header(1)));
    assert_eq!(stored.open.iter().map(|open| &open.call).collect::<Vec<_>>(), [&call(1, "db", 0)]);
    assert_eq!(stored.state.services[&service("api")], *record);
    let partial = &stored.state.services[&service("db")];
    assert_eq!(partial.progress, Progress::Partial);
    assert_eq!(partial.resource_id.as_deref(), Some("quiet-mountain"));

    // The next run goes on in the same journal.
    place().append(&begin(2, "line", 0)).await.unwrap();
    assert_eq!(place().load().await.unwrap().unwrap().unfinished, Some(header(2)));
}

async fn a_commit_begins_a_new_journal(place: Place) {
    let store = place();
    store.append(&begin(1, "line", 0)).await.unwrap();
    store.append(&intent(call(1, "db", 0))).await.unwrap();
    let end = CallEnd::Done { record: Box::new(recorded("one")) };
    store.append(&Entry::Outcome { call: call(1, "db", 0), end }).await.unwrap();
    store.append(&Entry::End { deploy: deploy(1), status: DeployStatus::Completed }).await.unwrap();
    let state = State { deploy: Some(deploy(1)), ..store.load().await.unwrap().unwrap().state };
    assert_eq!(store.commit(&state, 0).await.unwrap(), 1);

    // What is committed is what was given, not what the old journal would make of it.
    let edited = State { services: [(service("db"), recorded("two"))].into(), ..state };
    assert_eq!(store.commit(&edited, 1).await.unwrap(), 2);
    let stored = place().load().await.unwrap().unwrap();
    assert_eq!(stored.state, State { serial: 2, ..edited });
    assert!(stored.open.is_empty() && stored.unfinished.is_none());

    store.append(&begin(2, "line", 2)).await.unwrap();
    let gone = Entry::Outcome { call: call(2, "db", 0), end: CallEnd::Gone };
    store.append(&gone).await.unwrap();
    assert!(place().load().await.unwrap().unwrap().state.services.is_empty());
}

async fn a_commit_without_a_journal(place: Place) {
    let state = State {
        services: [(service("db"), recorded("one"))].into(),
        deploy: Some(DeployId::random()),
        ..State::empty("line")
    };
    assert_eq!(place().commit(&state, 0).await.unwrap(), 1);
    assert_eq!(place().load().await.unwrap().unwrap().state, State { serial: 1, ..state });
}

async fn stale_and_foreign_writers_are_refused(place: Place) {
    let store = place();
    let state = State::empty("line");
    assert_eq!(store.commit(&state, 0).await.unwrap(), 1);
    let before = store.load().await.unwrap().unwrap().state;
    let stale = place().commit(&state, 0).await;
    assert!(matches!(stale, Err(StoreError::Stale { expected: 0, found: 1 })), "{stale:?}");
    let ahead = place().commit(&state, 2).await;
    assert!(matches!(ahead, Err(StoreError::Stale { expected: 2, found: 1 })), "{ahead:?}");
    let foreign = place().commit(&State::empty("other"), 1).await;
    assert!(matches!(foreign, Err(StoreError::Mismatch(_))), "{foreign:?}");
    let stale = place().append(&begin(1, "line", 0)).await;
    assert!(matches!(stale, Err(StoreError::Stale { expected: 0, found: 1 })), "{stale:?}");
    let foreign = place().append(&begin(1, "other", 1)).await;
    assert!(matches!(foreign, Err(StoreError::Mismatch(_))), "{foreign:?}");
    let stored = place().load().await.unwrap().unwrap();
    assert_eq!((stored.state, stored.unfinished), (before, None));
}

async fn receipts_come_newest_first(place: Place) {
    let store = place();
    for number in [2, 3, 1] {
        store.put_receipt(&receipt(number, DeployStatus::Running)).await.unwrap();
    }
    store.put_receipt(&receipt(2, DeployStatus::Completed)).await.unwrap();
    let found = place().receipts().await.unwrap();
    assert!(found.damaged.is_empty());
    assert_eq!(
        found.found,
        [
            receipt(3, DeployStatus::Running),
            receipt(2, DeployStatus::Completed),
            receipt(1, DeployStatus::Running)
        ]
    );
}

async fn snapshots_are_kept(place: Place) {
    let snapshot = Snapshot {
        version: 1,
        deploy: deploy(1),
        state: State::empty("line"),
        credentials: vec![0, 159, 146, 150],
        overlay: Some("environment: prod\n".to_owned()),
    };
    place().put_snapshot(&snapshot).await.unwrap();
    assert_eq!(place().snapshot(&deploy(1)).await.unwrap(), Some(snapshot));
    assert_eq!(place().snapshot(&deploy(2)).await.unwrap(), None);
}

async fn old_runs_are_pruned(place: Place) {
    let store = place();
    for number in 1..=4 {
        store.put_receipt(&receipt(number, DeployStatus::Completed)).await.unwrap();
    }
    store.append(&begin(1, "line", 0)).await.unwrap();
    assert_eq!(store.prune(2).await.unwrap(), [deploy(2)]);
    let left: Vec<DeployId> =
        place().receipts().await.unwrap().into_iter().map(|receipt| receipt.header.id).collect();
    assert_eq!(left, [deploy(4), deploy(3), deploy(1)]);
}

async fn tapes_are_kept(place: Place) {
    let store = place();
    let mut first = store.tape(&call(1, "db", 0)).await.unwrap();
    let mut second = store.tape(&call(1, "db", 1)).await.unwrap();
    for (index, record) in every_tape_record().iter().enumerate() {
        first.append(record, index % 2 == 0).await.unwrap();
    }
    second.append(&TapeRecord::Now(0.1), true).await.unwrap();
    let read = place().read_tape(&call(1, "db", 0)).await.unwrap();
    assert_eq!(read, Some(every_tape_record()));
    let read = place().read_tape(&call(1, "db", 1)).await.unwrap();
    assert_eq!(read, Some(vec![TapeRecord::Now(0.1)]));

    let mut again = place().tape(&call(1, "db", 0)).await.unwrap();
    again.append(&TapeRecord::Waited(1), true).await.unwrap();
    let read = place().read_tape(&call(1, "db", 0)).await.unwrap();
    assert_eq!(read, Some(vec![TapeRecord::Waited(1)]));
}

async fn parallel_entries_are_all_kept(place: Place) {
    let store = place();
    store.append(&begin(1, "line", 0)).await.unwrap();
    let appends = (0..40).map(|number| {
        let store = store.clone();
        async move { store.append(&intent(call(1, &format!("s{number}"), 0))).await }
    });
    futures_util::future::try_join_all(appends).await.unwrap();
    assert_eq!(place().load().await.unwrap().unwrap().open.len(), 40);
}

fn resource() -> ResourceRecord {
    let attributes = serde_json::json!({"size": 0.1, "name": "é\n"});
    ResourceRecord { id: "quiet-mountain".to_owned(), attributes, url: None, schema: 2 }
}

fn ends() -> impl Iterator<Item = TapeEnd> {
    let failure = Failure {
        kind: FailureKind::Declined,
        message: "no".to_owned(),
        retry_after_ms: Some(5),
        details: None,
    };
    let outcome = Outcome { made: resource(), outputs: Vec::new(), summary: "made".to_owned() };
    [
        TapeEnd::Applied(outcome),
        TapeEnd::Destroyed,
        TapeEnd::Failed(failure),
        TapeEnd::Broken("it broke".to_owned()),
    ]
    .into_iter()
}

/// One record of each kind.
fn every_tape_record() -> Vec<TapeRecord> {
    let service = ServiceInput {
        id: "db".to_owned(),
        target: serde_json::json!({"type": "neon"}),
        inputs: Vec::new(),
        mark: "ss-mark".to_owned(),
    };
    let call = Call {
        operation: "createProject".to_owned(),
        params: Vec::new(),
        body: Some(b"{}".to_vec()),
        fill: Vec::new(),
    };
    let reply =
        Reply { status: 201, headers: Vec::new(), body: vec![0, 255], captured: Vec::new() };
    let failure = CallFailure { kind: CallFailureKind::TimedOut, message: "late".to_owned() };
    let begin = TapeRecord::Call {
        kind: CallKind::Create,
        service: Box::new(service),
        secrets: vec!["hunter2".to_owned()],
        recorded: Some(Box::new(resource())),
    };
    [
        begin,
        TapeRecord::Request { call, writes: true },
        TapeRecord::Reply { reply: Ok(reply), secrets: vec!["s3cret".to_owned()] },
        TapeRecord::Reply { reply: Err(failure), secrets: Vec::new() },
        TapeRecord::Checkpoint(Box::new(resource())),
        TapeRecord::Now(1_777_732_321_000.25),
        TapeRecord::Waited(500),
        TapeRecord::Random(vec![1, 2, 3]),
    ]
    .into_iter()
    .chain(ends().map(|end| TapeRecord::Done(Box::new(end))))
    .collect()
}
