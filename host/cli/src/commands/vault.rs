//! `ss vault`: credentials in, out, listed and removed.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;

use serde_json::json;
use ss_core::diag::did_you_mean;
use ss_core::ident::ServiceId;
use ss_core::redact::Secret;
use ss_engine::Failure;
use ss_ports::{Vault as _, VaultError};
use ss_vault::{AgeVault, Key, Resealed, VaultHome};

use crate::args::{Environment, Recipients, Vault};
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::shared_state::{Shared, Whom};

const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// Does what is asked of the vault.
pub async fn run(context: &Context, command: &Vault) -> Result<Exit, CommandError> {
    match command {
        Vault::Set { key, value, environment } => {
            set(context, key, value.as_deref(), environment).await
        }
        Vault::Get { key, environment } => get(context, key, environment).await,
        Vault::List { environment } => list(context, environment).await,
        Vault::Rm { key, environment } => remove(context, key, environment).await,
        Vault::RotateKey => {
            let resealed = context.vault()?.rotate_key()?;
            Ok(told(context, "the vault has a new key", resealed))
        }
        Vault::Recipients(command) => recipients(context, command),
        Vault::Passphrase { remove } => passphrase(context, *remove),
    }
}

/// The vault, and what of it belongs to the project that `ss` stands in, when it stands in one.
struct Opened {
    home: VaultHome,
    system: Option<System>,
    services: Vec<ServiceId>,
}

/// The credentials that the services of a system wrote.
enum System {
    /// In this vault.
    Own(AgeVault),
    /// Where the state is, for all who share it.
    Shared(Box<Shared>),
}

impl System {
    async fn names(&self) -> Result<Vec<String>, VaultError> {
        match self {
            Self::Own(vault) => {
                Ok(vault.credential_names()?.iter().map(ToString::to_string).collect())
            }
            Self::Shared(shared) => {
                let credentials = shared.vault.credentials().await?;
                let names = |(service, values): (&String, &BTreeMap<String, Secret>)| {
                    values.keys().map(|name| format!("{service}.{name}")).collect::<Vec<_>>()
                };
                Ok(credentials.iter().flat_map(names).collect())
            }
        }
    }

    async fn get(&self, service: &ServiceId, name: &str) -> Result<Option<Secret>, VaultError> {
        match self {
            Self::Own(vault) => vault.credential(service, name),
            Self::Shared(shared) => {
                let mut credentials = shared.vault.credentials().await?;
                Ok(credentials.remove(service.as_str()).and_then(|mut values| values.remove(name)))
            }
        }
    }

    async fn set(
        &self,
        service: &ServiceId,
        name: &str,
        value: Secret,
    ) -> Result<(), CommandError> {
        match self {
            Self::Own(vault) => Ok(vault.set_credential(service, name, value)?),
            Self::Shared(shared) => {
                shared.store.check_readers().await?;
                Ok(shared.vault.set(service.as_str(), name, Some(&value)).await.map(drop)?)
            }
        }
    }

    async fn remove(&self, service: &ServiceId, name: &str) -> Result<bool, CommandError> {
        match self {
            Self::Own(vault) => Ok(vault.remove_credential(service, name)?),
            Self::Shared(shared) => {
                shared.store.check_readers().await?;
                Ok(shared.vault.set(service.as_str(), name, None).await?)
            }
        }
    }
}

fn open(context: &Context, environment: &Environment) -> Result<Opened, CommandError> {
    let home = context.vault()?;
    // Provider tokens belong to the user: outside of a project, or with a broken one, they are still there.
    let project = match Project::open(context, environment.env.as_deref()) {
        Ok(project) => project,
        Err(error) if environment.env.is_some() => return Err(error),
        Err(_) => return Ok(Opened { home, system: None, services: Vec::new() }),
    };
    match project.config() {
        Ok(config) => {
            let own = home.system(&config.system, project.env());
            let system = match &config.state_backend {
                None => System::Own(own),
                Some(backend) => {
                    let (backend, env) = (&backend.value, project.env());
                    let shared = Shared::open(
                        context,
                        &config,
                        backend,
                        env,
                        None,
                        Arc::new(own),
                        Whom::AllReaders,
                    )?;
                    System::Shared(Box::new(shared))
                }
            };
            Ok(Opened {
                home,
                system: Some(system),
                services: config.services.into_keys().collect(),
            })
        }
        Err(error) if environment.env.is_some() => Err(error),
        Err(_) => Ok(Opened { home, system: None, services: Vec::new() }),
    }
}

fn key(opened: &Opened, text: &str) -> Result<Key, CommandError> {
    let catalog = Catalog::first_party();
    let tokens: Vec<&str> =
        catalog.credentials().map(|credential| credential.name.as_str()).collect();
    Key::parse(text, &tokens, &opened.services)
        .map_err(|error| CommandError::usage(error.to_string()))
}

fn system(opened: &Opened) -> &System {
    opened.system.as_ref().expect("a service's key is only found within a system")
}

async fn set(
    context: &Context,
    text: &str,
    value: Option<&str>,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let opened = open(context, environment)?;
    let key = key(&opened, text)?;
    let value = match value {
        Some(value) => Secret::from(value),
        None => ask(text)?,
    };
    if value.expose().is_empty() {
        return Err(CommandError::usage("the value is empty; nothing was stored"));
    }
    match &key {
        Key::Token(name) => opened.home.set_token(name, value)?,
        Key::Credential { service, name } => system(&opened).set(service, name, value).await?,
    }
    if !context.quiet {
        eprintln!("{} {key} stored", context.style.green("✓"));
        if let Key::Token(name) = &key {
            warn_of_typo(context, name);
        }
    }
    Ok(Exit::Ok)
}

