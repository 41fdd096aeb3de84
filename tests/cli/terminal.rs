//! On a terminal: a real one, made by `script`, read by a terminal emulator. Elsewhere: plain lines, whole blocks.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::Place;
use crate::common::project::{database, process, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};

const ROWS: u16 = 50;
const PATIENCE: Duration = Duration::from_secs(90);

/// A run of `ss` on a terminal of its own.
struct Terminal {
    columns: u16,
    child: Child,
    bytes: Arc<Mutex<Vec<u8>>>,
    reading: thread::JoinHandle<()>,
}

impl Terminal {
    fn start(place: &Place, columns: u16, arguments: &str, variables: &[(&str, &str)]) -> Self {
        let line = format!(
            "stty cols {columns} rows {ROWS}; exec '{}' {arguments}",
            env!("CARGO_BIN_EXE_ss")
        );
        // A background job of a shell ignores signals, and so would everything that it starts.
        let mut script = Command::new("env");
        script
            .args([
                "--default-signal=INT,HUP,TERM",
                "script",
                "-q",
                "-e",
                "-f",
                "-c",
                &line,
                "/dev/null",
            ])
            .current_dir(place.path());
        for (name, value) in place.command().get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        script.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(variables.iter().copied());
        let mut child = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` (util-linux) runs");
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (mut out, kept) = (child.stdout.take().expect("stdout"), bytes.clone());
        let reading = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut piece) {
                kept.lock().expect("no thread panicked").extend_from_slice(&piece[..length]);
            }
        });
        Self { columns, child, bytes, reading }
    }

    fn drawn(&self) -> Vec<u8> {
        self.bytes.lock().expect("no thread panicked").clone()
    }

    /// Waits until the screen shows a text.
    fn shows(&self, text: &str) {
        let begun = Instant::now();
        while !screen(self.columns, &self.drawn()).screen().contents().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "{text:?} never showed");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("a keyboard");
        stdin.write_all(keys).and_then(|()| stdin.flush()).expect("it listens");
    }

    /// The window is closed: who held the terminal is gone, and the kernel tells everybody on it.
    fn closes(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        self.reading.join().expect("it reads to the end");
    }

    /// The exit code and everything that was drawn.
    fn end(mut self) -> (i32, Vec<u8>) {
        let code = self.child.wait().expect("it ends").code().expect("a code");
        self.reading.join().expect("it reads to the end");
        let bytes = self.bytes.lock().expect("no thread panicked").clone();
        (code, bytes)
    }
}

fn screen(columns: u16, bytes: &[u8]) -> vt100::Parser {
    let mut parser = vt100::Parser::new(ROWS, columns, 0);
    parser.process(bytes);
    parser
}

fn lines(columns: u16, bytes: &[u8]) -> Vec<String> {
    let contents = screen(columns, bytes).screen().contents();
    contents.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_deploy_draws_a_live_tree_and_leaves_only_its_blocks() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let _sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let (code, drawn) = Terminal::start(&place, 100, "deploy --env=sandbox", &[]).end();
    assert_eq!(code, 0, "{}", String::from_utf8_lossy(&drawn));
    let text = String::from_utf8_lossy(&drawn);
    assert!(text.contains("app-db via neon") && text.contains("\u{1b}[32m✓"), "{text}");
    assert!(text.contains("\u{1b}[2K") || text.contains("\u{1b}[1A"), "nothing was redrawn");
    let lines = lines(100, &drawn);
    assert_eq!(lines[0], "→ app-db via neon...", "{lines:#?}");
    assert!(lines[1].starts_with("  ✓ Project created: my-app-"));
    assert_eq!(lines[2..5], ["  ✓ DATABASE_URL written to vault", "", "→ api via fly..."]);
    assert_eq!(lines[9], "✓ Deploy complete: 2 provisioned");
    assert!(lines[10].ends_with("writes (enforced)"));
    assert_eq!(lines.len(), 11, "something of the live tree is left: {lines:#?}");
}

#[test]
fn no_color_and_a_narrow_terminal_are_respected() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let _sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let variables = [("NO_COLOR", "1")];
    let (code, drawn) = Terminal::start(&place, 30, "deploy --env=sandbox", &variables).end();
    let text = String::from_utf8_lossy(&drawn);
    assert_eq!(code, 0, "{text}");
    for colour in 30..38 {
        assert!(!text.contains(&format!("\u{1b}[{colour}m")), "{text}");
    }
    // A line that is longer than the terminal wraps there and is whole all the same.
    let lines = lines(30, &drawn);
    assert_eq!(lines[0], "→ app-db via neon...", "{lines:#?}");
    assert!(lines[lines.len() - 2..].concat().contains("✓ Deploy complete: 1 provisioned"));
    assert!(!lines.iter().any(|line| line.contains("app-db via neon 0")), "{lines:#?}");
}

#[test]
fn ctrl_c_leaves_a_usable_terminal() {
    let place = Place::new();
    let port = free_port();
    process(&place, port, "sleep 60");
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    // A request that is in flight for as long as this takes: one Ctrl-C alone does not end the run.
    sandbox.fault("POST /fly/v1/apps", 1, &serde_json::json!({"delay_ms": 20_000}));
    let mut terminal = Terminal::start(&place, 80, "deploy --env=sandbox", &[]);
    terminal.shows("api via fly");
    thread::sleep(Duration::from_millis(300));
    terminal.press(&[3]);
    terminal.shows("stopping");
    terminal.press(&[3]);
    let (code, drawn) = terminal.end();
    let parser = screen(80, &drawn);
    let text = String::from_utf8_lossy(&drawn);
    assert_eq!(code, 130, "{text}");
    assert!(!parser.screen().hide_cursor(), "the cursor is gone");
    assert!(!parser.screen().alternate_screen());
    assert_eq!(parser.screen().fgcolor(), vt100::Color::Default, "a colour is left on");
    assert_eq!(parser.screen().cursor_position().1, 0, "the prompt would not begin a line: {text}");
}

#[test]
fn a_closed_terminal_lets_the_request_in_flight_end_and_records_it() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let create = "POST /neon/api/v2/projects";
    sandbox.fault(create, 1, &serde_json::json!({"delay_ms": 1_500, "after": true}));
    let terminal = Terminal::start(&place, 80, "deploy --env=sandbox", &[]);
    let begun = Instant::now();
    while sandbox.holds().0 == 0 {
        assert!(begun.elapsed() < PATIENCE, "no project is made");
        thread::sleep(Duration::from_millis(20));
    }
    terminal.closes();
    while place.ss(["unlock", "--env=sandbox"]).code != 0 {
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(20));
    }
    place.ss(["inspect", "--env=sandbox"]).exits(0).says("interrupted");
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    assert_eq!((sandbox.holds().0, sandbox.count(create)), (1, 1));
}

/// At a question nothing is in flight that would have to be finished.
#[test]
fn one_ctrl_c_ends_a_question() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    let mut terminal = Terminal::start(&place, 80, "destroy --env=sandbox", &[]);
    terminal.shows("to go on:");
    terminal.press(b"\x03");
    assert_eq!(terminal.end().0, 130);
    assert_eq!(sandbox.holds().0, 1);
}

#[test]
fn a_pipe_gets_whole_blocks_of_services_that_run_side_by_side() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let names = ["one", "two", "three", "four"];
    let service = |name: &str| format!("  {name}:\n    type: database\n    depends_on: []\n");
    let services: String = names.iter().map(|name| service(name)).collect();
    place.write("starsystem.yaml", &format!("version: \"2\"\nname: my-app\nservices:\n{services}"));
    let overlay = place.read("starsystem.sandbox.yaml");
    let head = overlay.split("\nservices:").next().expect("connections");
    let target = |name: &str| {
        format!(
            "  {name}:\n    target: {{ type: neon, region: us-east-2, project_name: {name} }}\n"
        )
    };
    let targets: String = names.iter().map(|name| target(name)).collect();
    place.write("starsystem.sandbox.yaml", &format!("{head}\nservices:\n{targets}"));
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let ran = place.ss(["deploy", "--env=sandbox"]).exits(0);
    assert_eq!(sandbox.holds().0, 4);
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'));
    let blocks: Vec<&str> = ran.stdout.trim_end().split("\n\n").collect();
    assert_eq!(blocks.len(), 5, "{}", ran.stdout);
    for block in &blocks[..4] {
        let title = block.lines().next().expect("a title");
        let name = title.split(' ').nth(1).expect("a name");
        assert!(names.contains(&name) && title.ends_with("via neon..."), "{block}");
        let project = block.lines().nth(1).expect("a line");
        assert!(project.starts_with("  ✓ Project created: "), "{block}");
        assert_eq!(block.lines().count(), 3, "{block}");
    }
}
