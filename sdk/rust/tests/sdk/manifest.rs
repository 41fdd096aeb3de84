//! A small manifest with every kind of rule in it.

use starsystem_provisioner::testing::{Phase, Script};

pub(crate) const MANIFEST: &str = r#"{
  "manifest": 1, "name": "shelf", "version": "0.1.0", "description": "Shelves.",
  "targets": [{"type": "shelf", "description": "A shelf.", "creates": "shelf", "schema": {
    "type": "object", "properties": {
      "width": {"type": "integer", "default": 80},
      "feet": {"type": "object", "properties": {"count": {"type": "integer", "default": 4}}}
    }}}],
  "connections": [
    {"name": "shelves", "base_url": "https://api.example.com", "operations": [
      {"name": "list", "route": "GET /shelves", "query": ["tag"],
       "adopts": [{"param": "id", "id": "/items/*/id", "mark": "/items/*/tags/own"}]},
      {"name": "get", "route": "GET /shelves/{id}", "reply_headers": ["x-page"]},
      {"name": "reveal", "route": "GET /shelves/{id}/key", "secrets": ["/keys/*/value"]},
      {"name": "make", "route": "POST /shelves", "in": ["create"], "owns": {"id": "/id"}},
      {"name": "name", "route": "PUT /names", "in": ["create"], "owns": {"id": "request:/id"}},
      {"name": "lock", "route": "POST /shelves/{id}/lock", "in": ["create", "update"],
       "fills": ["/keys/*"], "request_headers": {"nonce": "x-nonce"}},
      {"name": "burn", "route": "DELETE /shelves/{id}", "in": ["destroy"], "destroys": true}]},
    {"name": "probe", "base_url": "https://{shelf}.example.org", "operations": [
      {"name": "health", "route": "GET /health"}]}]
}"#;

pub(crate) fn script(phase: Phase) -> Script {
    Script::new(MANIFEST, phase)
}
