//! Who can read a shared place: the keys that its last writer encrypted to. Somebody who lists fewer would lock the others
//! out, and is told whom to add. Keys are taken from nobody's place: whom a vault trusts, its owner types.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ss_core::text::printable;
use ss_ports::{StoreError, VaultError};

use super::objects::{Put, When};
use super::place::Place;

const KEY: &str = "recipients";

/// One who can read the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// The public key.
    pub key: String,
    /// Whose it is, as far as somebody said.
    pub name: String,
}

/// Asks the vault to whom it encrypts.
pub type AskReaders = Arc<dyn Fn() -> Result<Vec<Reader>, VaultError> + Send + Sync>;

/// Refuses a writer that would lock somebody out, and lists those who are new.
pub(crate) async fn check(place: &Place, ours: &[Reader]) -> Result<(), StoreError> {
    let found = place.get(KEY).await?;
    let listed: Vec<Reader> = match &found {
        Some((bytes, _)) => serde_json::from_slice(bytes).map_err(|error| {
            StoreError::Damaged(format!(
                "`{KEY}` of the shared state is damaged ({error}); `ss state reseal` writes it anew"
            ))
        })?,
        None => Vec::new(),
    };
    let is_ours = |reader: &&Reader| ours.iter().any(|own| own.key == reader.key);
    let missing: Vec<&Reader> = listed.iter().filter(|reader| !is_ours(reader)).collect();
    if !missing.is_empty() {
        return Err(StoreError::Mismatch(locked_out(&missing)));
    }
    if ours.len() == listed.len() {
        return Ok(());
    }
    let named = |own: &Reader| {
        let before = listed.iter().find(|reader| reader.key == own.key && own.name.is_empty());
        before.unwrap_or(own).clone()
    };
    let when = found.map_or(When::Absent, |(_, version)| When::Unchanged(version));
    write(place, &ours.iter().map(named).collect::<Vec<_>>(), when).await
}

/// Lists these and nobody else.
pub(crate) async fn set(place: &Place, ours: &[Reader]) -> Result<(), StoreError> {
    place.delete(KEY).await?;
    write(place, ours, When::Absent).await
}

async fn write(place: &Place, readers: &[Reader], when: When) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(readers).expect("a list of texts is JSON");
    match place.put(KEY, &bytes, when).await? {
        Put::Written(_) => Ok(()),
        Put::Overtaken => Err(StoreError::Io(
            "somebody changed who can read the shared state; try again".to_owned(),
        )),
    }
}

fn locked_out(missing: &[&Reader]) -> String {
    let commands: Vec<String> = missing
        .iter()
        .map(|Reader { key, name }| {
            let name = if name.is_empty() { "NAME" } else { name };
            format!(
                "`ss vault recipients add {} --name={}`",
                printable(key, 100),
                printable(name, 100)
            )
        })
        .collect();
    format!(
        "the shared state is read by {} whom your vault does not list: what you write they could not read. If you know \
         them, {}; to lock them out, `ss state reseal`. Nothing was changed",
        if missing.len() == 1 { "somebody" } else { "others" },
        commands.join(" and ")
    )
}
