//! Hostile and enormous files: refused or read in linear fashion, never a hang.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use crate::support::types;
use ss_core::check::{Checked, check};
use ss_core::config::{self, BASE};
use ss_core::diag::{Code, FILE_BYTES_MAX, PROBLEMS_MAX, Problems, SourceFile, render};
use ss_core::graph;
use ss_core::ident::{EnvName, ServiceId};
use ss_core::yaml::{self, ALIASES_MAX, NODES_MAX};

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// Counts the bytes this thread asks for: copies that grow with the square of a file show here at once.
struct Counting;

#[expect(unsafe_code, reason = "only an allocator can count allocations; it hands every call on")]
// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED.with(Cell::get);
    let result = work();
    (result, ALLOCATED.with(Cell::get) - before)
}

fn check_base(text: impl Into<String>) -> Checked {
    check(&SourceFile::new("starsystem.yaml", text), None, &BTreeMap::new(), None)
}

fn codes(checked: &Checked) -> Vec<Code> {
    checked.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

fn system(services: impl Iterator<Item = String>) -> String {
    let services: String = services.collect();
    format!("version: \"2\"\nname: my-app\nservices:\n{services}")
}

/// Services in a row, each on the one before and fed by the first.
fn row(count: usize) -> (SourceFile, SourceFile) {
    let base = system((0..count).map(|number| match number {
        0 => "  s0: { type: database }\n".to_owned(),
        _ => format!(
            "  s{number}: {{ type: process, depends_on: [s{}], inject_from: {{ s0: [DATABASE_URL] }} }}\n",
            number - 1
        ),
    }));
    let targets: String = (0..count)
        .map(|number| match number {
            0 => "  s0: { target: { type: neon, project_name: x } }\n".to_owned(),
            _ => format!("  s{number}: {{ target: {{ type: fly, app: s{number}, image: v1, env: {{ A: b }} }} }}\n"),
        })
        .collect();
    let overlay = format!("version: \"2\"\nenvironment: prod\nservices:\n{targets}");
    (SourceFile::new("starsystem.yaml", base), SourceFile::new("starsystem.prod.yaml", overlay))
}

#[test]
fn ten_thousand_services_take_twice_as_much_as_five_thousand() {
    let types = types();
    let environment = EnvName::new("prod").expect("a name");
    let measure = |count: usize| {
        let (base, overlay) = row(count);
        let mut problems = Problems::default();
        let tree = yaml::parse(BASE, &base, &mut problems).expect("valid YAML");
        let (checked, bytes) =
            allocated(|| check(&base, Some((&environment, &overlay)), &types, None));
        assert!(checked.is_usable(), "{}", render(&checked.diagnostics, &[base, overlay]));
        assert_eq!(checked.desired.len(), count);
        (tree.count(), bytes)
    };
    let (nodes_half, bytes_half) = measure(5_000);
    let (nodes, bytes) = measure(10_000);
    assert_eq!(nodes - nodes_half, 5_000 * 7);
    assert!(bytes < bytes_half * 5 / 2, "{bytes_half} bytes for half, {bytes} for all");
}

#[test]
fn a_long_row_of_services_is_ordered_without_recursion() {
    // Written backwards, so that the order is all work.
    let count = 50_000;
    let text = system((0..count).rev().map(|number| match number {
        0 => "  s0: { type: x }\n".to_owned(),
        _ => format!("  s{number}: {{ type: x, depends_on: [s{}] }}\n", number - 1),
    }));
    let checked = check_base(text);
    let config = checked.config.expect("a configuration");
    let order = graph::order(&config).expect("no circle");
    assert_eq!(order[0].as_str(), "s0");
    assert_eq!(order.last().map(ServiceId::as_str), Some("s49999"));
    assert_eq!(checked.desired.len(), count);
    let all = graph::select(&config, &[ServiceId::new("s49999").expect("an id")]);
    assert_eq!(all.expect("it exists").len(), count);
}

#[test]
fn a_long_circle_is_found_without_recursion() {
    let count = 50_000;
    let text = system((0..count).map(|number| {
        format!("  s{number}: {{ type: x, depends_on: [s{}] }}\n", (number + 1) % count)
    }));
    let checked = check_base(text);
    assert_eq!(codes(&checked), [Code::Cycle]);
    assert!(checked.diagnostics[0].message.len() < 300);
}

#[test]
fn many_far_sources_are_followed_together() {
    // Each service injects from one ten places before it: no direct dependency, ten thousand sources.
    let text = system((0..10_000_usize).map(|number| match number {
        0 => "  s0: { type: x }\n".to_owned(),
        _ => format!(
            "  s{number}: {{ type: x, depends_on: [s{}], inject_from: {{ s{}: [A] }} }}\n",
            number - 1,
            number.saturating_sub(10)
        ),
    }));
    assert!(check_base(text).is_usable());
}

#[test]
fn dependencies_that_multiply_through_skipped_services_are_refused() {
    // Every skipped service passes on all that came before it.
    let count = 2_500;
    let text = system((0..count).map(|number| match number {
        0 => "  s0: { type: x }\n  a0: { type: x }\n".to_owned(),
        _ => format!(
            "  s{number}: {{ type: x, depends_on: [s{0}, a{0}] }}\n  a{number}: {{ type: x, depends_on: [s{0}] }}\n",
            number - 1
        ),
    }));
    let targets: String = (0..count)
        .map(|number| format!("  a{number}: {{ target: {{ type: fly, app: x, image: y }} }}\n"))
        .collect();
    let overlay = format!("version: \"2\"\nenvironment: prod\nservices:\n{targets}");
    let environment = EnvName::new("prod").expect("a name");
    let base = SourceFile::new("starsystem.yaml", text);
    let overlay = SourceFile::new("starsystem.prod.yaml", overlay);
    let checked = check(&base, Some((&environment, &overlay)), &types(), None);
    assert_eq!(codes(&checked), [Code::TooManyDependencies]);
    assert!(checked.desired.is_empty());
}

#[test]
fn files_beyond_the_limit_are_refused_unread() {
    let text = "a".repeat(20 * 1024 * 1024);
    let refused = SourceFile::from_bytes("starsystem.yaml", text.clone().into_bytes());
    assert_eq!(codes(&check(&refused, None, &BTreeMap::new(), None)), [Code::TooLarge]);
    let (checked, bytes) = allocated(|| check_base(text));
    assert_eq!(codes(&checked), [Code::TooLarge]);
    assert!(bytes < FILE_BYTES_MAX + 22 * 1024 * 1024, "nothing but the text itself: {bytes}");
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    for bytes in [&b"\xff\xfev\0e\0"[..], b"name: \xc3(", b"\x80"] {
        let refused = SourceFile::from_bytes("starsystem.yaml", bytes.to_vec());
        assert_eq!(codes(&check(&refused, None, &BTreeMap::new(), None)), [Code::NotText]);
    }
}

#[test]
fn a_hundred_thousand_brackets_are_refused_at_the_limit() {
    for deep in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)]
    {
        let (checked, bytes) = allocated(|| check_base(deep.clone()));
        assert_eq!(codes(&checked), [Code::TooLarge], "{}", &deep[..8]);
        assert!(bytes < 4 * 1024 * 1024, "{bytes} bytes");
    }
}

