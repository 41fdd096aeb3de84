//! Encrypting to several recipients and decrypting with several identities; bytes in, bytes out.

use std::io::{Read, Write};

use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use ss_core::redact::{Redacted, Secret};

/// Why bytes do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// They are encrypted, but to nobody we are.
    Foreign,
    /// They are not whole, or not age's.
    Damaged,
}

/// Encrypts to every recipient; each can open it alone. There is at least one recipient.
pub(crate) fn encrypt(recipients: &[Recipient], plain: &[u8]) -> Vec<u8> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(recipients)
        .unwrap_or_else(|_| unreachable!("X25519 recipients can always be combined"));
    wrapped(encryptor, plain)
}

/// Encrypts with a passphrase; opening it takes about a second on the machine that made it.
pub(crate) fn encrypt_with(passphrase: &Secret, plain: &[u8]) -> Vec<u8> {
    wrapped(Encryptor::with_user_passphrase(passphrase.expose().as_str().into()), plain)
}

fn wrapped(encryptor: Encryptor, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let written = encryptor.wrap_output(&mut sealed).and_then(|mut writer| {
        writer.write_all(plain)?;
        writer.finish()
    });
    written.unwrap_or_else(|_| unreachable!("writing to memory cannot fail"));
    sealed
}

/// Decrypts with whichever identity fits.
pub(crate) fn decrypt(
    identities: &[Identity],
    sealed: &[u8],
) -> Result<Redacted<Vec<u8>>, NotOpened> {
    opened(identities.iter().map(|identity| identity as &dyn age::Identity), sealed)
}

/// Decrypts with a passphrase; a wrong one is `Foreign`.
pub(crate) fn decrypt_with(
    passphrase: &Secret,
    sealed: &[u8],
) -> Result<Redacted<Vec<u8>>, NotOpened> {
    let identity = age::scrypt::Identity::new(passphrase.expose().as_str().into());
    opened(std::iter::once(&identity as &dyn age::Identity), sealed)
}

fn opened<'i>(
    identities: impl Iterator<Item = &'i dyn age::Identity>,
    sealed: &[u8],
) -> Result<Redacted<Vec<u8>>, NotOpened> {
    let decryptor = Decryptor::new_buffered(sealed).map_err(|_| NotOpened::Damaged)?;
    let mut reader = decryptor.decrypt(identities).map_err(|error| match error {
        DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed => NotOpened::Foreign,
        _ => NotOpened::Damaged,
    })?;
    // The plain text is shorter than the sealed one: one allocation, so that no copy stays behind unwiped.
    let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plain).map_err(|_| NotOpened::Damaged)?;
    Ok(Redacted::new(std::mem::take(&mut *plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipient_opens_alone_and_nobody_else() {
        let [ours, theirs, stranger] = [(); 3].map(|()| Identity::generate());
        let sealed = encrypt(&[ours.to_public(), theirs.to_public()], b"words");
        for identity in [ours, theirs] {
            assert_eq!(decrypt(&[identity], &sealed).unwrap().expose(), b"words");
        }
        assert_eq!(decrypt(&[stranger], &sealed), Err(NotOpened::Foreign));
    }

    #[test]
    fn no_prefix_and_no_changed_byte_opens() {
        let identity = Identity::generate();
        let sealed = encrypt(&[identity.to_public()], &[7; 300]);
        let identities = [identity];
        for length in 0..sealed.len() {
            assert!(decrypt(&identities, &sealed[..length]).is_err(), "{length}");
            let mut changed = sealed.clone();
            changed[length] ^= 1;
            assert!(decrypt(&identities, &changed).is_err(), "{length}");
        }
    }
}
