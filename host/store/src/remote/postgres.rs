//! A PostgreSQL database: one table, one row an object.

use std::time::Duration;

use async_trait::async_trait;
use ss_core::redact::Secret;
use ss_ports::StoreError;
use tokio::sync::Mutex;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::objects::{Objects, Put, Version, When};
use super::tls;

const WAIT: Duration = Duration::from_secs(10);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS starsystem_state \
    (place text NOT NULL, key text NOT NULL, version bigint NOT NULL, body bytea NOT NULL, PRIMARY KEY (place, key))";

/// Where a database is. The address may hold a password, so it comes from the environment and not from the file.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host/database`.
    pub url: Secret,
}

/// Objects in a database.
pub struct Postgres {
    config: Config,
    place: String,
    client: Mutex<Option<Client>>,
}

impl Postgres {
    /// The database, for one system and environment. Nothing is sent yet.
    pub fn open(settings: &PostgresSettings, system: &str, env: &str) -> Result<Self, StoreError> {
        let mut config: Config = settings.url.expose().parse().map_err(|_| {
            StoreError::Io(
                "the address of the PostgreSQL database cannot be read; it looks like \
                 `postgres://user:password@host/database`"
                    .to_owned(),
            )
        })?;
        config.connect_timeout(WAIT).application_name("ss");
        let local = |host: &Host| match host {
            Host::Tcp(name) => ["127.0.0.1", "localhost", "::1"].contains(&name.as_str()),
            Host::Unix(_) => true,
        };
        if !config.get_hosts().iter().all(local) {
            // What is sealed is sealed, but the password is not.
            config.ssl_mode(SslMode::Require);
        }
        Ok(Self { config, place: format!("{system}/{env}"), client: Mutex::new(None) })
    }

    async fn connect(&self) -> Result<Client, StoreError> {
        let client = if self.config.get_ssl_mode() == SslMode::Require {
            let (client, connection) = self
                .config
                .connect(MakeRustlsConnect::new(tls::config()?))
                .await
                .map_err(|error| failed("reach", &error))?;
            tokio::spawn(connection);
            client
        } else {
            let (client, connection) =
                self.config.connect(NoTls).await.map_err(|error| failed("reach", &error))?;
            tokio::spawn(connection);
            client
        };
        // Two that create it at the same moment may collide, and then it is there.
        if let Err(error) = client.batch_execute(TABLE).await {
            client
                .query("SELECT 1 FROM starsystem_state LIMIT 1", &[])
                .await
                .map_err(|_| failed("prepare", &error))?;
        }
        Ok(client)
    }

    async fn query(
        &self,
        what: &str,
        statement: &str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let mut slot = self.client.lock().await;
        let client = match slot.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect().await?,
        };
        let rows = tokio::time::timeout(WAIT, client.query(statement, values))
            .await
            .map_err(|_| StoreError::Io(format!("cannot {what} the database: no answer in time")))?
            .map_err(|error| failed(what, &error))?;
        *slot = Some(client);
        Ok(rows)
    }
}

fn failed(what: &str, error: &tokio_postgres::Error) -> StoreError {
    let why = match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => std::error::Error::source(error).map_or(error.to_string(), ToString::to_string),
    };
    StoreError::Io(format!("cannot {what} the PostgreSQL database of the state: {why}"))
}

#[async_trait]
impl Objects for Postgres {
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let statement = "SELECT body, version FROM starsystem_state WHERE place = $1 AND key = $2";
        let rows = self.query("read", statement, &[&self.place, &key]).await?;
        Ok(rows.first().map(|row| (row.get(0), row.get::<_, i64>(1).to_string())))
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, when: When) -> Result<Put, StoreError> {
        let rows = match when {
            When::Absent => {
                let statement = "INSERT INTO starsystem_state (place, key, version, body) VALUES ($1, $2, 1, $3) \
                                 ON CONFLICT (place, key) DO NOTHING RETURNING version";
                self.query("write", statement, &[&self.place, &key, &bytes]).await?
            }
            When::Unchanged(version) => {
                let version: i64 = version.parse().unwrap_or(-1);
                let statement = "UPDATE starsystem_state SET version = version + 1, body = $3 \
                                 WHERE place = $1 AND key = $2 AND version = $4 RETURNING version";
                self.query("write", statement, &[&self.place, &key, &bytes, &version]).await?
            }
        };
        Ok(rows
            .first()
            .map_or(Put::Overtaken, |row| Put::Written(row.get::<_, i64>(0).to_string())))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let statement = "SELECT key FROM starsystem_state WHERE place = $1 AND starts_with(key, $2) \
                         ORDER BY key COLLATE \"C\"";
        let rows = self.query("list", statement, &[&self.place, &prefix]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let statement = "DELETE FROM starsystem_state WHERE place = $1 AND key = $2";
        self.query("remove from", statement, &[&self.place, &key]).await.map(drop)
    }
}
