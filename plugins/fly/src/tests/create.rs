//! Creating: the walkthrough, several machines, private apps, and apps that appear late.

use starsystem_provisioner::testing::MARK;
use starsystem_provisioner::{FailureKind, NamedSecret, json};

use super::support::*;

#[test]
fn the_walkthrough() {
    let mut script = creating();
    let mut service = service(json!({"env": {"NODE_ENV": "production"}}));
    let secret = script.secret("postgresql://me:pw@db/neondb");
    service.inputs = vec![NamedSecret::new("DATABASE_URL", secret)];
    let config = config(&service, &[("DATABASE_URL", "d1")]);
    let one = machine("api-1", &config, json!({}));

    script
        .on("createApp")
        .body("/name", "my-app")
        .body("/org_slug", "personal")
        .body("/idempotency_key", format!("{MARK}-my-app"))
        .reply(201, json!({"id": "app-1", "created_at": 1}));
    script.on("getApp").reply(200, app());
    script.on("listIps").reply(200, json!({"ips": []}));
    script
        .on("assignIp")
        .body("/type", "shared_v4")
        .reply(200, json!({"ip": "66.1.2.3", "shared": true}));
    script.on("assignIp").body("/type", "v6").reply(200, json!({"ip": "2a09::1"}));
    script
        .on("setSecrets")
        .body("/values/DATABASE_URL", "postgresql://me:pw@db/neondb")
        .reply(200, json!({"version": 7, "secrets": [{"name": "DATABASE_URL", "digest": "d1"}]}));
    on_machines(&mut script, &[]);
    script
        .on("createMachine")
        .body("/name", "api-1")
        .body("/region", "iad")
        .body("/min_secrets_version", 7)
        .body("/config", config.clone())
        .body("/config/metadata/ss_mark", MARK)
        .body("/config/env", json!({"NODE_ENV": "production"}))
        .reply(200, changed(&one, json!({"state": "created", "checks": null, "events": null})));
    on_start(&mut script, &changed(&one, json!({"checks": []})));
    on_look(&mut script, &one);
    script
        .on("probe1")
        .param("app", "my-app")
        .param("a", "health")
        .header("x-ss-url", "https://my-app.fly.dev/health")
        .reply(200, json!({"status": "ok"}));

    let run = create(script, service);
    assert_eq!(
        run.steps,
        [
            "App created: my-app",
            "Machine launched in iad",
            "Health check passing at https://my-app.fly.dev/health",
        ]
    );
    let outcome = run.result.unwrap();
    assert_eq!(outcome.summary, "1 machine runs ghcr.io/me/api:v1 in iad");
    assert_eq!(outcome.made.id, "my-app");
    assert_eq!(outcome.made.url.as_deref(), Some("https://my-app.fly.dev"));
    let attributes =
        starsystem_provisioner::serde_json::to_value(&outcome.made.attributes).unwrap();
    assert_eq!(
        attributes,
        json!({"app": "my-app", "app_id": "app-1", "org": "personal", "region": "iad",
            "image": IMAGE, "digest": "sha256:1",
            "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
            "env": ["NODE_ENV"], "secrets": {"DATABASE_URL": "d1"}, "ips": ["2a09::1", "66.1.2.3"],
            "machines": {"api-1": {"id": "id-api-1", "version": "api-1-version-1"}}})
    );
    let first = &run.checkpoints[0];
    assert_eq!((first.id.as_str(), &first.attributes["app"]), ("my-app", &json!("my-app")));
    assert_eq!(run.checkpoints[1].attributes["machines"]["api-1"]["id"], "id-api-1");
}

#[test]
fn the_first_machine_goes_ahead_and_the_others_follow_together() {
    let service = service(json!({"count": 3}));
    let config = config(&service, &[]);
    let [one, two, three] =
        ["api-1", "api-2", "api-3"].map(|name| machine(name, &config, json!({})));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    for machine in [&two, &three] {
        script.on("createMachine").body("/name", text(machine, "name")).reply(200, machine.clone());
    }
    on_start(&mut script, &two);
    on_start(&mut script, &three);
    on_look(&mut script, &two);
    on_look(&mut script, &three);
    on_visit(&mut script);
    let run = create(script, service);
    assert_eq!(run.steps[1], "3 machines launched in iad");
    assert_eq!(run.result.unwrap().made.attributes.machines.len(), 3);
}

