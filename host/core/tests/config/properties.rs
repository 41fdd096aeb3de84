//! Laws: nothing panics, every place is a place, JSON is read as itself, the merge and the order keep their rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::support::{Case, cases, types};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use ss_core::check::{Checked, TargetType, check};
use ss_core::config::{self, BASE, OVERLAY};
use ss_core::diag::{Code, Problems, SourceFile, Span, render};
use ss_core::graph;
use ss_core::ident::EnvName;
use ss_core::yaml::{self, Node};

static TYPES: LazyLock<BTreeMap<String, TargetType>> = LazyLock::new(types);
static CASES: LazyLock<Vec<Case>> =
    LazyLock::new(|| cases("valid").into_iter().chain(cases("invalid")).collect());

/// Line and column of a byte, counted the plain way.
fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text[..at].replace("\r\n", "\n").replace('\r', "\n");
    let line = before.matches('\n').count() + 1;
    // Marks of the byte order are no columns.
    let last = before.rsplit('\n').next().unwrap_or_default().replace('\u{feff}', "");
    let number = |count: usize| u32::try_from(count).expect("a small file");
    (number(line), number(last.chars().count() + 1))
}

fn is_place(span: Span, files: &[SourceFile]) -> bool {
    if (Span { file: 0, ..span }) == Span::WHOLE {
        return true;
    }
    let text = &files[span.file as usize].text;
    let (start, end) = (span.start as usize, span.end as usize);
    let (line, column) = place(text, start.min(text.len()));
    // One inside a value is a column for the parser, one at the beginning of a document is not.
    let unsure = text.rfind('\u{feff}').is_some_and(|at| at > 0);
    text.is_char_boundary(start)
        && text.is_char_boundary(end)
        && start <= end
        && span.line == line
        && (span.column == column || unsure)
}

/// Checks two files as one would, and that what is said of them can be shown.
fn check_files(files: Vec<SourceFile>) -> (Checked, Vec<SourceFile>) {
    let environment = EnvName::new("prod").expect("a name");
    let checked = check(&files[0], files.get(1).map(|file| (&environment, file)), &TYPES, None);
    let shown = render(&checked.diagnostics, &files);
    assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
    for diagnostic in &checked.diagnostics {
        let report = diagnostic.report(&files);
        assert_eq!(report.places.len(), diagnostic.labels.len());
        for label in &diagnostic.labels {
            assert!(is_place(label.span, &files), "{:?} {:?}", label.span, diagnostic);
        }
    }
    (checked, files)
}

/// Text that looks like YAML often enough to get past the first line.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("version: \"2\"\n".to_owned()),
        Just("name: my-app\n".to_owned()),
        Just("services:\n".to_owned()),
        Just("  api:\n".to_owned()),
        Just("    type: process\n".to_owned()),
        Just("    depends_on: [api, app-db]\n".to_owned()),
        Just("    inject_from: { app-db: [A] }\n".to_owned()),
        Just("    target: { type: fly, app: 3, env: { A: b } }\n".to_owned()),
        Just("&a ".to_owned()),
        Just("*a ".to_owned()),
        Just("<<: *a\n".to_owned()),
        Just("? ".to_owned()),
        Just("!!str ".to_owned()),
        Just("|\n  text\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\r".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\u{85}\u{2028}".to_owned()),
        "[ \\[\\]{}:,\\-#&*!|>'\"%@`?~\t\n]{1,6}",
        "[a-z0-9.]{1,5}",
        "\\PC{0,4}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Small JSON objects.
fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            fields(inner),
        ]
    });
    fields(value)
}

/// Few names, so that two objects often share some.
fn fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("<<x"),
        Just("8080"),
        Just("true"),
        Just("~~")
    ];
    let name = name.prop_map(str::to_owned);
    proptest::collection::btree_map(name, value, 0..5)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn tree(index: u32, value: &Value) -> Node {
    let mut problems = Problems::default();
    let file = SourceFile::new("x.yaml", format!("{value:#}"));
    let tree = yaml::parse(index, &file, &mut problems);
    tree.unwrap_or_else(|| panic!("{}", render(&problems.finish(), &[file.clone(), file])))
}

/// RFC 7396, written down a second time.
fn patched(base: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut fields = base.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => {
                let below = fields.get(name).cloned().unwrap_or(Value::Null);
                fields.insert(name.clone(), patched(&below, value));
            }
        }
    }
    Value::Object(fields)
}

fn empty() -> Node {
    tree(OVERLAY, &json!({}))
}

/// A system as text: for each service, which of the others it stands on and injects from.
fn system(below: &[BTreeSet<usize>], injects: &[BTreeSet<usize>]) -> SourceFile {
    let list = |numbers: &BTreeSet<usize>| {
        numbers.iter().map(|number| format!("s{number}")).collect::<Vec<_>>().join(", ")
    };
    let mut text = "version: \"2\"\nname: x\nservices:\n".to_owned();
    for (number, (below, sources)) in below.iter().zip(injects).enumerate() {
        let sources: Vec<String> =
            sources.iter().map(|source| format!("s{source}: [N{source}]")).collect();
        text.push_str(&format!(
            "  s{number}: {{ type: x, depends_on: [{}], inject_from: {{ {} }} }}\n",
            list(below),
            sources.join(", ")
        ));
    }
    SourceFile::new("starsystem.yaml", text)
}

