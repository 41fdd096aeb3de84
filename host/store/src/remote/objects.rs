//! The little that a shared place must do: whole objects by name, and a write that fails when somebody was first.

use async_trait::async_trait;
use ss_ports::StoreError;

/// What a place calls one content of an object; changes with every write.
pub type Version = String;

/// Under which condition a write happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// There is no such object.
    Absent,
    /// The object is still this version.
    Unchanged(Version),
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is durable, as this version.
    Written(Version),
    /// The condition did not hold; nothing was changed.
    Overtaken,
}

/// A shared place. What was written is seen by every read and list that begins later.
#[async_trait]
pub trait Objects: Send + Sync {
    /// The object and its version; `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError>;
    /// Writes the object whole or not at all.
    async fn put(&self, key: &str, bytes: Vec<u8>, when: When) -> Result<Put, StoreError>;
    /// The names that begin with this, sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
    /// Removes an object; one that is not there is removed already.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;
}
