//! What the block looks like, and every shape of file it is written into.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::ident::{DeployId, PluginName, ServiceId};
use crate::state::{PluginPin, Progress, Recorded};

fn state() -> State {
    let recorded = Recorded {
        provider: "neon".into(),
        plugin: PluginPin {
            name: PluginName::new("neon").unwrap(),
            version: "0.1.0".into(),
            digest: "sha256:aa".into(),
        },
        resource_id: Some("quiet-mountain-1234".into()),
        url: Some("postgresql://app@host/db".into()),
        region: None,
        attributes: json!({"project": {"id": "quiet-mountain-1234"}, "roles": ["app", "on"], "size": 0.25}),
        schema: 1,
        target: json!({"type": "neon"}),
        config_digest: "sha256:bb".into(),
        inputs: BTreeMap::new(),
        outputs: BTreeSet::from(["DATABASE_URL".into()]),
        depends_on: BTreeSet::new(),
        owned: BTreeMap::new(),
        protect: false,
        data: true,
        generation: 0,
        progress: Progress::Complete,
        provisioned_at: "2026-05-02T14:33:28Z".into(),
    };
    State {
        serial: 7,
        deploy: DeployId::parse("ed060a44-5f97-461c-8ff6-3d8cae953092"),
        services: BTreeMap::from([(ServiceId::new("null").unwrap(), recorded)]),
        ..State::empty("5e7f")
    }
}

const BLOCK: &str = r#"_state:
  # written by ss; do not edit
  version: 1
  lineage: "5e7f"
  serial: 7
  deploy: "ed060a44-5f97-461c-8ff6-3d8cae953092"
  services:
    "null":
      provider: "neon"
      plugin: {"name": "neon", "version": "0.1.0", "digest": "sha256:aa"}
      resource_id: "quiet-mountain-1234"
      url: "postgresql://app@host/db"
      attributes: {"project": {"id": "quiet-mountain-1234"}, "roles": ["app", "on"], "size": 0.25}
      schema: 1
      target: {"type": "neon"}
      config_digest: "sha256:bb"
      outputs: ["DATABASE_URL"]
      data: true
      provisioned_at: "2026-05-02T14:33:28Z"
"#;

#[test]
fn writes_one_line_per_field() {
    let text = splice("version: \"2\"\n", Some(&state())).unwrap();
    assert_eq!(text, format!("version: \"2\"\n{BLOCK}"));
    assert_eq!(read(&text).unwrap(), Some(state()));
}

#[test]
fn a_state_without_services_fits_too() {
    let empty = State::empty("x");
    let text = splice("", Some(&empty)).unwrap();
    assert_eq!(
        text,
        "_state:\n  # written by ss; do not edit\n  version: 1\n  lineage: \"x\"\n  serial: 0\n  services: {}\n"
    );
    assert_eq!(read(&text).unwrap(), Some(empty));
}

/// Where the block lands: `@` marks the place.
#[test]
fn touches_nothing_else() {
    for shape in [
        "@",
        "\u{feff}@",
        "\u{feff}a: 1\n@",
        "# only a comment\n@",
        "a: 1 # one\n\n# two\n@",
        "a: 1\n@...\n",
        "a: 1\n@...\n# after\n",
        "a: 1\n@... # after",
        "---\na: 1\n@",
        "%YAML 1.2\n--- # start\na: 1\n@",
        "a: |+\n  text\n\n@",
        "a: |\n  _state: no\n  ...\n@",
        "a: \"x\n  _state: y\"\n@",
        "a: {x: 1,\n_state: 2}\n@",
        "a:\n- x\n- y\n@",
        "? a\n: 1\n@",
        "base: &b {q: 1}\nc: {<<: *b}\n<<: *b\n@",
        "a: 'it''s' # \"quoted\"\n'b': \"\\u00e9 é\"\n@",
        "a: .nan\nb: !!str 1\nc: 0x1F\n@",
        "a: 1\n   \n\t\n@",
    ] {
        let original = shape.replace('@', "");
        let expected = shape.replace('@', BLOCK);
        let written =
            splice(&original, Some(&state())).unwrap_or_else(|error| panic!("{shape:?}: {error}"));
        assert_eq!(written, expected, "{shape:?}");
        assert_eq!(splice(&written, Some(&state())).unwrap(), written, "again: {shape:?}");
        assert_eq!(splice(&written, None).unwrap(), original, "removed: {shape:?}");
        let windows = original.replace('\n', "\r\n");
        let written = splice(&windows, Some(&state())).unwrap();
        if original.contains('\n') {
            assert_eq!(written, expected.replace('\n', "\r\n"), "windows: {shape:?}");
        }
        assert_eq!(splice(&written, None).unwrap(), windows, "windows, removed: {shape:?}");
    }
}

