//! What was found, scored, for people and for machines.

use serde_json::{Value, json};

/// What came of one thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Passed,
    /// It could not be tried, and why.
    Skipped(String),
    /// It is not.
    Failed {
        /// What was wrong.
        what: String,
        /// What to change.
        advice: String,
        /// What the provisioner asked and was told.
        log: Vec<String>,
    },
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `lifecycle`, or the change that was disturbed: `create`, `update`, `replace`, `destroy`, `read`.
    pub area: String,
    /// What was tried.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// Everything that was found of one provisioner.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// In the order it was tried.
    pub findings: Vec<Finding>,
    /// Operations that the manifest declares and that were never asked for.
    pub unused: Vec<String>,
}

impl Report {
    /// How many passed, failed, and were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count =
            |is: fn(&Verdict) -> bool| self.findings.iter().filter(|f| is(&f.verdict)).count();
        (
            count(|verdict| *verdict == Verdict::Passed),
            count(|verdict| matches!(verdict, Verdict::Failed { .. })),
            count(|verdict| matches!(verdict, Verdict::Skipped(_))),
        )
    }

    /// Passed of all that could be tried, in per cent, rounded down: 100 is all of them.
    pub fn score(&self) -> usize {
        let (passed, failed, _) = self.counts();
        (passed * 100).checked_div(passed + failed).unwrap_or(0)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (passed, failed, skipped) = self.counts();
        let findings: Vec<Value> = self.findings.iter().map(finding_json).collect();
        json!({
            "version": 1, "kind": "plugin-test",
            "plugin": {"name": self.plugin, "version": self.version, "digest": self.digest},
            "score": self.score(), "passed": passed, "failed": failed, "skipped": skipped,
            "findings": findings, "unused_operations": self.unused,
        })
    }

    /// For CI systems.
    pub fn junit(&self) -> String {
        let (passed, failed, skipped) = self.counts();
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        out.push_str(&format!(
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\">\n",
            escaped(&self.plugin),
            passed + failed + skipped
        ));
        for finding in &self.findings {
            out.push_str(&format!(
                "  <testcase classname=\"{}.{}\" name=\"{}\"",
                escaped(&self.plugin),
                escaped(&finding.area),
                escaped(&finding.name)
            ));
            match &finding.verdict {
                Verdict::Passed => out.push_str("/>\n"),
                Verdict::Skipped(why) => {
                    out.push_str(&format!("><skipped message=\"{}\"/></testcase>\n", escaped(why)))
                }
                Verdict::Failed { what, advice, log } => out.push_str(&format!(
                    "><failure message=\"{}\">{}\n{}</failure></testcase>\n",
                    escaped(what),
                    escaped(advice),
                    escaped(&log.join("\n"))
                )),
            }
        }
        out.push_str("</testsuite>\n");
        out
    }
}

fn finding_json(finding: &Finding) -> Value {
    let mut value = json!({"area": finding.area, "name": finding.name});
    match &finding.verdict {
        Verdict::Passed => value["verdict"] = json!("passed"),
        Verdict::Skipped(why) => {
            value["verdict"] = json!("skipped");
            value["what"] = json!(why);
        }
        Verdict::Failed { what, advice, log } => {
            value["verdict"] = json!("failed");
            value["what"] = json!(what);
            value["advice"] = json!(advice);
            value["log"] = json!(log);
        }
    }
    value
}

/// XML text, and attributes in double quotes. What XML cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let finding = |name: &str, verdict| Finding {
            area: "create".to_owned(),
            name: name.to_owned(),
            verdict,
        };
        let failed = Verdict::Failed {
            what: "made \"twice\" <2>".to_owned(),
            advice: "look first".to_owned(),
            log: vec!["→ create".to_owned(), "\u{1b}[2J".to_owned()],
        };
        Report {
            plugin: "dns".to_owned(),
            findings: vec![
                finding("one", Verdict::Passed),
                finding("two", failed),
                finding("three", Verdict::Passed),
                finding("four", Verdict::Skipped("no `update`".to_owned())),
            ],
            ..Report::default()
        }
    }

    #[test]
    fn the_score_is_of_what_could_be_tried_and_never_rounded_up() {
        assert_eq!((report().counts(), report().score()), ((2, 1, 1), 66));
        assert_eq!(Report::default().score(), 0);
    }

    #[test]
    fn junit_is_well_formed_whatever_a_provisioner_says() {
        let text = report().junit();
        assert!(text.contains("made &quot;twice&quot; &lt;2&gt;"), "{text}");
        assert!(text.contains("tests=\"4\" failures=\"1\" skipped=\"1\""), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
