//! What a failed attempt means: refused, never sent, or perhaps sent. Recovery stands on this being right.
//!
//! When in doubt it is `Lost`: the engine then looks before it repeats. A certificate that does not fit is `Refused`,
//! because trying again cannot help.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use ss_ports::EgressError;

use crate::resolve::ResolveError;

/// Whether the client library had picked a connection for the request: from then on, bytes may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Not one byte.
    Nothing,
    /// Nobody can say.
    Perhaps,
}

/// Names the end of an attempt that the client library gave up.
pub(crate) fn classify(error: &legacy::Error, sent: Sent, host: &str) -> EgressError {
    let cause = innermost(error);
    if let Some(refused) =
        find::<ResolveError>(error).filter(|error| matches!(error, ResolveError::Refused { .. }))
    {
        return EgressError::Refused(format!("the address is refused: {refused}"));
    }
    if let Some(rustls::Error::InvalidCertificate(why)) = find(error) {
        return EgressError::Refused(format!("the certificate of `{host}` is refused: {why}"));
    }
    let hyper = find::<hyper::Error>(error);
    // `Canceled` is hyper's word for a request that it hands back because it never began to write it.
    let never_begun = error.is_connect() || hyper.is_some_and(hyper::Error::is_canceled);
    if never_begun || sent == Sent::Nothing {
        return EgressError::Unreachable(format!("could not connect to `{host}`: {cause}"));
    }
    EgressError::Lost(format!("the connection to `{host}` broke before an answer came: {cause}"))
}

/// Names the end of an attempt that ran out of time.
pub(crate) fn timed_out(limit_ms: u128, sent: Sent, host: &str) -> EgressError {
    match sent {
        Sent::Nothing => {
            EgressError::Unreachable(format!("could not connect to `{host}` within {limit_ms} ms"))
        }
        Sent::Perhaps => EgressError::Lost(format!("no answer from `{host}` within {limit_ms} ms")),
    }
}

/// The error and everything below it. `io::Error` hides the error it carries behind that one's own source.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match carried {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The words of the cause that no other cause stands behind.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
