//! Systems of any size and shape, for `ss` and, the same, for terraform.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::shell::{cargo, root, succeed};

/// How services stand on one another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Not at all.
    Independent,
    /// Each on the one before.
    Chain,
    /// In layers as wide as they are many, each on three of the layer above.
    Layered,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Independent, Self::Chain, Self::Layered];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Chain => "chain",
            Self::Layered => "layered",
        }
    }

    /// What the service of this number stands on, of so many.
    fn edges(self, at: usize, count: usize) -> Vec<usize> {
        let width = count.isqrt().max(1);
        match self {
            Self::Chain if at > 0 => vec![at - 1],
            Self::Layered if at >= width => {
                let above = (at / width - 1) * width;
                let mut edges: Vec<usize> =
                    [7, 11, 13].map(|step| above + (at * step) % width).to_vec();
                edges.sort_unstable();
                edges.dedup();
                edges
            }
            _ => Vec::new(),
        }
    }
}

/// What the services are made of.
#[derive(Clone, Copy)]
pub enum Target<'c> {
    /// Neon projects, which are only planned.
    Neon,
    /// Nothing: the component of `examples/provisioners/noop`.
    Noop(&'c Path),
}

/// Writes a system for `ss` into a new directory.
pub fn system(
    directory: &Path,
    shape: Shape,
    count: usize,
    target: Target<'_>,
) -> Result<(), String> {
    let mut base = "version: \"2\"\nname: bench\n".to_owned();
    let mut overlay = "version: \"2\"\nenvironment: prod\nservices:\n".to_owned();
    if matches!(target, Target::Noop(_)) {
        base.push_str("plugins:\n  noop: ./noop.wasm\n");
    }
    base.push_str("services:\n");
    for at in 0..count {
        let edges: Vec<String> =
            shape.edges(at, count).into_iter().map(|edge| format!("s{edge}")).collect();
        write!(base, "  s{at}:\n    type: database\n    description: service {at}\n").expect(TEXT);
        if !edges.is_empty() {
            writeln!(base, "    depends_on: [{}]", edges.join(", ")).expect(TEXT);
        }
        let fields = match target {
            Target::Neon => "type: neon\n      region: aws-us-east-1".to_owned(),
            Target::Noop(_) => format!("type: noop\n      input: value {at}"),
        };
        write!(overlay, "  s{at}:\n    target:\n      {fields}\n").expect(TEXT);
    }
    let written = || {
        fs::create_dir_all(directory)?;
        if let Target::Noop(component) = target {
            fs::copy(component, directory.join("noop.wasm"))?;
        }
        fs::write(directory.join("starsystem.yaml"), &base)?;
        fs::write(directory.join("starsystem.prod.yaml"), &overlay)
    };
    written().map_err(|error| format!("`{}`: {error}", directory.display()))
}

/// Writes the same for terraform: `terraform_data`, which makes nothing.
pub fn terraform(directory: &Path, shape: Shape, count: usize) -> Result<(), String> {
    let mut text = String::new();
    for at in 0..count {
        let edges: Vec<String> = shape
            .edges(at, count)
            .into_iter()
            .map(|edge| format!("terraform_data.s{edge}"))
            .collect();
        writeln!(text, "resource \"terraform_data\" \"s{at}\" {{\n  input = \"value {at}\"")
            .expect(TEXT);
        writeln!(text, "  depends_on = [{}]\n}}", edges.join(", ")).expect(TEXT);
    }
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(directory.join("main.tf"), text))
        .map_err(|error| format!("`{}`: {error}", directory.display()))
}

const TEXT: &str = "writing to memory cannot fail";

/// Builds the component that makes nothing.
pub fn noop() -> Result<std::path::PathBuf, String> {
    let target = super::target_directory().join("noop");
    let manifest = root().join("examples/provisioners/noop/Cargo.toml");
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip2"]);
    succeed(build.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(&target))?;
    Ok(target.join("wasm32-wasip2/release/noop.wasm"))
}
