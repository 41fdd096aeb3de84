//! `ss graph render`, judged by those who draw such diagrams: mermaid, Graphviz, an XML parser.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::Place;
use crate::common::project::walkthrough;
use crate::common::tools::{program, script, tool};

/// Names and kinds that are words or punctuation to one of the formats.
fn hostile(place: &Place) {
    place.write(
        "starsystem.yaml",
        r##"version: "2"
name: my-app
services:
  end:
    type: '"]; click s0 "javascript:x" %%{ <script>&#35;`|\'
  graph:
    type: "ünï ← {x}"
    depends_on: [end]
  alone:
    type: 'a\'
  a--b:
    type: end
    depends_on: [graph, end]
"##,
    );
}

const HOSTILE: &str = "\"]; click s0 \"javascript:x\" %%{ <script>&#35;`|\\";

fn render(place: &Place, format: &str, environment: Option<&str>) -> PathBuf {
    let mut arguments = vec!["graph", "render", "--services", "--format", format];
    arguments.extend(environment);
    let drawn = place.ss(arguments).exits(0).stdout;
    place.write("drawn", &drawn);
    place.path().join("drawn")
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("text")
}

fn mermaid(place: &Place, environment: Option<&str>) -> Option<Value> {
    let folder = tool("node_modules")?;
    let folder = folder.parent().expect("a folder");
    let drawn = render(place, "mermaid", environment);
    let mut node = Command::new("node");
    node.arg(script("mermaid.mjs").canonicalize().expect("the script")).arg(drawn);
    Some(serde_json::from_str(&output(node.current_dir(folder))).expect("JSON"))
}

#[test]
fn mermaid_understands_the_walkthrough_and_hostile_names() {
    let place = Place::new();
    walkthrough(&place, 1);
    let Some(understood) = mermaid(&place, Some("--env=sandbox")) else { return };
    assert_eq!(
        understood["vertices"],
        json!(["app-db<br>database · neon", "api<br>process · fly"])
    );
    assert_eq!(understood["edges"], json!([{"from": "s1", "to": "s0", "text": "DATABASE_URL"}]));

    hostile(&place);
    let understood = mermaid(&place, None).expect("the tools are there");
    let vertices = understood["vertices"].as_array().expect("vertices");
    assert_eq!(vertices.len(), 4, "{understood}");
    assert!(vertices.iter().any(|text| text.as_str().is_some_and(|text| text.contains("ünï"))));
    assert_eq!(understood["edges"].as_array().map(Vec::len), Some(3));
}

#[test]
fn graphviz_understands_the_same() {
    let Some(dot) = program("dot") else { return };
    let place = Place::new();
    hostile(&place);
    let drawn = render(&place, "dot", None);
    let understood: Value =
        serde_json::from_str(&output(Command::new(dot).arg("-Tjson").arg(drawn))).expect("JSON");
    let names: Vec<&str> = understood["objects"]
        .as_array()
        .expect("objects")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["end", "graph", "alone", "a--b"]);
    assert_eq!(understood["edges"].as_array().map(Vec::len), Some(3));
}

#[test]
fn the_picture_is_well_formed_and_says_what_was_written() {
    let Some(python) = tool("python/bin/python") else { return };
    let place = Place::new();
    hostile(&place);
    let drawn = render(&place, "svg", None);
    let read = "import sys, json, xml.etree.ElementTree as tree\n\
                root = tree.parse(sys.argv[1]).getroot()\n\
                print(json.dumps([root.tag] + [one.text for one in root.iter() if one.tag.endswith('text')]))";
    let texts: Vec<String> =
        serde_json::from_str(&output(Command::new(python).args(["-c", read]).arg(drawn)))
            .expect("JSON");
    assert_eq!(texts[0], "{http://www.w3.org/2000/svg}svg");
    for expected in ["end", "graph", "alone", "a--b", HOSTILE] {
        assert!(texts.iter().any(|text| text == expected), "{expected}: {texts:?}");
    }
}

#[test]
fn the_diagram_as_data_needs_nobody() {
    let place = Place::new();
    walkthrough(&place, 1);
    let ran = place.ss(["graph", "render", "--services", "--env=sandbox", "--json"]).exits(0);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).expect("JSON"),
        json!({
            "version": 1, "kind": "graph",
            "services": [
                {"service": "app-db", "type": "database", "target": "neon"},
                {"service": "api", "type": "process", "target": "fly"},
            ],
            "edges": [{"from": "api", "to": "app-db", "injects": ["DATABASE_URL"]}],
        })
    );
    place.ss(["graph", "render", "--services"]).exits(0).says("flowchart TD").says("app-db");
    place.ss(["graph", "render"]).exits(2).says("--services");
}
