//! Credentials, encrypted at rest with age; the only room that sees key material.
//!
//! [`VaultHome`] is the vault below one `STARSYSTEM_HOME`: the identity, the provider tokens, sealing and opening.
//! [`AgeVault`] is the part of it that belongs to one system and environment, and implements [`ss_ports::Vault`].
//! Nothing here reads the environment, asks a person or prints; reading never writes.

mod document;
mod error;
mod files;
mod format;
mod home;
mod identity;
mod key;
mod keys;
mod recipients;
mod seal;
mod system;

pub use home::{VaultHome, VaultOptions};
pub use identity::{AskPassphrase, IdentitySource};
pub use key::{InvalidKey, Key};
pub use keys::Resealed;
pub use recipients::Listed;
pub use system::AgeVault;
