//! Changing who can open the vault.

use std::fs;

use ss_core::redact::Secret;
use ss_vault::{IdentitySource, Resealed, VaultHome};

use crate::support::{Home, exposed, secret, sentence, service, system};

fn filled() -> Home {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("one")).unwrap();
    home.vault().set_token("neon.api_token", secret("token")).unwrap();
    home.prod().set_credential(&service("app-db"), "A", secret("value")).unwrap();
    home
}

fn reads_all(vault: &VaultHome) -> bool {
    let token = vault.token("neon.api_token").ok().and_then(exposed);
    let value = system(vault, "my-app", "prod").credential(&service("app-db"), "A").ok();
    token.as_deref() == Some("token") && value.and_then(exposed).as_deref() == Some("value")
}

fn of(home: &Home, other: &Home) -> VaultHome {
    home.vault_of(IdentitySource::File(other.file("identity")))
}

#[test]
fn a_recipient_reads_from_when_it_is_added_until_it_is_removed() {
    let (home, colleague) = (filled(), filled());
    let key = colleague.vault().public_key().unwrap().unwrap();
    assert!(!reads_all(&of(&home, &colleague)));

    let resealed = home.vault().add_recipient(&key, "a colleague").unwrap();
    assert_eq!(resealed, Resealed { changed: true, files: 2 });
    assert!(reads_all(&of(&home, &colleague)) && reads_all(&home.vault()));
    let list = home.vault().recipients().unwrap();
    assert_eq!((list.len(), list[0].own, list[1].comment.as_str()), (2, true, "a colleague"));
    let again = home.vault().add_recipient(&key, "").unwrap();
    assert_eq!(again, Resealed { changed: false, files: 2 });

    assert!(home.vault().remove_recipient(&key).unwrap().changed);
    assert!(!reads_all(&of(&home, &colleague)) && reads_all(&home.vault()));
    assert!(!home.vault().remove_recipient(&key).unwrap().changed);
    for (path, bytes) in home.files() {
        let sealed = bytes.starts_with(b"age-encryption.org/");
        assert!(!sealed || path.extension().unwrap() == "age", "{path:?} may still open to it");
    }
}

#[test]
fn the_own_key_and_what_is_no_key_are_refused() {
    let home = filled();
    let before = home.files();
    let own = home.vault().public_key().unwrap().unwrap();
    assert!(sentence(home.vault().remove_recipient(&own)).contains("rotate-key"));
    assert!(sentence(home.vault().add_recipient("age1nobody", "")).contains("age1"));
    assert_eq!(home.files(), before);
}

#[test]
fn a_new_key_opens_everything_and_the_old_one_only_what_was_sealed_to_it() {
    let home = filled();
    let sealed = home.vault().seal(b"a snapshot").unwrap();
    let old_key = home.vault().public_key().unwrap();
    let old = home.file("old");
    fs::copy(home.file("identity"), &old).unwrap();

    assert_eq!(home.vault().rotate_key().unwrap(), Resealed { changed: true, files: 2 });
    assert_ne!(home.vault().public_key().unwrap(), old_key);
    assert!(reads_all(&home.vault()));
    assert_eq!(home.vault().open(&sealed).unwrap().expose(), b"a snapshot");
    assert!(!reads_all(&home.vault_of(IdentitySource::File(old))));
    assert_eq!(home.vault().recipients().unwrap().len(), 1);
}

#[test]
fn a_file_that_does_not_open_keeps_everything_as_it_is() {
    let home = filled();
    fs::write(home.file("vault/tokens.age"), b"damage").unwrap();
    let key = filled().vault().public_key().unwrap().unwrap();
    assert!(sentence(home.vault().add_recipient(&key, "")).contains("tokens.age"));
    let value = home.prod().credential(&service("app-db"), "A").unwrap();
    assert_eq!(exposed(value).as_deref(), Some("value"));
}

#[test]
fn a_key_of_the_users_is_not_rotated() {
    let home = filled();
    let elsewhere = home.file("elsewhere");
    fs::rename(home.file("identity"), &elsewhere).unwrap();
    let before = home.files();
    let vault = home.vault_of(IdentitySource::File(elsewhere));
    assert!(sentence(vault.rotate_key()).contains("STARSYSTEM_IDENTITY"));
    assert_eq!(home.files(), before);
}

#[test]
fn a_passphrase_is_asked_for_and_kept_by_a_rotation() {
    let home = filled();
    home.vault().set_passphrase(Some(secret("correct horse"))).unwrap();
    let file = fs::read(home.file("identity")).unwrap();
    assert!(file.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert!(sentence(home.vault().token("neon.api_token")).contains("passphrase"));
    let wrong = home.vault_under("wrong").token("neon.api_token");
    assert!(sentence(wrong).contains("does not open"));
    assert!(reads_all(&home.vault_under("correct horse")));

    home.vault_under("correct horse").rotate_key().unwrap();
    assert!(sentence(home.vault().token("neon.api_token")).contains("passphrase"));
    assert!(reads_all(&home.vault_under("correct horse")));

    home.vault_under("correct horse").set_passphrase(None::<Secret>).unwrap();
    assert!(reads_all(&home.vault()));
}
