//! Any state in any overlay: nothing else changes, it reads back, and it can be taken out again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;
use ss_core::ident::{DeployId, PluginName, ServiceId};
use ss_core::overlay::{read, splice};
use ss_core::state::{PluginPin, Progress, Recorded, State};

/// Text that YAML, JSON or a terminal could stumble over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        any::<String>(),
        prop::sample::select(vec![
            "<<", "on", "null", "~", "0xB", "11", "1e3", "_state", "---", "...", "# no", "a: b",
            "'", "\"", "\\", "\u{0}", "\u{7f}", "\u{85}", "\u{2028}", "\u{feff}", "\u{ffff}",
            "\r\n", "*a", "&a", "!!int", "🎈", "",
        ])
        .prop_map(str::to_owned),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        prop::num::f64::SUBNORMAL.prop_map(Value::from),
        prop::sample::select(vec![0.0, -0.0, 1.0, 1e16, 1e-7, 0.1 + 0.2]).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(text(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn recorded()(
        provider in text(),
        name in "[a-z][a-z0-9-]{0,8}",
        version in text(),
        digest in text(),
        places in (option::of(text()), option::of(text()), option::of(text())),
        attributes in json(),
        schema in any::<u32>(),
        target in json(),
        config_digest in text(),
        inputs in btree_map(text(), text(), 0..3),
        outputs in btree_set(text(), 0..3),
        depends_on in btree_set("[a-z][a-z0-9-]{0,8}", 0..3),
        owned in btree_map(text(), btree_map(text(), btree_set(text(), 0..3), 0..3), 0..2),
        (protect, data) in any::<(bool, bool)>(),
        generation in prop_oneof![Just(0), any::<u32>()],
        progress in prop::sample::select(vec![Progress::Complete, Progress::Partial, Progress::Unverified]),
        provisioned_at in text(),
    ) -> Recorded {
        let (resource_id, url, region) = places;
        Recorded {
            provider, resource_id, url, region, attributes, schema, target, config_digest, inputs, outputs, owned,
            protect, data, generation, progress, provisioned_at,
            plugin: PluginPin { name: PluginName::new(name).unwrap(), version, digest },
            depends_on: depends_on.into_iter().map(|id| ServiceId::new(id).unwrap()).collect::<BTreeSet<_>>(),
        }
    }
}

prop_compose! {
    fn state()(
        lineage in text(),
        serial in any::<u64>(),
        deploy in any::<bool>(),
        retired in btree_map("[a-z][a-z0-9-]{0,8}", any::<u32>(), 0..3),
        services in btree_map(prop_oneof!["[a-z][a-z0-9-]{0,62}", "null|true|on|y|n|no|yes|off|false"], recorded(), 0..4),
    ) -> State {
        State {
            serial,
            deploy: if deploy { DeployId::parse("ed060a44-5f97-461c-8ff6-3d8cae953092") } else { None },
            services: services
                .into_iter()
                .map(|(id, recorded)| (ServiceId::new(id).unwrap(), recorded))
                .collect::<BTreeMap<_, _>>(),
            retired: retired.into_iter().map(|(id, next)| (ServiceId::new(id).unwrap(), next)).collect(),
            ..State::empty(lineage)
        }
    }
}

/// What can stand below a key, from the end of its `:` on, without its line ending.
const VALUES: &[&str] = &[
    "",
    " 1",
    " 'it''s: fine'",
    " \"_state: \\\"no\\\" # no\" # yes",
    " |\n  _state: text\n\n  # text",
    " |-\n  ...\n  x",
    " >+\n  folded\n  more\n\n",
    " {a: 1, \"_state\": [2, 3]}",
    " [x,\n  {y: z}\n  ]",
    "\n- _state: 1\n- b",
    "\n  _state:\n    deep: 1",
    "\n  # inside\n  x: &anchor 1\n  y: *anchor",
    " \"two\n  lines\"",
    " plain\n  continued",
    " !!str 5",
    "   # only a comment",
    " ~",
];
const BETWEEN: &[&str] =
    &["", "", "# comment: _state: 1\n", "\n", "  # indented\n", "#\n\n \n", "# …\t\n"];

prop_compose! {
    /// A valid overlay of any look.
    fn overlay()(
        start in prop::sample::select(vec!["", "", "---\n", "\u{feff}", "%YAML 1.2\n--- # c\n", "# c\n"]),
        parts in vec((prop::sample::select(BETWEEN), prop::sample::select(VALUES), 0..3_u8), 0..7),
        last in prop::sample::select(BETWEEN),
        end in prop::sample::select(vec!["", "", "...\n", "...", "... # c\n# c\n"]),
        is_windows in any::<bool>(),
        is_open in any::<bool>(),
    ) -> String {
        let mut text = start.to_owned();
        for (index, (between, value, quote)) in parts.iter().enumerate() {
            let key = match quote { 0 => format!("key-{index}"), 1 => format!("'key {index}'"), _ => format!("\"k\\x65y {index}\"") };
            text += &format!("{between}{key}:{value}\n");
        }
        text += last;
        text += end;
        let text = if is_open { text.trim_end_matches('\n').to_owned() } else { text };
        if is_windows { text.replace('\n', "\r\n") } else { text }
    }
}

/// Whether `long` is `short` with one piece put in.
fn is_inserted(short: &str, long: &str) -> bool {
    let head = short.bytes().zip(long.bytes()).take_while(|(left, right)| left == right).count();
    let tail = short
        .bytes()
        .rev()
        .zip(long.bytes().rev())
        .take_while(|(left, right)| left == right)
        .count();
    long.len() >= short.len() && head + tail >= short.len()
}

fn others(text: &str) -> Value {
    let mut value: Value = serde_saphyr::from_str(text).expect("the overlay is valid YAML");
    match &mut value {
        Value::Object(map) => drop(map.remove("_state")),
        Value::Null => value = Value::Object(Default::default()),
        other => panic!("not a mapping: {other}"),
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_state_fits_into_any_overlay(original in overlay(), first in state(), second in state()) {
        let written = splice(&original, Some(&first)).unwrap();
        prop_assert!(is_inserted(&original, &written), "{original:?} -> {written:?}");
        prop_assert_eq!(read(&written).unwrap(), Some(first.clone()));
        prop_assert_eq!(others(&written), others(&original));
        prop_assert_eq!(&splice(&written, Some(&first)).unwrap(), &written);
        let windows = original.split_once('\n').is_some_and(|(line, _)| line.ends_with('\r'));
        prop_assert!(!windows || written.matches('\n').count() == written.matches("\r\n").count());

        let replaced = splice(&written, Some(&second)).unwrap();
        prop_assert_eq!(&splice(&original, Some(&second)).unwrap(), &replaced);
        prop_assert_eq!(&splice(&replaced, None).unwrap(), &original);
    }

    /// Whatever is given, the answer is an error or keeps every promise.
    #[test]
    fn never_a_wrong_answer(pieces in vec(prop_oneof![
        prop::sample::select(vec![
            "_state:", "a:", "b", ":", " ", "  ", "\n", "\r\n", "\r", "#", "- ", "[", "]", "{", "}", ",", "\"", "'", "|", ">", "|+",
            "---", "...", "&x", "*x", "? ", "<<", "\t", "!!str", "\u{feff}", "%", "_state: 1\n", "\nb: 2\n", "~",
        ]).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ], 0..14), state in state()) {
        let original: String = pieces.concat();
        if let Ok(written) = splice(&original, Some(&state)) {
            prop_assert_eq!(read(&written).unwrap(), Some(state));
            let bare = splice(&written, None).unwrap();
            prop_assert_eq!(splice(&original, None).unwrap(), bare.clone());
            prop_assert!(is_inserted(&bare, &written), "{:?} -> {:?}", bare, written);
            prop_assert_eq!(others(&written), others(&original));
        }
    }
}
