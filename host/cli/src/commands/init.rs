//! `ss init`: a first starsystem.yaml and an overlay to go with it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde_json::json;
use ss_core::ident::{EnvName, SystemName};
use ss_engine::Failure;

use crate::args;
use crate::catalog::Catalog;
use crate::commands::schema::{self, BASE_FILE, OVERLAY_FILE};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// Writes both files, and never over one that is there.
pub fn run(context: &Context, args: &args::Init) -> Result<Exit, CommandError> {
    let name = match &args.name {
        Some(name) => SystemName::new(name.as_str())
            .map_err(|error| CommandError::usage(error.to_string()))?,
        None => name_of(&context.directory)?,
    };
    let env =
        EnvName::new(args.env.as_str()).map_err(|error| CommandError::usage(error.to_string()))?;
    let base = "starsystem.yaml".to_owned();
    let overlay = format!("starsystem.{env}.yaml");
    for file in [&base, &overlay] {
        if context.directory.join(file).exists() {
            let failure =
                Failure::new("SS0111", format!("`{file}` is there already; nothing was written"));
            return Err(failure.into());
        }
    }
    write(&context.directory.join(&base), &base_text(&name))?;
    write(&context.directory.join(&overlay), &overlay_text(&name, &env))?;
    schema::write(&context.directory, &Catalog::first_party())?;
    if context.json {
        let files = [&base, &overlay, BASE_FILE, OVERLAY_FILE];
        println!("{}", json!({"version": 1, "kind": "init", "files": files}));
    } else {
        println!("{} {base}\n{} {overlay}", context.style.green("✓"), context.style.green("✓"));
        println!(
            "Next: ss vault set neon.api_token, ss vault set fly.api_token, ss plan --env={env}"
        );
    }
    Ok(Exit::Ok)
}

/// The directory's name, made to fit.
fn name_of(directory: &Path) -> Result<SystemName, CommandError> {
    let path = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let raw =
        path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fitting: String =
        raw.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let fitting =
        fitting.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('-');
    SystemName::new(fitting)
        .map_err(|_| CommandError::usage("give the system a name: `ss init my-app`"))
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        Failure::new("SS0111", format!("`{}` cannot be written: {error}", path.display())).into()
    })
}

fn base_text(name: &SystemName) -> String {
    format!(
        r#"# yaml-language-server: $schema={BASE_FILE}
# What the system is.
version: "2"
name: {name}

services:
  app-db:
    type: database
    description: Postgres for app data.
    capabilities: [relational]
    depends_on: []

  api:
    type: process
    description: HTTP API server.
    depends_on: [app-db]
    inject_from:
      app-db:
        - DATABASE_URL
"#
    )
}

fn overlay_text(name: &SystemName, env: &EnvName) -> String {
    format!(
        r#"# yaml-language-server: $schema={OVERLAY_FILE}
# Where it runs in {env}.
version: "2"
environment: {env}

services:
  app-db:
    target:
      type: neon
      region: us-east-2
      credential_env: NEON_API_KEY
      project_name: {name}

  api:
    target:
      type: fly
      app: {name}-api
      region: iad
      image: registry.example/{name}-api:latest
      credential_env: FLY_API_TOKEN
      port: 3000
      health_check_path: /health
"#
    )
}
