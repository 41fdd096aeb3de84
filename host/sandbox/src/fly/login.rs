//! Login in a browser as Fly's own client does it: a session, a page with a button, a code.
//!
//! Sessions live in memory; a login that is interrupted starts again. The page is the only thing
//! here made for a person.

use std::collections::HashMap;

use axum::extract::{Path, State as Extract};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::caller::MACAROON;
use super::fault::Fault;
use super::request::{Answer, object, ok};
use super::router::{identified, platform_routes, unrouted};
use super::{Fly, ids, lock};

/// Where `platform_router` is mounted; the page's address needs it.
const MOUNT: &str = "/flyapi";
const SESSIONS_MAX: usize = 1_000;

/// Sessions by id.
pub type Sessions = HashMap<String, Session>;

/// One login.
pub struct Session {
    challenge: Option<String>,
    state: String,
    redirect_port: Option<u64>,
    code: Option<String>,
}

/// The endpoints of `api.fly.io` that tools use: logs and login.
pub fn platform_router(fly: Fly) -> Router {
    platform_routes()
        .route("/api/v1/cli_sessions", post(open))
        .route("/api/v1/cli_sessions/{id}", get(poll))
        .route("/api/v1/cli_sessions/{id}/redeem", post(redeem))
        .route("/app/auth/cli/{id}", get(page).post(approve))
        .method_not_allowed_fallback(unrouted)
        .fallback(unrouted)
        .layer(axum::middleware::map_response(|response| async { identified(response) }))
        .with_state(fly)
}

fn unknown() -> Fault {
    Fault::not_found("session not found")
}

async fn open(Extract(fly): Extract<Fly>, headers: HeaderMap, body: Bytes) -> Answer {
    let body = object(&body, "cliSession")?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let id = ids::hex(24);
    let challenge = body["code_challenge"].as_str().filter(|text| !text.is_empty());
    let session = Session {
        challenge: challenge.map(str::to_owned),
        state: body["state"].as_str().unwrap_or_default().to_owned(),
        redirect_port: body["redirect_port"].as_u64().filter(|port| (1..=65_535).contains(port)),
        code: None,
    };
    let view = json!({
        "id": id,
        "auth_url": format!("http://{host}{MOUNT}/app/auth/cli/{id}"),
        "pkce": session.challenge.is_some(),
    });
    let mut sessions = lock(&fly.inner.sessions);
    if sessions.len() >= SESSIONS_MAX {
        sessions.clear();
    }
    sessions.insert(id, session);
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// The older way without a code: 404 until the person has agreed.
async fn poll(Extract(fly): Extract<Fly>, Path(id): Path<String>) -> Answer {
    let mut sessions = lock(&fly.inner.sessions);
    let session = sessions.get(&id).ok_or_else(unknown)?;
    if session.code.is_none() || session.challenge.is_some() {
        return Err(unknown());
    }
    sessions.remove(&id);
    Ok(ok(granted(&id)))
}

fn granted(id: &str) -> Value {
    json!({ "id": id, "access_token": MACAROON, "metadata": {} })
}

async fn redeem(Extract(fly): Extract<Fly>, Path(id): Path<String>, body: Bytes) -> Answer {
    let body = object(&body, "redeem")?;
    let verifier = body["code_verifier"].as_str().unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let mut sessions = lock(&fly.inner.sessions);
    let session = sessions.get(&id).ok_or_else(unknown)?;
    let right = session.code.is_some()
        && session.code.as_deref() == body["code"].as_str()
        && session.challenge.as_ref().is_none_or(|wanted| *wanted == challenge);
    if !right {
        return Err(Fault::new(StatusCode::BAD_REQUEST, "invalid_code"));
    }
    sessions.remove(&id);
    Ok(ok(granted(&id)))
}

async fn page(Extract(fly): Extract<Fly>, Path(id): Path<String>) -> Answer {
    lock(&fly.inner.sessions).get(&id).ok_or_else(unknown)?;
    let html = "<!doctype html><title>Sandbox login</title><h1>Local Fly</h1>\
                <p>A tool on this machine asks for the sandbox's token.</p>\
                <form method=\"post\"><button>Approve</button></form>";
    Ok(Html(html).into_response())
}

async fn approve(Extract(fly): Extract<Fly>, Path(id): Path<String>) -> Result<Response, Fault> {
    let mut sessions = lock(&fly.inner.sessions);
    let session = sessions.get_mut(&id).ok_or_else(unknown)?;
    let code = session.code.get_or_insert_with(|| ids::hex(8)).clone();
    let state: String = session
        .state
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }
        })
        .collect();
    Ok(match session.redirect_port {
        Some(port) => Redirect::to(&format!("http://127.0.0.1:{port}/?code={code}&state={state}"))
            .into_response(),
        None => Html(format!("<p>Paste this code: <b>{code}</b></p>")).into_response(),
    })
}
