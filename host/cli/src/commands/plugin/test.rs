//! `ss plugin test`: the conformance kit on one component.

use std::collections::BTreeMap;

use ss_conformance::{Finding, Report, Scenario, Verdict, lifecycle, storm};
use ss_core::text::printable;
use ss_engine::Failure;

use super::ready;
use crate::args::PluginTest;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;

const LIFECYCLE: &str = "lifecycle";
/// Lines of a request log that are shown below a failure.
const LOG_SHOWN: usize = 24;

/// Tries everything and prints what was found.
pub async fn run(context: &Context, args: &PluginTest) -> Result<Exit, CommandError> {
    check_areas(&args.only)?;
    let ready = ready(context, &args.plugin, &args.case).await?;
    let is_asked = |area: &str| args.only.is_empty() || args.only.iter().any(|only| only == area);
    let mut findings = Vec::new();
    let mut hear = |finding: Finding| {
        if !context.quiet && matches!(finding.verdict, Verdict::Failed { .. }) {
            eprintln!("{} {}: {}", context.style.red("✗"), finding.area, finding.name);
        }
        findings.push(finding);
    };
    if is_asked(LIFECYCLE) {
        lifecycle(&ready.bench, &mut hear).await;
    }
    for scenario in Scenario::ALL {
        if is_asked(scenario.as_str()) {
            storm(&ready.bench, scenario, &mut hear).await;
        }
    }
    let pin = &ready.bench.plugin().pin;
    let unused = if args.only.is_empty() { ready.bench.unused() } else { Vec::new() };
    let report = Report {
        plugin: pin.name.to_string(),
        version: pin.version.clone(),
        digest: pin.digest.clone(),
        findings,
        unused,
    };
    if let Some(path) = &args.junit {
        std::fs::write(context.directory.join(path), report.junit()).map_err(|error| {
            Failure::new("SS0111", format!("`{}` cannot be written: {error}", path.display()))
        })?;
    }
    if context.json {
        crate::render::answer(&report.json());
    } else {
        print(context, &report);
    }
    Ok(if report.counts().1 == 0 { Exit::Ok } else { Exit::Failed })
}

fn check_areas(only: &[String]) -> Result<(), CommandError> {
    let known = || Scenario::ALL.map(Scenario::as_str).into_iter().chain([LIFECYCLE]);
    match only.iter().find(|area| !known().any(|known| known == area.as_str())) {
        None => Ok(()),
        Some(area) => {
            let all: Vec<&str> = known().collect();
            Err(CommandError::usage(format!("`--only={area}`: there are {}", all.join(", "))))
        }
    }
}

fn print(context: &Context, report: &Report) {
    let style = context.style;
    println!("{} {} ({})", report.plugin, printable(&report.version, 40), report.digest);
    for (area, (passed, tried)) in areas(report) {
        let glyph = if passed == tried { style.green("✓") } else { style.red("✗") };
        println!("  {glyph} {area}: {passed} of {tried}");
    }
    for finding in &report.findings {
        match &finding.verdict {
            Verdict::Passed => {}
            Verdict::Skipped(why) => println!("  − {}: {}: {why}", finding.area, finding.name),
            Verdict::Failed { what, advice, log } => {
                println!(
                    "\n{} {}: {}",
                    style.red("✗"),
                    finding.area,
                    printable(&finding.name, 200)
                );
                println!("  what:   {}", printable(what, 1_000));
                println!("  change: {}", printable(advice, 1_000));
                let hidden = log.len().saturating_sub(LOG_SHOWN);
                if hidden > 0 {
                    println!("  … {hidden} lines before these: `--json` has them all");
                }
                log[hidden..].iter().for_each(|line| println!("    {}", printable(line, 300)));
            }
        }
    }
    if !report.unused.is_empty() {
        println!("\nDeclared and never asked for: {}", report.unused.join(", "));
    }
    let (passed, failed, skipped) = report.counts();
    println!("\nScore: {} % ({passed} passed, {failed} failed, {skipped} skipped)", report.score());
}

/// Passed and tried by area, in the order they were tried.
fn areas(report: &Report) -> Vec<(&str, (usize, usize))> {
    let mut order: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for finding in &report.findings {
        if matches!(finding.verdict, Verdict::Skipped(_)) {
            continue;
        }
        if !order.contains(&finding.area.as_str()) {
            order.push(&finding.area);
        }
        let count = counts.entry(&finding.area).or_default();
        count.0 += usize::from(finding.verdict == Verdict::Passed);
        count.1 += 1;
    }
    order.into_iter().map(|area| (area, counts[area])).collect()
}
