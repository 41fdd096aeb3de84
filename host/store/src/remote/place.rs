//! A shared place with a thread of its own: renewing a lease must not wait for what the rest of `ss` computes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ss_ports::{StoreError, Vault};
use tokio::runtime::{Builder, Handle, Runtime};
use zeroize::Zeroizing;

use super::objects::{Objects, Put, Version, When};

/// How long a run that ends waits to tell the place.
const GOODBYE: Duration = Duration::from_secs(5);

/// Random bytes before each content: no two writes are alike, so what equals ours is ours.
const SALT: usize = 16;

/// Objects, sealed on the way in and opened on the way out.
#[derive(Clone)]
pub(crate) struct Place {
    objects: Arc<dyn Objects>,
    vault: Arc<dyn Vault>,
    thread: Arc<Thread>,
}

/// Ends with the last place, without waiting.
struct Thread(Option<Runtime>);

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Place {
    pub(crate) fn new(
        objects: Arc<dyn Objects>,
        vault: Arc<dyn Vault>,
    ) -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ss-state")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Io(format!("cannot start a thread: {error}")))?;
        Ok(Self { objects, vault, thread: Arc::new(Thread(Some(runtime))) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.thread.0.as_ref().expect("there until it is dropped").handle()
    }

    /// Runs work on the place's thread.
    async fn there<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.handle().spawn(work).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Io(format!("the state's thread ended: {error}"))),
        }
    }

    /// Runs work on the place's thread while this one waits; for ends that cannot be async.
    pub(crate) fn finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (done, wait) = std::sync::mpsc::channel();
        self.handle().spawn(async move {
            work.await;
            let _ = done.send(());
        });
        let _ = wait.recv_timeout(GOODBYE);
    }

    /// The object, opened.
    pub(crate) async fn get(
        &self,
        key: &str,
    ) -> Result<Option<(Zeroizing<Vec<u8>>, Version)>, StoreError> {
        let (objects, name) = (self.objects.clone(), key.to_owned());
        let Some((sealed, version)) = self.there(async move { objects.get(&name).await }).await?
        else {
            return Ok(None);
        };
        let opened = self.vault.open(&sealed).await.map_err(|error| {
            StoreError::Damaged(format!(
                "`{key}` of the shared state cannot be opened ({error}); nothing was changed. If it was written before \
                 you were a recipient, let somebody who can read it run `ss vault recipients add` with your key, then \
                 `ss state reseal`"
            ))
        })?;
        let plain = opened.expose().get(SALT..).ok_or_else(|| {
            StoreError::Damaged(format!(
                "`{key}` of the shared state is cut off; nothing was changed"
            ))
        })?;
        Ok(Some((Zeroizing::new(plain.to_vec()), version)))
    }

    /// Seals and writes. An answer that was lost is looked up: a write that happened is not told as one that did not.
    pub(crate) async fn put(&self, key: &str, plain: &[u8], when: When) -> Result<Put, StoreError> {
        let mut salted = Zeroizing::new(vec![0; SALT]);
        getrandom::fill(&mut salted)
            .map_err(|error| StoreError::Io(format!("cannot seal `{key}`: {error}")))?;
        salted.extend_from_slice(plain);
        let sealed = self.vault.seal(&salted).await;
        let sealed =
            sealed.map_err(|error| StoreError::Io(format!("cannot seal `{key}`: {error}")))?;
        let (objects, name) = (self.objects.clone(), key.to_owned());
        self.there(async move {
            let written = objects.put(&name, sealed.clone(), when).await;
            if let Ok(Put::Written(_)) = written {
                return written;
            }
            match objects.get(&name).await {
                Ok(Some((found, version))) if found == sealed => Ok(Put::Written(version)),
                // No place that keeps its word tears a write; ours would stand in everybody's way.
                Ok(Some((found, _))) if sealed.starts_with(&found) => {
                    objects.delete(&name).await?;
                    written
                }
                _ => written,
            }
        })
        .await
    }

    /// Encrypts an object again. One that was removed or written meanwhile needs it no more.
    pub(crate) async fn reseal(&self, key: &str) -> Result<(), StoreError> {
        let Some((plain, version)) = self.get(key).await? else { return Ok(()) };
        self.put(key, &plain, When::Unchanged(version)).await.map(drop)
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (objects, prefix) = (self.objects.clone(), prefix.to_owned());
        self.there(async move { objects.list(&prefix).await }).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let (objects, key) = (self.objects.clone(), key.to_owned());
        self.there(async move { objects.delete(&key).await }).await
    }
}
