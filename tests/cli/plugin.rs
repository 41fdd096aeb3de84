//! `ss plugin`: the author's commands, on components in several languages, against the fake of their API.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::sandbox::free_port;
use crate::common::{Place, http};

/// Every language in which the same provisioner is there, with its component's file.
const LANGUAGES: [(&str, &str); 6] = [
    ("rust", "dns_rust.wasm"),
    ("python", "dns_python.wasm"),
    ("js", "dns_js.wasm"),
    ("ts", "dns_ts.wasm"),
    ("go", "dns_go.wasm"),
    ("c", "dns_c.wasm"),
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/provisioners")
}

/// A place with the examples in it, built components included.
fn examples_place() -> Option<Place> {
    let Some(built) = std::env::var_os("SS_LANGUAGE_GUESTS").map(PathBuf::from) else {
        eprintln!(
            "skipped: SS_LANGUAGE_GUESTS names no folder; tests/guests/build-languages.sh makes one"
        );
        return None;
    };
    let place = Place::new();
    let copy = |name: &str| {
        let text = std::fs::read_to_string(examples().join(name));
        place.write(name, &text.unwrap_or_else(|error| panic!("{name}: {error}")));
    };
    copy("dns-fake/fake.py");
    copy("starsystem.yaml");
    copy("starsystem.local.yaml");
    for (language, file) in LANGUAGES {
        copy(&format!("dns-{language}/provisioner-test.yaml"));
        let to = place.path().join(format!("dns-{language}/{file}"));
        std::fs::copy(built.join(file), to).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    Some(place)
}

#[test]
fn the_same_provisioner_passes_everything_in_every_language() {
    let Some(place) = examples_place() else { return };
    for (language, file) in LANGUAGES {
        let folder = format!("dns-{language}");
        let checked = place.ss(["-C", &folder, "plugin", "check", file]).exits(0);
        checked.says("starsystem:provisioner/api@0.1.0").says("never sees /update_token");
        let ran = place.ss(["-C", &folder, "plugin", "test", file, "--junit=report.xml"]).exits(0);
        // The lifecycle, and every request of five changes with every fault that fits it.
        let ran =
            ran.says("lifecycle: 19 of 19").says("Score: 100 % (237 passed, 0 failed, 0 skipped)");
        assert!(!ran.stdout.contains("token-of-"), "a secret was shown: {}", ran.stdout);
        let junit = place.read(&format!("{folder}/report.xml"));
        assert!(junit.contains(r#"tests="237" failures="0""#), "{junit}");
    }
}

#[test]
fn all_languages_stand_side_by_side_in_one_system() {
    let Some(place) = examples_place() else { return };
    let fake = Fake::start(&place);
    let port = fake.port.to_string();
    place.edit("starsystem.local.yaml", "4455", &port);
    for (language, _) in LANGUAGES {
        place.ss(["vault", "set", &format!("dns-{language}.api_token"), "test-token"]).exits(0);
    }
    let deploy = ["deploy", "--env=local"].map(str::to_owned);
    let mut grants: Vec<String> = Vec::new();
    for _ in LANGUAGES {
        let refused = place.ss(deploy.iter().chain(&grants)).exits(6).says("SS0613");
        let grant = refused.stderr.split('`').find(|text| text.starts_with("--grant="));
        grants.push(grant.expect("the words that grant it").to_owned());
    }
    place.ss(deploy.iter().chain(&grants)).exits(0).says("Deploy complete: 6 provisioned");
    place.ss(&deploy).exits(0).says("Nothing to change: 6 unchanged");
    place.ss(["drift", "--env=local"]).exits(0);
    let token = place.ss(["vault", "get", "www-python.DNS_UPDATE_TOKEN", "--env=local"]).exits(0);
    assert!(token.stdout.starts_with("token-of-r"), "{}", token.stdout);
    place.ss(["destroy", "--env=local", "--yes=local"]).exits(0);
    let left =
        http::request_as(fake.port, "GET", "/v1/zones/example.org/records", None, "test-token");
    assert_eq!(left.expect("an answer").body, r#"{"records": [], "next": null}"#);
}

#[test]
fn one_function_is_called_by_itself() {
    let Some(place) = examples_place() else { return };
    let fake = Fake::start(&place);
    let case = place.read("dns-js/provisioner-test.yaml");
    let lines = case.lines().filter(|line| !line.starts_with("fake:"));
    let case = lines.collect::<Vec<_>>().join("\n").replace("{port}", &fake.port.to_string());
    place.write("dns-js/case.yaml", &case);
    let run = |arguments: &[&str]| {
        let file = "dns_js.wasm";
        place.ss([&["-C", "dns-js", "plugin", "run", file], arguments].concat())
    };
    run(&["manifest"]).exits(0).says("\"name\": \"dns-js\"");
    let applied = run(&["apply", "--service=case.yaml", "--trace"]).exits(0);
    let applied = applied
        .says("→ createRecord zone=example.org")
        .says("gives DNS_UPDATE_TOKEN")
        .says("secret#");
    assert!(
        !format!("{}{}", applied.stdout, applied.stderr).contains("token-of-"),
        "a secret was shown"
    );
    run(&["read", "--case=case.yaml"]).exits(0).says("as recorded");
    run(&["destroy", "--case=case.yaml"]).exits(0);
    run(&["read", "--case=case.yaml"]).exits(6).says("call `apply` first");
}

/// Components of released contracts, with their digests: each later version must run them.
const MUSEUM: [(&str, &str, &str); 1] =
    [("dns_c-0.1.0.wasm", "c", "a0a21ae7b92db96ce10a7a894e2748cb55ae7a74c397d535bfb05c6043cd0177")];

#[test]
fn what_was_built_for_a_released_contract_still_runs() {
    let museum = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/museum");
    for (file, language, digest) in MUSEUM {
        let place = Place::new();
        for name in ["dns-fake/fake.py", &format!("dns-{language}/provisioner-test.yaml")] {
            let text = std::fs::read_to_string(examples().join(name)).expect("an example");
            place.write(name, &text);
        }
        let folder = format!("dns-{language}");
        std::fs::copy(museum.join(file), place.path().join(&folder).join(file)).expect("a copy");
        let checked = place.json(["-C", &folder, "plugin", "check", file, "--json"]);
        assert_eq!(checked["plugin"]["digest"], format!("sha256:{digest}"));
        let lifecycle = ["-C", &folder, "plugin", "test", file, "--only=lifecycle"];
        place.ss(lifecycle).exits(0).says("lifecycle: 19 of 19");
    }
}

#[test]
fn what_cannot_be_tried_is_told() {
    let place = Place::new();
    place.ss(["plugin", "check", "none.wasm"]).exits(3).says("SS0612").says("none.wasm");
    place.ss(["plugin", "test", "neon"]).exits(3).says("SS0621").says("provisioner-test.yaml");
    place.ss(["plugin", "test", "neon", "--only=speed"]).exits(2).says("lifecycle");
    let case = "target: { type: neon, region: us-east-2 }\nconnections: { neon-api: \"https://console.neon.tech/api/v2\" }\n";
    place.write("provisioner-test.yaml", case);
    place.ss(["plugin", "test", "neon"]).exits(3).says("is not on this machine");
    place.write(
        "provisioner-test.yaml",
        "target: { type: neon }\nconnections: { neon-api: \"http://127.0.0.1:1\" }\n",
    );
    place.ss(["plugin", "test", "neon"]).exits(3).says("region");
}

/// The fake of the API, which ends with the test.
struct Fake {
    child: Child,
    port: u16,
}

impl Fake {
    fn start(place: &Place) -> Self {
        let port = free_port();
        let mut child = Command::new("python3")
            .args(["-u", "-c", LISTENING, &port.to_string()])
            .current_dir(place.path().join("dns-fake"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "listens\n");
        Self { child, port }
    }
}

/// The fake, and a word as soon as it listens.
const LISTENING: &str = "
import sys
from http.server import ThreadingHTTPServer
from fake import Zonely
server = ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Zonely)
print('listens')
server.serve_forever()
";

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
