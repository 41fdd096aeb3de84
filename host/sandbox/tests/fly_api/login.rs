//! The browser login, played by hand.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::World;

async fn open(world: &World, body: Value) -> (String, String) {
    let reply = world.send("POST", "/flyapi/api/v1/cli_sessions", &body, &[]).await.is(201);
    let page = reply.str("auth_url").strip_prefix(&world.base).unwrap().to_owned();
    (reply.str("id"), page)
}

#[tokio::test]
async fn f23_login_with_a_code_and_a_verifier() {
    let mut world = World::new().await;
    let token = std::mem::take(&mut world.token);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(b"the verifier"));
    let body = json!({ "name": "laptop", "signup": false, "target": "auth", "state": "s 1",
        "code_challenge": challenge, "code_challenge_method": "S256", "redirect_port": 9 });
    let (id, page) = open(&world, body).await;
    let redeem = async |code: &str, verifier: &str| {
        let body = json!({ "code": code, "code_verifier": verifier });
        world.send("POST", &format!("/flyapi/api/v1/cli_sessions/{id}/redeem"), &body, &[]).await
    };
    redeem("", "the verifier").await.says(400, "invalid_code");
    world.send("GET", &page, &Value::Null, &[]).await.is(200);
    let approved = world.send("POST", &page, &Value::Null, &[]).await.is(303);
    let location = approved.headers["location"].to_str().unwrap().to_owned();
    let query = location.strip_prefix("http://127.0.0.1:9/?code=").unwrap();
    let (code, state) = query.split_once("&state=").unwrap();
    assert_eq!(state, "s%201");
    redeem(code, "another verifier").await.says(400, "invalid_code");
    let access = redeem(code, "the verifier").await.is(200).str("access_token");
    redeem(code, "the verifier").await.is(404);
    world.token = format!("FlyV1 {access}");
    world.get("/tokens/current").await.is(200);
    assert_ne!(world.token, token);
    world.close().await;
}

#[tokio::test]
async fn f23_login_by_polling_as_older_clients_do() {
    let world = World::new().await;
    let (id, page) = open(&world, json!({ "name": "laptop", "target": "auth" })).await;
    let poll = async || {
        world.send("GET", &format!("/flyapi/api/v1/cli_sessions/{id}"), &Value::Null, &[]).await
    };
    poll().await.is(404);
    world.send("POST", &page, &Value::Null, &[]).await.is(200);
    assert_eq!(poll().await.is(200).str("access_token"), "fm2_sandbox");
    world.close().await;
}
