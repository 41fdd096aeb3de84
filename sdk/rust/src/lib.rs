//! Write an `ss` provisioner in Rust.
//!
//! A provisioner describes operations of an API in a manifest and calls them by name; the host speaks HTTP,
//! holds the secrets, and records everything. This crate is the contract's bindings and a thin layer over
//! them: [`Provisioner`], [`Request`], [`ensure`], [`poll`], [`Failure`]. On any other target than WASM the
//! same functions talk to the scripted host of [`testing`], so a provisioner is tested with `cargo test`.
//!
//! Deliberately absent: HTTP, URLs, tokens, files, threads, a clock of one's own.
//!
//! # A complete provisioner
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use starsystem_provisioner::{
//!     Attempt, Failure, Outcome, Provisioner, Recorded, Reply, Request, Service, checkpoint, ensure,
//!     json, step,
//! };
//!
//! #[derive(Deserialize)]
//! struct Target {
//!     size: String,
//! }
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct Attributes {
//!     size: String,
//! }
//!
//! struct Cache;
//!
//! impl Provisioner for Cache {
//!     type Target = Target;
//!     type Attributes = Attributes;
//!     const MANIFEST: &str = r#"{
//!       "manifest": 1, "name": "cache", "version": "0.1.0", "description": "A cache at Example.",
//!       "targets": [{"type": "cache", "description": "A cache.", "creates": "cache, {size}",
//!         "schema": {"type": "object", "properties": {"size": {"type": "string", "default": "small"}}},
//!         "outputs": [{"name": "CACHE_URL", "description": "Where it answers, with its password."}]}],
//!       "credentials": [{"name": "example.token", "description": "From example.com/tokens."}],
//!       "connections": [{"name": "example", "base_url": "https://api.example.com/v1",
//!         "auth": {"bearer": "example.token"},
//!         "operations": [
//!           {"name": "findCaches", "route": "GET /caches", "query": ["tag"], "secrets": ["/*/url"],
//!            "adopts": [{"param": "id", "id": "/*/id", "mark": "/*/tag"}]},
//!           {"name": "getCache", "route": "GET /caches/{id}", "secrets": ["/url"]},
//!           {"name": "createCache", "route": "POST /caches", "in": ["create"], "owns": {"id": "/id"},
//!            "secrets": ["/url"]},
//!           {"name": "resizeCache", "route": "PATCH /caches/{id}", "in": ["update"], "repeatable": true,
//!            "secrets": ["/url"]},
//!           {"name": "deleteCache", "route": "DELETE /caches/{id}", "in": ["destroy"], "destroys": true,
//!            "repeatable": true}]}]
//!     }"#;
//!
//!     fn apply(
//!         service: Service<Target>,
//!         recorded: Option<Recorded<Attributes>>,
//!     ) -> Result<Outcome<Attributes>, Failure> {
//!         let size = &service.target.size;
//!         if let Some(recorded) = recorded {
//!             let request = Request::new("resizeCache").param("id", &recorded.id);
//!             let reply = request.json(&json!({"size": size})).send()?.success("resize the cache")?;
//!             step!("Cache resized: {size}");
//!             return finish(reply);
//!         }
//!         // A lost answer or a killed run leaves a cache behind; its tag finds it again.
//!         let id = ensure(
//!             || {
//!                 let reply = Request::new("findCaches").param("tag", &service.mark).send()?;
//!                 let found = reply.success("look for the cache")?.value()?;
//!                 Ok(found.pointer("/0/id").and_then(|id| id.as_str()).map(String::from))
//!             },
//!             || {
//!                 let body = json!({"size": size, "tag": &service.mark});
//!                 let reply = Request::new("createCache").json(&body).send()?;
//!                 Ok(id_of(&reply.created("create the cache")?)?)
//!             },
//!         )?
//!         .into_inner();
//!         checkpoint(&Recorded::new(&id, Attributes { size: size.clone() }));
//!         step!("Cache created: {id}");
//!         finish(Request::new("getCache").param("id", &id).send()?.success("read the cache")?)
//!     }
//!
//!     fn read(
//!         _: Service<Target>,
//!         recorded: Recorded<Attributes>,
//!     ) -> Result<Option<Recorded<Attributes>>, Failure> {
//!         let reply = Request::new("getCache").param("id", &recorded.id).send()?;
//!         if reply.status == 404 {
//!             return Ok(None);
//!         }
//!         Ok(Some(Recorded::new(recorded.id, reply.success("read the cache")?.json()?)))
//!     }
//!
//!     fn destroy(recorded: Recorded<Attributes>) -> Result<(), Failure> {
//!         let reply = Request::new("deleteCache").param("id", &recorded.id).send()?;
//!         if reply.status == 404 { Ok(()) } else { reply.success("delete the cache").map(drop) }
//!     }
//! }
//!
//! fn id_of(reply: &Reply) -> Result<String, Failure> {
//!     let id = reply.value()?.pointer("/id").and_then(|id| id.as_str().map(String::from));
//!     id.ok_or_else(|| Failure::broken("the cache has no id"))
//! }
//!
//! fn finish(reply: Reply) -> Result<Outcome<Attributes>, Failure> {
//!     let made = Recorded::new(id_of(&reply)?, reply.json()?);
//!     Ok(Outcome::new(made, "cache ready").output("CACHE_URL", reply.require_secret("/url")?))
//! }
//!
//! starsystem_provisioner::export!(Cache);
//! #
//! # #[cfg(not(target_family = "wasm"))]
//! # fn main() {
//! use starsystem_provisioner::testing::{self, Phase, Script};
//!
//! let mut script = Script::new(Cache::MANIFEST, Phase::Create);
//! script.on("findCaches").param("tag", "ss-test").reply(200, json!([]));
//! script.on("createCache").body("/size", "small").lost();
//! script.on("findCaches").reply(200, json!([{"id": "c1", "tag": "ss-test", "url": "redis://:pw@c1"}]));
//! script.on("getCache").param("id", "c1").reply(200, json!({"id": "c1", "size": "small", "url": "redis://:pw@c1"}));
//! let run = script.run(|| Cache::apply(testing::service::<Cache>("cache", json!({})), None));
//! let outcome = run.result.as_ref().unwrap();
//! assert_eq!(run.reveal(outcome.outputs[0].value), "redis://:pw@c1");
//! assert_eq!(run.steps, ["Cache created: c1"]);
//! # }
//! ```

pub mod clock;
pub mod json;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

mod ensure;
mod failure;
mod host;
mod progress;
mod provisioner;
mod request;
mod secret;

pub use ensure::{Attempt, Ensured, ensure, pages, poll};
pub use failure::{Failure, FailureKind};
pub use progress::{checkpoint, log, step};
pub use provisioner::{Outcome, Provisioner, Recorded, Service};
pub use request::{CallError, CallErrorKind, Reply, Request};
pub use secret::{NamedSecret, Secret, compose};
pub use serde_json;
pub use serde_json::json;

/// What [`export!`] expands to needs these; nothing else should.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod component {
    pub use crate::host::bindings;
    pub use crate::host::export::Export;
}

/// Makes a component out of a type that implements [`Provisioner`]. Does nothing on other targets than WASM.
#[macro_export]
macro_rules! export {
    ($provisioner:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::component::Export<$provisioner>;
            $crate::component::bindings::export_component!(
                Exported with_types_in $crate::component::bindings
            );
        };
    };
}
