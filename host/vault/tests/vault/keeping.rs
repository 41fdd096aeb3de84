//! What is put in comes out: in the same run, in the next one, and through the port.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ss_core::redact::Secret;
use ss_ports::Vault;
use ss_vault::Key;

use crate::support::{Home, exposed, now, secret, sentence, service, system, values};

#[test]
fn tokens_are_kept() {
    let home = Home::new();
    let vault = home.vault();
    assert_eq!(exposed(vault.token("neon.api_token").unwrap()), None);
    vault.set_token("neon.api_token", secret("one")).unwrap();
    vault.set_token("fly.api_token", secret("two")).unwrap();
    vault.set_token("neon.api_token", secret("three")).unwrap();
    for vault in [vault, home.vault()] {
        assert_eq!(exposed(vault.token("neon.api_token").unwrap()).unwrap(), "three");
        assert_eq!(
            exposed(now(system(&vault, "my-app", "prod").token("fly.api_token")).unwrap()).unwrap(),
            "two"
        );
        assert_eq!(vault.token_names().unwrap(), ["fly.api_token", "neon.api_token"]);
    }
    assert!(home.vault().remove_token("neon.api_token").unwrap());
    assert!(!home.vault().remove_token("neon.api_token").unwrap());
    assert_eq!(home.vault().token_names().unwrap(), ["fly.api_token"]);
}

#[test]
fn credentials_are_kept_per_system_and_environment() {
    let home = Home::new();
    let vault = home.prod();
    now(vault
        .replace_credentials("app-db", values(&[("DATABASE_URL", "one"), ("PASSWORD", "two")])))
    .unwrap();
    now(vault.replace_credentials("cache", values(&[("REDIS_URL", "three")]))).unwrap();
    now(vault.replace_credentials("app-db", values(&[("DATABASE_URL", "four")]))).unwrap();
    for vault in [vault, home.prod()] {
        let credentials = now(vault.credentials()).unwrap();
        assert_eq!(credentials.keys().collect::<Vec<_>>(), ["app-db", "cache"]);
        assert_eq!(credentials["app-db"].keys().collect::<Vec<_>>(), ["DATABASE_URL"]);
        assert_eq!(credentials["app-db"]["DATABASE_URL"].expose(), "four");
        assert_eq!(
            exposed(vault.credential(&service("cache"), "REDIS_URL").unwrap()).unwrap(),
            "three"
        );
        let names: Vec<_> = vault.credential_names().unwrap().iter().map(Key::to_string).collect();
        assert_eq!(names, ["app-db.DATABASE_URL", "cache.REDIS_URL"]);
    }
    for (name, env) in [("my-app", "staging"), ("other", "prod")] {
        assert!(now(system(&home.vault(), name, env).credentials()).unwrap().is_empty());
    }
    now(home.prod().replace_credentials("cache", BTreeMap::new())).unwrap();
    assert_eq!(now(home.prod().credentials()).unwrap().len(), 1);
}

#[test]
fn credentials_can_be_set_and_removed_by_hand() {
    let home = Home::new();
    home.prod().set_credential(&service("app-db"), "DATABASE_URL", secret("one")).unwrap();
    assert_eq!(
        exposed(home.prod().credential(&service("app-db"), "DATABASE_URL").unwrap()).unwrap(),
        "one"
    );
    assert!(!home.prod().remove_credential(&service("app-db"), "OTHER").unwrap());
    assert!(home.prod().remove_credential(&service("app-db"), "DATABASE_URL").unwrap());
    assert!(home.prod().credential_names().unwrap().is_empty());
    assert!(now(home.prod().credentials()).unwrap().is_empty());
}

#[test]
fn names_that_a_terminal_would_obey_are_not_set() {
    let home = Home::new();
    for name in ["", "a b", "a\u{1b}[31m", "."] {
        sentence(home.vault().set_token(name, secret("canary")));
        sentence(home.prod().set_credential(&service("app-db"), name, secret("canary")));
    }
    assert!(home.files().is_empty());
}

