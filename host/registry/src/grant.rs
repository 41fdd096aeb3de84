//! What a plugin wants, what the user allowed, and whether that is enough. Decides from data; asks nobody.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ss_core::ident::PluginName;

use crate::lock::{Lock, Locked};

/// What a plugin may do, one line for each right, in words that are the same for the same right. More lines are
/// more rights.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(BTreeSet<String>);

impl Rights {
    /// The lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether these are all in the others.
    pub fn are_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }

    fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).cloned().collect())
    }
}

impl<L: Into<String>> FromIterator<L> for Rights {
    fn from_iter<I: IntoIterator<Item = L>>(lines: I) -> Self {
        Self(lines.into_iter().map(Into::into).collect())
    }
}

/// A plugin that is about to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name in the system.
    pub name: PluginName,
    /// Where it was found.
    pub reference: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// Its version, from the manifest.
    pub version: String,
    /// What it wants to be allowed.
    pub wants: Rights,
}

impl Candidate {
    /// The lock's entry once the user has allowed all that it wants.
    pub fn granted(self) -> Locked {
        let Self { name, reference, digest, version, wants } = self;
        Locked { name, reference, digest, version, granted: wants }
    }
}

/// `<name>@<digest>`: the user allows exactly this component all that it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    name: PluginName,
    digest: String,
}

/// Why a text is no consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the plugin's name and whole digest, as in `demo@sha256:` and 64 hexadecimal digits")]
pub struct InvalidConsent;

impl FromStr for Consent {
    type Err = InvalidConsent;

    fn from_str(text: &str) -> Result<Self, InvalidConsent> {
        let (name, digest) = text.split_once('@').ok_or(InvalidConsent)?;
        let name = PluginName::new(name).map_err(|_| InvalidConsent)?;
        if !is_digest(digest) {
            return Err(InvalidConsent);
        }
        Ok(Self { name, digest: digest.to_owned() })
    }
}

fn is_digest(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
}

impl Consent {
    /// Whether it is about this plugin.
    pub fn covers(&self, candidate: &Candidate) -> bool {
        (&self.name, &self.digest) == (&candidate.name, &candidate.digest)
    }
}

/// What has to happen before the plugin may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: this component was allowed this before.
    Granted,
    /// The lock is to say so ([`Candidate::granted`]): the user consented, or another component wants no more than
    /// the one before it was allowed.
    Record,
    /// The user is to be asked; without a terminal the run ends, and names the consent to give.
    Ask(Question),
}

/// What the user is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The component that was allowed before; absent at the first use.
    pub before: Option<Locked>,
    /// What it wants and was not allowed yet.
    pub adds: Rights,
    /// What was allowed and it no longer wants.
    pub drops: Rights,
    /// The value of `--grant` that answers the question without a terminal.
    pub consent: String,
}

impl Lock {
    /// Decides whether a plugin may run with what it wants.
    pub fn decide(&self, candidate: &Candidate, consents: &[Consent]) -> Decision {
        let before = self.get(&candidate.name);
        let nothing = Rights::default();
        let granted = before.map_or(&nothing, |before| &before.granted);
        if before.is_some_and(|before| {
            candidate.wants.are_within(granted) && before.digest == candidate.digest
        }) {
            return Decision::Granted;
        }
        let wants_no_more = before.is_some() && candidate.wants.are_within(granted);
        if wants_no_more || consents.iter().any(|consent| consent.covers(candidate)) {
            return Decision::Record;
        }
        Decision::Ask(Question {
            before: before.cloned(),
            adds: candidate.wants.without(granted),
            drops: granted.without(&candidate.wants),
            consent: format!("{}@{}", candidate.name, candidate.digest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(digit: char, wants: &[&str]) -> Candidate {
        Candidate {
            name: PluginName::new("demo").unwrap(),
            reference: "./demo.wasm".to_owned(),
            digest: format!("sha256:{}", digit.to_string().repeat(64)),
            version: "0.1.0".to_owned(),
            wants: wants.iter().copied().collect(),
        }
    }

    fn lock_with(candidate: &Candidate) -> Lock {
        let mut lock = Lock::default();
        lock.put(candidate.clone().granted());
        lock
    }

    fn question(decision: Decision) -> Question {
        match decision {
            Decision::Ask(question) => question,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_use_asks_even_for_nothing() {
        let asked = question(Lock::default().decide(&candidate('a', &[]), &[]));
        assert_eq!((asked.before, asked.adds), (None, Rights::default()));
        let asked = question(Lock::default().decide(&candidate('a', &["GET /x"]), &[]));
        assert_eq!(asked.adds, ["GET /x"].into_iter().collect());
        assert_eq!(asked.consent, format!("demo@sha256:{}", "a".repeat(64)));
    }

    #[test]
    fn what_was_granted_does_not_ask_again() {
        let before = candidate('a', &["GET /x", "POST /x"]);
        let lock = lock_with(&before);
        assert_eq!(lock.decide(&before, &[]), Decision::Granted);
        assert_eq!(lock.decide(&candidate('a', &["GET /x"]), &[]), Decision::Granted);
    }

    #[test]
    fn another_component_asks_only_for_more() {
        let lock = lock_with(&candidate('a', &["GET /x", "POST /x"]));
        assert_eq!(lock.decide(&candidate('b', &["GET /x", "POST /x"]), &[]), Decision::Record);
        assert_eq!(lock.decide(&candidate('b', &["GET /x"]), &[]), Decision::Record);
        let asked = question(lock.decide(&candidate('b', &["GET /x", "DELETE /x"]), &[]));
        assert_eq!(asked.adds, ["DELETE /x"].into_iter().collect());
        assert_eq!(asked.drops, ["POST /x"].into_iter().collect());
        assert!(asked.before.is_some());
    }

    #[test]
    fn the_same_component_may_not_want_more_than_the_lock_says() {
        let lock = lock_with(&candidate('a', &["GET /x"]));
        question(lock.decide(&candidate('a', &["GET /x", "POST /x"]), &[]));
    }

    #[test]
    fn a_consent_is_for_one_component() {
        let wanted = candidate('a', &["GET /x"]);
        let consent = |text: &str| text.parse::<Consent>();
        let this = consent(&format!("demo@{}", wanted.digest)).unwrap();
        assert_eq!(Lock::default().decide(&wanted, &[this]), Decision::Record);
        for other in [format!("other@{}", wanted.digest), format!("demo@sha256:{}", "b".repeat(64))]
        {
            question(Lock::default().decide(&wanted, &[consent(&other).unwrap()]));
        }
        for invalid in ["", "demo", "demo@", "demo@sha256:aa", "Demo@sha256:aa", "@sha256:aa"] {
            assert_eq!(consent(invalid), Err(InvalidConsent), "{invalid}");
        }
        assert!(consent(&format!("demo@sha256:{}", "A".repeat(64))).is_err());
    }
}
