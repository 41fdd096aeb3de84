//! A secret that cannot print itself.
//!
//! No `Display`, no `Serialize`; `Debug` prints `***`; the memory is wiped on drop.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A value that must not be shown. `expose` is the only way to it, and easy to search for.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted<T: Zeroize>(Zeroizing<T>);

/// Secret text: a token, a password, a connection string.
pub type Secret = Redacted<String>;

impl<T: Zeroize> Redacted<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Never pass it to a log, an error or a `Debug`.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
