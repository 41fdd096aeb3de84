//! Names to addresses, checked before anything else sees them.
//!
//! The connector dials exactly what comes out of here: there is no second look-up between check and connection that could
//! answer differently.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use crate::address::Reach;

/// Turns a host name into addresses.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of the name, best first.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = tokio::net::lookup_host((host, 0)).await?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// It leads where this request must not go.
    #[error("`{host}` leads to {address}, {}", refusal(*.reach))]
    Refused { host: String, address: IpAddr, reach: Reach },
    /// It is not known, or nobody could be asked.
    #[error("the name could not be resolved: {0}")]
    Failed(#[from] io::Error),
}

/// Why an address is refused, as the end of a sentence.
pub(crate) fn refusal(reach: Reach) -> &'static str {
    match reach {
        Reach::Public => "which is not a public address",
        Reach::Loopback => "which is not an address of this machine",
    }
}

/// Resolves and checks, for the connector.
#[derive(Clone)]
pub(crate) struct CheckedResolver {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) reach: Reach,
}

impl CheckedResolver {
    async fn resolve(self, host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        // One bad address spoils the name: a mixed answer is an attempt to be lucky on the second try.
        let addresses = match self.reach {
            Reach::Public => self.resolver.resolve(host).await?,
            // The name was already checked to be `localhost`; its addresses are nobody's to choose.
            Reach::Loopback => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        };
        if let Some(address) = addresses.iter().find(|address| !self.reach.allows(**address)) {
            let (host, address, reach) = (host.to_owned(), *address, self.reach);
            return Err(ResolveError::Refused { host, address, reach });
        }
        // The connector puts the URL's port in the place of 0.
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

impl Service<Name> for CheckedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.resolve(name.as_str()).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(Vec<IpAddr>);

    #[async_trait]
    impl Resolver for Always {
        async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    async fn resolve(reach: Reach, answer: &[&str]) -> Result<Vec<String>, ResolveError> {
        let answer = answer.iter().map(|address| address.parse().unwrap()).collect();
        let mut resolver = CheckedResolver { resolver: Arc::new(Always(answer)), reach };
        let addresses = resolver.call("vendor.test".parse().unwrap()).await?;
        Ok(addresses.map(|address| address.to_string()).collect())
    }

    #[tokio::test]
    async fn what_was_checked_is_what_is_dialled() {
        let addresses = resolve(Reach::Public, &["2606:4700::1", "1.1.1.1"]).await.unwrap();
        assert_eq!(addresses, ["[2606:4700::1]:0", "1.1.1.1:0"]);
    }

    #[tokio::test]
    async fn one_bad_address_spoils_the_name() {
        let error = resolve(Reach::Public, &["1.1.1.1", "::ffff:10.0.0.1"]).await.unwrap_err();
        let expected = "`vendor.test` leads to ::ffff:10.0.0.1, which is not a public address";
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn loopback_asks_nobody() {
        let addresses = resolve(Reach::Loopback, &["1.1.1.1"]).await.unwrap();
        assert_eq!(addresses, ["127.0.0.1:0", "[::1]:0"]);
    }
}
