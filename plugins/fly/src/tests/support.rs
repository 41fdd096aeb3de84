//! A service, machines as Fly shows them, and the runs of requests that most scripts share.

use std::collections::BTreeMap;

use starsystem_provisioner::serde_json::{self, Value};
use starsystem_provisioner::testing::{self, Phase, Run, Script};
use starsystem_provisioner::{Failure, Outcome, Provisioner, Recorded, Service, json};

use crate::{Attributes, Fly, Target, config};

pub type Applied = Result<Outcome<Attributes>, Failure>;

pub const IMAGE: &str = "ghcr.io/me/api:v1";

/// The service `api`: app `my-app` in `iad` with a health check, and some other fields.
pub fn service(fields: Value) -> Service<Target> {
    let mut target = json!({"app": "my-app", "region": "iad", "image": IMAGE, "port": 3000,
        "health_check_path": "/health"});
    put_all(&mut target, fields);
    testing::service::<Fly>("api", target)
}

/// The configuration its machines should have, with secrets of these digests.
pub fn config(service: &Service<Target>, digests: &[(&str, &str)]) -> Value {
    let digests: BTreeMap<String, String> =
        digests.iter().map(|(name, digest)| ((*name).into(), (*digest).into())).collect();
    config::wanted(&service.target, &service.id, &service.mark, &digests).unwrap()
}

/// A healthy machine of a configuration, with some other fields.
pub fn machine(name: &str, config: &Value, fields: Value) -> Value {
    let mut machine = json!({"id": format!("id-{name}"), "name": name, "state": "started",
        "region": "iad", "version": format!("{name}-version-1"), "config": config,
        "image_ref": {"digest": "sha256:1"}, "host_status": "ok", "cordoned": false,
        "checks": [{"name": "servicecheck-00-http-3000", "status": "passing", "output": "ok"}],
        "events": [{"id": "e2", "type": "start", "timestamp": 2}, {"id": "e1", "type": "launch", "timestamp": 1}]});
    put_all(&mut machine, fields);
    machine
}

/// The same machine with some fields changed.
pub fn changed(machine: &Value, fields: Value) -> Value {
    let mut machine = machine.clone();
    put_all(&mut machine, fields);
    machine
}

/// An event of a process that ended by itself.
pub fn exit(code: i64) -> Value {
    json!([
        {"id": "x3", "type": "exit", "timestamp": 30, "request": {"restart_count": 0,
            "exit_event": {"exit_code": code, "restarting": false, "requested_stop": false}}},
        {"id": "x2", "type": "start", "timestamp": 20}])
}

fn put_all(object: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().expect("fields are an object") {
        object[name] = value.clone();
    }
}

/// What an earlier deploy recorded.
pub fn recorded(fields: Value) -> Recorded<Attributes> {
    let mut attributes = json!({"app": "my-app", "app_id": "app-1", "org": "personal"});
    put_all(&mut attributes, fields);
    Recorded::new("my-app", serde_json::from_value(attributes).expect("they are attributes"))
}

pub fn creating() -> Script {
    Script::new(Fly::MANIFEST, Phase::Create)
}

/// An update: the app is recorded as ours, its machines are not.
pub fn updating() -> Script {
    let mut script = Script::new(Fly::MANIFEST, Phase::Update);
    script.owns("app", "my-app");
    script
}

pub fn create(script: Script, service: Service<Target>) -> Run<Applied> {
    script.run(|| Fly::apply(service, None))
}

pub fn update(
    script: Script,
    service: Service<Target>,
    recorded: Recorded<Attributes>,
) -> Run<Applied> {
    script.run(|| Fly::apply(service, Some(recorded)))
}

/// The message of a call that failed.
pub fn message(run: &Run<Applied>) -> &str {
    &run.result.as_ref().expect_err("it fails").message
}

/// How often an operation was called.
pub fn count<R>(run: &Run<R>, operation: &str) -> usize {
    run.calls.iter().filter(|call| *call == operation).count()
}

pub fn app() -> Value {
    json!({"id": "app-1", "name": "my-app", "organization": {"slug": "personal", "name": "Me"}})
}

/// The app is made, and has its addresses.
pub fn on_new_app(script: &mut Script) {
    script
        .on("createApp")
        .body("/name", "my-app")
        .body("/org_slug", "personal")
        .reply(201, json!({"id": "app-1"}));
    on_app(script);
}

/// The app is there, and has its addresses.
pub fn on_app(script: &mut Script) {
    script.on("getApp").reply(200, app());
    on_addresses(script);
}

