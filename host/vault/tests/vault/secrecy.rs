//! What somebody sees who gets the folder, the logs or a debugger's print-out.

use ss_ports::Vault;
use ss_vault::IdentitySource;

use crate::support::{Home, now, secret, service, system, values};

#[test]
fn no_file_holds_a_value_in_the_clear() {
    let home = Home::new();
    for round in ["canary-one", "canary-two", "canary-three"] {
        home.vault().set_token("neon.api_token", secret(round)).unwrap();
        now(home.prod().replace_credentials("app-db", values(&[("DATABASE_URL", round)]))).unwrap();
    }
    let digest_key = now(home.prod().digest_key()).unwrap();
    let files = home.files();
    assert!(files.len() > 5);
    for (path, bytes) in files {
        for plain in [&b"canary"[..], b"DATABASE_URL", b"neon.api_token", digest_key.expose()] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain), "{path:?}");
        }
    }
}

#[test]
fn names_are_listed_and_values_are_not() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("canary")).unwrap();
    home.prod().set_credential(&service("app-db"), "DATABASE_URL", secret("canary")).unwrap();
    let listed = format!("{:?} {:?}", home.vault().token_names(), home.prod().credential_names());
    assert!(listed.contains("neon.api_token") && listed.contains("DATABASE_URL"));
    assert!(!listed.contains("canary"));
}

#[test]
fn debug_prints_no_value_and_no_key() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("canary")).unwrap();
    let identity = std::fs::read_to_string(home.file("identity")).unwrap();
    let key = identity.lines().last().unwrap();
    for source in [IdentitySource::Home, IdentitySource::Key(secret(key))] {
        let vault = home.vault_of(source);
        let prod = system(&vault, "my-app", "prod");
        prod.set_credential(&service("app-db"), "DATABASE_URL", secret("canary")).unwrap();
        let token = vault.token("neon.api_token").unwrap();
        let digest_key =
            String::from_utf8(now(prod.digest_key()).unwrap().expose().clone()).unwrap();
        let printed = format!("{vault:?} {vault:#?} {prod:?} {prod:#?} {token:?}");
        assert!(!printed.contains("canary"), "{printed}");
        assert!(!printed.contains("AGE-SECRET-KEY"), "{printed}");
        assert!(!printed.contains(&digest_key), "{printed}");
    }
}
