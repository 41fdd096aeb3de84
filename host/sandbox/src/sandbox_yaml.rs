//! `sandbox.yaml`: which local command stands in for which container image.
//!
//! Promises that the file is read anew at every look, so that a running sandbox follows its edits,
//! and that relative folders and programs are taken from the file's own folder. Absent: pulling or
//! running real images, and any trust decision; who names the file accepts its commands.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What one image stands for on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The entry of the file that matched.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working folder.
    pub dir: PathBuf,
    /// Variables the image itself brings; the machine's own win.
    pub env: BTreeMap<String, String>,
    /// Run once before the first start; empty for none.
    pub build: Vec<String>,
}

/// Why the map of images cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The file exists and cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not a valid `sandbox.yaml`.
    #[error("{path}: {message}")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong and where.
        message: String,
    },
}

/// The map from image names to local commands.
#[derive(Clone, Debug)]
pub struct Images {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    Text { text: String, folder: PathBuf },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    images: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    command: Vec<String>,
    #[serde(default)]
    dir: Option<PathBuf>,
    #[serde(default)]
    env: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    build: Vec<String>,
}

impl Images {
    /// Reads `path` whenever an image is looked up; a file that is absent maps nothing.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self { source: Source::File(path.into()) }
    }

    /// Takes `text` as if it stood in a file in `folder`.
    #[must_use]
    pub fn from_text(text: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self { source: Source::Text { text: text.into(), folder: folder.into() } }
    }

    /// Maps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::from_text("images: {}", ".")
    }

    /// Finds the command of `image`: exact name, then without its digest, then the longest `…*`.
    ///
    /// # Errors
    /// The file is unreadable or invalid.
    pub fn find(&self, image: &str) -> Result<Option<Image>, ImagesError> {
        let (mut entries, folder) = self.load()?;
        let bare = image.split_once('@').map_or(image, |(name, _)| name);
        let name = [image, bare]
            .into_iter()
            .find(|name| entries.contains_key(*name))
            .map(str::to_owned)
            .or_else(|| longest_pattern(&entries, bare));
        Ok(name.and_then(|name| entries.remove(&name).map(|entry| entry.resolve(name, &folder))))
    }

    /// Reads the whole map once, to report a mistake before anything depends on it.
    ///
    /// # Errors
    /// The file is unreadable or invalid.
    pub fn check(&self) -> Result<(), ImagesError> {
        self.load().map(|_| ())
    }

    fn load(&self) -> Result<(BTreeMap<String, Entry>, PathBuf), ImagesError> {
        match &self.source {
            Source::Text { text, folder } => Ok((parse("sandbox.yaml", text)?, folder.clone())),
            Source::File(path) => {
                let shown = path.display().to_string();
                let text = match std::fs::read_to_string(path) {
                    Ok(text) => text,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                    Err(source) => return Err(ImagesError::Unreadable { path: shown, source }),
                };
                let folder =
                    std::path::absolute(path).ok().and_then(|p| p.parent().map(Path::to_owned));
                Ok((parse(&shown, &text)?, folder.unwrap_or_default()))
            }
        }
    }
}

fn parse(path: &str, text: &str) -> Result<BTreeMap<String, Entry>, ImagesError> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let invalid = |message: String| ImagesError::Invalid { path: path.to_owned(), message };
    let document: Document =
        serde_saphyr::from_str(text).map_err(|error| invalid(error.to_string()))?;
    match document.images.iter().find(|(_, entry)| entry.command.is_empty()) {
        Some((name, _)) => Err(invalid(format!("image `{name}` has an empty command"))),
        None => Ok(document.images),
    }
}

fn longest_pattern(entries: &BTreeMap<String, Entry>, image: &str) -> Option<String> {
    let matches = |pattern: &&String| {
        pattern.strip_suffix('*').is_some_and(|prefix| image.starts_with(prefix))
    };
    entries.keys().filter(matches).max_by_key(|pattern| pattern.len()).cloned()
}

impl Entry {
    fn resolve(self, name: String, folder: &Path) -> Image {
        let env = self.env.into_iter().filter_map(|(key, value)| Some((key, scalar(value)?)));
        Image {
            name,
            command: with_program_in(folder, self.command),
            dir: self.dir.map_or_else(|| folder.to_owned(), |dir| folder.join(dir)),
            env: env.collect(),
            build: with_program_in(folder, self.build),
        }
    }
}

/// `./tool` means the tool beside the file; a bare name is looked up in PATH.
fn with_program_in(folder: &Path, mut command: Vec<String>) -> Vec<String> {
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        let program_path = Path::new(program.as_str());
        let below = program_path.strip_prefix("./").unwrap_or(program_path);
        *program = folder.join(below).display().to_string();
    }
    command
}

fn scalar(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = r#"
images:
  "ghcr.io/me/api:latest": { command: ["cargo", "run"], dir: app, env: { PORTS: 8, NAME: x } }
  "ghcr.io/me/*": { command: ["./target/api"], build: ["make", "api"] }
  "ghcr.io/me/other-*": { command: ["/bin/true"] }
"#;

    fn find(image: &str) -> Option<Image> {
        Images::from_text(MAP, "/home/me").find(image).unwrap()
    }

    #[test]
    fn exact_name_wins_and_paths_start_at_the_file() {
        let image = find("ghcr.io/me/api:latest@sha256:00").unwrap();
        assert_eq!(image.command, ["cargo", "run"]);
        assert_eq!(image.dir, Path::new("/home/me/app"));
        assert_eq!(image.env["PORTS"], "8");
    }

    #[test]
    fn the_longest_pattern_wins() {
        assert_eq!(find("ghcr.io/me/web:1").unwrap().command, ["/home/me/target/api"]);
        assert_eq!(find("ghcr.io/me/other-1").unwrap().command, ["/bin/true"]);
        assert_eq!(find("docker.io/web"), None);
    }

    #[test]
    fn a_file_is_read_anew_and_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandbox.yaml");
        let images = Images::from_file(&path);
        assert_eq!(images.find("a").unwrap(), None);
        std::fs::write(&path, "images: { a: { command: [./run] } }").unwrap();
        let program = folder.path().join("run").display().to_string();
        assert_eq!(images.find("a").unwrap().unwrap().command, [program]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = Images::from_text("images: { a: { command: [] } }", ".").check().unwrap_err();
        assert!(error.to_string().contains("image `a` has an empty command"));
        let error = Images::from_text("imagse: {}", ".").check().unwrap_err();
        assert!(error.to_string().contains("imagse"), "{error}");
    }
}
