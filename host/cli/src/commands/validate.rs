//! `ss validate`: every problem of every file at once.

use serde_json::json;
use ss_core::diag::{Code, Diagnostic, SourceFile};

use crate::args::Environment;
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::{CommandError, Report, diagnostics_text, reports};
use crate::exit::Exit;
use crate::project::{Project, environments};

/// Checks one environment, or without a name every one there is.
pub fn run(context: &Context, args: &Environment) -> Result<Exit, CommandError> {
    let mut found = Found::default();
    for project in projects(context, args)? {
        found.add(context, &project)?;
    }
    if found.problems.iter().any(Diagnostic::is_error) {
        return Err(CommandError::invalid(found.problems).in_files(found.files));
    }
    found.print(context);
    Ok(Exit::Ok)
}

fn projects(context: &Context, args: &Environment) -> Result<Vec<Project>, CommandError> {
    if let Some(env) = &args.env {
        return Ok(vec![Project::open(context, Some(env))?]);
    }
    let environments = environments(&context.directory);
    if environments.is_empty() {
        return Ok(vec![Project::open_base(context)?]);
    }
    environments.iter().map(|env| Project::open(context, Some(env.as_str()))).collect()
}

/// What is known of all the files: the base once, and each overlay.
#[derive(Default)]
struct Found {
    files: Vec<SourceFile>,
    services: Vec<usize>,
    problems: Vec<Diagnostic>,
}

impl Found {
    fn add(&mut self, context: &Context, project: &Project) -> Result<(), CommandError> {
        let (catalog, unusable) = match project.catalog(context, &[]) {
            Ok(catalog) => (catalog, Vec::new()),
            // The rest of the files is checked all the same.
            Err(CommandError { report: Report::Diagnostics { problems, .. }, .. }) => {
                (Catalog::first_party(), problems)
            }
            Err(error) => return Err(error),
        };
        let checked = project.check(&catalog);
        let is_whole = unusable.is_empty();
        let is_known = |problem: &Diagnostic| {
            is_whole || !matches!(problem.code, Code::UnknownTargetType | Code::UnknownConnection)
        };
        let counts = checked.config.map(|config| config.services_by_file).unwrap_or_default();
        let index = |file: u32| if file == 0 { 0 } else { self.files.len().max(1) };
        let mut problems: Vec<Diagnostic> =
            checked.diagnostics.into_iter().filter(is_known).chain(unusable).collect();
        for label in problems.iter_mut().flat_map(|problem| &mut problem.labels) {
            label.span.file = u32::try_from(index(label.span.file)).expect("few files");
        }
        // What is wrong with the base is wrong in every environment.
        problems.retain(|problem| !self.problems.contains(problem));
        self.problems.extend(problems);
        let known = self.files.len().min(1);
        self.files.extend(project.files().into_iter().skip(known));
        self.services.extend(counts.into_iter().skip(known));
        Ok(())
    }

    fn print(&self, context: &Context) {
        let files = self.files.iter().map(|file| &file.name).zip(&self.services);
        if context.json {
            let files: Vec<_> =
                files.map(|(name, services)| json!({"file": name, "services": services})).collect();
            let warnings = reports(&self.problems, &self.files);
            println!(
                "{}",
                json!({"version": 1, "kind": "validate", "valid": true, "files": files, "warnings": warnings})
            );
            return;
        }
        eprint!("{}", diagnostics_text(&self.problems, &self.files));
        for (name, services) in files {
            let noun = if *services == 1 { "service" } else { "services" };
            println!("{} {name} ({services} {noun})", context.style.green("✓"));
        }
        println!("Configuration is valid.");
    }
}
