//! `ss auth`: a provider token, asked for, tried and kept. Nothing is kept that was refused.

mod browser;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;

use serde_json::json;
use ss_core::redact::Secret;
use ss_egress::{EgressOptions, HttpEgress};
use ss_engine::{Failure, Override, Verdict, try_token};
use ss_gate::manifest::{Credential, Manifest};
use ss_ports::Egress;

use crate::args;
use crate::catalog::Catalog;
use crate::clock::SystemClock;
use crate::commands::vault::ask;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::wire;

/// Gets, tries and keeps the token of a provisioner.
pub async fn run(context: &Context, args: &args::Auth) -> Result<Exit, CommandError> {
    let (catalog, overrides) = surroundings(context, args)?;
    let (manifest, credential) = find(&catalog, &args.provisioner)?;
    let egress = HttpEgress::new(EgressOptions::default(), Arc::new(SystemClock));
    let by_browser = manifest.name == browser::PLUGIN
        && !args.paste
        && (args.browser || (std::io::stdin().is_terminal() && std::io::stderr().is_terminal()));
    let token = if by_browser {
        browser::token(context, &egress, &manifest, &overrides).await?
    } else {
        if std::io::stdin().is_terminal() {
            eprintln!("{}", credential.description);
        }
        ask(&credential.name)?
    };
    if token.expose().trim().is_empty() {
        return Err(CommandError::usage("the token is empty; nothing was stored"));
    }
    let verified = verified(&egress, &manifest, &overrides, &credential, &token).await?;
    context.vault()?.set_token(&credential.name, token)?;
    let name = &credential.name;
    if context.json {
        println!(
            "{}",
            json!({"version": 1, "kind": "auth", "credential": name, "verified": verified})
        );
    } else if !context.quiet {
        let what = if verified { "accepted and stored" } else { "stored; it could not be tried" };
        println!("{} {name} {what}", context.style.green("✓"));
    }
    Ok(Exit::Ok)
}

/// The provisioners and where their APIs are: the project's, when there is one.
fn surroundings(
    context: &Context,
    args: &args::Auth,
) -> Result<(Catalog, BTreeMap<String, Override>), CommandError> {
    let project = match Project::open(context, args.environment.env.as_deref()) {
        Ok(project) => project,
        Err(error) if args.environment.env.is_some() => return Err(error),
        Err(_) => return Ok((Catalog::first_party(), BTreeMap::new())),
    };
    let catalog = project.catalog(context, &[])?;
    let overrides = wire::overrides(context, &project.config()?, &catalog)?;
    Ok((catalog, overrides))
}

fn find(catalog: &Catalog, name: &str) -> Result<(Manifest, Credential), CommandError> {
    let with_credential = |manifest: &Manifest| {
        let by_plugin = manifest.name == name;
        let mut credentials = manifest.credentials.iter();
        credentials.find(|credential| by_plugin || credential.name == name).cloned()
    };
    let found = catalog
        .manifests()
        .find_map(|manifest| Some((manifest.clone(), with_credential(manifest)?)));
    found.ok_or_else(|| {
        let known: Vec<&str> = catalog
            .manifests()
            .filter(|manifest| !manifest.credentials.is_empty())
            .map(|manifest| manifest.name.as_str())
            .collect();
        CommandError::usage(format!(
            "no provisioner `{name}` takes a credential; there are: {}",
            known.join(", ")
        ))
    })
}

/// Whether the token was accepted; `false` when its provisioner names no way to try it.
async fn verified(
    egress: &dyn Egress,
    manifest: &Manifest,
    overrides: &BTreeMap<String, Override>,
    credential: &Credential,
    token: &Secret,
) -> Result<bool, CommandError> {
    let Some(tried) = try_token(egress, manifest, overrides, credential, token, None).await else {
        return Ok(false);
    };
    let nothing = "nothing was stored";
    match tried.verdict() {
        Verdict::Good => Ok(true),
        Verdict::Refused(answered) => {
            let message =
                format!("the credential `{}` was refused ({answered}); {nothing}", credential.name);
            Err(Failure::new("SS0512", message).hint(credential.description.clone()).into())
        }
        Verdict::Unreachable(message) => {
            let failure = Failure::new("SS0513", format!("{message}; {nothing}"));
            let way_out = format!("`ss vault set {}` stores it untried", credential.name);
            Err(failure.hint(way_out).into())
        }
    }
}
