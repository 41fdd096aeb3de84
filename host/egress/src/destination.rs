//! Where a request goes, decided from its URL alone, before anything is resolved.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use ss_ports::EgressError;

use crate::address::Reach;
use crate::resolve::refusal;

/// A URL that may be asked, and how far asking it may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) uri: Uri,
    pub(crate) reach: Reach,
}

impl Destination {
    /// Checks the URL. A `local` request goes to this machine, over HTTP or HTTPS, and its host says so itself:
    /// `localhost` or a loopback address, not a name that leads there. Every other one goes out, over HTTPS.
    pub(crate) fn parse(url: &str, local: bool) -> Result<Self, EgressError> {
        let refused = |why: &str| EgressError::Refused(format!("the address is refused: {why}"));
        let uri: Uri = url.parse().map_err(|_| refused("it is not a URL"))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| refused("it names no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refused("a URL must not carry a user name"));
        }
        let reach = if local { Reach::Loopback } else { Reach::Public };
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => {}
            Some(scheme) if *scheme == Scheme::HTTP && local => {}
            _ => return Err(refused(&format!("`{host}` can only be reached over https"))),
        }
        match literal(host) {
            Some(address) if !reach.allows(address) => {
                Err(refused(&format!("it leads to {address}, {}", refusal(reach))))
            }
            None if local && host != "localhost" => Err(refused(&format!(
                "`{host}` is not this machine; write `localhost`, `127.0.0.1` or `[::1]`"
            ))),
            _ => Ok(Self { uri, reach }),
        }
    }

    /// The host, for messages.
    pub(crate) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// Scheme, host and port: what limits are counted for.
    pub(crate) fn origin(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{}", authority.to_ascii_lowercase())
    }
}

/// The address, when the host is one. Read as the connector reads it: what it takes for an address, it does not resolve.
/// Other spellings (`0x7f.1`, `2130706433`) are names to both, and are checked when resolved.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, local: bool) -> String {
        match Destination::parse(url, local) {
            Err(EgressError::Refused(why)) => why,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn public_requests_use_https_and_public_addresses() {
        for url in [
            "https://api.machines.dev/v1",
            "https://1.1.1.1/",
            "https://[2606:4700:4700::1111]:8443/",
            // Not what it looks like, and therefore checked when resolved.
            "https://0x7f.1/",
            "https://localhost/",
        ] {
            assert_eq!(Destination::parse(url, false).unwrap().reach, Reach::Public, "{url}");
        }
        for url in [
            "http://api.machines.dev/v1",
            "ftp://api.machines.dev/",
            "//api.machines.dev/",
            "/v1",
            "",
            "https://",
            "https://user@api.machines.dev/",
            "https://user:word@127.0.0.1@api.machines.dev/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::]/",
            "https://0.0.0.0/",
            "https://10.0.0.1:443/",
        ] {
            refused(url, false);
        }
    }

    #[test]
    fn local_requests_say_themselves_that_they_are_local() {
        for url in [
            "http://127.0.0.1:4400/neon",
            "http://localhost:4400/",
            "https://localhost/",
            "http://[::1]:4400/",
            "http://127.9.9.9/",
        ] {
            assert_eq!(Destination::parse(url, true).unwrap().reach, Reach::Loopback, "{url}");
        }
        for url in [
            "http://0.0.0.0:4400/",
            "http://[::]:4400/",
            "http://[::ffff:127.0.0.1]:4400/",
            "http://localhost.example.com/",
            "http://127.0.0.1.nip.io/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://localhost./",
            "http://LOCALHOST.local/",
            "http://192.168.0.1/",
            "http://169.254.169.254/",
            "https://api.machines.dev/",
            "http://me@127.0.0.1/",
        ] {
            refused(url, true);
        }
    }

    #[test]
    fn a_refusal_never_quotes_the_path() {
        for url in ["http://api.machines.dev/canary", "https://10.0.0.1/canary", "canary canary"] {
            assert!(!refused(url, false).contains("canary"));
        }
    }
}
