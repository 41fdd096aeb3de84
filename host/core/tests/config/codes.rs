//! The table of codes: each has its page, and each is shown to happen.

use std::collections::{BTreeMap, BTreeSet};

use ss_core::config;
use ss_core::diag::{Code, SourceFile, codes, explain};
use ss_core::graph;
use ss_core::ident::ServiceId;

use crate::support::cases;

/// Shown to happen by a test of their own, not by a file.
const ELSEWHERE: [Code; 4] =
    [Code::TooManyProblems, Code::UnknownService, Code::TooManyDependencies, Code::UnusableSchema];

#[test]
fn each_code_has_a_page_that_names_it() {
    for (code, title) in codes() {
        let page = explain(code).expect("every code has a page");
        assert!(page.starts_with(&format!("# {code}: {title}\n")), "{code}: {page}");
        for part in ["\n## Example\n", "\n## Fix\n"] {
            assert!(page.contains(part), "{code} has no {part:?}");
        }
    }
    assert_eq!(explain("ss0201"), explain("SS0201"));
    assert_eq!(explain("SS9999"), None);
}

#[test]
fn codes_are_in_order_and_apart() {
    let known: Vec<&str> = codes().map(|(code, _)| code).collect();
    assert!(known.is_sorted_by(|one, next| one < next));
    let own: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(own.is_sorted_by(|one, next| one < next));
}

#[test]
fn each_page_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/diag/codes");
    let pages = std::fs::read_dir(folder).expect("the pages").map(|entry| {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        name.trim_end_matches(".md").to_owned()
    });
    let pages: BTreeSet<String> = pages.collect();
    let listed: BTreeSet<String> = codes().map(|(code, _)| code.to_owned()).collect();
    assert_eq!(pages, listed);
}

#[test]
fn the_corpus_shows_every_code() {
    let files = cases("invalid").into_iter().chain(cases("valid"));
    let expected = files.map(|case| {
        std::fs::read_to_string(case.folder.join("expected.txt")).expect("an expected file")
    });
    let expected: Vec<String> = expected.collect();
    let missing: BTreeSet<&str> = Code::ALL
        .iter()
        .filter(|code| !ELSEWHERE.contains(code))
        .map(|code| code.as_str())
        .filter(|code| !expected.iter().any(|text| text.contains(&format!("[{code}]"))))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_service_that_is_selected_must_exist() {
    let file = SourceFile::new(
        "starsystem.yaml",
        "version: \"2\"\nname: x\nservices: { api: { type: x }, app-db: { type: x } }\n",
    );
    let config = config::parse(&file, None).0.expect("a configuration");
    let select = |name: &str| graph::select(&config, &[ServiceId::new(name).expect("an id")]);
    let typo = select("apj").expect_err("there is none");
    assert_eq!(typo[0].code, Code::UnknownService);
    assert_eq!(typo[0].help, ["did you mean `api`?"]);
    let other = select("zebra").expect_err("there is none");
    assert_eq!(other[0].help, ["the services are api, app-db"]);
}

#[test]
fn json_says_what_the_text_says() {
    let file = SourceFile::new("starsystem.yaml", "version: 2\nname: x\nservices: {}\n");
    let (_, diagnostics) = config::parse(&file, None);
    let report = serde_json::to_value(diagnostics[0].report(&[file])).expect("a report is data");
    assert_eq!(
        report,
        serde_json::json!({
            "code": "SS0204",
            "severity": "error",
            "message": "`version` must be the text \"2\", not a number",
            "hints": ["put it in quotes: \"2\""],
            "where": [{"file": "starsystem.yaml", "line": 1, "column": 10}],
        })
    );
}

#[test]
fn editors_accept_what_is_valid_and_refuse_what_is_not() {
    let types = crate::support::types();
    let targets: BTreeMap<_, _> =
        types.into_iter().map(|(kind, known)| (kind, known.schema)).collect();
    let kinds = [config::FileKind::Base, config::FileKind::Overlay];
    let schemas = kinds.map(|kind| {
        let schema = config::json_schema(kind, &targets);
        jsonschema::validator_for(&schema).expect("a JSON Schema")
    });
    let json = |file: &SourceFile| {
        let mut problems = ss_core::diag::Problems::default();
        ss_core::yaml::parse(0, file, &mut problems).map(|tree| tree.to_json())
    };
    for case in cases("valid") {
        for (file, schema) in case.files.iter().zip(&schemas) {
            let errors: Vec<String> = schema
                .iter_errors(&json(file).expect("valid YAML"))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{} {}: {errors:#?}", case.folder.display(), file.name);
        }
    }
    let wrong =
        ["unknown-fields", "wrong-types", "version-number", "names", "fields-in-the-wrong-file"];
    let targets = ["target-unknown-fields", "target-wrong-values", "target-missing-fields"];
    for case in cases("invalid") {
        let name = case.folder.file_name().and_then(|name| name.to_str()).expect("a name");
        let at = match name {
            name if wrong.contains(&name) => 0,
            name if targets.contains(&name) => 1,
            _ => continue,
        };
        let value = json(&case.files[at]).expect("valid YAML");
        assert!(!schemas[at].is_valid(&value), "{name}");
    }
}

#[test]
fn the_reference_names_every_field_and_its_example_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let reference = std::fs::read_to_string(path).expect("the reference");
    fn names(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        let properties = schema.get("properties").and_then(serde_json::Value::as_object);
        found.extend(properties.into_iter().flatten().map(|(name, _)| name.clone()));
        let children = schema.as_object().into_iter().flatten().map(|(_, child)| child);
        children
            .chain(schema.as_array().into_iter().flatten())
            .for_each(|child| names(child, found));
    }
    let mut fields = BTreeSet::new();
    for kind in [config::FileKind::Base, config::FileKind::Overlay] {
        names(&config::json_schema(kind, &BTreeMap::new()), &mut fields);
    }
    let missing: Vec<&String> =
        fields.iter().filter(|name| !reference.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let mut blocks = reference
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a block has an end").to_owned());
    let mut file = |name: &str| SourceFile::new(name, blocks.next().expect("two examples"));
    let (base, overlay) = (file("starsystem.yaml"), file("starsystem.prod.yaml"));
    let environment = ss_core::ident::EnvName::new("prod").expect("a name");
    let overlay = Some((&environment, &overlay));
    let checked = ss_core::check::check(&base, overlay, &crate::support::types(), None);
    assert!(checked.diagnostics.is_empty(), "{:?}", checked.diagnostics);
}
