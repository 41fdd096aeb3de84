//! Names and numbers as Fly makes them: hex ids, ULIDs, machine names, digests, addresses.

use sha2::{Digest, Sha256};

/// `length` random hex characters.
#[must_use]
pub fn hex(length: usize) -> String {
    let mut bytes = vec![0_u8; length.div_ceil(2)];
    // A system without randomness cannot run anything; the zeros then show it.
    let _ = getrandom::fill(&mut bytes);
    let mut text = hex_of(&bytes);
    text.truncate(length);
    text
}

/// `bytes` in lowercase hex.
#[must_use]
pub fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of `text` in hex.
#[must_use]
pub fn sha256(text: &str) -> String {
    hex_of(&Sha256::digest(text.as_bytes()))
}

/// A 26-character ULID of the instant `now_ms`.
#[must_use]
pub fn ulid(now_ms: i64) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut random = [0_u8; 10];
    let _ = getrandom::fill(&mut random);
    let time = u128::from(now_ms.unsigned_abs()) & 0xffff_ffff_ffff;
    let value = random.iter().fold(time, |value, byte| value << 8 | u128::from(*byte));
    let letter = |place: u32| ALPHABET[usize::try_from(value >> (5 * place) & 31).unwrap_or(0)];
    (0..26).rev().map(|place| char::from(letter(place))).collect()
}

/// A name like `aged-thunder-7371` for a machine that was given none.
#[must_use]
pub fn machine_name() -> String {
    const FIRST: [&str; 8] =
        ["aged", "quiet", "summer", "wild", "lingering", "cold", "bold", "dark"];
    const SECOND: [&str; 8] = ["thunder", "wind", "sun", "moon", "river", "field", "snow", "leaf"];
    let mut bytes = [0_u8; 4];
    let _ = getrandom::fill(&mut bytes);
    let number = 1_000 + u32::from(u16::from_le_bytes([bytes[2], bytes[3]])) % 9_000;
    format!("{}-{}-{number}", FIRST[usize::from(bytes[0] % 8)], SECOND[usize::from(bytes[1] % 8)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulids_have_26_characters_and_sort_by_time() {
        let (early, late) = (ulid(1_000), ulid(2_000_000_000_000));
        assert_eq!((early.len(), late.len()), (26, 26));
        assert!(early < late && early.starts_with("0000000"));
        assert_ne!(ulid(5), ulid(5));
    }

    #[test]
    fn machine_ids_are_14_hex_characters() {
        let id = hex(14);
        assert!(id.len() == 14 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
