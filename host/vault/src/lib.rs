//! Credentials, encrypted at rest with age; the only room that sees key material.
//!
//! [`VaultHome`] is the vault below one `STARSYSTEM_HOME`: the identity, the provider tokens, sealing and opening.
//! [`AgeVault`] is the part of it that belongs to one system and environment, and implements [`ss_ports::Vault`].
//! Nothing here reads the environment, asks a person or prints; reading never writes. Absent so far: a passphrase
//! around the identity file (its place is `identity::parse`), key rotation, and editing the list of recipients.

mod document;
mod error;
mod files;
mod format;
mod home;
mod identity;
mod key;
mod recipients;
mod seal;
mod system;

pub use home::{VaultHome, VaultOptions};
pub use identity::IdentitySource;
pub use key::{InvalidKey, Key};
pub use system::AgeVault;
