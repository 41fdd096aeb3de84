//! What is decided, as text: every action, every guard, and that a finished deploy leaves nothing to do.

mod support;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::json;
use ss_core::plan::Action;
use ss_core::state::Progress;
use support::{World, fly, id, neon, nothing, show, unknown};

/// The walkthrough: a database, and an API that stands on it.
fn walkthrough() -> World {
    World::default()
        .want("app-db", neon(json!({"project_name": "my-app", "region": "us-east-2"})))
        .want("api", fly(json!({"app": "my-app-api", "region": "iad", "image": "v1"})))
        .stands_on("api", "app-db")
        .injects("api", "app-db", "DATABASE_URL")
}

#[test]
fn creates_in_order() {
    assert_snapshot!(show(&walkthrough().plan()), @r"
    create app-db neon: will create (Neon project + branch + role + db) [createProject]
    create api fly: will create (Fly app + machine, region=iad) [createApp] after app-db
    create 2
    ");
}

#[test]
fn a_template_takes_fields_of_any_type() {
    let world = World::default().want("api", fly(json!({"region": 3})));
    assert!(show(&world.plan()).contains("region=3)"));
    let world = World::default().want("api", fly(json!({})));
    assert!(show(&world.plan()).contains("region=)"));
}

#[test]
fn a_finished_deploy_leaves_nothing_to_do() {
    let plan = walkthrough().deployed().plan();
    assert!(plan.is_empty());
    assert_snapshot!(show(&plan), @r"
    unchanged app-db neon: unchanged
    unchanged api fly: unchanged after app-db
    unchanged 2
    ");
}

#[test]
fn updates_list_each_field() {
    let world = walkthrough()
        .deployed()
        .want(
            "api",
            fly(json!({"app": "my-app-api", "region": "iad", "image": "v2", "env": {"A": "1"}})),
        )
        .stands_on("api", "app-db")
        .injects("api", "app-db", "DATABASE_URL");
    assert_snapshot!(show(&world.plan()), @r#"
    unchanged app-db neon: unchanged
    update api fly: will update (env, image) [updateMachine] after app-db
      env: - → {"A":"1"}
      image: "v1" → "v2"
    update 1, unchanged 1
    "#);
}

#[test]
fn an_immutable_field_replaces() {
    let world = walkthrough()
        .deployed()
        .want("api", fly(json!({"app": "other", "region": "iad", "image": "v2"})))
        .stands_on("api", "app-db")
        .injects("api", "app-db", "DATABASE_URL");
    assert_snapshot!(show(&world.plan()), @r#"
    unchanged app-db neon: unchanged
    replace api fly: will replace (because of app) [createApp; destroys with deleteApp] after app-db
      app: "my-app-api" → "other" (replaces)
      image: "v1" → "v2"
    replace 1, unchanged 1
    "#);
}

#[test]
fn an_immutable_field_inside_a_new_map_replaces() {
    let fields = json!({"app": "a", "region": "iad", "image": "v1"});
    let world = World::default().want("api", fly(fields)).deployed();
    let disk = json!({"app": "a", "region": "iad", "image": "v1", "disk": {"kind": "ssd"}});
    let world = world.want("api", fly(disk));
    assert_snapshot!(show(&world.plan()), @r#"
    replace api fly: will replace (because of disk) [createApp; destroys with deleteApp]
      disk: - → {"kind":"ssd"} (replaces)
    replace 1
    "#);
}

#[test]
fn a_map_without_its_immutable_field_updates() {
    let fields = json!({"app": "a", "region": "iad", "image": "v1"});
    let world = World::default().want("api", fly(fields)).deployed();
    let disk = json!({"app": "a", "region": "iad", "image": "v1", "disk": {"size": 3}});
    let plan = world.want("api", fly(disk)).plan();
    assert_eq!(plan.steps[0].action, Action::Update);
}

#[test]
fn another_type_replaces_and_the_old_plugin_destroys() {
    let world = walkthrough().deployed().want("app-db", fly(json!({"app": "db", "image": "pg"})));
    let world = world.allow_replace("app-db");
    assert_snapshot!(show(&world.plan()), @r#"
    replace app-db fly: will replace (because of type) [createApp]
      type: "neon" → "fly" (replaces)
    unchanged api fly: unchanged, unless an injected value changes after app-db, if inputs change [updateMachine]
    replace 1, unchanged 1
    "#);
}

#[test]
fn replacing_data_needs_the_users_word() {
    let world = walkthrough()
        .deployed()
        .want("app-db", neon(json!({"project_name": "my-app", "region": "eu-central-1"})));
    assert_snapshot!(show(&world.plan()), @r#"
    replace app-db neon: will replace (because of region) [createProject; destroys with deleteProject]
      region: "us-east-2" → "eu-central-1" (replaces)
    unchanged api fly: unchanged, unless an injected value changes after app-db, if inputs change [updateMachine]
    replace 1, unchanged 1
    refused app-db: to replace `app-db` would lose its data; allow it with `--allow-replace=app-db`
    "#);
    assert!(world.allow_replace("app-db").plan().refused.is_empty());
}

#[test]
fn what_is_no_longer_wanted_is_destroyed_last_and_backwards() {
    let world = walkthrough().deployed().unwanted("app-db").unwanted("api");
    let world = world.want("web", fly(json!({"app": "web"})));
    assert_snapshot!(show(&world.plan()), @r"
    create web fly: will create (Fly app + machine, region=) [createApp]
    destroy api fly: will destroy
    destroy app-db neon: will destroy (and lose its data) after api
    create 1, destroy 2
    refused app-db: to destroy `app-db` would lose its data; allow it with `--allow-destroy=app-db`
    ");
    assert!(world.allow_destroy("app-db").plan().refused.is_empty());
}

#[test]
fn a_target_that_is_taken_away_is_destroyed_last() {
    let world = walkthrough().deployed().want("app-db", nothing());
    let world =
        world.want("api", fly(json!({"app": "my-app-api", "region": "iad", "image": "v1"})));
    assert_snapshot!(show(&world.plan()), @r"
    update api fly: will update (inject.DATABASE_URL) [updateMachine]
      inject.DATABASE_URL: (secret)
    destroy app-db neon: will destroy (and lose its data) after api
    update 1, destroy 1
    refused app-db: to destroy `app-db` would lose its data; allow it with `--allow-destroy=app-db`
    ");
}

#[test]
fn records_that_stand_on_each_other_can_still_be_destroyed() {
    let mut world = walkthrough().deployed();
    world.record("app-db").depends_on.insert(id("api"));
    let plan = world.unwanted("app-db").unwanted("api").plan();
    let order: Vec<&str> = plan.steps.iter().map(|step| step.service.as_str()).collect();
    for (at, step) in plan.steps.iter().enumerate() {
        for before in &step.after {
            assert!(order[..at].contains(&before.as_str()), "{order:?}");
        }
    }
    assert_eq!(plan.counts.destroy, 2);
}

#[test]
fn skips_what_nobody_provisions() {
    let world = World::default().want("a", nothing()).want("b", unknown("noen"));
    assert_snapshot!(show(&world.plan()), @r"
    skip a : skip (no target in this environment)
    skip b noen: skip (no provisioner offers `noen`)
    skip 2
    ");
    assert!(world.plan().is_empty());
}

#[test]
fn what_is_recorded_stays_when_its_provisioner_is_gone() {
    let world = walkthrough().deployed().want("app-db", unknown("noen"));
    assert_eq!(world.plan().steps[0].action, Action::Skip);
    assert_eq!(world.plan().counts.destroy, 0);
}

#[test]
fn a_changed_injected_value_updates() {
    let world = walkthrough().deployed().vault("app-db", "DATABASE_URL", "another digest");
    assert_snapshot!(show(&world.plan()), @r"
    unchanged app-db neon: unchanged
    update api fly: will update (inject.DATABASE_URL) [updateMachine] after app-db
      inject.DATABASE_URL: (secret)
    update 1, unchanged 1
    ");
}

#[test]
fn without_the_vault_nothing_is_said_of_injected_values() {
    assert!(walkthrough().deployed().without_vault().plan().is_empty());
}

#[test]
fn injected_names_that_come_and_go_update() {
    let world = walkthrough().deployed().injects("api", "app-db", "DATABASE_URL_DIRECT");
    assert_eq!(world.plan().steps[1].summary, "will update (inject.DATABASE_URL_DIRECT)");
    let fields = json!({"app": "my-app-api", "region": "iad", "image": "v1"});
    let world = walkthrough().deployed().want("api", fly(fields)).stands_on("api", "app-db");
    assert_eq!(world.plan().steps[1].summary, "will update (inject.DATABASE_URL)");
}

#[test]
fn what_stands_on_a_change_is_conditional_and_so_is_what_stands_on_that() {
    let world = walkthrough()
        .want("web", fly(json!({"app": "web"})))
        .stands_on("web", "api")
        .injects("web", "api", "API_URL")
        .deployed()
        .want("app-db", neon(json!({"project_name": "renamed", "region": "us-east-2"})));
    assert_snapshot!(show(&world.plan()), @r#"
    update app-db neon: will update (project_name) [updateProject]
      project_name: "my-app" → "renamed"
    unchanged api fly: unchanged, unless an injected value changes after app-db, if inputs change [updateMachine]
    unchanged web fly: unchanged, unless an injected value changes after api, if inputs change [updateMachine]
    update 1, unchanged 2
    "#);
}

#[test]
fn an_interrupted_create_is_tried_again() {
    let mut world = walkthrough().deployed();
    world.record("app-db").resource_id = None;
    world.record("app-db").progress = Progress::Partial;
    let step = &world.plan().steps[0];
    assert_eq!(step.action, Action::Create);
    assert_eq!(
        step.summary,
        "will create (Neon project + branch + role + db), after an interrupted try"
    );
}

#[test]
fn an_interrupted_update_is_finished() {
    let mut world = walkthrough().deployed();
    world.record("app-db").progress = Progress::Partial;
    let plan = world.plan();
    assert_eq!(plan.steps[0].action, Action::Update);
    assert_eq!(plan.steps[0].summary, "will update (finishes an interrupted deploy)");
    assert!(plan.steps[1].if_inputs_change);
}

#[test]
fn a_record_that_was_rolled_back_is_applied_again() {
    let mut world = walkthrough().deployed();
    world.record("api").progress = Progress::Unverified;
    assert_eq!(world.plan().steps[1].summary, "will update (what is there may not be as recorded)");
}

#[test]
fn protection_refuses_replace_and_destroy_whatever_is_allowed() {
    let moved = || neon(json!({"project_name": "my-app", "region": "eu-central-1"}));
    let world = walkthrough().protect("app-db", true).deployed();
    let refused = "`app-db` is protected; set `protect: false` for it in the overlay, deploy, then";
    let replace = world.clone().want("app-db", moved()).allow_replace("app-db").plan();
    assert_eq!(replace.refused[0].reason, format!("{refused} replace it"));
    let destroy = world.clone().unwanted("app-db").allow_destroy("app-db").plan();
    assert_eq!(destroy.refused[0].reason, format!("{refused} destroy it"));
    // The line may be deleted: the protection is recorded.
    let taken = world.want("app-db", nothing()).allow_destroy("app-db");
    assert_eq!(taken.plan().refused[0].reason, format!("{refused} destroy it"));
    assert!(taken.protect("app-db", false).plan().refused.is_empty());
}

#[test]
fn protection_from_now_on_guards_this_very_plan() {
    let world = walkthrough().deployed().protect("api", true);
    let world = world.want("api", fly(json!({"app": "other"})));
    assert_eq!(world.protect("api", true).plan().refused.len(), 1);
}

#[test]
fn destroying_all_goes_backwards_and_naming_the_environment_is_the_consent() {
    let world = walkthrough().protect("api", true).deployed();
    assert_snapshot!(show(&world.destroy(None)), @r"
    destroy api fly: will destroy
    destroy app-db neon: will destroy (and lose its data) after api
    destroy 2
    refused api: `api` is protected; set `protect: false` for it in the overlay, deploy, then destroy it
    ");
}

#[test]
fn destroying_one_takes_what_stands_on_it() {
    let world = walkthrough().want("web", fly(json!({"app": "web"}))).deployed();
    let named = |plan: ss_core::plan::Plan| -> Vec<String> {
        plan.steps.iter().map(|step| step.service.to_string()).collect()
    };
    assert_eq!(named(world.destroy(Some("app-db"))), ["api", "app-db"]);
    assert_eq!(named(world.destroy(Some("api"))), ["api"]);
    assert!(world.destroy(Some("nobody")).steps.is_empty());
}

#[test]
fn a_plan_can_be_narrowed_to_some_services() {
    let world = walkthrough()
        .want("web", fly(json!({"app": "web"})))
        .deployed()
        .unwanted("web")
        .want("api", fly(json!({"app": "other"})))
        .want("worker", fly(json!({"app": "worker"})));
    let plan = world.plan().only(&[id("app-db"), id("api")].into());
    assert_snapshot!(show(&plan), @r#"
    unchanged app-db neon: unchanged
    replace api fly: will replace (because of app) [createApp; destroys with deleteApp]
      app: "my-app-api" → "other" (replaces)
      image: "v1" → -
      region: "iad" → -
      inject.DATABASE_URL: (secret)
    replace 1, unchanged 1
    "#);
    assert!(world.allow_destroy("web").plan().only(&[].into()).steps.is_empty());
}

#[test]
fn a_plan_is_the_same_after_it_was_saved() {
    let world = walkthrough().deployed().want("app-db", neon(json!({"project_name": "x"})));
    let plan = world.plan();
    let text = serde_json::to_string(&plan).expect("a plan is data");
    assert_eq!(serde_json::from_str::<ss_core::plan::Plan>(&text).expect("reads back"), plan);
}

#[test]
fn ten_thousand_services_are_destroyed_in_one_pass() {
    let mut world = World::default();
    for number in 0..10_000 {
        world = world.want(&format!("s{number}"), fly(json!({})));
        if number > 0 {
            world = world.stands_on(&format!("s{number}"), &format!("s{}", number - 1));
        }
    }
    let world = world.deployed().nothing_wanted();
    for plan in [world.plan(), world.destroy(None), world.destroy(Some("s0"))] {
        assert_eq!(plan.counts.destroy, 10_000);
        assert_eq!(plan.steps[0].service, id("s9999"));
        assert_eq!(plan.steps[9_999].service, id("s0"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deciding_again_after_a_complete_deploy_finds_nothing(world in support::worlds()) {
        let plan = world.deployed().plan();
        prop_assert!(plan.is_empty(), "{}", show(&plan));
        prop_assert!(plan.refused.is_empty());
        prop_assert!(plan.steps.iter().all(|step| !step.if_inputs_change));
    }

    #[test]
    fn each_step_comes_after_what_it_waits_for(
        before in support::worlds(),
        after in support::worlds(),
    ) {
        let plan = before.deployed().wanting_as(&after).plan();
        let mut done = std::collections::BTreeSet::new();
        let known: std::collections::BTreeSet<_> =
            plan.steps.iter().map(|step| &step.service).collect();
        prop_assert_eq!(known.len(), plan.steps.len(), "each service once");
        for step in &plan.steps {
            for before in step.after.iter().filter(|id| known.contains(id)) {
                prop_assert!(done.contains(before), "{}", show(&plan));
            }
            done.insert(&step.service);
        }
        let destroys = plan.steps.iter().map(|step| step.action == Action::Destroy);
        prop_assert!(destroys.is_sorted(), "destroys come last\n{}", show(&plan));
    }
}
