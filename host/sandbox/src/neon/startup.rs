//! The first message of a PostgreSQL session, changed so that the session is read-only.
//!
//! Stands in for a real replica, which cannot write at all: here a session that sets
//! `default_transaction_read_only = off` could.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const VERSION_3: u32 = 3;
const BYTES_MAX: usize = 10_000;
const READ_ONLY: &str = "-c default_transaction_read_only=on";

/// Reads the client's startup message and returns the one to send on.
pub(crate) async fn read_only(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Vec<u8>> {
    loop {
        let length = usize::try_from(client.read_u32().await?).unwrap_or(usize::MAX);
        if !(8..=BYTES_MAX).contains(&length) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "startup message of odd length",
            ));
        }
        let mut body = vec![0; length - 4];
        client.read_exact(&mut body).await?;
        let code = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        match code {
            // No encryption here; the client goes on in the clear or leaves.
            SSL_REQUEST | GSS_REQUEST => client.write_all(b"N").await?,
            code if code >> 16 == VERSION_3 => return Ok(message(&with_option(&body))),
            _ => return Ok(message(&body)),
        }
    }
}

/// Adds our option behind the client's own.
fn with_option(body: &[u8]) -> Vec<u8> {
    let (version, parameters) = body.split_at(4);
    let mut words = parameters.split(|byte| *byte == 0);
    let mut changed = version.to_vec();
    let mut options = READ_ONLY.as_bytes().to_vec();
    while let (Some(name), Some(value)) =
        (words.next().filter(|name| !name.is_empty()), words.next())
    {
        if name == b"options" {
            options = [value, b" ", READ_ONLY.as_bytes()].concat();
        } else {
            changed.extend([name, b"\0", value, b"\0"].concat());
        }
    }
    changed.extend([b"options\0", options.as_slice(), b"\0\0"].concat());
    changed
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent_on(given: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(1_000);
        theirs.write_all(&given).await.unwrap();
        let passed = read_only(&mut ours).await.unwrap();
        drop(ours);
        let mut answered = Vec::new();
        theirs.read_to_end(&mut answered).await.unwrap();
        (passed, answered)
    }

    fn startup(parameters: &str) -> Vec<u8> {
        message(&[&[0, 3, 0, 0], parameters.as_bytes()].concat())
    }

    #[tokio::test]
    async fn adds_the_option_behind_a_refused_encryption() {
        let request = message(&SSL_REQUEST.to_be_bytes());
        let (passed, answered) = sent_on([request, startup("user\0a\0\0")].concat()).await;
        assert_eq!(answered, b"N");
        assert_eq!(passed, startup(&format!("user\0a\0options\0{READ_ONLY}\0\0")));
    }

    #[tokio::test]
    async fn keeps_the_clients_own_options() {
        let (passed, _) = sent_on(startup("options\0-c a=b\0user\0a\0\0")).await;
        assert_eq!(passed, startup(&format!("user\0a\0options\0-c a=b {READ_ONLY}\0\0")));
    }

    #[tokio::test]
    async fn passes_a_cancel_request_as_it_is() {
        let cancel = message(&[4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(sent_on(cancel.clone()).await.0, cancel);
    }
}
