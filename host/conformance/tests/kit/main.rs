//! The kit itself: a careful provisioner passes everything, and each bad habit is found where it shows.

mod api;
mod habits;

use std::sync::Arc;

use ss_conformance::{Bench, Case, Finding, QuickClock, Scenario, Verdict, lifecycle, storm};

use api::Things;
use habits::{Habit, Maker};

const CASE: &str = "
target: { type: thing, place: here, size: 1 }
update: { size: 2 }
replace: { place: there }
neighbour: { size: 9 }
connections: { things: 'http://127.0.0.1:9' }
credentials: { things.token: test-token }
inventory: [{ connection: things, path: /things, items: /things }]
";

fn bench(habit: Habit, case: &str) -> Arc<Bench> {
    let case = Case::parse(case).expect("a case");
    let made = Bench::new(
        Arc::new(Maker::new(habit)),
        case,
        Arc::new(Things::default()),
        Arc::new(QuickClock::default()),
    );
    Arc::new(made.unwrap_or_else(|error| panic!("{error}")))
}

async fn tried(habit: Habit, scenarios: &[Scenario]) -> Vec<Finding> {
    let bench = bench(habit, CASE);
    let mut findings = Vec::new();
    lifecycle(&bench, &mut |finding| findings.push(finding)).await;
    for scenario in scenarios {
        storm(&bench, *scenario, &mut |finding| findings.push(finding)).await;
    }
    findings
}

fn failures(findings: &[Finding]) -> Vec<String> {
    let failed =
        findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Failed { .. }));
    failed.map(|finding| format!("{}: {}", finding.area, finding.name)).collect()
}

/// Insists that a habit is found there, that what was asked around it is shown, and that it says what to change.
async fn is_found(habit: Habit, scenarios: &[Scenario], at: &str) {
    let findings = tried(habit, scenarios).await;
    let failed = failures(&findings);
    assert!(failed.iter().any(|failed| failed == at), "{habit:?}: {at} is not among {failed:#?}");
    for finding in findings {
        if let Verdict::Failed { what, advice, log } = finding.verdict {
            assert!(!what.is_empty() && !advice.is_empty(), "{}", finding.name);
            let asks = finding.name != "nothing is left behind";
            assert!(
                !asks || log.iter().any(|line| line.starts_with('→')),
                "{}: {log:?}",
                finding.name
            );
        }
    }
}

#[tokio::test]
async fn a_careful_provisioner_passes_everything() {
    let findings = tried(Habit::Careful, &Scenario::ALL).await;
    let told: Vec<_> = findings.iter().filter(|f| f.verdict != Verdict::Passed).collect();
    assert!(told.is_empty(), "{told:#?}");
    // Eight requests and more, with twelve faults or more each; none was left out.
    assert!(findings.len() > 120, "{}", findings.len());
}

#[tokio::test]
async fn one_that_creates_without_looking_makes_things_twice() {
    is_found(
        Habit::CreatesBlindly,
        &[],
        "lifecycle: what was made is found again without a record",
    )
    .await;
    is_found(
        Habit::CreatesBlindly,
        &[Scenario::Create],
        "create: request 1 createThing: cut-after",
    )
    .await;
}

#[tokio::test]
async fn one_that_looks_once_is_deceived_by_a_list_that_lags() {
    is_found(
        Habit::LooksOnce,
        &[Scenario::Create],
        "create: request 2 createThing: cut-after-lagging",
    )
    .await;
}

#[tokio::test]
async fn one_that_breaks_on_garbage_is_told_so() {
    is_found(Habit::Unwraps, &[Scenario::Create], "create: request 1 listThings: malformed").await;
}

#[tokio::test]
async fn one_that_blames_the_user_is_told_so() {
    is_found(Habit::BlamesTheUser, &[Scenario::Create], "create: request 2 createThing: 503").await;
}

#[tokio::test]
async fn one_that_takes_every_failure_for_gone_is_told_so() {
    is_found(Habit::TakesTroubleForGone, &[Scenario::Read], "read: request 1 getThing: 503").await;
}

#[tokio::test]
async fn one_that_records_what_moves_drifts() {
    is_found(Habit::RecordsNoise, &[], "lifecycle: read back: no drift, no write").await;
}

#[tokio::test]
async fn one_that_reads_nothing_sees_no_change() {
    is_found(Habit::EchoesTheRecord, &[], "lifecycle: a change from outside is seen").await;
}

#[tokio::test]
async fn one_that_minds_what_is_gone_cannot_destroy_twice() {
    is_found(Habit::MindsGone, &[], "lifecycle: destroy").await;
}

#[tokio::test]
async fn one_that_does_not_destroy_leaves_something_behind() {
    is_found(Habit::DestroysNothing, &[], "lifecycle: nothing is left behind").await;
}

#[test]
fn a_case_that_does_not_fit_the_manifest_is_refused_with_what_there_is() {
    let refused = |from: &str, to: &str| {
        let case = Case::parse(&CASE.replace(from, to)).expect("it parses");
        let (things, clock) = (Arc::new(Things::default()), Arc::new(QuickClock::default()));
        match Bench::new(Arc::new(Maker::new(Habit::Careful)), case, things, clock) {
            Ok(_) => panic!("{to} was taken"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused("type: thing", "type: thin").contains("it offers thing"));
    assert!(refused("{ things: 'http", "{ thing: 'http").contains("no connection `thing`"));
    assert!(refused("things.token", "things.tokn").contains("no credential `things.tokn`"));
    assert!(refused("size: 2", "size: big").contains("size"));
    assert!(
        refused("connections: { things: 'http://127.0.0.1:9' }", "connections: {}")
            .contains("nothing may reach")
    );
}