#[test]
fn without_checks_ten_quiet_seconds_are_health() {
    let service = service(json!({"health_check_path": null}));
    let one = machine("api-1", &config(&service, &[]), json!({"checks": []}));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    for _ in 0..10 {
        on_look(&mut script, &one);
    }
    let run = create(script, service);
    assert_eq!(run.steps, ["App created: my-app", "Machine launched in iad"]);
    assert!(run.result.is_ok() && run.waited_ms >= 10_000);
}

#[test]
fn a_private_app_gets_no_address_and_no_visit() {
    let service = service(json!({"public": false}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    script.on("createApp").reply(201, json!({"id": "app-1"}));
    script.on("getApp").reply(200, app());
    script.on("listIps").reply(200, json!({"ips": []}));
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    let run = create(script, service);
    assert_eq!(run.steps[2], "Health check passing on the machine");
    assert_eq!(run.result.unwrap().made.url, None);
}

#[test]
fn a_new_app_may_be_unknown_for_a_while() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    script.on("createApp").reply(201, json!({"id": "app-1"}));
    for _ in 0..20 {
        script.on("getApp").reply(404, json!({"error": "app not found"}));
    }
    script.on("getApp").reply(200, app());
    script.on("listIps").reply(401, json!({"error": "Authenticate: token validation error"}));
    on_addresses(&mut script);
    script.on("listMachines").reply(404, json!({"error": "app not found"}));
    on_machines(&mut script, &[]);
    script.on("createMachine").reply(404, json!({"error": "app not found"}));
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    assert!(create(script, service).result.is_ok());
}

#[test]
fn secrets_that_are_not_known_yet_are_waited_for() {
    let mut script = creating();
    let mut service = service(json!({}));
    service.inputs = vec![NamedSecret::new("KEY", script.secret("value"))];
    let one = machine("api-1", &config(&service, &[("KEY", "version 4")]), json!({}));
    on_new_app(&mut script);
    // No digest: the version stands for the value.
    script.on("setSecrets").reply(200, json!({"version": 4, "secrets": [{"name": "KEY"}]}));
    on_machines(&mut script, &[]);
    let text = "failed_precondition: secrets version 4 not available, current version is 3";
    script.on("createMachine").reply(412, json!({"error": text}));
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    assert!(create(script, service).result.is_ok());
}

#[test]
fn a_key_that_stands_for_a_deleted_app_is_not_used_again() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    script
        .on("createApp")
        .body("/idempotency_key", format!("{MARK}-my-app"))
        .reply(201, json!({"id": "app-0"}));
    for _ in 0..61 {
        script.on("getApp").reply(404, json!({"error": "app not found"}));
    }
    script
        .on("createApp")
        .body("/idempotency_key", format!("{MARK}-my-app-0102030405060708"))
        .reply(201, json!({"id": "app-1"}));
    on_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    on_visit(&mut script);
    assert_eq!(create(script, service).result.unwrap().made.attributes.app_id, "app-1");
}

#[test]
fn an_address_that_stays_silent_is_a_word_and_no_failure() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    for _ in 0..41 {
        script
            .on("probe1")
            .header("x-ss-url", "http://127.0.0.1:4400/app/my-app/health")
            .reply_text(502, "");
    }
    let run = create(script, service);
    assert_eq!(
        run.steps[2],
        "Health check passing on the machine; http://127.0.0.1:4400/app/my-app/health does not answer yet (status 502), DNS may need some minutes more"
    );
    assert!(run.result.is_ok());
}

#[test]
fn the_address_that_was_asked_is_the_one_that_is_printed() {
    let service = service(json!({}));
    let one = machine("api-1", &config(&service, &[]), json!({}));
    let mut script = creating();
    on_new_app(&mut script);
    on_machines(&mut script, &[]);
    on_launch(&mut script, &one);
    on_look(&mut script, &one);
    script.on("probe1").fails(starsystem_provisioner::CallErrorKind::Unreachable, "no such host");
    script
        .on("probe1")
        .header("x-ss-url", "http://127.0.0.1:4400/app/my-app/health")
        .reply(204, json!(null));
    let run = create(script, service);
    assert_eq!(run.steps[2], "Health check passing at http://127.0.0.1:4400/app/my-app/health");
}

#[test]
fn an_impossible_size_is_refused_before_anything_is_made() {
    let run = create(creating(), service(json!({"cpus": 3})));
    assert_eq!(run.result.as_ref().unwrap_err().kind, FailureKind::Invalid);
    assert!(message(&run).contains("set `cpus` to one of"));
}
