//! `/_control`: how a person or a test looks at the sandbox and moves it.
//!
//! No credentials: it answers the machine's own loopback only, and no request that a web page in a
//! browser could have sent.

use std::collections::HashMap;

use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::faults::Rule;
use crate::front::Peer;
use crate::server::Cloud;

pub(crate) fn router(cloud: Cloud) -> Router {
    Router::new()
        .route("/_control/status", get(status))
        .route("/_control/faults", get(list_faults).post(install_fault).delete(clear_faults))
        .route("/_control/journal", get(read_journal).delete(clear_journal))
        .route("/_control/clock", get(read_clock).post(move_clock))
        .route("/_control/settings", get(read_settings).post(change_settings))
        .route("/_control/timeline", get(timeline))
        .route("/_control/reset", post(reset))
        .route("/_control/shutdown", post(shutdown))
        .layer(middleware::from_fn(only_from_here))
        .with_state(cloud)
}

async fn only_from_here(request: Request, next: Next) -> Response {
    let loopback = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|Peer(peer)| peer.ip().to_canonical().is_loopback());
    let from_a_page = request.headers().contains_key(header::ORIGIN);
    if !loopback || from_a_page {
        return refuse(StatusCode::FORBIDDEN, "control is for this machine's own programs");
    }
    next.run(request).await
}

async fn status(State(cloud): State<Cloud>) -> Json<Value> {
    Json(cloud.status().await)
}

async fn list_faults(State(cloud): State<Cloud>) -> Json<Value> {
    Json(json!({"faults": cloud.shared.faults.list()}))
}

async fn install_fault(State(cloud): State<Cloud>, body: String) -> Response {
    let rules = match serde_json::from_str::<OneOrMany>(&body) {
        Ok(OneOrMany::One(rule)) => vec![*rule],
        Ok(OneOrMany::Many(rules)) => rules,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    for rule in rules {
        if let Err(why) = cloud.shared.faults.install(rule) {
            return refuse(StatusCode::BAD_REQUEST, &why);
        }
    }
    (StatusCode::CREATED, list_faults(State(cloud)).await).into_response()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Rule>),
    One(Box<Rule>),
}

async fn clear_faults(State(cloud): State<Cloud>) -> StatusCode {
    cloud.shared.faults.clear();
    StatusCode::NO_CONTENT
}

async fn read_journal(
    State(cloud): State<Cloud>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let after = query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    Json(json!({"entries": cloud.shared.journal.since(after)}))
}

async fn clear_journal(State(cloud): State<Cloud>) -> StatusCode {
    cloud.shared.journal.clear();
    StatusCode::NO_CONTENT
}

async fn read_clock(State(cloud): State<Cloud>) -> Json<Value> {
    let clock = &cloud.shared.clock;
    Json(json!({"now_ms": clock.now_ms(), "speed": clock.speed()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    advance_ms: i64,
}

async fn move_clock(State(cloud): State<Cloud>, body: String) -> Response {
    match serde_json::from_str::<Move>(&body) {
        Ok(Move { advance_ms: 0.. }) if cloud.stopping() => {
            refuse(StatusCode::SERVICE_UNAVAILABLE, "stopping")
        }
        Ok(Move { advance_ms: advance_ms @ 0.. }) => match cloud.advance(advance_ms).await {
            Ok(()) => read_clock(State(cloud)).await.into_response(),
            Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        Ok(_) => refuse(StatusCode::BAD_REQUEST, "time does not go back"),
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn read_settings(State(cloud): State<Cloud>) -> Json<Value> {
    Json(cloud.settings())
}

async fn change_settings(State(cloud): State<Cloud>, body: String) -> Response {
    let changed = serde_json::from_str(&body)
        .map_err(|error| error.to_string())
        .and_then(|patch| cloud.change_settings(&patch));
    match changed {
        Ok(()) => Json(cloud.settings()).into_response(),
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
    }
}

async fn timeline(State(cloud): State<Cloud>) -> Json<Value> {
    Json(cloud.timeline())
}

async fn reset(State(cloud): State<Cloud>) -> Response {
    match cloud.reset().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn shutdown(State(cloud): State<Cloud>) -> Response {
    cloud.ask_to_stop();
    (StatusCode::ACCEPTED, Json(json!({"stopping": true}))).into_response()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}
