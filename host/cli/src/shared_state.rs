//! The overlay's `state` block: the place that it names, opened. Without the block nothing here runs.

use std::path::PathBuf;
use std::sync::Arc;

use ss_core::config::{Config, StateBackend};
use ss_core::ident::EnvName;
use ss_core::redact::Secret;
use ss_engine::Failure;
use ss_ports::{StoreError, Vault};
use ss_store::{
    AskReaders, Bucket, BucketSettings, Objects, Postgres, PostgresSettings, Reader, RemoteStore,
    SharedVault,
};
use ss_vault::{Listed, VaultHome};

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::trust::Trust;
use crate::wire::{is_loopback, untrusted};

/// What `ss trust` calls the address of a bucket's service.
const ENDPOINT: &str = "state.endpoint";

/// Store and credentials in a place that machines share.
pub struct Shared {
    /// The store.
    pub store: RemoteStore,
    /// The credentials that services wrote; tokens stay in the user's own vault.
    pub vault: SharedVault,
    /// What to call the place: `s3://bucket/prefix/my-app/prod`.
    pub place: String,
    /// To whom this user's vault encrypts.
    pub readers: AskReaders,
}

/// To whom a writer must encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// To all who can read the place.
    AllReaders,
    /// To whom it wants: who is left out can read the place no more.
    Anybody,
}

impl Shared {
    /// Opens the place. Nothing is sent yet. The overlay is where the state is noted.
    pub fn open(
        context: &Context,
        config: &Config,
        backend: &StateBackend,
        env: &EnvName,
        overlay: Option<PathBuf>,
        vault: Arc<dyn Vault>,
        whom: Whom,
    ) -> Result<Self, CommandError> {
        let place = place(config, backend, env);
        let objects = objects(context, config, backend, env)?;
        let readers = readers(context.vault()?);
        let mut store = RemoteStore::open(objects.clone(), vault.clone())?;
        if whom == Whom::AllReaders {
            store = store.read_by(readers.clone());
        }
        if let Some(overlay) = overlay {
            store = store.noted_in(overlay, backend.name(), place.clone());
        }
        Ok(Self { store, vault: SharedVault::open(objects, vault)?, place, readers })
    }
}

fn readers(vault: VaultHome) -> AskReaders {
    Arc::new(move || {
        let reader = |listed: Listed| Reader { key: listed.key, name: listed.comment };
        Ok(vault.recipients()?.into_iter().map(reader).collect())
    })
}

/// What a place is called, without a secret.
pub fn place(config: &Config, backend: &StateBackend, env: &EnvName) -> String {
    match backend {
        StateBackend::S3 { bucket, prefix, .. } => {
            let prefix = prefix.as_deref().unwrap_or_default().trim_matches('/');
            let between = if prefix.is_empty() { "" } else { "/" };
            format!("s3://{bucket}{between}{prefix}/{}/{env}", config.system)
        }
        StateBackend::Postgres { url_env } => {
            format!("the database of {url_env} ({}/{env})", config.system)
        }
    }
}

fn objects(
    context: &Context,
    config: &Config,
    backend: &StateBackend,
    env: &EnvName,
) -> Result<Arc<dyn Objects>, CommandError> {
    let (system, env) = (config.system.as_str(), env.as_str());
    match backend.clone() {
        StateBackend::S3 { bucket, prefix, region, endpoint } => {
            if let Some(address) = &endpoint {
                check_endpoint(context, address)?;
            }
            check_credentials()?;
            let prefix = prefix.unwrap_or_default();
            let settings = BucketSettings { bucket, prefix, endpoint, region, keys: None };
            Ok(Arc::new(Bucket::open(&settings, system, env).map_err(unusable)?))
        }
        StateBackend::Postgres { url_env } => {
            let url = variable(&url_env).ok_or_else(|| {
                let message = format!(
                    "the state is in PostgreSQL, and {url_env} is not set; nothing was done"
                );
                Failure::new("SS0412", message)
                    .hint(format!("set {url_env} to `postgres://user:password@host/database`"))
            })?;
            let settings = PostgresSettings { url: Secret::new(url) };
            Ok(Arc::new(Postgres::open(&settings, system, env).map_err(unusable)?))
        }
    }
}

fn unusable(error: StoreError) -> CommandError {
    Failure::new("SS0412", error.to_string()).into()
}

/// A cloned repository must not be able to send requests under the user's name elsewhere.
fn check_endpoint(context: &Context, address: &str) -> Result<(), CommandError> {
    if is_loopback(address) {
        return Ok(());
    }
    let is_https = address.starts_with("https://");
    if is_https && Trust::load(context.home()?)?.covers(ENDPOINT, address) {
        return Ok(());
    }
    Err(CommandError::new(Exit::Refused, untrusted(ENDPOINT, "AWS_SECRET_ACCESS_KEY", address)))
}

/// Without any the library would ask for those of the machine, at an address that most machines do not have.
fn check_credentials() -> Result<(), CommandError> {
    let is_set = |name: &&str| variable(name).is_some();
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let roles = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    if keys.iter().all(is_set) || roles.iter().any(is_set) {
        return Ok(());
    }
    let missing = keys.iter().find(|name| !is_set(name)).unwrap_or(&"");
    let message = format!("the state is in a bucket, and {missing} is not set; nothing was done");
    Err(Failure::new("SS0412", message)
        .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if there is one)")
        .into())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
