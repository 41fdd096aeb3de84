//! Schemas from plugins are not trusted: they cannot hang, reach out or go on for ever.

use serde_json::{Value, json};
use ss_core::config::{self, Target};
use ss_core::diag::{Code, SourceFile};
use ss_core::ident::{EnvName, ServiceId};
use ss_core::schema::{check_target, immutable_paths};

fn target(fields: &str) -> Target {
    let base = "version: \"2\"\nname: x\nservices: { api: { type: x } }\n";
    let overlay = format!(
        "version: \"2\"\nenvironment: prod\nservices: {{ api: {{ target: {{ type: fly, {fields} }} }} }}\n"
    );
    let environment = EnvName::new("prod").expect("a name");
    let overlay = SourceFile::new("starsystem.prod.yaml", overlay);
    let base = SourceFile::new("starsystem.yaml", base);
    let (config, diagnostics) = config::parse(&base, Some((&environment, &overlay)));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let mut services = config.expect("a configuration").services;
    let service = services.remove(&ServiceId::new("api").expect("an id")).expect("a service");
    service.target.expect("a target")
}

fn said(fields: &str, schema: &Value) -> Vec<(Code, String)> {
    let (_, found) = check_target(&target(fields), schema);
    found.into_iter().map(|one| (one.code, one.message)).collect()
}

#[test]
fn a_pattern_cannot_backtrack() {
    // With backtracking this takes 2^50 steps.
    let schema = json!({"properties": {"a": {"type": "string", "pattern": "^(x+x+)+y$"}}});
    let found = said(&format!("a: {}", "x".repeat(50)), &schema);
    assert_eq!(found[0].0, Code::WrongTargetValue);
}

#[test]
fn schemas_that_cannot_be_used_are_the_plugins_fault() {
    let look_around = json!({"properties": {"a": {"pattern": "^(?=x)x"}}});
    let huge = json!({"properties": {"a": {"pattern": "((x{100}){100}){100}"}}});
    let remote = json!({"$ref": "https://example.com/schema.json"});
    let file = json!({"$ref": "file:///etc/passwd"});
    let broken = json!({"type": "nonsense"});
    let text = json!("schema");
    for schema in [look_around, huge, remote, file, broken, text] {
        let found = said("a: x", &schema);
        assert_eq!(found.len(), 1, "{schema}");
        assert_eq!(found[0].0, Code::UnusableSchema, "{schema}");
    }
}

