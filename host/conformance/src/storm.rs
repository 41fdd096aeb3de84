//! Every request of every change, gone wrong in every way that fits it; after each the next run must make it good.

use std::sync::Arc;

use ss_engine::{Failure, Observed};

use crate::bench::Bench;
use crate::checks::{Broken, Kept, Target, counts, deploy, destroy, no_leak, planned_empty, same};
use crate::crowd::Crowd;
use crate::fault::Fault;
use crate::report::{Finding, Verdict};
use crate::spoil::{Asked, Trouble};
use crate::subject::{Came, Ended, Subject, Wanted};

/// How many runs may follow until it is good again.
const RUNS_MAX: usize = 3;

/// The change that is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Making it.
    Create,
    /// Changing it in place.
    Update,
    /// Making it anew.
    Replace,
    /// Removing it.
    Destroy,
    /// Looking at it.
    Read,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Replace, Self::Destroy, Self::Read];

    /// Its name in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Destroy => "destroy",
            Self::Read => "read",
        }
    }

    fn target(self, bench: &Bench) -> Target {
        match self {
            Self::Update => bench.case.with(&bench.case.update),
            Self::Replace => bench.case.with(&bench.case.replace),
            Self::Create | Self::Destroy | Self::Read => bench.case.target.clone(),
        }
    }

    fn is_described(self, bench: &Bench) -> bool {
        match self {
            Self::Update => !bench.case.update.is_empty(),
            Self::Replace => !bench.case.replace.is_empty(),
            Self::Create | Self::Destroy | Self::Read => true,
        }
    }
}

/// Disturbs one change at every request. `hear` gets each finding as it comes.
pub async fn storm(bench: &Arc<Bench>, scenario: Scenario, hear: &mut dyn FnMut(Finding)) {
    let area = scenario.as_str();
    let finding = |name: String, verdict| Finding { area: area.to_owned(), name, verdict };
    if !scenario.is_described(bench) {
        let why = format!("the case has no `{area}`");
        return hear(finding("every request".to_owned(), Verdict::Skipped(why)));
    }
    bench.log.clear();
    let Undisturbed { asked, size } = match undisturbed(bench, scenario).await {
        Ok(undisturbed) => undisturbed,
        Err(broken) => return hear(finding("undisturbed".to_owned(), failed(bench, broken))),
    };
    for (index, asked) in asked.iter().enumerate() {
        for fault in Fault::of(&asked.method) {
            let trouble = Trouble { number: index + 1, fault: *fault };
            bench.log.clear();
            let tried = one(bench, scenario, trouble, size).await;
            let is_good = tried.is_ok();
            let verdict = tried.map_or_else(|broken| failed(bench, broken), |()| Verdict::Passed);
            hear(finding(format!("request {} {}: {fault}", index + 1, asked.operation), verdict));
            // What a failure leaves behind may stand in the way of everything after it, which would say nothing then.
            if !is_good && undisturbed(bench, scenario).await.is_err() {
                let why = "the failure before it left something in the way".to_owned();
                return hear(finding("what comes after".to_owned(), Verdict::Skipped(why)));
            }
        }
    }
}

fn failed(bench: &Bench, broken: Broken) -> Verdict {
    Verdict::Failed { what: broken.what, advice: broken.advice, log: bench.lines() }
}

/// A change in which nothing goes wrong.
struct Undisturbed {
    /// What it asks for.
    asked: Vec<Asked>,
    /// How many resources there are more after it, by the inventory.
    size: usize,
}

async fn undisturbed(bench: &Arc<Bench>, scenario: Scenario) -> Result<Undisturbed, Broken> {
    let subject = Subject::new(bench);
    let before = bench.count().await?.unwrap_or(0);
    prepare(bench, scenario, &subject).await?;
    let came = disturbed(bench, scenario, &subject, None).await?;
    if let Ended::Failed(failure) = came.ended {
        return Err(failure.into());
    }
    let size = bench.count().await?.unwrap_or(0).saturating_sub(before);
    destroy(&subject).await?;
    Ok(Undisturbed { asked: came.asked, size })
}

async fn prepare(bench: &Arc<Bench>, scenario: Scenario, subject: &Subject) -> Kept {
    if scenario == Scenario::Create {
        Ok(())
    } else {
        deploy(subject, &bench.case.target).await.map(drop)
    }
}

async fn disturbed(
    bench: &Bench,
    scenario: Scenario,
    subject: &Subject,
    trouble: Option<Trouble>,
) -> Result<Came, Broken> {
    Ok(match scenario {
        Scenario::Destroy => subject.run(Wanted::Nothing, trouble).await,
        Scenario::Read => looked(subject, trouble).await?,
        _ => subject.run(Wanted::Target(&scenario.target(bench)), trouble).await,
    })
}

