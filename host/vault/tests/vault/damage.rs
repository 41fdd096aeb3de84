//! Damaged files: named, left alone, and never the end of what was good before.

use std::fs;

use ss_ports::Vault;

use crate::support::{Home, exposed, now, secret, sentence, service, system};

/// Two generations: `one` in the previous file, `two` in the current one.
fn two_generations() -> Home {
    let home = Home::new();
    for value in ["one", "two"] {
        home.vault().set_token("neon.api_token", secret(value)).unwrap();
    }
    home
}

#[test]
fn a_file_cut_anywhere_is_refused_and_the_way_back_works() {
    let home = two_generations();
    let (path, previous) = (home.file("vault/tokens.age"), home.file("vault/tokens.age.prev"));
    let whole = fs::read(&path).unwrap();
    let good = fs::read(&previous).unwrap();
    for length in (0..whole.len()).step_by(16).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        let reading = sentence(home.vault().token("neon.api_token"));
        let writing = sentence(home.vault().set_token("neon.api_token", secret("canary")));
        for sentence in [reading, writing] {
            let way_back = format!("mv '{}' '{}'", previous.display(), path.display());
            assert!(
                sentence.contains("damaged") && sentence.contains(&way_back),
                "{length}: {sentence}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), whole[..length], "{length}");
        assert_eq!(fs::read(&previous).unwrap(), good, "{length}");
    }
    fs::rename(&previous, &path).unwrap();
    assert_eq!(exposed(home.vault().token("neon.api_token").unwrap()).unwrap(), "one");
    home.vault().set_token("neon.api_token", secret("three")).unwrap();
    assert_eq!(exposed(home.vault().token("neon.api_token").unwrap()).unwrap(), "three");
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let home = two_generations();
    let path = home.file("vault/tokens.age");
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 0x20;
        fs::write(&path, &changed).unwrap();
        sentence(home.vault().token("neon.api_token"));
    }
}

#[test]
fn without_a_previous_file_no_way_back_is_promised() {
    let home = Home::new();
    home.vault().set_token("neon.api_token", secret("canary")).unwrap();
    fs::write(home.file("vault/tokens.age"), "canary").unwrap();
    let sentence = sentence(home.vault().token("neon.api_token"));
    assert!(sentence.contains("backup") && !sentence.contains("mv "), "{sentence}");
}

#[test]
fn damage_to_one_file_leaves_the_others_alone() {
    let home = two_generations();
    home.prod().set_credential(&service("app-db"), "A", secret("v")).unwrap();
    fs::write(home.file("vault/tokens.age"), "").unwrap();
    assert_eq!(exposed(home.prod().credential(&service("app-db"), "A").unwrap()).unwrap(), "v");
    home.prod().set_credential(&service("app-db"), "A", secret("w")).unwrap();
    assert!(now(home.prod().token("neon.api_token")).is_err());
}

#[test]
fn an_encrypted_file_that_is_not_ours_is_damaged_and_a_newer_one_is_newer() {
    let home = two_generations();
    let path = home.file("vault/tokens.age");
    for (text, expected) in [
        (&b"[]"[..], "damaged"),
        (b"{\"version\":1,\"content\":{\"tokens\":{\"a\":[\"canary\"]}}}", "damaged"),
        (b"{\"version\":2,\"content\":{\"canary\":1}}", "newer version of ss"),
    ] {
        fs::write(&path, home.vault().seal(text).unwrap()).unwrap();
        let sentence = sentence(home.vault().token("neon.api_token"));
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn a_leftover_of_a_killed_writer_is_in_nobodys_way() {
    let home = two_generations();
    let leftover = home.file("vault/tokens.age.tmp");
    fs::write(&leftover, "half").unwrap();
    assert_eq!(exposed(home.vault().token("neon.api_token").unwrap()).unwrap(), "two");
    home.vault().set_token("neon.api_token", secret("three")).unwrap();
    assert!(!leftover.exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_the_old_value_stays() {
    let home = two_generations();
    // A folder stands where the system's folder would have to be made.
    fs::create_dir_all(home.file("vault/systems")).unwrap();
    fs::write(home.file("vault/systems/my-app"), "in the way").unwrap();
    let sentence = sentence(home.prod().set_credential(&service("app-db"), "A", secret("canary")));
    assert!(sentence.contains("prod.age"), "{sentence}");
    // A folder stands where the temporary file would have to be.
    fs::create_dir(home.file("vault/tokens.age.tmp")).unwrap();
    let error = home.vault().set_token("neon.api_token", secret("canary")).unwrap_err();
    assert!(
        matches!(&error, ss_ports::VaultError::Unwritable(why) if why.contains("tokens.age")),
        "{error}"
    );
    assert_eq!(exposed(home.vault().token("neon.api_token").unwrap()).unwrap(), "two");
    assert_eq!(system(&home.vault(), "other", "prod").credential_names().unwrap(), []);
}
