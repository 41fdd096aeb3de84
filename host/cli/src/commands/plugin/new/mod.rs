//! `ss plugin new`: a provisioner that works, in a folder of its own, to make another one of.
//!
//! It is the example of its language under another name, with the SDK beside it: nothing else is needed to build it.

mod files;

use std::fs;
use std::path::Path;

use serde_json::json;
use ss_core::ident::PluginName;
use ss_engine::Failure;

use super::language::Language;
use crate::args::PluginNew;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;

const README: &str = include_str!("README.template.md");
const WORKFLOW: &str = include_str!("workflow.template.yml");
const IGNORED: &str = "*.wasm\n.starsystem/\ntarget/\nnode_modules/\n__pycache__/\n";

/// Writes the folder, which must not be there yet.
pub fn run(context: &Context, args: &PluginNew) -> Result<Exit, CommandError> {
    let name = PluginName::new(args.name.as_str())
        .map_err(|error| CommandError::usage(error.to_string()))?;
    let folder = context.directory.join(name.as_str());
    if folder.exists() {
        let message = format!("`{}` is there already; nothing was written", folder.display());
        return Err(Failure::new("SS0111", message).into());
    }
    let files = files_of(args.lang, name.as_str());
    for (path, content) in &files {
        write(&folder.join(path), content).map_err(|error| {
            Failure::new("SS0111", format!("`{path}` cannot be written: {error}"))
        })?;
    }
    let component = format!("{}.wasm", name.as_str().replace('-', "_"));
    if context.json {
        let paths: Vec<&String> = files.iter().map(|(path, _)| path).collect();
        crate::render::answer(&json!({
            "version": 1, "kind": "plugin-new", "name": name, "language": args.lang.as_str(),
            "folder": folder, "files": paths,
        }));
    } else {
        println!("{} {}", context.style.green("✓"), folder.display());
        println!("Next: cd {name}, ss plugin build, ss plugin test {component}");
    }
    Ok(Exit::Ok)
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

/// Every file of a new provisioner, by its path in the folder.
fn files_of(language: Language, name: &str) -> Vec<(String, Vec<u8>)> {
    let example = format!("dns-{}", language.as_str());
    let mut files = Vec::new();
    for (path, content) in files::of(language) {
        let beside = path
            .strip_prefix(&format!("examples/provisioners/{example}/"))
            .or_else(|| path.strip_prefix("examples/provisioners/dns-fake/"));
        match beside {
            None => files.push(((*path).to_owned(), content.to_vec())),
            Some(path) => {
                let text = String::from_utf8_lossy(content);
                files.push((path.to_owned(), renamed(&text, &example, name).into_bytes()));
            }
        }
    }
    let filled = |template: &str| {
        let component = name.replace('-', "_");
        let text = template.replace("{name}", name).replace("{component}", &component);
        text.replace("{source}", source(language)).replace("{sdk}", language.sdk()).into_bytes()
    };
    files.push(("README.md".to_owned(), filled(README)));
    files.push((".github/workflows/provisioner.yml".to_owned(), filled(WORKFLOW)));
    files.push((".gitignore".to_owned(), IGNORED.as_bytes().to_vec()));
    files
}

/// The example's text in another folder and under another name.
fn renamed(text: &str, example: &str, name: &str) -> String {
    text.replace("../../../sdk/", "./sdk/").replace("../dns-fake/", "").replace(example, name)
}

/// The file in which an author begins.
fn source(language: Language) -> &'static str {
    match language {
        Language::Rust => "src/lib.rs",
        Language::Go => "main.go",
        other => other.sign(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_provisioner_holds_its_own_name_and_no_way_out_of_its_folder() {
        for language in Language::ALL {
            let files = files_of(language, "my-queue");
            let has = |wanted: &str| files.iter().any(|(path, _)| path == wanted);
            assert!(has(language.sign()) && has("fake.py") && has("README.md"), "{language:?}");
            assert!(has(&format!("sdk/{}/build.sh", language.sdk())), "{language:?}");
            assert!(has("wit/provisioner-0.1/provisioner.wit"), "{language:?}");
            let own = files.iter().filter(|(path, _)| !path.starts_with("sdk/"));
            for (path, content) in own {
                let text = String::from_utf8_lossy(content);
                let example = format!("dns-{}", language.as_str());
                assert!(
                    !text.contains(&example) && !text.contains("../../"),
                    "{language:?} {path}"
                );
            }
        }
    }

    #[test]
    fn every_file_of_the_sdks_and_examples_comes_along() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for language in Language::ALL {
            let example = format!("examples/provisioners/dns-{}", language.as_str());
            let sdk = format!("sdk/{}", language.sdk());
            let listed = std::process::Command::new("git")
                .args(["ls-files", &example, &sdk, "examples/provisioners/dns-fake"])
                .current_dir(&root)
                .output()
                .expect("git runs");
            let listed = String::from_utf8(listed.stdout).expect("paths");
            // What tests the SDK itself, and locks that the author's own build writes, stay here.
            let stays =
                |path: &&str| !path.starts_with("sdk/rust/tests/") && !path.ends_with("Cargo.lock");
            let mut wanted: Vec<&str> = listed.lines().filter(stays).collect();
            wanted.push("wit/provisioner-0.1/provisioner.wit");
            wanted.sort_unstable();
            let mut has: Vec<&str> = files::of(language).map(|(path, _)| *path).collect();
            has.sort_unstable();
            assert_eq!(has, wanted, "{language:?}");
        }
    }
}
