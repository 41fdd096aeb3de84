//! What a provisioner has to do when nothing goes wrong, one promise after the other.

use std::sync::Arc;

use ss_core::plan::Action;
use ss_core::state::Recorded;
use ss_engine::{Failure, Observed};

use crate::bench::Bench;
use crate::case::CaseError;
use crate::report::{Finding, Verdict};
use crate::spoil::Asked;
use crate::subject::{Ended, Subject, Wanted};

/// Why a promise is not kept.
pub(crate) struct Broken {
    pub what: String,
    pub advice: String,
}

impl Broken {
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::new(
            format!("{}: {}", failure.code, failure.message),
            match failure.hints.is_empty() {
                true => format!("`ss explain {}`", failure.code),
                false => failure.hints.join("; "),
            },
        )
    }
}

impl From<CaseError> for Broken {
    fn from(error: CaseError) -> Self {
        Self::new(error.0, "mend the case file")
    }
}

pub(crate) type Kept = Result<(), Broken>;

/// Tries every promise on one resource, from its making to its end. `hear` gets each finding as it comes.
pub async fn lifecycle(bench: &Arc<Bench>, hear: &mut dyn FnMut(Finding)) {
    let mut trial = Trial { bench, hear, intact: true };
    let subject = Subject::new(bench);
    let neighbour = Subject::new(bench);
    let before = bench.count().await;
    trial.note("the inventory can be read", before.as_ref().map(|_| ()).map_err(clone_error));
    let before = before.unwrap_or(None);
    let has_neighbour = !bench.case.neighbour.is_empty();
    if has_neighbour {
        let made = deploy(&neighbour, &bench.case.with(&bench.case.neighbour)).await;
        trial.note("a second resource is made beside it", made.map(drop));
    }
    let target = bench.case.target.clone();
    trial.note("create", created(bench, &subject).await);
    trial.note("a second plan is empty", planned_empty(&subject, &target).await);
    trial.note("read back: no drift, no write", same(&subject).await);
    trial.note("apply again changes nothing", again(&subject, &target).await);
    trial.note(
        "what was made is found again without a record",
        found_again(&subject, &target).await,
    );
    trial.update(&subject).await;
    trial.note("a resource that was deleted is seen", deleted(&subject).await);
    trial.note("and made again", remade(&subject, &target).await);
    trial.replace(&subject).await;
    if has_neighbour {
        trial.note("the second resource is as it was", same(&neighbour).await);
    } else {
        trial.skip("the second resource is as it was", "the case has no `neighbour`");
    }
    trial.note("secrets only in outputs", no_leak(&subject).await);
    trial.note("destroy", destroyed(&subject).await);
    if has_neighbour {
        trial.note("the second resource outlives it", same(&neighbour).await);
        trial.note("the second resource is destroyed", destroy(&neighbour).await);
    }
    match before {
        Some(before) => trial.note("nothing is left behind", counts(bench, before).await),
        None => trial.skip("nothing is left behind", "the case has no `inventory`"),
    }
}

fn clone_error(error: &CaseError) -> Broken {
    Broken::new(error.0.clone(), "mend `inventory` in the case file")
}

struct Trial<'t> {
    bench: &'t Arc<Bench>,
    hear: &'t mut dyn FnMut(Finding),
    /// Whether the resource was made at all: without it nothing else says anything.
    intact: bool,
}

impl Trial<'_> {
    fn note(&mut self, name: &str, kept: Kept) {
        let verdict = match kept {
            Ok(()) => Verdict::Passed,
            Err(_) if !self.intact => Verdict::Skipped("nothing was made".to_owned()),
            Err(broken) => Verdict::Failed {
                what: broken.what,
                advice: broken.advice,
                log: self.bench.lines(),
            },
        };
        if name == "create" && verdict != Verdict::Passed {
            self.intact = false;
        }
        self.bench.log.clear();
        self.hear(name, verdict);
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.hear(name, Verdict::Skipped(why.to_owned()));
    }

    fn hear(&mut self, name: &str, verdict: Verdict) {
        (self.hear)(Finding { area: "lifecycle".to_owned(), name: name.to_owned(), verdict });
    }

    async fn update(&mut self, subject: &Subject) {
        let names =
            ["update keeps the resource", "a change from outside is seen", "and put right again"];
        if self.bench.case.update.is_empty() {
            for name in names {
                self.skip(name, "the case has no `update`");
            }
            return;
        }
        let (target, other) =
            (&self.bench.case.target, self.bench.case.with(&self.bench.case.update));
        self.note(names[0], updated(subject, &other).await);
        self.note(names[1], changed_outside(subject, target).await);
        self.note(names[2], put_right(subject, &other).await);
    }

    async fn replace(&mut self, subject: &Subject) {
        let name = "replace makes a new resource and removes the old one";
        if self.bench.case.replace.is_empty() {
            return self.skip(name, "the case has no `replace`");
        }
        let other = self.bench.case.with(&self.bench.case.replace);
        self.note(name, replaced(self.bench, subject, &other).await);
    }
}