#[test]
fn an_alias_bomb_costs_no_more_than_the_limit() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let repeated = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{repeated}]\n"));
    }
    let (checked, bytes) = allocated(|| check_base(text));
    assert_eq!(codes(&checked), [Code::TooManyAliases]);
    // 10^10 nodes were asked for.
    assert!(bytes < NODES_MAX * 400, "{bytes} bytes");
}

#[test]
fn a_large_text_cannot_be_repeated_without_end() {
    let repeated = "*a, ".repeat(ALIASES_MAX);
    let text = format!("x-a: &a {}\nx-b: [{repeated}]\n", "long".repeat(1024 * 1024));
    let (checked, bytes) = allocated(|| check_base(text));
    assert_eq!(codes(&checked), [Code::TooManyAliases]);
    assert!(bytes < 512 * 1024 * 1024, "{bytes} bytes");
}

#[test]
fn values_beyond_the_limit_are_refused() {
    let checked = check_base(format!("x: [{}]\n", "1,".repeat(NODES_MAX + 1)));
    assert_eq!(codes(&checked), [Code::TooLarge]);
}

#[test]
fn a_million_problems_are_counted_and_not_worded() {
    let fields: String = (0..100_000).map(|number| format!("f{number}: x\n")).collect();
    let checked = check_base(format!("version: \"2\"\nname: x\nservices: {{}}\n{fields}"));
    assert_eq!(checked.diagnostics.len(), PROBLEMS_MAX + 1);
    let last = checked.diagnostics.last().expect("many");
    assert_eq!(last.code, Code::TooManyProblems);
    assert_eq!(last.message, "99800 more problems are not shown");
}

#[test]
fn a_line_of_megabytes_is_shown_in_part() {
    let text = format!("version: \"2\"\nname: {}\n", "Ä".repeat(4_000_000));
    let file = SourceFile::new("starsystem.yaml", text);
    let (_, diagnostics) = config::parse(&file, None);
    let shown = render(&diagnostics, std::slice::from_ref(&file));
    assert!(shown.len() < 10_000, "{} bytes", shown.len());
    assert!(shown.lines().all(|line| line.chars().count() < 1_100));
}
