//! A small API server: `GET /health` asks the database, `GET /` counts visits in it.
//!
//! It needs `DATABASE_URL`, and listens on `PORT` (3000).

use std::env;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

/// One connection, made when it is first needed and again when it was lost.
struct Database {
    config: Config,
    client: Mutex<Option<Arc<Client>>>,
}

impl Database {
    async fn client(&self) -> Result<Arc<Client>, Error> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let (client, connection) = self.config.connect(MakeRustlsConnect::new(tls)).await?;
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE IF NOT EXISTS visits (at timestamptz NOT NULL DEFAULT now())").await?;
        let client = Arc::new(client);
        *slot = Some(client.clone());
        Ok(client)
    }

    async fn count(&self, visit: bool) -> Result<i64, Error> {
        let client = self.client().await?;
        if visit {
            client.execute("INSERT INTO visits DEFAULT VALUES", &[]).await?;
        }
        Ok(client.query_one("SELECT count(*) FROM visits", &[]).await?.get(0))
    }
}

type Answer = (StatusCode, Json<Value>);

fn unwell(error: &Error) -> Answer {
    eprintln!("database: {error}");
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "database unreachable"})))
}

async fn health(State(database): State<Arc<Database>>) -> Answer {
    match database.count(false).await {
        Ok(_) => (StatusCode::OK, Json(json!({"status": "ok"}))),
        Err(error) => unwell(&error),
    }
}

async fn visits(State(database): State<Arc<Database>>) -> Answer {
    let version = env::var("APP_VERSION").unwrap_or_else(|_| "v1".to_owned());
    match database.count(true).await {
        Ok(rows) => (StatusCode::OK, Json(json!({"visits": rows, "version": version}))),
        Err(error) => unwell(&error),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let mut config: Config = url.parse()?;
    config.connect_timeout(Duration::from_secs(5));
    let database = Arc::new(Database { config, client: Mutex::default() });
    let port: u16 = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let app = Router::new().route("/health", get(health)).route("/", get(visits)).with_state(database);
    // All addresses, as inside a Fly machine; the sandbox says which one to listen on.
    let host = env::var("HOST").unwrap_or_else(|_| "0.0.0.0".to_owned());
    let listener = TcpListener::bind((host.as_str(), port)).await?;
    println!("listening on port {port}");
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}
