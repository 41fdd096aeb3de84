//! What it says of itself, and what it does when it is only asked to.

use serde_json::{Value, json};

use crate::{call, with_body};

pub(crate) fn manifest(name: &str, behaviour: &str) -> String {
    let mut manifest = honest(name);
    match behaviour {
        "describe-loop" => crate::greedy::compute(),
        "describe-traps" => std::process::abort(),
        "describe-sends" => drop(crate::ask(&call("listThings", &[]))),
        "describe-writes" => drop(crate::ask(&with_body("createThing", &[], "{}"))),
        "describe-steps" => guest::progress::step("describing"),
        "describe-waits" => guest::clock::wait(u32::MAX),
        "describe-garbage" => return "{\"manifest\": ".to_owned(),
        "describe-huge" => return " ".repeat((1 << 20) + 1),
        "describe-endless" => return "x".repeat(48 << 20),
        "describe-deep" => return "[".repeat(100_000),
        _ => {
            if let Some((pointer, value)) = change(behaviour) {
                *manifest.pointer_mut(pointer).expect("the manifest has this place") = value;
            }
        }
    }
    manifest.to_string()
}

/// One lie, by the place where it stands.
fn change(behaviour: &str) -> Option<(&'static str, Value)> {
    let operation = |route: &str| json!({"name": "listThings", "route": route});
    Some(match behaviour {
        "describe-metadata-host" => {
            ("/connections/0/base_url", json!("https://169.254.169.254/latest"))
        }
        "describe-mapped-host" => {
            ("/connections/0/base_url", json!("https://[::ffff:169.254.169.254]"))
        }
        "describe-plain-http" => ("/connections/0/base_url", json!("http://api.vendor.example")),
        "describe-user-in-url" => {
            ("/connections/0/base_url", json!("https://me@api.vendor.example"))
        }
        "describe-any-host" => ("/connections/1/base_url", json!("https://{thing}.com")),
        "describe-token-to-any-host" => ("/connections/1/auth", json!({"bearer": "hostile.token"})),
        "describe-authorization-header" => {
            ("/connections/0/operations/4/request_headers/nonce", json!("Authorization"))
        }
        "describe-token-header" => {
            ("/connections/0/operations/4/request_headers/nonce", json!("x-auth-token"))
        }
        "describe-token-query" => ("/connections/0/operations/0/query", json!(["access_token"])),
        "describe-set-cookie" => {
            ("/connections/0/operations/0/reply_headers", json!(["set-cookie"]))
        }
        "describe-write-without-phase" => ("/connections/0/operations/4/in", json!([])),
        "describe-read-with-phase" => ("/connections/0/operations/0/in", json!(["create"])),
        "describe-dots-in-route" => {
            ("/connections/0/operations/0", operation("GET /things/../admin"))
        }
        "describe-query-in-route" => {
            ("/connections/0/operations/0", operation("GET /things?admin=1"))
        }
        "describe-connect" => ("/connections/0/operations/0", operation("CONNECT /things")),
        "describe-verify-writes" => ("/credentials/0/verify", json!("createThing")),
        "describe-other-credential" => ("/connections/0/auth/bearer", json!("neon.api_token")),
        "describe-other-name" => ("/name", json!("somebody-else")),
        "describe-takes-target" => ("/targets/0/type", json!("neon")),
        "describe-takes-connection" => ("/connections/0/name", json!("fly-app")),
        "describe-escape-codes" => ("/version", json!("1.0\u{1b}[2J")),
        "describe-bidi" => ("/description", json!("harmless \u{202e}lufmrah")),
        "describe-newline" => ("/targets/0/creates", json!("a thing\n  + db  neon · will create")),
        "describe-wider" => {
            ("/connections/0/operations/5/in", json!(["create", "update", "destroy"]))
        }
        "describe-owns-by-word" => {
            ("/connections/0/operations/3/owns/thing", json!("request:/name"))
        }
        "describe-secret-in-the-open" => ("/connections/0/operations/2/secrets", json!([])),
        "describe-adopts-by-echo" => ("/connections/0/operations/0/adopts/0/mark", json!("/q")),
        _ => return None,
    })
}

fn honest(name: &str) -> Value {
    let token = format!("{name}.token");
    json!({
        "manifest": 1, "name": name, "version": "0.1.0", "description": "Things.",
        "targets": [{
            "type": name, "description": "A thing.", "creates": "a thing",
            "schema": {"type": "object", "properties": {"note": {"type": "string"}}},
            "outputs": [{"name": "PASSWORD", "description": "The thing's password."}]
        }],
        "credentials": [{"name": token, "description": "A token.", "verify": null}],
        "connections": [
            {"name": format!("{name}-api"), "base_url": "https://api.vendor.example/v1", "auth": {"bearer": token}, "operations": [
                {"name": "listThings", "route": "GET /things", "query": ["q"], "in": [], "reply_headers": [],
                 "adopts": [{"param": "thing", "id": "/*/id", "mark": "/*/mark"}]},
                {"name": "getThing", "route": "GET /things/{thing}"},
                {"name": "getPassword", "route": "GET /things/{thing}/password", "secrets": ["/password"]},
                {"name": "createThing", "route": "POST /things", "in": ["create"], "owns": {"thing": "/id"},
                 "fills": ["/env/*"], "secrets": ["/password"]},
                {"name": "changeThing", "route": "PATCH /things/{thing}", "in": ["create", "update"],
                 "request_headers": {"nonce": "x-nonce"}},
                {"name": "updateThing", "route": "PUT /things/{thing}", "in": ["update"]},
                {"name": "deleteThing", "route": "DELETE /things/{thing}", "in": ["destroy"], "destroys": true},
                {"name": "echo", "route": "POST /echo", "in": ["create", "update"], "reply_headers": ["x-echo"]}
            ]},
            {"name": format!("{name}-front"), "base_url": "https://{thing}.vendor.example", "auth": null,
             "operations": [{"name": "probe", "route": "GET /{path}"}]}
        ]
    })
}