#[test]
fn schemas_that_contain_themselves_come_to_an_end() {
    let itself = json!({"$ref": "#"});
    let many = vec![itself.clone(); 10];
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": many}),
        json!({"anyOf": many, "type": "object"}),
        json!({"oneOf": many, "required": ["b"]}),
        json!({"not": itself}),
        json!({"if": itself, "then": itself, "else": itself}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        json!({"properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}, {"$ref": "#/properties/a"}]}}}),
        json!({"additionalProperties": {"anyOf": many}, "required": ["b"]}),
    ] {
        // What is said does not matter, that something is said does.
        check_target(&target("a: { a: { a: { a: x } } }"), &schema);
    }
}

#[test]
fn references_inside_are_followed() {
    let schema = json!({
        "properties": {"disk": {"$ref": "#/$defs/disk"}},
        "$defs": {"disk": {
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "kind": {"type": "string", "default": "ssd", "x-immutable": true},
            },
        }},
    });
    let (fields, found) = check_target(&target("disk: { size: 0 }"), &schema);
    assert_eq!(fields, json!({"disk": {"size": 0, "kind": "ssd"}}));
    assert_eq!(found[0].message, "`disk.size` must be a whole number of at least 1, not 0");
    assert_eq!(immutable_paths(&schema).into_iter().collect::<Vec<_>>(), ["disk.kind"]);
}

#[test]
fn errors_point_at_keys_with_odd_names() {
    let schema = json!({"properties": {"env": {"additionalProperties": {"type": "string"}}}});
    let target = target("env: { \"a/b~c\": 3 }");
    let (_, found) = check_target(&target, &schema);
    assert_eq!(found[0].message, "`env.a/b~c` must be text, not 3");
    let span = target.span_of("/env/a~1b~0c");
    assert_eq!(found[0].labels[0].span, span);
    assert!(span.column > target.key_span_of("/env/a~1b~0c").column);
}

#[test]
fn places_of_what_is_not_there_are_those_of_its_parent() {
    let target = target("list: [{ a: 1 }], map: { b: 2 }");
    assert_eq!(target.span_of("/map/nothing/deeper"), target.span_of("/map"));
    assert_eq!(target.span_of("/nothing"), target.span);
    assert_ne!(target.span_of("/list/0/a"), target.span_of("/list/0"));
    assert_eq!(target.span_of("/list/7"), target.span_of("/list"));
}

#[test]
fn what_cannot_be_said_in_a_few_words_is_said_by_the_validator() {
    let schema = json!({"properties": {"a": {"not": {"type": "string"}}}});
    let found = said("a: x", &schema);
    assert!(found[0].1.starts_with("`a` is not what the `fly` target takes: "), "{found:?}");
    let forbidden = json!({"properties": {"a": false}});
    assert_eq!(said("a: x", &forbidden)[0].1, "`a` is not allowed here");
    let unique = json!({"properties": {"a": {"uniqueItems": true}}});
    assert_eq!(said("a: [1, 1]", &unique)[0].1, "`a` must not repeat an entry");
}

#[test]
fn the_alternative_that_was_nearly_met_is_the_one_that_is_described() {
    let canary = json!({"type": "object", "required": ["canary"], "properties": {"canary": {"type": "integer"}}});
    let schema = json!({"properties": {"a": {"oneOf": [{"const": "rolling"}, {"const": "immediate"}, canary]}}});
    assert_eq!(
        said("a: { canary: lots }", &schema),
        [(Code::WrongTargetValue, "`a.canary` must be a whole number, not \"lots\"".to_owned())]
    );
    assert_eq!(
        said("a: { steps: 3 }", &schema),
        [(Code::MissingTargetField, "`a` needs `canary`".to_owned())]
    );
    assert_eq!(
        said("a: blue", &schema)[0].1,
        "`a` must be \"rolling\", \"immediate\" or a map, not \"blue\""
    );
}

#[test]
fn the_way_out_is_what_the_schema_says_of_the_field() {
    let said = |property: Value, value: &str| {
        let (_, found) = check_target(&target(value), &json!({"properties": {"a": property}}));
        found[0].help[0].clone()
    };
    for (property, value, help) in [
        (json!({"type": "integer", "description": "How many."}), "a: x", "`a`: how many"),
        (
            json!({"pattern": "^[0-9]+s$", "description": "How long.", "default": "5s"}),
            "a: x",
            "`a`: how long; when left out it is \"5s\"",
        ),
        (
            json!({"pattern": "^[a-z]{3}$", "description": "Where.", "examples": ["iad", "lhr"]}),
            "a: 1x",
            "`a`: where; for example \"iad\" or \"lhr\"",
        ),
        (json!({"type": "object"}), "a: [b=c]", "write it as a map: a `name: value` line for each"),
        (json!({"type": "array"}), "a: b", "write it as a list: [b]"),
        (json!({"enum": ["SIGTERM", "SIGINT"]}), "a: TERM", "did you mean `SIGTERM`?"),
        (json!({"maximum": 3}), "a: 4", "`ss schema` shows what a `fly` target takes"),
    ] {
        assert_eq!(said(property, value), help, "{value}");
    }
}

#[test]
fn alternatives_of_one_kind_are_described_together() {
    let schema =
        json!({"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}}});
    assert_eq!(
        said("a: x", &schema)[0].1,
        "`a` must be a whole number or true or false, not \"x\""
    );
    let words: Vec<String> = (0..30).map(|number| format!("w{number}")).collect();
    let schema = json!({"properties": {"a": {"enum": words}}});
    assert!(said("a: x", &schema)[0].1.contains("\"w11\" or 18 others, not \"x\""));
}
