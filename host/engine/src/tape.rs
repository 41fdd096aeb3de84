//! What the tape of an interrupted call says, read once before it is replayed.
//!
//! A replay may stop half-way; what the tape knows must count all the same.

use serde_json::Value;
use ss_core::state::{Owned, Recorded};
use ss_gate::call::{Call, CallFailure, CallFailureKind, Reply, ResourceRecord};
use ss_gate::decide::Usage;
use ss_gate::manifest::Manifest;
use ss_gate::owned::learn;
use ss_ports::TapeRecord;

/// What is known of a call from its tape.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Ids that are the service's own, those from before included.
    pub owned: Owned,
    /// How much of its budget the call has used.
    pub usage: Usage,
    /// Whether an unsafe request may have left the machine.
    pub wrote: bool,
    /// The last checkpoint.
    checkpoint: Option<ResourceRecord>,
}

impl Told {
    /// Reads the records of a call whose service carries this mark.
    pub(crate) fn read(
        manifest: &Manifest,
        mark: &str,
        owned: &Owned,
        records: &[TapeRecord],
    ) -> Self {
        let mut told = Self { owned: owned.clone(), ..Self::default() };
        for (index, record) in records.iter().enumerate() {
            match record {
                TapeRecord::Request { call, writes } => {
                    let reply = match records.get(index + 1) {
                        Some(TapeRecord::Reply { reply, .. }) => Some(reply),
                        _ => None,
                    };
                    told.request(manifest, mark, call, *writes, reply);
                }
                TapeRecord::Checkpoint(partial) => told.checkpoint = Some((**partial).clone()),
                _ => {}
            }
        }
        told
    }

    fn request(
        &mut self,
        manifest: &Manifest,
        mark: &str,
        call: &Call,
        writes: bool,
        reply: Option<&Result<Reply, CallFailure>>,
    ) {
        let failed = reply.and_then(|reply| reply.as_ref().err()).map(|failure| failure.kind);
        if failed == Some(CallFailureKind::Denied) {
            return;
        }
        let sent = failed != Some(CallFailureKind::Unreachable);
        let Some((connection, operation)) = manifest.operation(&call.operation) else {
            // Another build's operation: what it was is on the tape, what it made is not known.
            self.wrote |= writes && sent;
            return;
        };
        self.usage = self.usage.and(operation);
        self.wrote |= sent && !operation.route.is_read();
        let Some(Ok(reply)) = reply else { return };
        if let Ok(body) = serde_json::from_slice::<Value>(&reply.body)
            && (200..300).contains(&reply.status)
        {
            let request = call.body.as_ref().and_then(|bytes| serde_json::from_slice(bytes).ok());
            learn(&mut self.owned, connection, operation, call, request.as_ref(), &body, mark);
        }
    }

    /// The record with what the tape adds to it.
    pub(crate) fn added_to(&self, record: Recorded, now_ms: i64) -> Recorded {
        match &self.checkpoint {
            Some(partial) => crate::call::filled(record, partial, self.owned.clone(), now_ms),
            None => Recorded { owned: self.owned.clone(), ..record },
        }
    }
}