async fn looked(subject: &Subject, trouble: Option<Trouble>) -> Result<Came, Broken> {
    let (seen, came) = subject.observe(trouble).await?;
    match seen {
        Some(Observed::Unknown(failure)) => Ok(Came { ended: Ended::Failed(failure), ..came }),
        Some(Observed::Gone | Observed::Drifted { .. }) if came.met => Err(Broken::new(
            "a disturbed look was taken for a change of the resource",
            "let `read` fail when it cannot tell; only the vendor's own 404 means that it is gone",
        )),
        _ => Ok(came),
    }
}

async fn one(bench: &Arc<Bench>, scenario: Scenario, trouble: Trouble, size: usize) -> Kept {
    // Without a `neighbour` nobody moves, and the fault is an answer that is lost.
    let is_crowded = trouble.fault == Fault::CutAndChurning && !bench.case.neighbour.is_empty();
    if !is_crowded {
        return tried(bench, scenario, trouble, size, None).await;
    }
    let crowd = Crowd::gather(bench).await?;
    let came = tried(bench, scenario, trouble, size, Some(crowd.clone())).await;
    crowd.leave().await?;
    came
}

async fn tried(
    bench: &Arc<Bench>,
    scenario: Scenario,
    trouble: Trouble,
    size: usize,
    crowd: Option<Arc<Crowd>>,
) -> Kept {
    let before = bench.count().await?;
    let subject = Subject::new(bench).among(crowd.clone());
    let expected = before.map(|before| before + size);
    let tried = on(bench, scenario, trouble, &subject, crowd.as_deref(), expected).await;
    // Whatever came of it, the next trial begins with what there was before this one.
    let cleared = clear(&subject).await;
    tried?;
    cleared?;
    match before {
        Some(before) => counts(bench, before).await,
        None => Ok(()),
    }
}

async fn on(
    bench: &Arc<Bench>,
    scenario: Scenario,
    trouble: Trouble,
    subject: &Subject,
    crowd: Option<&Crowd>,
    expected: Option<usize>,
) -> Kept {
    prepare(bench, scenario, subject).await?;
    bench.log.clear();
    let came = disturbed(bench, scenario, subject, Some(trouble)).await?;
    if let Ended::Failed(failure) = &came.ended {
        is_well_told(failure, trouble)?;
    }
    if let Some(crowd) = crowd {
        crowd.settle().await?;
    }
    bench.log.line("— the next run —".to_owned());
    if scenario == Scenario::Destroy {
        gone(subject, trouble).await?;
        return no_leak(subject).await;
    }
    let target = scenario.target(bench);
    good_again(subject, &target, trouble).await?;
    planned_empty(subject, &target).await?;
    same(subject).await?;
    no_leak(subject).await?;
    match expected {
        Some(expected) => counts(bench, expected).await,
        None => Ok(()),
    }
}

/// The provisioner must have answered, and must not have blamed who is not to blame.
fn is_well_told(failure: &Failure, trouble: Trouble) -> Kept {
    let what = format!("it ended with {}: {}", failure.code, failure.message);
    match failure.code {
        "SS0320" | "SS0321" | "SS0322" => Err(Broken::new(
            what,
            format!(
                "a provisioner answers with a failure, whatever happens; {}",
                trouble.fault.advice()
            ),
        )),
        "SS0310" | "SS0311" => Err(Broken::new(
            what,
            "`invalid` and `unauthorized` send the user to their configuration and their token, and neither is wrong here",
        )),
        "SS0340" => Err(Broken::new(
            what,
            "it asked for what this change may not do; declare the operation for this change (`in`), or do not ask",
        )),
        _ => Ok(()),
    }
}

async fn good_again(subject: &Subject, target: &Target, trouble: Trouble) -> Kept {
    let mut last = None;
    for _ in 0..RUNS_MAX {
        match subject.run(Wanted::Target(target), None).await.ended {
            Ended::Done => return Ok(()),
            Ended::Failed(failure) => last = Some(failure),
            Ended::Killed => {}
        }
    }
    Err(stuck(last, trouble))
}

async fn gone(subject: &Subject, trouble: Trouble) -> Kept {
    let mut last = None;
    for _ in 0..RUNS_MAX {
        match subject.run(Wanted::Nothing, None).await.ended {
            Ended::Done => return Ok(()),
            Ended::Failed(failure) => last = Some(failure),
            Ended::Killed => {}
        }
    }
    Err(stuck(last, trouble))
}

fn stuck(last: Option<Failure>, trouble: Trouble) -> Broken {
    let why = last.map_or_else(String::new, |failure| format!(": {}", failure.message));
    Broken::new(format!("{RUNS_MAX} more runs did not make it good{why}"), trouble.fault.advice())
}

async fn clear(subject: &Subject) -> Kept {
    let mut last = Ok(());
    for _ in 0..RUNS_MAX {
        last = destroy(subject).await;
        if last.is_ok() {
            break;
        }
    }
    last
}
