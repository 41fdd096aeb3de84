//! The corpus of valid configurations: what each comes to, to the letter. What is said of the invalid ones is
//! compared with what the real binary prints, in `tests/cli/bad_configurations.rs`.
//!
//! `UPDATE_EXPECT=1` rewrites the expected files.

use std::fs;
use std::path::Path;

use crate::support::{Case, cases, types};
use ss_core::check::check;
use ss_core::diag::render;
use ss_core::plan::Wanted;

/// How many cases there are at least, so that an empty folder cannot pass.
const VALID_MIN: usize = 15;

fn expect(folder: &Path, actual: &str) -> Result<(), String> {
    let file = folder.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, actual).expect("the corpus is writable");
        return Ok(());
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if expected == actual {
        return Ok(());
    }
    Err(format!("{}:\n--- expected\n{expected}\n--- actual\n{actual}", folder.display()))
}

fn run(kind: &str, least: usize, text: impl Fn(&Case) -> String) {
    let cases = cases(kind);
    assert!(cases.len() >= least, "only {} cases in {kind}", cases.len());
    let failed: Vec<String> =
        cases.iter().filter_map(|case| expect(&case.folder, &text(case)).err()).collect();
    assert!(failed.is_empty(), "{} of {} differ\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn valid_configurations_are_resolved() {
    run("valid", VALID_MIN, |case| {
        let checked = check(case.base(), case.overlay(), &types(), None);
        assert!(
            checked.is_usable(),
            "{}\n{}",
            case.folder.display(),
            render(&checked.diagnostics, &case.files)
        );
        let mut text = render(&checked.diagnostics, &case.files);
        for desired in &checked.desired {
            let target = match &desired.target {
                Wanted::Target { facts, fields, inputs } => {
                    let inputs: Vec<String> = inputs
                        .iter()
                        .map(|input| format!("{}.{}", input.source, input.name))
                        .collect();
                    format!("{} {fields:#} <- [{}]", facts.kind, inputs.join(", "))
                }
                Wanted::None => "no target".to_owned(),
                Wanted::Unknown(kind) => format!("unknown {kind}"),
            };
            let below: Vec<&str> = desired.depends_on.iter().map(|id| id.as_str()).collect();
            let protect = desired.protect.map(|protect| format!(" protect={protect}"));
            text.push_str(&format!(
                "{} after [{}]{}: {target}\n",
                desired.id,
                below.join(", "),
                protect.unwrap_or_default()
            ));
        }
        text
    });
}
