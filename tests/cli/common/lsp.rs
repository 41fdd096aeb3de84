//! The smallest client that can talk to a language server over its standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, stopped when dropped.
pub struct Server {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    requests: u64,
}

impl Server {
    /// Starts `node SERVER --stdio` and shakes hands.
    pub fn start(server: &Path, folder: &Path) -> Self {
        let mut child = Command::new("node")
            .arg(server)
            .arg("--stdio")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let input = child.stdin.take().expect("a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { child, input, messages, requests: 0 };
        let capabilities = json!({"textDocument": {"completion": {}, "publishDiagnostics": {}}});
        server.request(
            "initialize",
            &json!({"processId": null, "rootUri": uri(folder), "capabilities": capabilities}),
        );
        server.notify("initialized", &json!({}));
        let yaml = json!({"validate": true, "completion": true, "hover": true, "schemaStore": {"enable": false}});
        server.notify("workspace/didChangeConfiguration", &json!({"settings": {"yaml": yaml}}));
        server
    }

    /// Opens a file and gives what the server finds wrong with it.
    pub fn open(&mut self, path: &Path, text: &str) -> Vec<Value> {
        let document = json!({"uri": uri(path), "languageId": "yaml", "version": 1, "text": text});
        self.notify("textDocument/didOpen", &json!({"textDocument": document}));
        let found = self.wait(|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri(path).as_str()
        });
        found["params"]["diagnostics"].as_array().cloned().expect("a list")
    }

    /// The labels that the server offers at a place, counted from 0.
    pub fn complete(&mut self, path: &Path, line: usize, character: usize) -> Vec<String> {
        let place = json!({"textDocument": {"uri": uri(path)}, "position": {"line": line, "character": character}});
        let offered = self.request("textDocument/completion", &place);
        let items = offered["items"].as_array().or_else(|| offered.as_array());
        let labels = items.into_iter().flatten().filter_map(|item| item["label"].as_str());
        labels.map(str::to_owned).collect()
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let answer = self.wait(|message| message["id"] == id && message.get("method").is_none());
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("it listens");
        self.input.flush().expect("it listens");
    }

    /// The first message that is wanted; what the server asks meanwhile is answered with nothing.
    fn wait(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("the server answers");
            if wanted(&message) {
                return message;
            }
            if let (Some(id), Some(_)) = (message.get("id"), message.get("method")) {
                let items = message["params"]["items"].as_array().map_or(0, Vec::len);
                let nothing = vec![Value::Null; items];
                let answer = json!({"jsonrpc": "2.0", "id": id, "result": nothing});
                self.send(&answer);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
