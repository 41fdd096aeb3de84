//! F9, F10, F22: stopping, starting, ending, running commands.

use serde_json::{Value, json};

use crate::support::{World, exists, plain, service, variable};

#[tokio::test]
async fn f09_stop_and_start() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let stop = format!("{path}/stop");
    let text = "json: cannot unmarshal array into Go value of type main.stopRequest";
    world.post(&stop, json!([])).await.says(400, text);
    assert_eq!(
        world.post(&stop, json!({ "timeout": "5s" })).await.is(200).body,
        json!({ "ok": true })
    );
    world.reach(&path, "stopped").await;
    let exit = world.get(&path).await.body["events"][0].clone();
    assert_eq!((&exit["type"], &exit["status"]), (&json!("exit"), &json!("stopped")));
    assert_eq!(exit["request"]["exit_event"]["requested_stop"], true);
    let reply = world.post(&format!("{path}/start"), Value::Null).await.is(200);
    let wanted = json!({ "previous_state": "stopped", "migrated": false, "new_host": "" });
    assert_eq!(reply.body, wanted);
    world.reach(&path, "started").await;
    world.close().await;
}

#[tokio::test]
async fn f09_stop_waits_for_its_timeout_and_then_kills_the_whole_group() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let path = world.started("a", plain("stubborn")).await;
    let processes = world.get(&format!("{path}/ps")).await.is(200).body;
    let pid = processes[0]["pid"].to_string();
    world.said("a", "ready").await;
    let asked_ms = world.clock.now_ms();
    world
        .post(&format!("{path}/stop"), json!({ "signal": "SIGTERM", "timeout": "10s" }))
        .await
        .is(200);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(world.get(&path).await.str("state"), "stopping");
    world.passing(1_000, world.reach(&path, "stopped")).await;
    let exit = &world.get(&path).await.body["events"][0]["request"]["exit_event"].clone();
    assert_eq!(exit["signal"], 9);
    assert!(exit["exited_at"].as_i64().unwrap() >= asked_ms + 10_000);
    assert!(!exists(&pid));
    world.close().await;
}

#[tokio::test]
async fn f09_the_configured_stop_signal_counts() {
    let world = World::new().await;
    world.app("a").await;
    let mut body = plain("stubborn");
    body["config"]["stop_config"] = json!({ "signal": "SIGQUIT", "timeout": "60s" });
    let path = world.started("a", body).await;
    world.said("a", "ready").await;
    world.post(&format!("{path}/stop"), Value::Null).await.is(200);
    world.reach(&path, "stopped").await;
    let exit = &world.get(&path).await.body["events"][0]["request"]["exit_event"].clone();
    assert_eq!(exit["signal"], 3);
    world.post(&format!("{path}/stop"), json!({ "signal": "SIGNONE" })).await.is(400);
    world.close().await;
}

#[tokio::test]
async fn f09_restart_gives_a_new_process_and_keeps_the_version() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", service("api:v1")).await;
    let version = world.get(&path).await.str("version");
    let port = variable(&world, "a", "PORT").await;
    world.post(&format!("{path}/restart?timeout=5"), Value::Null).await.is(200);
    let began =
        |machine: &Value| machine["events"][0]["type"] == "start" && machine["state"] == "started";
    world.until(&path, began).await;
    assert_ne!(variable(&world, "a", "PORT").await, port);
    assert_eq!(world.get(&path).await.str("version"), version);
    world.close().await;
}

#[tokio::test]
async fn f09_suspend_holds_the_process_and_start_resumes_it() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", service("api:v1")).await;
    let env = world.visit_up("a", "/env").await.text;
    world.post(&format!("{path}/suspend"), Value::Null).await.is(200);
    world.reach(&path, "suspended").await;
    assert_eq!(world.visit("a", "/env").await.status, 503);
    let reply = world.post(&format!("{path}/start"), Value::Null).await.is(200);
    assert_eq!(reply.str("previous_state"), "suspended");
    world.reach(&path, "started").await;
    assert_eq!(world.visit_up("a", "/env").await.text, env);
    world.close().await;
}

