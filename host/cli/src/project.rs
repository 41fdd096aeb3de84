//! The two files of a project, found, read and checked.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ss_core::check::{Checked, check};
use ss_core::config::{self, Config};
use ss_core::diag::{Diagnostic, FILE_BYTES_MAX, SourceFile, did_you_mean};
use ss_core::ident::EnvName;
use ss_engine::Failure;

use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::{CommandError, Report};
use crate::exit::Exit;

/// A project's files.
#[derive(Debug)]
pub struct Project {
    /// The directory.
    pub directory: PathBuf,
    /// `starsystem.yaml`.
    pub base: SourceFile,
    /// The environment and its overlay; absent when only the base is looked at.
    pub overlay: Option<(EnvName, SourceFile)>,
}

impl Project {
    /// Reads the base and the overlay of an environment. Without a name, the only overlay there is is taken.
    pub fn open(context: &Context, env: Option<&str>) -> Result<Self, CommandError> {
        let directory = context.directory.clone();
        let base = read(&directory, "starsystem.yaml")?;
        let env = match env {
            Some(env) => Some(environment(env)?),
            None => only_environment(&directory)?,
        };
        let Some(env) = env else {
            return Err(CommandError::usage(
                "name the environment: `--env=prod` for starsystem.prod.yaml",
            ));
        };
        let overlay = read(&directory, &format!("starsystem.{env}.yaml"))?;
        Ok(Self { directory, base, overlay: Some((env, overlay)) })
    }

    /// Reads the base alone.
    pub fn open_base(context: &Context) -> Result<Self, CommandError> {
        let directory = context.directory.clone();
        let base = read(&directory, "starsystem.yaml")?;
        Ok(Self { directory, base, overlay: None })
    }

    /// The environment; `open` made sure that there is one.
    pub fn env(&self) -> &EnvName {
        &self.overlay.as_ref().expect("the project was opened with an environment").0
    }

    /// Where the overlay stands.
    pub fn overlay_path(&self) -> PathBuf {
        self.directory.join(format!("starsystem.{}.yaml", self.env()))
    }

    fn overlay_ref(&self) -> Option<(&EnvName, &SourceFile)> {
        self.overlay.as_ref().map(|(env, file)| (env, file))
    }

    /// The files, in the order that diagnostics count them.
    pub fn files(&self) -> Vec<SourceFile> {
        std::iter::once(&self.base)
            .chain(self.overlay.as_ref().map(|(_, file)| file))
            .cloned()
            .collect()
    }

    /// The configuration without its targets checked: enough to know names and plugins.
    pub fn config(&self) -> Result<Config, CommandError> {
        let (config, problems) = config::parse(&self.base, self.overlay_ref());
        if problems.iter().any(Diagnostic::is_error) {
            return Err(self.invalid(problems));
        }
        config.ok_or_else(|| self.invalid(Vec::new()))
    }

    /// The provisioners of this project.
    pub fn catalog(&self, context: &Context, grants: &[String]) -> Result<Catalog, CommandError> {
        let texts = std::iter::once(&self.base).chain(self.overlay.as_ref().map(|(_, file)| file));
        // Most projects name no plugin of their own; those are not read twice.
        let names_plugins = texts.into_iter().any(|file| file.text.contains("plugins"));
        let config =
            if names_plugins { config::parse(&self.base, self.overlay_ref()).0 } else { None };
        Catalog::of_project(context, &self.directory, config.as_ref(), grants)
    }

    /// Everything that can be said of the files.
    pub fn check(&self, catalog: &Catalog) -> Checked {
        check(&self.base, self.overlay_ref(), &catalog.types())
    }

    /// Like [`Project::check`], with errors as the command's end and warnings printed.
    pub fn checked(&self, context: &Context, catalog: &Catalog) -> Result<Checked, CommandError> {
        let checked = self.check(catalog);
        if !checked.is_usable() {
            return Err(self.invalid(checked.diagnostics));
        }
        if !context.quiet && !context.json && !checked.diagnostics.is_empty() {
            eprint!("{}", ss_core::diag::render(&checked.diagnostics, &self.files()));
        }
        Ok(checked)
    }

    /// The end of a command whose configuration is not valid.
    pub fn invalid(&self, problems: Vec<Diagnostic>) -> CommandError {
        CommandError {
            exit: Exit::Invalid,
            report: Report::Diagnostics { problems, files: self.files() },
        }
    }
}

fn environment(text: &str) -> Result<EnvName, CommandError> {
    EnvName::new(text).map_err(|error| CommandError::usage(error.to_string()))
}

/// The environments that have an overlay in a directory, sorted.
pub fn environments(directory: &Path) -> Vec<EnvName> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found: Vec<EnvName> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| {
            EnvName::new(name.strip_prefix("starsystem.")?.strip_suffix(".yaml")?).ok()
        })
        .collect();
    found.sort();
    found
}

fn only_environment(directory: &Path) -> Result<Option<EnvName>, CommandError> {
    let mut found = environments(directory);
    match found.len() {
        0 => Ok(None),
        1 => Ok(found.pop()),
        _ => {
            let names: Vec<&str> = found.iter().map(EnvName::as_str).collect();
            Err(CommandError::usage(format!(
                "name the environment with `--env=`: there are {}",
                names.join(", ")
            )))
        }
    }
}

fn read(directory: &Path, name: &str) -> Result<SourceFile, CommandError> {
    let path = directory.join(name);
    let invalid = |failure| CommandError::new(Exit::Invalid, failure);
    let length = match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(invalid(Failure::new("SS0110", format!("`{name}` is a directory"))));
        }
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(invalid(missing(directory, name)));
        }
        Err(error) => {
            return Err(invalid(Failure::new(
                "SS0110",
                format!("`{name}` cannot be read: {error}"),
            )));
        }
    };
    if length > FILE_BYTES_MAX as u64 {
        let failure = Failure::new(
            "SS0110",
            format!("`{name}` has {length} bytes; at most {FILE_BYTES_MAX} are read"),
        );
        return Err(invalid(failure));
    }
    let bytes = std::fs::read(&path).map_err(|error| {
        invalid(Failure::new("SS0110", format!("`{name}` cannot be read: {error}")))
    })?;
    SourceFile::from_bytes(name, bytes).map_err(|problem| CommandError {
        exit: Exit::Invalid,
        report: Report::Diagnostics {
            problems: vec![*problem],
            files: vec![SourceFile::new(name, "")],
        },
    })
}

fn missing(directory: &Path, name: &str) -> Failure {
    if name == "starsystem.yaml" {
        return Failure::new(
            "SS0110",
            format!("there is no starsystem.yaml in `{}`", directory.display()),
        )
        .hint("`ss init` writes one; `-C DIR` works in another directory");
    }
    let failure = Failure::new("SS0110", format!("there is no overlay `{name}`"));
    let found = environments(directory);
    let wanted = name.trim_start_matches("starsystem.").trim_end_matches(".yaml");
    match did_you_mean(wanted, found.iter().map(EnvName::as_str)) {
        Some(hint) => failure.hint(hint),
        None if found.is_empty() => failure.hint("`ss init` writes one"),
        None => failure.hint(format!(
            "there are: {}",
            found.iter().map(EnvName::as_str).collect::<Vec<_>>().join(", ")
        )),
    }
}
