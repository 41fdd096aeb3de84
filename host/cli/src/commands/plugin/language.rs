//! The languages that there is an SDK for, and how a folder shows which of them it is in.

use std::path::{Path, PathBuf};

/// A language of provisioners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// JavaScript.
    Js,
    /// TypeScript.
    Ts,
    /// Go.
    Go,
    /// C.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rust, Self::Python, Self::Js, Self::Ts, Self::Go, Self::C];

    /// Its name on the command line and in the examples.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::Ts => "ts",
            Self::Go => "go",
            Self::C => "c",
        }
    }

    /// The folder of its SDK below `sdk/`.
    pub fn sdk(self) -> &'static str {
        match self {
            Self::Ts => "js",
            other => other.as_str(),
        }
    }

    /// The file that a provisioner in this language has and no other.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Python => "main.py",
            Self::Js => "main.js",
            Self::Ts => "main.ts",
            Self::Go => "go.mod",
            Self::C => "main.c",
        }
    }

    /// The language of a folder.
    pub fn of(folder: &Path) -> Option<Self> {
        Self::ALL.into_iter().find(|language| folder.join(language.sign()).is_file())
    }

    /// The script that builds it: of the SDK in the folder or in one around it.
    pub fn build_script(self, folder: &Path) -> Option<PathBuf> {
        let below = Path::new("sdk").join(self.sdk()).join("build.sh");
        folder.ancestors().map(|around| around.join(&below)).find(|script| script.is_file())
    }
}
