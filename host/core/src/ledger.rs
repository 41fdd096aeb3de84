//! A receipt's chain of digests: over its beginning, each request after the one before, and all the rest.
//!
//! It tells which line of a ledger was changed, by a damaged disk or by hand. It is no signature: who can rewrite the
//! whole file can make a new chain.

use serde_json::{Value, json};

use crate::record::Receipt;
use crate::value::digest_bytes;

/// What does not fit the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// There is no chain, or it has another length than the ledger.
    #[error("its chain of digests is missing, or does not have a link for each request")]
    Chain,
    /// How the run began: its id, environment, start.
    #[error("its beginning (id, system, environment, start) was changed")]
    Header,
    /// A request, counted from 1.
    #[error("request {0} of its ledger was changed")]
    Request(usize),
    /// What became of the run: status, services, counts.
    #[error("its status, services or counts were changed")]
    Rest,
}

/// The receipt with its chain.
pub fn chained(mut receipt: Receipt) -> Receipt {
    receipt.chain = links(&receipt);
    receipt
}

/// Whether everything is as it was when the receipt was written.
pub fn verify(receipt: &Receipt) -> Result<(), Tampered> {
    let wanted = links(receipt);
    let requests = receipt.requests.len();
    if receipt.chain.len() != wanted.len() {
        return Err(Tampered::Chain);
    }
    match receipt.chain.iter().zip(&wanted).position(|(link, wanted)| link != wanted) {
        None => Ok(()),
        Some(0) => Err(Tampered::Header),
        Some(at) if at <= requests => Err(Tampered::Request(at)),
        Some(_) => Err(Tampered::Rest),
    }
}

fn links(receipt: &Receipt) -> Vec<String> {
    let Receipt { version, header, status, ended_ms, services, requests, counts, serial, .. } =
        receipt;
    let mut links = vec![link("", &json!([version, header]))];
    let rest = json!([status, ended_ms, services, counts, serial]);
    for value in requests.iter().map(|line| json!(line)).chain([rest]) {
        let last = links.last().expect("the first link is there");
        links.push(link(last, &value));
    }
    links
}

fn link(before: &str, value: &Value) -> String {
    digest_bytes(format!("{before}\n{value}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{DeployId, EnvName, ServiceId, SystemName};
    use crate::record::{DeployHeader, DeployStatus, RequestCount, RequestLine, RunKind};

    fn receipt() -> Receipt {
        let line = |route: &str| RequestLine {
            service: ServiceId::new("db").unwrap(),
            operation: "getProject".to_owned(),
            method: "GET".to_owned(),
            route: route.to_owned(),
            status: Some(200),
            error: None,
            ms: 12,
            bytes: 34,
            attempts: 1,
        };
        chained(Receipt {
            version: 1,
            header: DeployHeader {
                id: DeployId::parse("00000001-0000-4000-8000-000000000000").unwrap(),
                run: RunKind::Deploy,
                system: SystemName::new("my-app").unwrap(),
                environment: EnvName::new("prod").unwrap(),
                started_ms: 1,
                tool: "0.1.0".to_owned(),
                trace_id: None,
            },
            status: DeployStatus::Completed,
            ended_ms: Some(2),
            services: Vec::new(),
            requests: vec![line("/projects/a"), line("/projects/b"), line("/projects/c")],
            counts: RequestCount { read: 3, write: 0 },
            serial: 1,
            chain: Vec::new(),
        })
    }

    #[test]
    fn names_what_was_changed() {
        assert_eq!(verify(&receipt()), Ok(()));
        let changed = |change: fn(&mut Receipt)| {
            let mut receipt = receipt();
            change(&mut receipt);
            verify(&receipt).unwrap_err()
        };
        assert_eq!(changed(|r| r.header.started_ms = 3), Tampered::Header);
        assert_eq!(changed(|r| r.requests[1].route = "/x".to_owned()), Tampered::Request(2));
        assert_eq!(changed(|r| r.requests.swap(1, 2)), Tampered::Request(2));
        assert_eq!(changed(|r| r.counts.write = 1), Tampered::Rest);
        assert_eq!(changed(|r| drop(r.requests.pop())), Tampered::Chain);
        assert_eq!(changed(|r| r.chain.clear()), Tampered::Chain);
    }

    #[test]
    fn no_byte_can_be_changed_unseen() {
        let original = receipt();
        let text = serde_json::to_vec(&original).unwrap();
        for at in 0..text.len() {
            for bit in [1, 2, 16] {
                let mut changed = text.clone();
                changed[at] ^= bit;
                // What cannot be read is seen at once; what reads the same was not changed.
                let Ok(read) = serde_json::from_slice::<Receipt>(&changed) else { continue };
                assert!(read == original || verify(&read).is_err(), "byte {at}");
            }
        }
    }
}
