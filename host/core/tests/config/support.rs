//! Reads the corpus: folders of files, and the target types they are checked against.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use ss_core::check::TargetType;
use ss_core::diag::SourceFile;
use ss_core::ident::{EnvName, PluginName};
use ss_core::plan::{Operations, TargetFacts};
use ss_core::schema::immutable_paths;
use ss_core::state::PluginPin;

/// One folder of the corpus.
pub struct Case {
    pub folder: PathBuf,
    pub files: Vec<SourceFile>,
    pub environment: Option<EnvName>,
}

impl Case {
    pub fn base(&self) -> &SourceFile {
        &self.files[0]
    }

    pub fn overlay(&self) -> Option<(&EnvName, &SourceFile)> {
        self.environment.as_ref().zip(self.files.get(1))
    }

    fn read(folder: PathBuf) -> Self {
        let read = |name: String| {
            let bytes = fs::read(folder.join(&name)).expect("a file of the corpus");
            SourceFile::from_bytes(name, bytes)
        };
        let mut files = vec![read("starsystem.yaml".to_owned())];
        let names = fs::read_dir(&folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name());
        let mut overlays = names.filter_map(|name| {
            let name = name.into_string().ok()?;
            let environment = name.strip_prefix("starsystem.")?.strip_suffix(".yaml")?;
            EnvName::new(environment).ok()
        });
        let environment = overlays.next();
        files.extend(environment.iter().map(|env| read(format!("starsystem.{env}.yaml"))));
        Self { folder, files, environment }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/config")
}

/// All cases of a kind, by name.
pub fn cases(kind: &str) -> Vec<Case> {
    let entries = fs::read_dir(root().join(kind)).expect("the corpus is in the repository");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // A case may be about a file that is not there.
    folders.retain(|folder| folder.join("starsystem.yaml").is_file());
    folders.sort();
    folders.into_iter().map(Case::read).collect()
}

/// The target types of the corpus.
pub fn types() -> BTreeMap<String, TargetType> {
    let text = fs::read_to_string(root().join("types.json")).expect("types.json");
    let types: BTreeMap<String, Value> = serde_json::from_str(&text).expect("types.json is JSON");
    let types = types.into_iter().map(|(kind, given)| {
        let facts = facts(&kind, &given);
        (kind, TargetType { facts: Arc::new(facts), schema: given["schema"].clone() })
    });
    types.collect()
}

fn facts(kind: &str, given: &Value) -> TargetFacts {
    let outputs: BTreeSet<String> =
        serde_json::from_value(given["outputs"].clone()).expect("outputs are names");
    TargetFacts {
        kind: kind.to_owned(),
        plugin: PluginPin {
            name: PluginName::new(kind).expect("a plugin name"),
            version: "1.0.0".to_owned(),
            digest: "sha256:00".to_owned(),
        },
        creates: given["creates"].as_str().expect("creates is text").to_owned(),
        data: given["data"] == Value::Bool(true),
        immutable: immutable_paths(&given["schema"]),
        outputs,
        operations: Operations {
            create: vec!["create".to_owned()],
            update: vec!["update".to_owned()],
            destroy: vec!["destroy".to_owned()],
        },
    }
}
