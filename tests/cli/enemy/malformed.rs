//! Components that are refused before anything of them runs, or while they only describe themselves: nothing is deployed.

use ss_selftest::hostile;

use super::{each, ran, ring};

/// A component from its text form.
fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{:.2000}", text))
}

fn importing(name: &str) -> Vec<u8> {
    wat(&format!("(component (import \"{name}\" (instance)))"))
}

/// A component that exports the contract's interface with these functions in it, over a module that does nothing.
fn exporting(version: &str, before: &str, functions: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "f") (result i32) unreachable)
                (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m))
            {before}
            (instance $lifecycle {functions})
            (export "starsystem:provisioner/lifecycle@{version}" (instance $lifecycle)))"#
    ))
}

const LIFTED: &str = r#"(func $f (result u32) (canon lift (core func $i "f")))"#;

fn in_module(text: &str) -> Vec<u8> {
    let before = format!("{LIFTED} (core module {text})");
    exporting("0.1.0", &before, r#"(export "manifest" (func $f))"#)
}

/// Types of lists of lists, each a level deeper.
fn deep_types() -> Vec<u8> {
    let mut types = "(type $t0 (list u8))".to_owned();
    for depth in 1..20_000 {
        types.push_str(&format!("(type $t{depth} (list $t{}))", depth - 1));
    }
    types.push_str(
        r#"(func $f (param "x" $t19999) (result u32) (canon lift (core func $i "f") (memory $i "memory")))"#,
    );
    exporting("0.1.0", &types, r#"(export "manifest" (func $f))"#)
}

/// Tuples of two of the one before: a few bytes for each doubling.
fn wide_types() -> Vec<u8> {
    let mut types = "(type $t0 (tuple u8 u8))".to_owned();
    for depth in 1..60 {
        types.push_str(&format!(
            "(type $t{depth} (tuple $t{before} $t{before}))",
            before = depth - 1
        ));
    }
    types.push_str(
        r#"(func $f (param "x" $t59) (result u32) (canon lift (core func $i "f") (memory $i "memory")))"#,
    );
    exporting("0.1.0", &types, r#"(export "manifest" (func $f))"#)
}

fn nested(depth: usize) -> Vec<u8> {
    let mut component = Vec::new();
    for _ in 0..depth {
        let mut outer = b"\0asm\x0d\0\x01\0".to_vec();
        if !component.is_empty() {
            outer.push(4);
            push_size(&mut outer, component.len());
        }
        outer.append(&mut component);
        component = outer;
    }
    component
}

fn many_imports() -> Vec<u8> {
    let imports: String =
        (0..20_000).map(|index| format!("(import \"a:b/i{index}@0.1.0\" (instance))")).collect();
    wat(&format!("(component {imports})"))
}

/// A good component with a custom section of this many bytes behind it.
fn with_section(bytes: usize) -> Vec<u8> {
    let mut component = hostile("good");
    component.push(0);
    push_size(&mut component, bytes);
    component.push(4);
    component.extend_from_slice(b"junk");
    component.resize(component.len() + bytes - 5, 0);
    component
}

/// A number as the binary format writes it.
fn push_size(bytes: &mut Vec<u8>, mut size: usize) {
    while size >= 0x80 {
        bytes.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    bytes.push(size as u8);
}

fn cut(component: &[u8]) -> Vec<u8> {
    component[..component.len() / 2].to_vec()
}

/// The name of its import moves the cursor.
fn escape_in_import() -> Vec<u8> {
    let name = b"evil\x1b[2J\xc2\x9b1m";
    let import = [&[1, 0, name.len() as u8][..], name, &[5, 0]].concat();
    [b"\0asm\x0d\0\x01\0\x0a", &[import.len() as u8][..], &import].concat()
}

/// A name, its component, and what the user is told.
fn malformed() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let contract = "does not fit the contract";
    vec![
        ("no-bytes", Vec::new(), "not a WebAssembly component"),
        ("script", b"#!/bin/sh\nrm -rf /\n".to_vec(), "not a WebAssembly component"),
        ("core-module", wat("(module)"), "not a WebAssembly component"),
        ("cut", cut(&hostile("good")), "not a WebAssembly component"),
        ("large-section", with_section(65 << 20), "67108864 is the most"),
        ("nothing-exported", wat("(component)"), "it is no provisioner"),
        (
            "newer-contract",
            exporting("0.9.0", LIFTED, r#"(export "manifest" (func $f))"#),
            "speaks version 0.9.0",
        ),
        ("other-types", exporting("0.1.0", LIFTED, r#"(export "manifest" (func $f))"#), contract),
        ("functions-missing", exporting("0.1.0", "", ""), contract),
        (
            "async-lift",
            exporting(
                "0.1.0",
                r#"(func $f async (result u32) (canon lift (core func $i "f") async (callback (func $i "callback"))))"#,
                r#"(export "manifest" (func $f))"#,
            ),
            "does not compile",
        ),
        (
            "imports-http",
            importing("wasi:http/outgoing-handler@0.2.0"),
            "`wasi:http/outgoing-handler@0.2.0`",
        ),
        (
            "imports-next-wasi",
            importing("wasi:cli/environment@0.3.0"),
            "`wasi:cli/environment@0.3.0`",
        ),
        ("imports-foreign", importing("cloud:keys/keys@1.2.0"), "`cloud:keys/keys@1.2.0`"),
        (
            "imports-next-contract",
            importing("starsystem:provisioner/api@0.2.0"),
            "which no provisioner may use",
        ),
        ("imports-bare", wat("(component (import \"steal\" (func)))"), "`steal`"),
        ("imports-many", many_imports(), "which no provisioner may use"),
        ("imports-escape-codes", escape_in_import(), "evil\\\\u{1b}[2J"),
        ("types-deep", deep_types(), "does not compile"),
        ("types-wide", wide_types(), "does not compile"),
        ("nested", nested(2_000), ""),
        ("memory64", in_module("(memory i64 1)"), "does not compile"),
        ("shared-memory", in_module("(memory 1 2 shared)"), "does not compile"),
        ("many-memories", in_module(&"(memory 1)".repeat(200)), "does not compile"),
        ("collector", in_module("(type (struct (field i32)))"), "does not compile"),
        ("exceptions", in_module("(tag) (func (throw 0))"), "does not compile"),
    ]
}

/// Refused by `ss plan` and by `ss deploy`, and nobody was asked anything, not even by the honest neighbour.
fn is_refused(name: &str, component: &[u8], told: &str) {
    let ring = ring(name, component);
    for command in ["plan", "deploy"] {
        let ran = ran(ring.ss_granted(&[command, "--env=prod", "--json"]))
            .exits(3)
            .says("SS0612")
            .says(told);
        assert!(ran.stdout.contains("\"kind\":\"error\""), "{name}: {}", ran.stdout);
    }
    ring.asked_only(&[]).expect("nobody was asked");
}

#[test]
fn what_cannot_be_a_provisioner_is_refused_before_it_runs() {
    each(
        &malformed(),
        |row| row.0,
        |(name, component, told)| {
            is_refused(&format!("malformed-{name}"), component, told);
        },
    );
}

/// Ten seconds of work for an optimised compiler, in little text: many variables that meet at the end of many branches.
fn slow_to_compile() -> Vec<u8> {
    const LOCALS: usize = 200;
    let local = |factor: usize, index: usize| index * factor % LOCALS + 1;
    let mut body = String::new();
    for index in 0..80_000 {
        let [left, right, sum, next] = [7, 31, 17, 13].map(|factor| local(factor, index));
        body.push_str(&format!(
            "local.get 0 i32.wrap_i64 if local.get {left} local.get {right} i64.add local.set {sum} end \
             local.get {next} local.set 0 "
        ));
    }
    in_module(&format!("(func (param i64) (local {}) {body})", "i64 ".repeat(LOCALS)))
}

#[test]
fn compiling_is_done_by_a_child_that_can_be_killed() {
    let ring = ring("malformed-slow", &slow_to_compile());
    let deploy = ["deploy", "--env=prod", "--json", "--call-timeout=1"];
    ran(ring.ss_granted(&deploy)).exits(3).says("SS0612").says("does not compile within 1 seconds");
    ring.asked_only(&[]).expect("nobody was asked");
}

#[test]
fn a_replaced_file_that_wants_more_is_not_run() {
    for wider in [
        "describe-wider",
        "describe-owns-by-word",
        "describe-secret-in-the-open",
        "describe-adopts-by-echo",
    ] {
        let ring = ring(&format!("replaced-{wider}"), &hostile("good"));
        ran(ring.ss_granted(&["deploy", "--env=prod"])).exits(0);
        let before = ring.reached();
        ring.change_target().expect("a file");
        ring.replace(&hostile(wider)).expect("a file");
        for command in ["plan", "deploy"] {
            ran(ring.ss(&[command, "--env=prod"])).exits(6).says("SS0613").says("+ hostile-api: ");
        }
        assert_eq!(ring.reached(), before, "{wider}");
    }
    // Consent is to one component: another's digest does not open the door.
    let ring = ring("replaced-consent", &hostile("good"));
    let grants = ring.grants().expect("files");
    ring.replace(&hostile("describe-wider")).expect("a file");
    ran(ring.ss(&["deploy", "--env=prod", &grants[0], &grants[1]])).exits(6).says("SS0613");
    ring.asked_only(&[]).expect("nobody was asked");
}