#[tokio::test]
async fn f09_signal_cordon_and_uncordon() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", service("api:v1")).await;
    world.visit_up("a", "/").await;
    world.post(&format!("{path}/cordon"), Value::Null).await.is(200);
    assert_eq!(world.get(&path).await.body["cordoned"], true);
    assert_eq!(world.get(&path).await.str("state"), "started");
    world.visit("a", "/").await.is(503);
    world.post(&format!("{path}/uncordon"), Value::Null).await.is(200);
    world.visit("a", "/").await.is(200);
    world.post(&format!("{path}/signal"), json!({ "signal": "SIGWHAT" })).await.is(400);
    world.post(&format!("{path}/signal"), json!({ "signal": "SIGTERM" })).await.is(200);
    world.reach(&path, "stopped").await;
    let exit = &world.get(&path).await.body["events"][0]["request"]["exit_event"].clone();
    assert_eq!((&exit["requested_stop"], &exit["signal"]), (&json!(false), &json!(15)));
    world.post(&format!("{path}/signal"), json!({ "signal": "SIGTERM" })).await.is(412);
    world.close().await;
}

#[tokio::test]
async fn f10_a_running_machine_is_destroyed_only_by_force() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let path = world.started("a", plain("family")).await;
    let processes = world.get(&format!("{path}/ps")).await.is(200).body;
    let pids: Vec<String> =
        processes.as_array().unwrap().iter().map(|process| process["pid"].to_string()).collect();
    let text = "failed_precondition: unable to destroy machine, not currently stopped, suspended, \
                failed or created";
    world.delete(&path).await.says(412, text);
    assert_eq!(
        world.delete(&format!("{path}?force=true")).await.is(200).body,
        json!({ "ok": true })
    );
    world.reach(&path, "destroyed").await;
    assert!(!pids.is_empty() && pids.iter().all(|pid| !exists(pid)), "{pids:?}");
    assert_eq!(world.get(&path).await.is(200).str("state"), "destroyed");
    world.delete(&path).await.says(404, "not_found: machine not found");
    world.post(&path, plain("api:v1")).await.says(404, "not_found: machine not found");
    assert_eq!(world.get("/apps/a/machines").await.body, json!([]));
    let all = world.get("/apps/a/machines?include_deleted=true").await.body;
    assert_eq!(all[0]["state"], "destroyed");
    world.clock.advance(60_000);
    world.get(&path).await.says(404, "not_found: machine not found");
    world.close().await;
}

#[tokio::test]
async fn f10_a_stopped_machine_needs_no_force_and_kill_is_the_older_word() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("done")).await;
    world.reach(&path, "stopped").await;
    world.delete(&path).await.is(200);
    world.reach(&path, "destroyed").await;
    let path = world.started("a", plain("api:v1")).await;
    world.delete(&format!("{path}?kill=true")).await.is(200);
    world.reach(&path, "destroyed").await;
    world.close().await;
}

#[tokio::test]
async fn f22_exec_gives_exit_code_and_both_outputs_in_the_machines_environment() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let exec = async |body: Value| world.post(&format!("{path}/exec"), body).await;
    let script = "echo $FLY_APP_NAME-$VERSION; cat >&2; exit 7";
    let reply = exec(json!({ "command": ["sh", "-c", script], "stdin": "given" })).await.is(200);
    let wanted = json!({ "exit_code": 7, "exit_signal": 0, "stdout": "a-v1\n", "stderr": "given" });
    assert_eq!(reply.body, wanted);
    let reply = exec(json!({ "command": ["no-such-program"] })).await.is(200);
    assert_eq!(reply.body["exit_code"], 127);
    assert!(reply.str("stderr").contains("executable file not found"));
    let reply = exec(json!({ "cmd": "echo old" })).await.is(200);
    assert_eq!(reply.str("stdout"), "old\n");
    exec(json!({ "command": [] })).await.is(400);
    world.post(&format!("{path}/stop"), json!({})).await.is(200);
    world.reach(&path, "stopped").await;
    exec(json!({ "command": ["true"] })).await.is(412);
    world.close().await;
}

#[tokio::test]
async fn f22_exec_ends_at_its_timeout_and_leaves_nothing_running() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let file = world.dir.path().join("pid");
    let script = format!("echo $$ > {}; sleep 600 & wait", file.display());
    let body = json!({ "command": ["sh", "-c", script], "timeout": 3 });
    let target = format!("{path}/exec");
    let moving = async {
        while !std::fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        world.clock.advance(3_000);
    };
    let (reply, ()) = tokio::join!(world.post(&target, body), moving);
    reply.is(408);
    let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    for _ in 0..500 {
        if !exists(&pid) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(!exists(&pid));
    world.close().await;
}
