//! A superuser session: roles, passwords, databases, backups.
//!
//! Every change can be made twice without harm, since a killed sandbox makes it again.

use std::fs;
use std::path::Path;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use super::PostgresError;

/// The superuser of every cluster; no user of the sandbox has it.
pub(crate) const USER: &str = "cloud_admin";
/// Holds the superuser's password, beside `pgdata`.
pub(crate) const PASSWORD_FILE: &str = "admin.password";
/// What every role made through the API is a member of, as at the vendor.
const GROUP: &str = "neon_superuser";

/// One session; closes when dropped.
#[derive(Debug)]
pub(crate) struct Admin {
    client: Client,
    driver: JoinHandle<()>,
    folder: std::path::PathBuf,
    port: u16,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Admin {
    /// Connects to the server of the branch in `folder`.
    pub(crate) async fn connect(port: u16, folder: &Path) -> Result<Self, PostgresError> {
        Self::connect_to(port, folder, "postgres").await
    }

    async fn connect_to(port: u16, folder: &Path, database: &str) -> Result<Self, PostgresError> {
        let file = folder.join(PASSWORD_FILE);
        let password = fs::read_to_string(&file)
            .map_err(|error| PostgresError::io("cannot read", &file, &error))?;
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user(USER).password(password).dbname(database);
        let (client, connection) = config.connect(NoTls).await.map_err(|error| said(&error))?;
        // A lost connection shows as an error of the query that needed it.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, driver, folder: folder.to_owned(), port })
    }

    /// Makes the role if needed, and sets its password.
    pub(crate) async fn role(
        &self,
        name: &str,
        password: Option<&str>,
        login: bool,
    ) -> Result<(), PostgresError> {
        self.role_if_absent(GROUP, "NOLOGIN CREATEDB CREATEROLE BYPASSRLS REPLICATION").await?;
        let group = identifier(GROUP);
        self.run(&format!("GRANT pg_read_all_data, pg_write_all_data TO {group}")).await?;
        let kind = if login { "LOGIN" } else { "NOLOGIN" };
        self.role_if_absent(name, &format!("{kind} CREATEDB CREATEROLE BYPASSRLS")).await?;
        self.run(&format!("GRANT {group} TO {}", identifier(name))).await?;
        match password {
            Some(password) => {
                self.run(&format!("ALTER ROLE {} PASSWORD {}", identifier(name), literal(password)))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn role_if_absent(&self, name: &str, attributes: &str) -> Result<(), PostgresError> {
        if self.exists("SELECT 1 FROM pg_roles WHERE rolname = $1", name).await? {
            return Ok(());
        }
        self.run(&format!("CREATE ROLE {} {attributes}", identifier(name))).await
    }

    /// Drops the role; what it owns goes to the owner of the database it is in.
    pub(crate) async fn drop_role(&self, name: &str) -> Result<(), PostgresError> {
        if !self.exists("SELECT 1 FROM pg_roles WHERE rolname = $1", name).await? {
            return Ok(());
        }
        for (database, owner) in self.databases().await? {
            let there = Self::connect_to(self.port, &self.folder, &database).await?;
            let (name, owner) = (identifier(name), identifier(&owner));
            there
                .run(&format!("REASSIGN OWNED BY {name} TO {owner}; DROP OWNED BY {name}"))
                .await?;
        }
        self.run(&format!("DROP ROLE {}", identifier(name))).await
    }

    /// Makes the database if needed, and sets its owner.
    pub(crate) async fn database(&self, name: &str, owner: &str) -> Result<(), PostgresError> {
        let (quoted, owner) = (identifier(name), identifier(owner));
        if self.exists(DATABASE, name).await? {
            self.run(&format!("ALTER DATABASE {quoted} OWNER TO {owner}")).await
        } else {
            self.run(&format!("CREATE DATABASE {quoted} OWNER {owner}")).await
        }
    }

    /// Renames the database, dropping its connections.
    pub(crate) async fn rename_database(&self, from: &str, to: &str) -> Result<(), PostgresError> {
        if !self.exists(DATABASE, from).await? {
            return Ok(());
        }
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        self.client.execute(end, &[&from]).await.map_err(|error| said(&error))?;
        self.run(&format!("ALTER DATABASE {} RENAME TO {}", identifier(from), identifier(to))).await
    }

    /// Drops the database and its connections.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<(), PostgresError> {
        self.run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name))).await
    }

    /// Empties every table of every database: what is left is the schema.
    pub(crate) async fn empty_tables(&self) -> Result<(), PostgresError> {
        for (database, _) in self.databases().await? {
            let there = Self::connect_to(self.port, &self.folder, &database).await?;
            let list = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
            let rows = there.client.query(list, &[]).await.map_err(|error| said(&error))?;
            let tables: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            if !tables.is_empty() {
                there.run(&format!("TRUNCATE {} RESTART IDENTITY", tables.join(", "))).await?;
            }
        }
        Ok(())
    }

    /// From here on the data files may be copied.
    pub(crate) async fn begin_backup(&self) -> Result<(), PostgresError> {
        let begin = "SELECT pg_backup_start('branch', true)";
        self.client.execute(begin, &[]).await.map(|_| ()).map_err(|error| said(&error))
    }

    /// Ends the backup; the answer belongs into the copy as `backup_label`.
    pub(crate) async fn end_backup(&self) -> Result<String, PostgresError> {
        let end = "SELECT labelfile FROM pg_backup_stop(false)";
        let row = self.client.query_one(end, &[]).await.map_err(|error| said(&error))?;
        Ok(row.get(0))
    }

    /// Databases of users, with their owners.
    async fn databases(&self) -> Result<Vec<(String, String)>, PostgresError> {
        let list = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database \
                    WHERE datallowconn AND NOT datistemplate";
        let rows = self.client.query(list, &[]).await.map_err(|error| said(&error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn exists(&self, query: &str, name: &str) -> Result<bool, PostgresError> {
        let row = self.client.query_opt(query, &[&name]).await;
        row.map(|row| row.is_some()).map_err(|error| said(&error))
    }

    async fn run(&self, sql: &str) -> Result<(), PostgresError> {
        self.client.batch_execute(sql).await.map_err(|error| said(&error))
    }
}

const DATABASE: &str = "SELECT 1 FROM pg_database WHERE datname = $1";

/// What PostgreSQL said; never the statement, which may hold a password.
fn said(error: &tokio_postgres::Error) -> PostgresError {
    match error.as_db_error() {
        Some(error) => PostgresError::new(format!("PostgreSQL said: {}", error.message())),
        None => PostgresError::new(format!("cannot reach PostgreSQL: {error}")),
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_broken_out_of() {
        assert_eq!(identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal("a'b"), "'a''b'");
    }
}
