//! Names and secrets in the vendors' style, from the system's randomness.
//!
//! Absent: uniqueness; whoever keeps the names checks.

/// `length` characters of `alphabet`, evenly drawn.
pub(crate) fn string(alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(*pick(alphabet))).collect()
}

/// One of `choices`, which must not be empty.
pub(crate) fn pick<T>(choices: &[T]) -> &T {
    let len = u64::try_from(choices.len()).unwrap_or(1).max(1);
    let index = usize::try_from(number() % len).unwrap_or(0);
    &choices[index]
}

/// A number below `bound`; the slight unevenness does not matter for names and jitter.
pub(crate) fn below(bound: u64) -> u64 {
    number() % bound.max(1)
}

fn number() -> u64 {
    getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()))
}

/// Two random words, as in `quiet-harbor`.
pub(crate) fn words() -> String {
    format!("{}-{}", pick(&ADJECTIVES), pick(&NOUNS))
}

/// Decimal digits.
pub(crate) const DIGITS: &[u8] = b"0123456789";
/// Lower-case letters and digits.
pub(crate) const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Letters and digits.
pub(crate) const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

const ADJECTIVES: [&str; 32] = [
    "aged",
    "autumn",
    "billowing",
    "bitter",
    "bold",
    "broad",
    "calm",
    "cold",
    "cool",
    "crimson",
    "curly",
    "dawn",
    "delicate",
    "divine",
    "dry",
    "falling",
    "floral",
    "frosty",
    "gentle",
    "green",
    "hidden",
    "icy",
    "late",
    "lingering",
    "little",
    "misty",
    "morning",
    "patient",
    "quiet",
    "round",
    "shiny",
    "young",
];
const NOUNS: [&str; 32] = [
    "base",
    "bird",
    "block",
    "boat",
    "bonus",
    "bread",
    "breeze",
    "brook",
    "bush",
    "butterfly",
    "cake",
    "cell",
    "cherry",
    "cloud",
    "credit",
    "darkness",
    "dawn",
    "dew",
    "disk",
    "dream",
    "dust",
    "feather",
    "field",
    "fire",
    "flower",
    "fog",
    "forest",
    "frog",
    "harbor",
    "haze",
    "hill",
    "mountain",
];
