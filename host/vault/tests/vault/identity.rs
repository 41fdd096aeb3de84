//! The identity: made by the first write, believed only while it is private, never replaced.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ss_ports::Vault;
use ss_vault::IdentitySource;

use crate::support::{Home, exposed, now, secret, sentence, service};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn secret_key(home: &Home) -> String {
    let text = fs::read_to_string(home.file("identity")).unwrap();
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned()
}

#[test]
fn everything_is_private() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("one")).unwrap();
    home.vault().set_token("neon.api_token", secret("two")).unwrap();
    home.prod().set_credential(&service("app-db"), "A", secret("1")).unwrap();
    let files = home.files();
    let names = [
        "identity",
        "vault/.lock",
        "vault/recipients",
        "vault/systems/my-app/prod.age",
        "vault/tokens.age",
        "vault/tokens.age.prev",
    ];
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), names.map(|name| home.file(name)));
    for path in files.keys() {
        assert_eq!(mode(path), 0o600, "{path:?}");
        for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(home.path()))
        {
            assert_eq!(mode(folder), 0o700, "{folder:?}");
        }
    }
}

#[test]
fn the_public_key_is_known_once_there_is_one() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("one")).unwrap();
    let key = home.vault().public_key().unwrap().unwrap();
    assert!(key.starts_with("age1"));
    assert!(fs::read_to_string(home.file("vault/recipients")).unwrap().contains(&key));
}

#[test]
fn an_identity_that_others_can_read_is_refused() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("canary")).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(home.file("identity"), Permissions::from_mode(mode)).unwrap();
        let sentence = sentence(home.vault().token("neon.api_token"));
        assert!(sentence.contains("chmod 600"), "{sentence}");
    }
    fs::set_permissions(home.file("identity"), Permissions::from_mode(0o400)).unwrap();
    assert!(home.vault().token("neon.api_token").unwrap().is_some());
}

#[test]
fn a_key_or_a_file_of_the_users_opens_the_vault() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("one")).unwrap();
    let key = secret_key(&home);
    let elsewhere = home.file("elsewhere");
    fs::rename(home.file("identity"), &elsewhere).unwrap();
    for source in [IdentitySource::Key(secret(&key)), IdentitySource::File(elsewhere)] {
        let vault = home.vault_of(source);
        assert_eq!(exposed(vault.token("neon.api_token").unwrap()).unwrap(), "one");
        vault.set_token("fly.api_token", secret("two")).unwrap();
    }
    assert!(!home.file("identity").exists());
}

#[test]
fn a_given_key_makes_no_identity_file() {
    let other = Home::new();
    other.vault().set_token("a", secret("1")).unwrap();
    let home = Home::new();
    let vault = home.vault_of(IdentitySource::Key(secret(&secret_key(&other))));
    vault.set_token("neon.api_token", secret("one")).unwrap();
    assert!(!home.file("identity").exists());
    assert_eq!(vault.public_key().unwrap(), other.vault().public_key().unwrap());
}

#[test]
fn another_identity_opens_nothing_and_changes_nothing() {
    let (home, other) = (Home::new(), Home::new());
    home.vault().set_token("neon.api_token", secret("canary")).unwrap();
    let sealed = home.vault().seal(b"canary").unwrap();
    other.vault().set_token("neon.api_token", secret("other")).unwrap();
    fs::copy(other.file("identity"), home.file("identity")).unwrap();
    let before = home.files();
    for result in [
        home.vault().token("neon.api_token").map(drop),
        home.vault().set_token("fly.api_token", secret("canary")),
        home.vault().remove_token("neon.api_token").map(drop),
    ] {
        let sentence = sentence(result);
        assert!(
            sentence.contains("tokens.age") && sentence.contains("another identity"),
            "{sentence}"
        );
    }
    sentence(home.vault().open(&sealed));
    assert_eq!(home.files(), before);
}

#[test]
fn a_lost_identity_is_not_replaced() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("canary")).unwrap();
    fs::remove_file(home.file("identity")).unwrap();
    let before = home.files();
    for result in [
        home.vault().token("neon.api_token").map(drop),
        home.vault().set_token("neon.api_token", secret("canary")),
        // A file that is not there yet needs no key to be read, and still must not be begun with a new one.
        home.prod().set_credential(&service("app-db"), "A", secret("canary")),
        home.vault().seal(b"canary").map(drop),
    ] {
        let sentence = sentence(result);
        assert!(sentence.contains("restore the identity"), "{sentence}");
    }
    assert_eq!(home.files(), before);
}

#[test]
fn what_is_no_identity_is_named_and_not_quoted() {
    let home = Home::new();
    let path = home.file("mine");
    fs::create_dir(home.path()).unwrap();
    for (text, hint) in [
        (&b""[..], "AGE-SECRET-KEY-1"),
        (b"canary", "AGE-SECRET-KEY-1"),
        (b"AGE-SECRET-KEY-1canary", "AGE-SECRET-KEY-1"),
        (b"# only a comment\n", "AGE-SECRET-KEY-1"),
        (b"\xff\xfe", "AGE-SECRET-KEY-1"),
        (b"age-encryption.org/v1\n-> scrypt canary", "passphrase"),
    ] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let vault = home.vault_of(IdentitySource::File(path.clone()));
        let sentence = sentence(vault.set_token("a", secret("canary")));
        assert!(sentence.contains("mine") && sentence.contains(hint), "{sentence}");
    }
    let sentence_of_key =
        sentence(home.vault_of(IdentitySource::Key(secret("canary"))).public_key());
    assert!(sentence_of_key.contains("the given age key"), "{sentence_of_key}");
}

#[test]
fn an_identity_file_that_was_named_must_exist() {
    let home = Home::new();
    let vault = home.vault_of(IdentitySource::File(home.file("mine")));
    let sealing = vault.seal(b"").map(drop);
    for result in [vault.public_key().map(drop), sealing, vault.set_token("a", secret("canary"))] {
        let sentence = sentence(result);
        assert!(sentence.contains("mine"), "{sentence}");
    }
    assert!(!home.file("mine").exists());
}

#[test]
fn every_listed_recipient_can_read() {
    let (home, colleague) = (Home::new(), Home::new());
    colleague.vault().set_token("a", secret("1")).unwrap();
    home.vault().set_token("neon.api_token", secret("one")).unwrap();
    let list = home.file("vault/recipients");
    let public = colleague.vault().public_key().unwrap().unwrap();
    // Our own line is missing: the writer stays a reader all the same.
    fs::write(&list, format!("# team\n\n  {public}  # a colleague\n")).unwrap();
    now(home.prod().replace_credentials("app-db", [("A".to_owned(), secret("v"))].into())).unwrap();
    for identity in [home.file("identity"), colleague.file("identity")] {
        let vault = home.vault_of(IdentitySource::File(identity));
        let prod = crate::support::system(&vault, "my-app", "prod");
        assert_eq!(exposed(prod.credential(&service("app-db"), "A").unwrap()).unwrap(), "v");
    }
    fs::write(&list, "# team\nage1nobody\n").unwrap();
    let sentence = sentence(home.vault().seal(b""));
    assert!(sentence.contains("recipients") && sentence.contains("line 2"), "{sentence}");
}