pub fn on_addresses(script: &mut Script) {
    script
        .on("listIps")
        .reply(200, json!({"ips": [{"ip": "66.1.2.3", "shared": true}, {"ip": "2a09::1"}]}));
}

pub fn on_machines(script: &mut Script, machines: &[&Value]) {
    script.on("listMachines").param("app", "my-app").reply(200, json!(machines));
}

/// A machine is made, starts and is healthy.
pub fn on_launch(script: &mut Script, machine: &Value) {
    let name = machine["name"].as_str().expect("it has a name");
    script
        .on("createMachine")
        .body("/name", name)
        .body("/region", machine["region"].clone())
        .reply(200, changed(machine, json!({"state": "created", "checks": [], "events": []})));
    on_start(script, machine);
}

/// It starts and is healthy.
pub fn on_start(script: &mut Script, machine: &Value) {
    script
        .on("waitMachine")
        .param("state", "started")
        .param("version", text(machine, "version"))
        .reply(200, json!({"ok": true}));
    script.on("getMachine").param("machine_id", text(machine, "id")).reply(200, machine.clone());
}

/// After it has started, another look finds it healthy.
pub fn on_look(script: &mut Script, machine: &Value) {
    script.on("getMachine").param("machine_id", text(machine, "id")).reply(200, machine.clone());
}

pub fn on_visit(script: &mut Script) {
    script
        .on("probe1")
        .param("app", "my-app")
        .param("a", "health")
        .reply(200, json!({"status": "ok"}));
}

/// The machine is leased, looked at, taken out of service when `out`, changed, healthy, and back.
pub fn on_update(script: &mut Script, before: &Value, after: &Value, out: bool) {
    on_update_begin(script, before, out);
    on_update_sent(script, before, after);
    on_start(script, after);
    on_update_end(script, before, out);
}

pub fn on_update_begin(script: &mut Script, before: &Value, out: bool) {
    let id = text(before, "id");
    on_lease(script, before);
    script.on("getMachine").param("machine_id", id).reply(200, before.clone());
    if out {
        script
            .on("cordonMachine")
            .param("machine_id", id)
            .param("nonce", nonce(before))
            .reply(200, json!({"ok": true}));
        // The pause for the proxy makes the lease old.
        script.on("leaseMachine").param("nonce", nonce(before)).reply(200, lease(before));
    }
}

pub fn on_update_sent(script: &mut Script, before: &Value, after: &Value) {
    script
        .on("updateMachine")
        .param("machine_id", text(before, "id"))
        .param("nonce", nonce(before))
        .body("/current_version", text(before, "version"))
        .body("/config", after["config"].clone())
        .reply(200, changed(after, json!({"state": "replacing"})));
}

pub fn on_update_end(script: &mut Script, before: &Value, out: bool) {
    let id = text(before, "id");
    if out {
        script
            .on("uncordonMachine")
            .param("machine_id", id)
            .param("nonce", nonce(before))
            .reply(200, json!({"ok": true}));
    }
    script
        .on("releaseMachine")
        .param("machine_id", id)
        .param("nonce", nonce(before))
        .reply(200, json!({"status": "success"}));
}

pub fn on_lease(script: &mut Script, machine: &Value) {
    script
        .on("leaseMachine")
        .param("machine_id", text(machine, "id"))
        .no_param("nonce")
        .body("/ttl", 13)
        .reply(201, lease(machine));
}

/// A machine that serves is taken out, stopped and removed.
pub fn on_remove(script: &mut Script, machine: &Value) {
    let id = text(machine, "id");
    on_lease(script, machine);
    script.on("cordonMachine").param("machine_id", id).reply(200, json!({"ok": true}));
    script.on("leaseMachine").param("nonce", nonce(machine)).reply(200, lease(machine));
    script.on("stopMachine").param("machine_id", id).reply(200, json!({"ok": true}));
    script
        .on("waitMachine")
        .param("machine_id", id)
        .param("state", "stopped")
        .reply(200, json!({"ok": true}));
    script
        .on("deleteMachine")
        .param("machine_id", id)
        .param("force", true)
        .reply(200, json!({"ok": true}));
}

pub fn nonce(machine: &Value) -> String {
    format!("nonce-{}", text(machine, "id"))
}

fn lease(machine: &Value) -> Value {
    json!({"status": "success", "data": {"nonce": nonce(machine), "expires_at": 1}})
}

pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().expect("it is text")
}
