//! N7, N12, N17, N22, C4 with a real PostgreSQL behind the URI; without one they fail.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use ss_sandbox::postgres::Choice;
use tokio_postgres::{Client, NoTls};

use super::common::{Client as Api, KEY, Project, Test, cache};

/// A sandbox with PostgreSQL and running time; operations are short, computes never sleep.
async fn start() -> Test {
    let test = Test::start_with(|options| {
        options.postgres = Choice::Find;
        options.speed = 1.0;
    })
    .await;
    quick(&test).await;
    test
}

async fn quick(test: &Test) {
    let short = json!({"create_timeline": 1, "start_compute": 1, "apply_config": 1});
    let limits = json!({"durations_ms": short, "route_requests_per_second": 0,
        "account_requests_per_minute": 0});
    test.settings(limits).await;
}

/// Waits until nothing is going on; bounded by tries, not by a deadline of the machine's speed.
async fn finished(test: &Test, project: &Project) -> Vec<String> {
    for _ in 0..3_000 {
        let listed = test.get(&format!("{}/operations", project.path)).await.ok(200);
        let statuses = listed.each("operations", "status");
        if !statuses.iter().any(|it| it == "running" || it == "scheduling") {
            let errors = listed.each("operations", "error");
            assert!(errors.iter().all(String::is_empty), "{errors:?}");
            return statuses;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("operations never end");
}

async fn ready_project(test: &Test, fields: Value) -> Project {
    let project = Project::of(&test.new_project(fields).await);
    finished(test, &project).await;
    project
}

async fn connect(uri: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(uri, NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

async fn ask(client: &Client, sql: &str) -> String {
    let rows = client.simple_query(sql).await.unwrap();
    let row = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    row.unwrap_or_default()
}

async fn write_note(uri: &str, note: &str) {
    let client = connect(uri).await.unwrap();
    client.batch_execute("CREATE TABLE IF NOT EXISTS notes (note text)").await.unwrap();
    client.execute("INSERT INTO notes VALUES ($1)", &[&note]).await.unwrap();
}

async fn notes(uri: &str) -> String {
    let client = connect(uri).await.unwrap();
    ask(&client, "SELECT coalesce(string_agg(note, ',' ORDER BY note), '') FROM notes").await
}

#[tokio::test]
async fn n22_the_uri_leads_to_a_real_postgres_once_the_compute_has_started() {
    let test = start().await;
    // Long enough that the refusal below is not a race.
    test.settings(json!({"durations_ms": {"start_compute": 600_000}})).await;
    let project = Project::of(&test.new_project(json!({})).await);
    let early = connect(&project.uri).await.unwrap_err();
    assert!(format!("{early:?}").contains("ConnectionRefused"), "{early:?}");
    test.advance(600_000).await;
    finished(&test, &project).await;

    let client = connect(&project.uri).await.unwrap();
    assert_eq!(
        ask(&client, "SELECT current_user || '@' || current_database()").await,
        "neondb_owner@neondb"
    );
    client
        .batch_execute("CREATE TABLE t (x int); CREATE SCHEMA s; CREATE ROLE other")
        .await
        .unwrap();
    let pooled = format!(
        "{}/connection_uri?database_name=neondb&role_name=neondb_owner&pooled=true",
        project.path
    );
    let pooled = test.get(&pooled).await.ok(200).text("/uri");
    let second = connect(&pooled).await.unwrap();
    assert_eq!(ask(&second, "SELECT count(*) FROM t").await, "0");

    let wrong = project.uri.replace(&project.password, "npg_wrong");
    assert!(connect(&wrong).await.unwrap_err().to_string().contains("db error"));
    test.stop().await;
    assert!(connect(&project.uri).await.is_err());
}

#[tokio::test]
async fn n22_roles_and_databases_of_the_api_are_those_of_postgres() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    let roles = format!("{}/roles", project.branch);
    let databases = format!("{}/databases", project.branch);
    let role = test.post(&roles, json!({"role": {"name": "app \"x\" ü"}})).await.ok(201);
    finished(&test, &project).await;
    let database = json!({"database": {"name": "shop", "owner_name": role.text("/role/name")}});
    test.post(&databases, database).await.ok(201);
    finished(&test, &project).await;
    let query = "database_name=shop&role_name=app%20%22x%22%20%C3%BC";
    let uri =
        test.get(&format!("{}/connection_uri?{query}", project.path)).await.ok(200).text("/uri");
    write_note(&uri, "hello").await;

    let rename = json!({"database": {"name": "store", "owner_name": "neondb_owner"}});
    test.patch(&format!("{databases}/shop"), rename).await.ok(200);
    finished(&test, &project).await;
    assert!(connect(&uri).await.is_err());
    let store = project.uri.replace("/neondb?", "/store?");
    assert_eq!(notes(&store).await, "hello");
    // The role's table goes to the database's owner, as the role goes.
    test.delete(&format!("{roles}/app%20%22x%22%20%C3%BC")).await.ok(200);
    finished(&test, &project).await;
    let client = connect(&store).await.unwrap();
    let owner = ask(&client, "SELECT tableowner FROM pg_tables WHERE tablename = 'notes'").await;
    assert_eq!(owner, "neondb_owner");
    drop(client);
    test.delete(&format!("{databases}/store")).await.ok(200);
    finished(&test, &project).await;
    assert!(connect(&store).await.is_err());
    test.stop().await;
}

#[tokio::test]
async fn n07_the_old_password_counts_until_the_operations_end() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    test.settings(json!({"durations_ms": {"apply_config": 600_000}})).await;
    let path = format!("{}/roles/neondb_owner/reset_password", project.branch);
    let new = test.post(&path, Value::Null).await.ok(200).text("/role/password");
    let new = project.uri.replace(&project.password, &new);
    assert!(connect(&project.uri).await.is_ok());
    assert!(connect(&new).await.is_err());
    test.advance(600_000).await;
    finished(&test, &project).await;
    assert!(connect(&project.uri).await.is_err());
    assert!(connect(&new).await.is_ok());
    test.stop().await;
}

#[tokio::test]
async fn n12_a_recovered_project_has_its_data() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    write_note(&project.uri, "kept").await;
    test.delete(&project.path).await.ok(200);
    let mut refused = false;
    for _ in 0..500 {
        refused = connect(&project.uri).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused, "a deleted project still answers");
    test.post(&format!("{}/recover", project.path), Value::Null).await.ok(200);
    // It sleeps; the first connection wakes it, as soon as it listens.
    let mut woken = String::new();
    for _ in 0..500 {
        if connect(&project.uri).await.is_ok() {
            woken = notes(&project.uri).await;
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(woken, "kept");
    test.stop().await;
}

#[tokio::test]
async fn n17_a_sleeping_compute_is_woken_by_a_connection() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    write_note(&project.uri, "awake").await;
    let status = async || test.control("GET", "/status", Value::Null).await.body;
    assert_eq!(status().await["neon"]["postgres"]["running"].as_object().unwrap().len(), 1);
    // Nobody is connected for five minutes.
    for _ in 0..500 {
        test.advance(300_000).await;
        if test.get(&project.endpoint).await.text("/endpoint/current_state") == "idle" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    finished(&test, &project).await;
    assert_eq!(status().await["neon"]["postgres"]["running"], json!({}));
    assert_eq!(notes(&project.uri).await, "awake");
    assert_eq!(test.get(&project.endpoint).await.text("/endpoint/current_state"), "active");
    let listed = test.get(&format!("{}/operations", project.path)).await.ok(200);
    assert_eq!(listed.text("/operations/0/action"), "start_compute");
    test.stop().await;
}

#[tokio::test]
async fn n17_a_connected_compute_does_not_fall_asleep() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    let client = connect(&project.uri).await.unwrap();
    for _ in 0..5 {
        test.advance(299_000).await;
        assert_eq!(ask(&client, "SELECT 'still here'").await, "still here");
    }
    assert_eq!(test.get(&project.endpoint).await.text("/endpoint/current_state"), "active");
    test.stop().await;
}

#[tokio::test]
async fn n22_a_branch_has_its_parents_data_and_its_own_from_then_on() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    write_note(&project.uri, "parent").await;
    // Somebody is using the parent while it is copied.
    let busy = connect(&project.uri).await.unwrap();
    busy.batch_execute("BEGIN; INSERT INTO notes VALUES ('uncommitted')").await.unwrap();
    let body = json!({"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]});
    let dev = test.post(&format!("{}/branches", project.path), body).await.ok(201);
    finished(&test, &project).await;
    busy.batch_execute("COMMIT").await.unwrap();
    let dev_uri = dev.text("/connection_uris/0/connection_uri");
    assert_eq!(notes(&dev_uri).await, "parent");
    write_note(&dev_uri, "child").await;
    assert_eq!(notes(&project.uri).await, "parent,uncommitted");
    assert_eq!(notes(&dev_uri).await, "child,parent");

    let schema =
        json!({"branch": {"init_source": "schema-only"}, "endpoints": [{"type": "read_write"}]});
    let schema = test.post(&format!("{}/branches", project.path), schema).await.ok(201);
    finished(&test, &project).await;
    assert_eq!(notes(&schema.text("/connection_uris/0/connection_uri")).await, "");
    assert_eq!(notes(&project.uri).await, "parent,uncommitted");
    test.stop().await;
}

#[tokio::test]
async fn n22_a_read_only_endpoint_refuses_writes() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    write_note(&project.uri, "seen").await;
    let body = json!({"endpoint": {"branch_id": project.branch_id, "type": "read_only"}});
    let reader = test.post(&format!("{}/endpoints", project.path), body).await.ok(201);
    finished(&test, &project).await;
    let writer = test.get(&project.endpoint).await.text("/endpoint/host");
    let uri = project.uri.replace(&writer, &reader.text("/endpoint/host"));
    assert_eq!(notes(&uri).await, "seen");
    let client = connect(&uri).await.unwrap();
    let refused = client.execute("INSERT INTO notes VALUES ('x')", &[]).await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("read-only"), "{refused:?}");
    test.stop().await;
}

/// The sandbox as a process of its own, so that it can be killed.
struct Process {
    child: Child,
    dir: PathBuf,
}

impl Process {
    async fn start(dir: &Path) -> (Self, Api) {
        let child = Command::new(env!("CARGO_BIN_EXE_ss-sandbox"))
            .args(["--addr", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .arg("--cache")
            .arg(cache())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child, dir: dir.to_owned() };
        for _ in 0..3_000 {
            if let Some(running) = ss_sandbox::running(&process.dir).unwrap()
                && running.pid == process.child.id()
            {
                return (process, Api::new(&format!("http://{}", running.addr)));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the sandbox does not start");
    }

    /// As the kernel does it: no chance to clean up.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As a terminal or a service manager does it.
    fn terminate(mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// A failed test must not leave a sandbox and its servers behind.
impl Drop for Process {
    fn drop(&mut self) {
        if let (Ok(None), Some(pid)) =
            (self.child.try_wait(), Pid::from_raw(self.child.id().cast_signed()))
        {
            let _ = kill_process(pid, Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

async fn finished_at(api: &Api, project: &Project) {
    for _ in 0..3_000 {
        let path = format!("{}/operations", project.path);
        let listed = api.neon(KEY, "GET", &path, Value::Null).await;
        let open = |it: &String| it == "running" || it == "scheduling";
        if listed.status == 200 && !listed.each("operations", "status").iter().any(open) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("operations never end");
}

#[tokio::test]
async fn c04_a_killed_sandbox_loses_nothing_and_leaves_nothing_running() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("sandbox");
    let (sandbox, api) = Process::start(&dir).await;
    let made = api.neon(KEY, "POST", "/projects", json!({"project": {}})).await.ok(201);
    let project = Project::of(&made);
    finished_at(&api, &project).await;
    write_note(&project.uri, "before the kill").await;
    sandbox.kill();
    assert!(!servers_on(&dir).is_empty(), "the kill took the servers along, nothing is tested");

    let (sandbox, api) = Process::start(&dir).await;
    // The port is the same one; the server behind it needs a moment.
    let mut seen = String::new();
    for _ in 0..1_000 {
        if connect(&project.uri).await.is_ok() {
            seen = notes(&project.uri).await;
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(seen, "before the kill");
    // Killed in the middle of a branch's making, it makes it after all.
    let body = json!({"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]});
    let path = format!("{}/branches", project.path);
    let dev = api.neon(KEY, "POST", &path, body).await.ok(201);
    sandbox.kill();

    let (sandbox, api) = Process::start(&dir).await;
    finished_at(&api, &project).await;
    assert_eq!(notes(&dev.text("/connection_uris/0/connection_uri")).await, "before the kill");
    sandbox.terminate();
    assert!(servers_on(&dir).is_empty(), "{:?}", servers_on(&dir));
}

/// Command lines of processes that have our folder in them.
fn servers_on(dir: &Path) -> Vec<String> {
    let dir = dir.canonicalize().unwrap();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(dir.to_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn n17_a_compute_enabled_again_can_be_woken() {
    let test = start().await;
    let project = ready_project(&test, json!({})).await;
    write_note(&project.uri, "still there").await;
    let disabled = |on: bool| json!({"endpoint": {"disabled": on}});
    test.patch(&project.endpoint, disabled(true)).await.ok(200);
    finished(&test, &project).await;
    assert!(connect(&project.uri).await.is_err());
    test.patch(&project.endpoint, disabled(false)).await.ok(200);
    // It listens as soon as its project's worker has looked.
    let mut woken = false;
    for _ in 0..500 {
        woken = connect(&project.uri).await.is_ok();
        if woken {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(woken, "it does not listen");
    assert_eq!(notes(&project.uri).await, "still there");
    test.stop().await;
}