#[test]
fn reading_writes_nothing() {
    let home = Home::new();
    let vault = home.prod();
    assert!(now(vault.token("neon.api_token")).unwrap().is_none());
    assert!(now(vault.credentials()).unwrap().is_empty());
    assert!(vault.home().token_names().unwrap().is_empty());
    assert!(vault.home().public_key().unwrap().is_none());
    now(vault.digest_key()).unwrap();
    sentence(now(vault.open(b"sealed")));
    assert!(!home.path().exists());
}

#[test]
fn removing_what_is_not_there_makes_no_identity() {
    let home = Home::new();
    assert!(!home.vault().remove_token("neon.api_token").unwrap());
    now(home.prod().replace_credentials("app-db", BTreeMap::new())).unwrap();
    assert!(!home.file("identity").exists());
}

#[test]
fn the_digest_key_is_the_same_before_and_after_it_is_stored() {
    let home = Home::new();
    let vault = home.prod();
    let before = now(vault.digest_key()).unwrap();
    assert_eq!(before.expose().len(), 64);
    assert_eq!(now(vault.digest_key()).unwrap(), before);
    now(vault.replace_credentials("app-db", values(&[("A", "1")]))).unwrap();
    for vault in [vault, home.prod()] {
        assert_eq!(now(vault.digest_key()).unwrap(), before);
        assert_eq!(vault.ensure_digest_key().unwrap(), before);
    }
    // It outlives the credentials, so that what was recorded under it can still be compared.
    now(home.prod().replace_credentials("app-db", BTreeMap::new())).unwrap();
    assert_eq!(now(home.prod().digest_key()).unwrap(), before);
}

#[test]
fn the_digest_key_can_be_stored_by_itself_and_differs_between_systems() {
    let home = Home::new();
    let stored = home.prod().ensure_digest_key().unwrap();
    assert_eq!(now(home.prod().digest_key()).unwrap(), stored);
    let other = system(&home.vault(), "my-app", "staging").ensure_digest_key().unwrap();
    assert_ne!(other, stored);
}

#[test]
fn a_key_stored_by_another_run_wins() {
    let home = Home::new();
    let (first, second) = (home.prod(), home.prod());
    let fresh = now(second.digest_key()).unwrap();
    first.set_credential(&service("app-db"), "A", secret("1")).unwrap();
    second.set_credential(&service("app-db"), "B", secret("2")).unwrap();
    let stored = now(home.prod().digest_key()).unwrap();
    assert_ne!(stored, fresh);
    assert_eq!(now(second.digest_key()).unwrap(), stored);
}

#[test]
fn sealed_bytes_open_again() {
    let home = Home::new();
    for length in [0, 1, 100_000] {
        let plain = vec![7; length];
        let sealed = now(home.prod().seal(&plain)).unwrap();
        assert_eq!(now(home.prod().open(&sealed)).unwrap().expose(), &plain);
    }
    assert_eq!(home.files().len(), 3, "identity, recipients and lock: {:?}", home.files().keys());
}

#[test]
fn an_unchanged_value_is_not_written_again() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("one")).unwrap();
    let before = home.files();
    home.vault().set_token("neon.api_token", secret("one")).unwrap();
    assert_eq!(home.files(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// By the time a service's credentials arrive here the resource exists: whatever they are called and hold, they
    /// are kept.
    #[test]
    fn whatever_a_service_writes_is_kept(
        service in ".{0,20}",
        written in prop::collection::btree_map(".{0,40}", "(?s).{0,200}", 1..6),
    ) {
        let home = Home::new();
        let written: BTreeMap<_, _> =
            written.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        now(home.prod().replace_credentials(&service, written.clone())).unwrap();
        prop_assert!(now(home.prod().credentials()).unwrap() == BTreeMap::from([(service, written)]));
    }
}
