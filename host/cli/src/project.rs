//! The two files of a project, found, read and checked.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use ss_core::check::{Checked, check};
use ss_core::config::{self, Config};
use ss_core::diag::{Code, Diagnostic, FILE_BYTES_MAX, SourceFile, did_you_mean};
use ss_core::ident::EnvName;
use ss_engine::Failure;

use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::{CommandError, Report, diagnostics_text};
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
        let catalog = Catalog::of_project(context, &self.directory, config.as_ref(), grants);
        catalog.map_err(|error| error.in_files(self.files()))
    }

    /// Everything that can be said of the files.
    pub fn check(&self, catalog: &Catalog) -> Checked {
        let connections = catalog.connections().map(|connection| connection.name.clone()).collect();
        check(&self.base, self.overlay_ref(), &catalog.types(), Some(&connections))
    }

    /// Like [`Project::check`], with errors as the command's end and warnings printed.
    pub fn checked(&self, context: &Context, catalog: &Catalog) -> Result<Checked, CommandError> {
        let checked = self.check(catalog);
        if !checked.is_usable() {
            return Err(self.invalid(checked.diagnostics));
        }
        if !context.quiet && !context.json {
            eprint!("{}", diagnostics_text(&checked.diagnostics, &self.files()));
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
    EnvName::new(text).map_err(|error| {
        let failure = Failure::new("SS0001", error.to_string());
        CommandError::new(Exit::Usage, failure.hint("`--env=prod` takes starsystem.prod.yaml"))
    })
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

/// Reads a file of the user's. One that is there and cannot be used is a problem among the others.
fn read(directory: &Path, name: &str) -> Result<SourceFile, CommandError> {
    let path = directory.join(name);
    let refused = |why: String, help: &str| {
        let problem = Diagnostic::error(Code::Unreadable, format!("the file {why}"));
        Ok(SourceFile::unreadable(name, problem.help(help)))
    };
    // Neither a pipe nor a device is opened: the one would wait, the other never ends.
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            return refused("is a directory".to_owned(), "put a file in its place");
        }
        Ok(metadata) if !metadata.is_file() => {
            return refused("is a device or a pipe".to_owned(), "put a file in its place");
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(CommandError::new(Exit::Invalid, missing(directory, name)));
        }
        Err(error) => return refused(format!("cannot be read: {error}"), "let this user read it"),
    }
    let mut bytes = Vec::new();
    // A byte more than is allowed shows that there are too many.
    let read = File::open(&path)
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(SourceFile::from_bytes(name, bytes)),
        Err(error) => refused(format!("cannot be read: {error}"), "let this user read it"),
    }
}

fn missing(directory: &Path, name: &str) -> Failure {
    if name == "starsystem.yaml" {
        let failure = Failure::new(
            "SS0110",
            match directory == Path::new(".") {
                true => "there is no starsystem.yaml in this directory".to_owned(),
                false => format!("there is no starsystem.yaml in `{}`", directory.display()),
            },
        );
        return if directory.join("starsystem.yml").exists() {
            failure.hint("rename starsystem.yml: the ending is `.yaml`")
        } else {
            failure.hint("`ss init` writes one; `-C DIR` works in another directory")
        };
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