pub(crate) type Target = serde_json::Map<String, serde_json::Value>;

/// Brings the target about and gives what was asked for.
pub(crate) async fn deploy(subject: &Subject, target: &Target) -> Result<Vec<Asked>, Broken> {
    let came = subject.run(Wanted::Target(target), None).await;
    match came.ended {
        Ended::Done => Ok(came.asked),
        Ended::Failed(failure) => Err(failure.into()),
        Ended::Killed => Err(Broken::new("the run was killed", "try again")),
    }
}

pub(crate) async fn destroy(subject: &Subject) -> Kept {
    match subject.run(Wanted::Nothing, None).await.ended {
        Ended::Failed(failure) => Err(failure.into()),
        _ => Ok(()),
    }
}

pub(crate) async fn record(subject: &Subject) -> Result<Recorded, Broken> {
    let none = || Broken::new("nothing is recorded", "let `apply` give a record with the id");
    subject.record().await?.ok_or_else(none)
}

async fn id(subject: &Subject) -> Result<String, Broken> {
    let none = || Broken::new("the record has no id", "let `apply` give a record with the id");
    record(subject).await?.resource_id.ok_or_else(none)
}

async fn created(bench: &Bench, subject: &Subject) -> Kept {
    deploy(subject, &bench.case.target).await?;
    id(subject).await?;
    let given = subject.outputs().await?;
    let manifest = &bench.plugin().manifest;
    let kind = bench.case.kind();
    let declared = manifest.targets.iter().filter(|t| t.kind == kind).flat_map(|t| &t.outputs);
    let missing: Vec<&str> =
        declared.map(|o| o.name.as_str()).filter(|name| !given.contains_key(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Broken::new(
        format!("the outputs {} were declared and not given", missing.join(", ")),
        "give every declared output from `apply`, or take it out of the manifest",
    ))
}

pub(crate) async fn planned_empty(subject: &Subject, target: &Target) -> Kept {
    let plan = subject.plan(Wanted::Target(target)).await?;
    if plan.is_empty() {
        return Ok(());
    }
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.summary.as_str()).collect();
    Err(Broken::new(
        format!("it would change again: {}", steps.join(", ")),
        "let `apply` end with a complete record",
    ))
}

pub(crate) async fn same(subject: &Subject) -> Kept {
    let (seen, came) = subject.observe(None).await?;
    if let Some(write) =
        came.asked.iter().find(|asked| !matches!(asked.method.as_str(), "GET" | "HEAD"))
    {
        return Err(Broken::new(
            format!("`read` sent `{}`, a {}", write.operation, write.method),
            "let `read` use GET operations only",
        ));
    }
    match seen {
        Some(Observed::Same) => Ok(()),
        Some(Observed::Drifted { differences, .. }) => {
            let paths: Vec<String> = differences
                .iter()
                .map(|d| {
                    let shown = |value: &Option<serde_json::Value>| {
                        value.as_ref().map_or("nothing".to_owned(), ToString::to_string)
                    };
                    format!("{}: recorded {}, read {}", d.path, shown(&d.before), shown(&d.after))
                })
                .collect();
            Err(Broken::new(
                format!("it differs from its record: {}", paths.join("; ")),
                "record exactly what `read` sees: the vendor's own form of a value, defaults filled in, nothing that moves by itself",
            ))
        }
        Some(Observed::Unknown(failure)) => Err(failure.into()),
        Some(Observed::Gone) | None => {
            Err(Broken::new("`read` does not find it", "let `read` look for the recorded id"))
        }
    }
}

async fn again(subject: &Subject, target: &Target) -> Kept {
    let before = record(subject).await?;
    subject.doubt().await?;
    deploy(subject, target).await?;
    let after = record(subject).await?;
    if after.resource_id != before.resource_id {
        let what = format!("{:?} became {:?}", before.resource_id, after.resource_id);
        return Err(Broken::new(
            what,
            "with a record, change what is there instead of making another",
        ));
    }
    if after.attributes != before.attributes {
        return Err(Broken::new(
            "its attributes changed, though nothing else did",
            "record only what stays as it is while nobody changes it",
        ));
    }
    same(subject).await
}

