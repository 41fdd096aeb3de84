//! `ss validate`: every problem of both files at once.

use serde_json::json;
use ss_core::diag::Diagnostic;

use crate::args::Environment;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::{Project, environments};

/// Checks one environment, or without a name every one there is.
pub fn run(context: &Context, args: &Environment) -> Result<Exit, CommandError> {
    let projects = match &args.env {
        Some(env) => vec![Project::open(context, Some(env))?],
        None => {
            let envs = environments(&context.directory);
            let all: Result<Vec<Project>, CommandError> =
                envs.iter().map(|env| Project::open(context, Some(env.as_str()))).collect();
            let all = all?;
            if all.is_empty() { vec![Project::open_base(context)?] } else { all }
        }
    };
    let mut files: Vec<(String, usize)> = Vec::new();
    for project in &projects {
        let catalog = project.catalog(context, &[])?;
        let checked = project.check(&catalog);
        if !checked.is_usable() {
            return Err(project.invalid(checked.diagnostics));
        }
        warn(context, project, &checked.diagnostics);
        let counts = checked.config.map(|config| config.services_by_file).unwrap_or_default();
        for (file, count) in project.files().into_iter().zip(counts) {
            if !files.iter().any(|(name, _)| *name == file.name) {
                files.push((file.name, count));
            }
        }
    }
    if context.json {
        let files: Vec<_> = files
            .iter()
            .map(|(name, services)| json!({"file": name, "services": services}))
            .collect();
        println!("{}", json!({"version": 1, "kind": "validate", "valid": true, "files": files}));
    } else {
        for (name, services) in files {
            let noun = if services == 1 { "service" } else { "services" };
            println!("{} {name} ({services} {noun})", context.style.green("✓"));
        }
        println!("Configuration is valid.");
    }
    Ok(Exit::Ok)
}

fn warn(context: &Context, project: &Project, problems: &[Diagnostic]) {
    if !problems.is_empty() && !context.json {
        eprint!("{}", ss_core::diag::render(problems, &project.files()));
    }
}
