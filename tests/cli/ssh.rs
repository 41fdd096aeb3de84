//! `ss ssh`, `exec` and `logs` over the system's ssh, against a real sshd on this machine.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use ss_wasm_build::Workspace;

use crate::common::sandbox::free_port;
use crate::common::tools::program;
use crate::common::{Place, Ran};

/// An sshd that lets the key of this place in, for as long as it lives.
struct Sshd {
    child: Child,
    port: u16,
    user: String,
}

impl Sshd {
    /// `None` when there is no sshd here.
    fn start(place: &Place) -> Option<Self> {
        let (sshd, ssh) = (program("sshd")?, program("ssh")?);
        // Where Debian's service would make it; without it sshd does not start.
        let _ = std::fs::create_dir_all("/run/sshd");
        let at = |name: &str| place.path().join(name).display().to_string();
        for name in ["host_key", "user_key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(name)]);
            assert!(keygen.status().expect("ssh-keygen runs").success());
        }
        let port = free_port();
        let user = Command::new("id").arg("-un").output().expect("id runs").stdout;
        let user = String::from_utf8(user).expect("a name").trim().to_owned();
        let host_key = place.read("host_key.pub");
        place.write("known_hosts", &format!("[127.0.0.1]:{port} {host_key}"));
        // The machine's own journal stands in a container's way; this one says what it was asked for.
        executable(place, "remote/journalctl", "#!/bin/sh\necho \"journal: $*\"\n");
        place.write(
            "sshd_config",
            &format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
                 PermitRootLogin prohibit-password\nPasswordAuthentication no\nSetEnv PATH={}:/usr/bin:/bin\n",
                at("host_key"), at("user_key.pub"), at("remote")
            ),
        );
        // The client reads its settings from the user's real home; this one of the test comes first.
        executable(
            place,
            "bin/ssh",
            &format!("#!/bin/sh\nexec {} -F {} \"$@\"\n", ssh.display(), at("ssh_config")),
        );
        place.write(
            "ssh_config",
            &format!("IdentityFile {}\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\nBatchMode yes\n", at("user_key"), at("known_hosts")),
        );
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f", &at("sshd_config")]).stderr(Stdio::null());
        let child = command.spawn().expect("sshd runs");
        let this = Self { child, port, user };
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Some(this);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd does not listen");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Ours; that it ended by itself is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn executable(place: &Place, name: &str, text: &str) {
    place.write(name, text);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path().join(name), mode).expect("a mode");
}

/// Deploys a service whose record is its target, by a provisioner given as a file.
fn deployed(place: &Place, target: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests");
    let workspace = Workspace::new(root, Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests"));
    let component = workspace.build(&["ssh_box"]).expect("the component builds").remove(0);
    std::fs::write(place.path().join("ssh-box.wasm"), component).expect("a file");
    place.write(
        "starsystem.yaml",
        "version: \"2\"\nname: my-app\n\nservices:\n  box:\n    type: process\n\nplugins:\n  ssh-box: ./ssh-box.wasm\n",
    );
    place.write(
        "starsystem.prod.yaml",
        &format!("version: \"2\"\nenvironment: prod\n\nservices:\n  box:\n    target: {{ type: ssh-box, {target} }}\n"),
    );
    let refused = place.ss(["plan", "--env=prod"]);
    let grant = refused.stderr.split('`').find(|text| text.starts_with("--grant="));
    let mut deploy = vec!["deploy", "--env=prod"];
    deploy.extend(grant);
    place.ss(deploy).exits(0);
}

fn ss(place: &Place, arguments: &[&str]) -> Ran {
    let path = format!("{}:/usr/bin:/bin", place.path().join("bin").display());
    Ran::of(place.command().args(arguments).env("PATH", path).output().expect("the binary runs"))
}

#[test]
fn commands_shells_and_logs_go_over_ssh_and_arrive_as_they_are() {
    let place = Place::new();
    let Some(sshd) = Sshd::start(&place) else { return };
    deployed(
        &place,
        &format!("host: 127.0.0.1, user: {}, port: {}, unit: my-app.service", sshd.user, sshd.port),
    );
    let words = ["a b", "$HOME", "it's", "; exit 3", "-x", "", "*"];
    let mut arguments = vec!["exec", "box", "--env=prod", "--", "printf", "[%s]"];
    arguments.extend(words);
    let expected: String = words.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(ss(&place, &arguments).exits(0).stdout, expected);

    let ran = ss(&place, &["ssh", "box", "--env=prod", "--", "sh", "-c", "echo err >&2; exit 9"]);
    assert_eq!(ran.exits(9).stderr, "err\n");

    let mut shell = place.command();
    let path = format!("{}:/usr/bin:/bin", place.path().join("bin").display());
    shell.args(["ssh", "box", "--env=prod"]).env("PATH", path);
    let mut child =
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut input = child.stdin.take().expect("its input");
    std::io::Write::write_all(&mut input, b"echo from the shell; exit 4\n").expect("a line");
    drop(input);
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    assert!(ran.exits(4).stdout.contains("from the shell"));

    let logs = ss(&place, &["logs", "box", "--env=prod", "-n", "7", "-f"]).exits(0).stdout;
    assert_eq!(logs, "journal: --no-pager --unit=my-app.service --lines=7 --follow\n");
}

#[test]
fn a_record_cannot_become_an_option_or_a_command() {
    for target in [
        "host: \"-oProxyCommand=touch${IFS}pwned\", user: root",
        "host: 127.0.0.1, user: \"-oProxyCommand=touch pwned\"",
        "host: \"127.0.0.1; touch pwned\", user: root",
        "host: 127.0.0.1, user: root, port: \"22 -oProxyCommand=x\"",
        "host: 127.0.0.1, user: root, unit: \"x; touch pwned\"",
    ] {
        let place = Place::new();
        executable(&place, "bin/ssh", "#!/bin/sh\ntouch \"$HOME/pwned\"\n");
        deployed(&place, target);
        for command in [
            &["ssh", "box", "--env=prod"][..],
            &["exec", "box", "--env=prod", "--", "true"],
            &["logs", "box", "--env=prod"],
        ] {
            ss(&place, command).exits(1).says("SS0804");
        }
        assert!(!place.path().join("pwned").exists(), "{target}");
    }
}

#[test]
fn a_box_without_a_unit_offers_no_logs() {
    let place = Place::new();
    deployed(&place, "host: 127.0.0.1, user: root");
    let ran = ss(&place, &["logs", "box", "--env=prod", "--json"]).exits(1);
    let shown: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(shown["error"]["code"], "SS0801");
}
