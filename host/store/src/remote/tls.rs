//! How a shared place is known to be itself: the public roots.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use ss_ports::StoreError;

pub(crate) fn config() -> Result<ClientConfig, StoreError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Io(format!("cannot prepare TLS: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
