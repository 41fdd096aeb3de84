//! How long one decision takes: `cargo bench -p ss-gate`. A measure, not a test: it fails only when a decision is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Instant;

use ss_core::state::Owned;
use ss_gate::call::{Call, Param};
use ss_gate::decide::{Budget, Context, Grant, Phase, Usage, decide};
use ss_gate::manifest::{ChangePhase, Manifest};

const TIMES: u32 = 100_000;

fn main() {
    // A real manifest, with as many operations as they get.
    let manifest = Manifest::parse(include_str!("../../../plugins/fly/manifest.json"))
        .expect("the first-party manifest is good");
    let ids = BTreeMap::from([
        ("app".to_owned(), BTreeSet::from(["mine".to_owned()])),
        ("machine_id".to_owned(), BTreeSet::from(["m1".to_owned()])),
    ]);
    let owned: Owned = BTreeMap::from([("fly-machines".to_owned(), ids)]);
    let approved = manifest.operations_in(ChangePhase::Update).into_iter().collect();
    let context = Context {
        manifest: &manifest,
        phase: Phase::Change(ChangePhase::Update),
        approved: &approved,
        grant: &Grant::Manifest,
        owned: &owned,
        secrets: &[],
        budget: &Budget::default(),
        usage: &Usage::default(),
    };
    let call = |operation: &str, app: &str| Call {
        operation: operation.to_owned(),
        params: [("app", app), ("machine_id", "m1")]
            .map(|(name, value)| Param { name: name.to_owned(), value: value.to_owned() })
            .into(),
        body: Some(br#"{"config": {"image": "example"}}"#.to_vec()),
        fill: Vec::new(),
    };
    for (what, call, is_allowed) in [
        ("an update that is allowed", call("updateMachine", "mine"), true),
        ("an update of a neighbour", call("updateMachine", "yours"), false),
        ("an operation that is not there", call("dropEverything", "mine"), false),
    ] {
        let begun = Instant::now();
        for _ in 0..TIMES {
            assert_eq!(decide(&context, black_box(&call)).is_ok(), is_allowed, "{what}");
        }
        let each = begun.elapsed().as_nanos() / u128::from(TIMES);
        println!("{what:<32} {each:>6} ns");
    }
}
