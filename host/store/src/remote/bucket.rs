//! A bucket that speaks S3 and honours conditional writes: AWS S3, Cloudflare R2, MinIO, Ceph, and others.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig, UpdateVersion,
};
use ss_core::redact::Secret;
use ss_ports::StoreError;

use super::http::Connector;
use super::objects::{Objects, Put, Version, When};

/// Where a bucket is. Who may read it comes from the environment: the `AWS_*` variables.
#[derive(Debug, Clone)]
pub struct BucketSettings {
    /// Its name.
    pub bucket: String,
    /// Before every name of an object, without a slash at the ends; may be empty.
    pub prefix: String,
    /// The service's address when it is not AWS.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Key id and secret key, where they do not come from the environment.
    pub keys: Option<(Secret, Secret)>,
}

/// Objects in a bucket.
pub struct Bucket {
    store: AmazonS3,
    name: String,
    prefix: String,
}

impl Bucket {
    /// The bucket, for one system and environment. Nothing is sent yet.
    pub fn open(settings: &BucketSettings, system: &str, env: &str) -> Result<Self, StoreError> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&settings.bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 4,
                retry_timeout: Duration::from_secs(20),
            })
            .with_http_connector(Connector);
        if let Some(endpoint) = &settings.endpoint {
            builder =
                builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http:"));
        }
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let Some((id, secret)) = &settings.keys {
            builder = builder
                .with_access_key_id(id.expose().as_str())
                .with_secret_access_key(secret.expose().as_str());
        }
        let store = builder.build().map_err(|error| {
            StoreError::Io(format!("cannot use the bucket `{}`: {error}", settings.bucket))
        })?;
        let prefix = [settings.prefix.trim_matches('/'), system, env];
        let prefix =
            prefix.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Ok(Self { store, name: settings.bucket.clone(), prefix })
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}/{key}", self.prefix))
    }

    fn failed(&self, what: &str, key: &str, error: &Error) -> StoreError {
        let why = match error {
            Error::Unauthenticated { .. } => {
                "the credentials are not accepted; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY hold them".to_owned()
            }
            Error::PermissionDenied { .. } => {
                "permission denied: get, put, delete and list are needed below the prefix".to_owned()
            }
            other => other.to_string(),
        };
        StoreError::Io(format!(
            "cannot {what} `{}/{key}` in the bucket `{}`: {why}",
            self.prefix, self.name
        ))
    }
}

#[async_trait]
impl Objects for Bucket {
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let found = match self.store.get(&self.path(key)).await {
            Ok(found) => found,
            Err(Error::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => {
                return Ok(None);
            }
            Err(error) => return Err(self.failed("read", key, &error)),
        };
        let version = found.meta.e_tag.clone().unwrap_or_default();
        let bytes = found.bytes().await.map_err(|error| self.failed("read", key, &error))?;
        Ok(Some((bytes.to_vec(), version)))
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, when: When) -> Result<Put, StoreError> {
        let mode = match when {
            When::Absent => PutMode::Create,
            When::Unchanged(version) => {
                PutMode::Update(UpdateVersion { e_tag: Some(version), version: None })
            }
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&self.path(key), PutPayload::from(bytes), options).await {
            Ok(put) => Ok(Put::Written(put.e_tag.unwrap_or_default())),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Put::Overtaken),
            Err(error) => Err(self.failed("write", key, &error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path(prefix);
        let found: Vec<_> = self
            .store
            .list(Some(&path))
            .try_collect()
            .await
            .map_err(|error| self.failed("list", prefix, &error))?;
        let begin = format!("{}/", self.prefix);
        let name = |found: object_store::ObjectMeta| {
            found.location.as_ref().strip_prefix(&begin).map(str::to_owned)
        };
        let mut names: Vec<String> = found.into_iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", key, &error)),
        }
    }
}