fn graphs() -> impl Strategy<Value = (Vec<BTreeSet<usize>>, Vec<BTreeSet<usize>>)> {
    (1..9_usize).prop_flat_map(|count| {
        let some = proptest::collection::btree_set(0..count, 0..3);
        let each = proptest::collection::vec(some, count);
        (each.clone(), each)
    })
}

/// Whether each service is free of circles, on it or below it; by trying every order there is.
fn plain_order(below: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    while let Some(next) = (0..below.len()).find(|number| {
        !order.contains(number) && below[*number].iter().all(|one| order.contains(one))
    }) {
        order.push(next);
    }
    order
}

fn stands_on(below: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for &one in &below[next] {
            if one == to {
                return true;
            }
            if seen.insert(one) {
                open.push(one);
            }
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 256,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check_files(vec![SourceFile::from_bytes("starsystem.yaml", bytes)]);
    }

    #[test]
    fn anything_like_yaml_is_read_or_refused(base in yamlish(), overlay in yamlish()) {
        let base = SourceFile::new("starsystem.yaml", base);
        check_files(vec![base, SourceFile::new("starsystem.prod.yaml", overlay)]);
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        case in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..6),
    ) {
        let case = case.get(&CASES);
        let files = case.files.iter().map(|file| {
            let mut bytes = file.text.clone().into_bytes();
            for (at, how, byte) in &edits {
                if bytes.is_empty() {
                    continue;
                }
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = *byte,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, *byte),
                    _ => bytes.truncate(at),
                }
            }
            SourceFile::new(&file.name, String::from_utf8_lossy(&bytes).into_owned())
        });
        check_files(files.collect());
    }

    #[test]
    fn json_is_read_as_itself(value in objects()) {
        prop_assert_eq!(tree(BASE, &value).to_json(), value);
    }

    #[test]
    fn merging_is_a_merge_patch(base in objects(), overlay in objects()) {
        let plain = config::merge(tree(BASE, &base), empty());
        prop_assert_eq!(plain.to_json(), patched(&json!({}), &base));
        let merged = config::merge(tree(BASE, &base), tree(OVERLAY, &overlay));
        prop_assert_eq!(merged.to_json(), patched(&plain.to_json(), &overlay));
    }

    #[test]
    fn merging_nothing_or_the_same_again_changes_nothing(base in objects(), overlay in objects()) {
        let merged = config::merge(tree(BASE, &base), tree(OVERLAY, &overlay));
        let again = config::merge(merged.clone(), tree(OVERLAY, &overlay));
        prop_assert_eq!(again.to_json(), merged.to_json());
        prop_assert_eq!(config::merge(merged.clone(), empty()).to_json(), merged.to_json());
    }

    #[test]
    fn every_value_keeps_the_place_it_was_written(base in objects(), overlay in objects()) {
        let files = [
            SourceFile::new("base", format!("{base:#}")),
            SourceFile::new("overlay", format!("{overlay:#}")),
        ];
        let merged = config::merge(tree(BASE, &base), tree(OVERLAY, &overlay));
        let mut open = vec![&merged];
        while let Some(node) = open.pop() {
            prop_assert!(is_place(node.span, &files));
            open.extend(node.items());
            for (key, node) in node.fields() {
                prop_assert!(is_place(key.span, &files));
                let text = &files[key.span.file as usize].text;
                let written = &text[key.span.start as usize..key.span.end as usize];
                prop_assert_eq!(written, format!("{:?}", key.text));
                open.push(node);
            }
        }
    }

    #[test]
    fn the_order_is_the_first_that_fits((below, injects) in graphs()) {
        let file = system(&below, &injects);
        let (config, diagnostics) = config::parse(&file, None);
        prop_assert!(diagnostics.is_empty());
        let config = config.expect("a configuration");
        let plain = plain_order(&below);
        match graph::order(&config) {
            Ok(order) => {
                let names: Vec<String> = plain.iter().map(|number| format!("s{number}")).collect();
                let order: Vec<String> = order.iter().map(ToString::to_string).collect();
                prop_assert_eq!(order, names);
            }
            Err(cycles) => {
                prop_assert!(plain.len() < below.len());
                prop_assert!(!cycles.is_empty());
                prop_assert!(cycles.iter().all(|cycle| cycle.code == Code::Cycle));
            }
        }
    }

    #[test]
    fn sources_must_come_before((below, injects) in graphs()) {
        let file = system(&below, &injects);
        let config = config::parse(&file, None).0.expect("a configuration");
        let found = graph::check(&config);
        let mut said: BTreeMap<String, usize> = BTreeMap::new();
        for diagnostic in found.iter().filter(|one| one.code == Code::SourceNotBefore) {
            *said.entry(diagnostic.message.clone()).or_default() += 1;
        }
        // Services in or behind a circle have that to mend first.
        let ordered: BTreeSet<usize> = plain_order(&below).into_iter().collect();
        let mut expected = BTreeMap::new();
        for &service in &ordered {
            for &source in &injects[service] {
                if !stands_on(&below, service, source) {
                    let message = format!("`s{service}` injects from `s{source}`, but does not depend on it");
                    expected.insert(message, 1);
                }
            }
        }
        prop_assert_eq!(said, expected);
    }
}
