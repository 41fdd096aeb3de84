//! What a new provisioner is made of: the examples and the SDKs, as they are in this repository.

use super::super::language::Language;

type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $path)))),*]
    };
}

/// What every language needs.
const COMMON: &[File] =
    files!["examples/provisioners/dns-fake/fake.py", "wit/provisioner-0.1/provisioner.wit"];
const RUST_SDK: &[File] = files![
    "sdk/rust/Cargo.toml",
    "sdk/rust/README.md",
    "sdk/rust/build.sh",
    "sdk/rust/src/clock.rs",
    "sdk/rust/src/ensure.rs",
    "sdk/rust/src/failure.rs",
    "sdk/rust/src/host.rs",
    "sdk/rust/src/host/bindings.rs",
    "sdk/rust/src/host/export.rs",
    "sdk/rust/src/host/imports.rs",
    "sdk/rust/src/json.rs",
    "sdk/rust/src/lib.rs",
    "sdk/rust/src/progress.rs",
    "sdk/rust/src/provisioner.rs",
    "sdk/rust/src/request.rs",
    "sdk/rust/src/secret.rs",
    "sdk/rust/src/testing/host.rs",
    "sdk/rust/src/testing/manifest.rs",
    "sdk/rust/src/testing/mod.rs",
    "sdk/rust/src/testing/pointer.rs",
    "sdk/rust/src/testing/script.rs",
];
const PYTHON_SDK: &[File] = files![
    "sdk/python/README.md",
    "sdk/python/build.sh",
    "sdk/python/requirements.txt",
    "sdk/python/starsystem_provisioner/__init__.py",
    "sdk/python/starsystem_provisioner/_call.py",
    "sdk/python/starsystem_provisioner/_export.py",
    "sdk/python/starsystem_provisioner/_failure.py",
    "sdk/python/starsystem_provisioner/_host.py",
    "sdk/python/starsystem_provisioner/_loops.py",
    "sdk/python/starsystem_provisioner/_manifest.py",
];
const JS_SDK: &[File] = files![
    "sdk/js/README.md",
    "sdk/js/build.sh",
    "sdk/js/index.d.ts",
    "sdk/js/index.js",
    "sdk/js/package-lock.json",
    "sdk/js/package.json",
];
const GO_SDK: &[File] = files![
    "sdk/go/README.md",
    "sdk/go/build.sh",
    "sdk/go/ensure.go",
    "sdk/go/failure.go",
    "sdk/go/go.mod",
    "sdk/go/host.go",
    "sdk/go/internal/bindings/exports/export_starsystem_provisioner_lifecycle/lifecycle.go",
    "sdk/go/internal/bindings/exports/wit_exports/wit_exports.go",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_api/empty.s",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_api/wit_bindings.go",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_clock/empty.s",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_clock/wit_bindings.go",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_lifecycle/empty.s",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_lifecycle/wit_bindings.go",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_model/empty.s",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_model/wit_bindings.go",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_progress/empty.s",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_progress/wit_bindings.go",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_secrets/empty.s",
    "sdk/go/internal/bindings/imports/starsystem_provisioner_secrets/wit_bindings.go",
    "sdk/go/internal/wit/LICENSE",
    "sdk/go/internal/wit/README.md",
    "sdk/go/internal/wit/runtime/empty.s",
    "sdk/go/internal/wit/runtime/runtime.go",
    "sdk/go/internal/wit/types/option.go",
    "sdk/go/internal/wit/types/result.go",
    "sdk/go/internal/wit/types/unit.go",
    "sdk/go/manifest.go",
    "sdk/go/provisioner.go",
    "sdk/go/request.go",
    "sdk/go/requirements.txt",
];
const C_SDK: &[File] = files![
    "sdk/c/bindings/provisioner.c",
    "sdk/c/bindings/provisioner.h",
    "sdk/c/README.md",
    "sdk/c/build.sh",
    "sdk/c/json.c",
    "sdk/c/starsystem.c",
    "sdk/c/starsystem.h",
];
const RUST: &[File] = files![
    "examples/provisioners/dns-rust/Cargo.toml",
    "examples/provisioners/dns-rust/manifest.json",
    "examples/provisioners/dns-rust/provisioner-test.yaml",
    "examples/provisioners/dns-rust/src/lib.rs",
];
const PYTHON: &[File] = files![
    "examples/provisioners/dns-python/main.py",
    "examples/provisioners/dns-python/provisioner-test.yaml",
];
const JS: &[File] = files![
    "examples/provisioners/dns-js/main.js",
    "examples/provisioners/dns-js/provisioner-test.yaml",
];
const TS: &[File] = files![
    "examples/provisioners/dns-ts/main.ts",
    "examples/provisioners/dns-ts/provisioner-test.yaml",
    "examples/provisioners/dns-ts/tsconfig.json",
];
const GO: &[File] = files![
    "examples/provisioners/dns-go/go.mod",
    "examples/provisioners/dns-go/main.go",
    "examples/provisioners/dns-go/provisioner-test.yaml",
];
const C: &[File] = files![
    "examples/provisioners/dns-c/main.c",
    "examples/provisioners/dns-c/provisioner-test.yaml",
];

/// The files for a language, by their paths in this repository.
pub fn of(language: Language) -> impl Iterator<Item = &'static File> {
    let (example, sdk) = match language {
        Language::Rust => (RUST, RUST_SDK),
        Language::Python => (PYTHON, PYTHON_SDK),
        Language::Js => (JS, JS_SDK),
        Language::Ts => (TS, JS_SDK),
        Language::Go => (GO, GO_SDK),
        Language::C => (C, C_SDK),
    };
    example.iter().chain(sdk).chain(COMMON)
}