#[test]
fn a_missing_final_line_ending_stays_missing() {
    for original in
        ["a: 1", "a: 1\nb: 2", "a: 1\r\nb: 2", "a: |\n  x", "a: 1\n# end", "  ", "a: 1\n  "]
    {
        let line_ending = if original.contains('\r') { "\r\n" } else { "\n" };
        let block = BLOCK.trim_end().replace('\n', line_ending);
        let written = splice(original, Some(&state())).unwrap();
        assert_eq!(written, format!("{original}{line_ending}{block}"), "{original:?}");
        assert_eq!(splice(&written, Some(&state())).unwrap(), written, "{original:?}");
        assert_eq!(splice(&written, None).unwrap(), original, "{original:?}");
    }
}

#[test]
fn replaces_an_old_block_where_it_stands() {
    for (before, old, after) in [
        ("a: 1\n", "_state:\n  version: 0\n  junk: [1,\n    2]\n", "\n# next\nb: 2\n"),
        ("a: 1\n", "_state: {}\n", "# end"),
        ("", "\"_state\": |\n  # text\n  more\n", "  # kept\n"),
        ("", "'_state' : ~\n", "z: 1\n"),
        ("a: 1\n", "_state:\n- x\n# inside\n- y\n", "# end\n"),
        ("\u{feff}", "_state:\n", "b: 1\n"),
        ("a: 1\n", "_state: 1\n", "...\n"),
    ] {
        let written = splice(&format!("{before}{old}{after}"), Some(&state())).unwrap();
        assert_eq!(written, format!("{before}{BLOCK}{after}"), "{old:?}");
        assert_eq!(splice(&written, None).unwrap(), format!("{before}{after}"), "{old:?}");
    }
}

#[test]
fn refuses_what_it_cannot_keep() {
    let refused = |text: &str| splice(text, Some(&state())).unwrap_err();
    for text in ["a: 1\n---\nb: 2\n", "a: 1\n---\n", "---\n---\n", "a: 1\n...\n---\nb: 1\n"] {
        assert_eq!(refused(text), OverlayError::MultipleDocuments, "{text:?}");
    }
    for text in ["{a: 1}\n", "{\na: 1\n}\n", "--- {a: 1}\n", "# c\n\n{}\n", "\u{feff}{}"] {
        assert_eq!(refused(text), OverlayError::FlowRoot, "{text:?}");
    }
    for text in ["  a: 1\n  b: 2\n", "? _state\n: 1\n", "# c\n a: 1\n"] {
        assert_eq!(refused(text), OverlayError::Indented, "{text:?}");
    }
    for text in [
        "- a\n",
        "text\n",
        "a: 1\na: 2\n",
        "_state: 1\n\"_state\": 2\n",
        "a: [\n",
        "a: 1\n<<<<<<< HEAD\n",
        "[1]: 2\n",
    ] {
        assert!(matches!(refused(text), OverlayError::Syntax(_)), "{text:?}: {:?}", refused(text));
    }
    for text in ["a: *b\n_state: &b 1\n", "_state: &b 1\na: *b\n", "!!map {a: 1}\n"] {
        assert!(
            matches!(refused(text), OverlayError::NotFaithful(_) | OverlayError::Syntax(_)),
            "{text:?}"
        );
    }
}

#[test]
fn a_parser_message_shows_no_value_and_no_escape_code() {
    let OverlayError::Syntax(message) = splice("a: hunter2\nb: hunter2: x\n", None).unwrap_err()
    else {
        panic!()
    };
    assert!(message.contains("line 2") && !message.contains("hunter2"), "{message}");
    let OverlayError::Syntax(message) = splice("\"\\e[2J\": 1\n\"\\e[2J\": 2\n", None).unwrap_err()
    else {
        panic!()
    };
    assert!(!message.contains('\u{1b}'), "{message}");
}

#[test]
fn reads_what_a_formatter_rewrote_and_names_what_is_damaged() {
    let prettier = BLOCK
        .replace("{\"name\"", "\n        { \"name\"")
        .replace("\"null\"", "'null'")
        .replace("  ", "    ");
    assert_eq!(read(&prettier).unwrap(), Some(state()));
    assert_eq!(read("a: 1\n").unwrap(), None);
    assert_eq!(read("_state:\n").unwrap(), None);
    let damaged = read(&BLOCK.replace("serial: 7", "serial: seven")).unwrap_err();
    assert!(matches!(&damaged, OverlayError::Damaged(what) if what.contains("seven")), "{damaged}");
    let unknown = read(&BLOCK.replace("  serial", "  extra: 1\n  serial")).unwrap_err();
    assert!(matches!(unknown, OverlayError::Damaged(_)));
    let newer = BLOCK.replace("version: 1\n", "version: 2\n  novelty: 1\n");
    assert_eq!(read(&newer).unwrap_err(), OverlayError::Newer { found: 2 });
    let mended = splice(&BLOCK.replace("serial: 7", "serial: seven"), Some(&state())).unwrap();
    assert_eq!(mended, BLOCK);
}

#[test]
fn refuses_a_state_that_the_file_could_not_hold() {
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    let mut state = state();
    for recorded in state.services.values_mut() {
        recorded.attributes = deep.clone();
    }
    assert!(matches!(splice("a: 1\n", Some(&state)), Err(OverlayError::NotFaithful(_))));
}