/// A token may be for a provisioner that is not there yet, so an unknown name is kept, and told.
fn warn_of_typo(context: &Context, name: &str) {
    let catalog = Catalog::first_party();
    let mut known = catalog.credentials().map(|credential| credential.name.as_str());
    if known.clone().any(|credential| credential == name) {
        return;
    }
    if let Some(hint) = did_you_mean(name, &mut known) {
        eprintln!("{} no built-in provisioner uses `{name}`; {hint}", context.style.yellow("!"));
    }
}

/// Asks for a secret: hidden on a terminal, else the whole standard input.
pub fn ask(name: &str) -> Result<Secret, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::from(Failure::new("SS0503", format!("the value cannot be read: {error}")))
    };
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(format!("{name}: ")).map(Secret::new).map_err(failed);
    }
    let mut text = String::new();
    std::io::stdin().take(VALUE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let trimmed = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(trimmed);
    Ok(Secret::new(text))
}

async fn get(
    context: &Context,
    text: &str,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let opened = open(context, environment)?;
    let value = match key(&opened, text)? {
        Key::Token(name) => opened.home.token(&name)?,
        Key::Credential { service, name } => system(&opened).get(&service, &name).await?,
    };
    let Some(value) = value else {
        return Err(Failure::new("SS0504", format!("the vault holds no `{text}`"))
            .hint("`ss vault list` lists the names")
            .into());
    };
    if context.json {
        println!(
            "{}",
            json!({"version": 1, "kind": "vault", "key": text, "value": value.expose()})
        );
        return Ok(Exit::Ok);
    }
    let end = if std::io::stdout().is_terminal() { "\n" } else { "" };
    let mut out = std::io::stdout();
    write!(out, "{}{end}", value.expose())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new("SS0503", format!("the value cannot be written: {error}")))?;
    Ok(Exit::Ok)
}

async fn list(context: &Context, environment: &Environment) -> Result<Exit, CommandError> {
    let opened = open(context, environment)?;
    let mut names = opened.home.token_names()?;
    if let Some(system) = &opened.system {
        names.extend(system.names().await?);
    }
    if context.json {
        crate::render::answer(&json!({"version": 1, "kind": "vault", "keys": names}));
    } else {
        names.iter().for_each(|name| println!("{name}"));
    }
    Ok(Exit::Ok)
}

async fn remove(
    context: &Context,
    text: &str,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let opened = open(context, environment)?;
    let removed = match key(&opened, text)? {
        Key::Token(name) => opened.home.remove_token(&name)?,
        Key::Credential { service, name } => system(&opened).remove(&service, &name).await?,
    };
    if !removed {
        return Err(Failure::new("SS0504", format!("the vault holds no `{text}`")).into());
    }
    if !context.quiet {
        eprintln!("{} {text} removed", context.style.green("✓"));
    }
    Ok(Exit::Ok)
}

fn recipients(context: &Context, command: &Recipients) -> Result<Exit, CommandError> {
    let vault = context.vault()?;
    match command {
        Recipients::Add { key, name } => {
            let resealed = vault.add_recipient(key, name)?;
            let what =
                if resealed.changed { "can read the vault" } else { "could read it already" };
            Ok(told(context, &format!("{key} {what}"), resealed))
        }
        Recipients::Rm { key } => {
            let resealed = vault.remove_recipient(key)?;
            let what = if resealed.changed {
                "can no longer read the vault; what it could read before it may have kept"
            } else {
                "was not listed"
            };
            Ok(told(context, &format!("{key} {what}"), resealed))
        }
        Recipients::List => {
            let listed = vault.recipients()?;
            if context.json {
                let keys: Vec<_> = listed
                    .iter()
                    .map(|one| json!({"key": one.key, "name": one.comment, "own": one.own}))
                    .collect();
                crate::render::answer(
                    &json!({"version": 1, "kind": "recipients", "recipients": keys}),
                );
            } else {
                for one in &listed {
                    let own = if one.own { "(this vault's own)" } else { "" };
                    println!("{}", format!("{}  {own}{}", one.key, one.comment).trim_end());
                }
            }
            Ok(Exit::Ok)
        }
    }
}

fn told(context: &Context, what: &str, resealed: Resealed) -> Exit {
    if context.json {
        println!(
            "{}",
            json!({"version": 1, "kind": "vault", "changed": resealed.changed, "files": resealed.files})
        );
    } else if !context.quiet {
        let mark = context.style.green("✓");
        eprintln!("{mark} {what} ({} files encrypted again)", resealed.files);
    }
    Exit::Ok
}

fn passphrase(context: &Context, remove: bool) -> Result<Exit, CommandError> {
    let new = if remove { None } else { Some(new_passphrase()?) };
    context.vault()?.set_passphrase(new)?;
    if !context.quiet {
        let what = if remove { "without a passphrase" } else { "under the passphrase" };
        eprintln!("{} the vault's key is {what}", context.style.green("✓"));
    }
    Ok(Exit::Ok)
}

fn new_passphrase() -> Result<Secret, CommandError> {
    let first = ask("New passphrase")?;
    if first.expose().is_empty() {
        return Err(CommandError::usage("the passphrase is empty; `--remove` takes it off"));
    }
    if std::io::stdin().is_terminal() && ask("Again")? != first {
        return Err(CommandError::usage("the two differ; nothing was changed"));
    }
    Ok(first)
}
