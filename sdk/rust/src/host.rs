//! The host's functions: the component's imports on WASM, the scripted test host elsewhere.
//!
//! The rest of the crate sees only these functions and the plain types of [`raw`].

/// What crosses the boundary, without generated types.
pub(crate) mod raw {
    use crate::NamedSecret;

    /// A call.
    #[derive(Debug, Clone)]
    pub(crate) struct Call {
        pub(crate) operation: String,
        pub(crate) params: Vec<(String, String)>,
        pub(crate) body: Option<Vec<u8>>,
        /// The name is the JSON pointer.
        pub(crate) fill: Vec<NamedSecret>,
    }

    /// A reply.
    #[derive(Debug, Clone)]
    pub(crate) struct Reply {
        pub(crate) status: u16,
        pub(crate) headers: Vec<(String, String)>,
        pub(crate) body: Vec<u8>,
        pub(crate) captured: Vec<NamedSecret>,
    }

    /// A record; attributes are JSON text.
    #[derive(Debug, Clone)]
    pub(crate) struct Record {
        pub(crate) id: String,
        pub(crate) attributes: String,
        pub(crate) url: Option<String>,
        pub(crate) schema: u32,
    }
}

#[cfg(target_family = "wasm")]
pub mod bindings;
#[cfg(target_family = "wasm")]
pub mod export;
#[cfg(target_family = "wasm")]
mod imports;

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::{checkpoint, compose, log, now_ms, random, send, step, wait};
#[cfg(target_family = "wasm")]
pub(crate) use imports::{checkpoint, compose, log, now_ms, random, send, step, wait};