async fn found_again(subject: &Subject, target: &Target) -> Kept {
    let known = id(subject).await?;
    let forgetful = subject.forgetful();
    deploy(&forgetful, target).await?;
    let found = id(&forgetful).await?;
    if found == known {
        return Ok(());
    }
    // What was made by mistake must not disturb what follows.
    destroy(&forgetful).await?;
    Err(Broken::new(
        format!("`{known}` is there, and `{found}` was made"),
        "before creating, look for the service's mark: a run may have died before it could record anything",
    ))
}

async fn updated(subject: &Subject, other: &Target) -> Kept {
    let before = id(subject).await?;
    let plan = subject.plan(Wanted::Target(other)).await?;
    if plan.steps.iter().any(|step| step.action == Action::Replace) {
        return Err(Broken::new(
            "the plan replaces it",
            "put fields under `update` that the schema does not mark `x-immutable`",
        ));
    }
    deploy(subject, other).await?;
    let after = id(subject).await?;
    if before != after {
        return Err(Broken::new(
            format!("`{before}` became `{after}`"),
            "change the resource in place, or mark the field `x-immutable` in the schema",
        ));
    }
    planned_empty(subject, other).await?;
    same(subject).await
}

async fn changed_outside(subject: &Subject, target: &Target) -> Kept {
    deploy(&subject.double().await?, target).await?;
    match subject.observe(None).await?.0 {
        Some(Observed::Drifted { .. }) => Ok(()),
        Some(Observed::Unknown(failure)) => Err(failure.into()),
        _ => Err(Broken::new(
            "`read` does not see the change",
            "let `read` put every fact that `apply` sets into the attributes",
        )),
    }
}

async fn put_right(subject: &Subject, other: &Target) -> Kept {
    subject.doubt().await?;
    deploy(subject, other).await?;
    same(subject).await
}

async fn deleted(subject: &Subject) -> Kept {
    destroy(&subject.double().await?).await?;
    match subject.observe(None).await?.0 {
        Some(Observed::Gone) => Ok(()),
        Some(Observed::Unknown(failure)) => Err(failure.into()),
        _ => Err(Broken::new(
            "`read` still finds it",
            "let `read` give nothing when the vendor says 404, and know what else a vendor says of what is gone",
        )),
    }
}

async fn remade(subject: &Subject, target: &Target) -> Kept {
    subject.refresh().await?;
    deploy(subject, target).await?;
    same(subject).await
}

async fn replaced(bench: &Bench, subject: &Subject, other: &Target) -> Kept {
    let (before, count) = (id(subject).await?, bench.count().await?);
    let plan = subject.plan(Wanted::Target(other)).await?;
    if !plan.steps.iter().any(|step| step.action == Action::Replace) {
        return Err(Broken::new(
            "the plan does not replace it",
            "put a field under `replace` that the schema marks `x-immutable`",
        ));
    }
    deploy(subject, other).await?;
    let after = id(subject).await?;
    if before == after {
        return Err(Broken::new(
            format!("it is still `{after}`"),
            "let `apply` without a record make a new resource, never take one that carries another mark",
        ));
    }
    if let Some(count) = count {
        counts(bench, count).await?;
    }
    same(subject).await
}

pub(crate) async fn no_leak(subject: &Subject) -> Kept {
    let leaks = subject.leaks().await?;
    if leaks.is_empty() {
        return Ok(());
    }
    Err(Broken::new(leaks.join("; "), "name the places of secrets in `secrets` of the operation"))
}

async fn destroyed(subject: &Subject) -> Kept {
    let double = subject.double().await?;
    destroy(subject).await?;
    destroy(&double).await.map_err(|broken| {
        let what = format!("a second destroy failed: {}", broken.what);
        Broken::new(what, "what is gone is destroyed: take 404 for success")
    })
}

pub(crate) async fn counts(bench: &Bench, expected: usize) -> Kept {
    let found = bench.count().await?.unwrap_or(expected);
    if found == expected {
        return Ok(());
    }
    Err(Broken::new(
        format!("there are {found} resources, and there should be {expected}"),
        "look for the service's mark before creating, and checkpoint an id as soon as it is known",
    ))
}
