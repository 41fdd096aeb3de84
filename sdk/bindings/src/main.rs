//! Writes the bindings of `sdk/c` and `sdk/go` out of the contract; with `--check` says whether they are what it would write.
//!
//!     cargo run --manifest-path sdk/bindings/Cargo.toml [-- --check]
//!
//! What it writes is committed, so that an author needs no generator. The contract is frozen, and so are they.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wit_bindgen_core::wit_parser::{Resolve, WorldId};
use wit_bindgen_core::{Files, WorldGenerator};

const WORLD: &str = "provisioner";
/// Where the Go bindings are imported from.
const GO_PACKAGE: &str = "starsystem.example/provisioner/internal/bindings";
/// The generator's own support code, and where sdk/go keeps its copy of it.
const GO_SUPPORT: (&str, &str) =
    ("go.bytecodealliance.org/pkg/wit/", "starsystem.example/provisioner/internal/wit/");

type Written = BTreeMap<PathBuf, Vec<u8>>;

fn main() -> ExitCode {
    let check = std::env::args().nth(1).is_some_and(|argument| argument == "--check");
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), Box<dyn Error>> {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut stale = Vec::new();
    for (path, wanted) in c(&sdk)?.into_iter().chain(go(&sdk)?) {
        let path = sdk.join(path);
        if fs::read(&path).is_ok_and(|found| found == wanted) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
        } else {
            fs::create_dir_all(path.parent().ok_or("a file stands in a folder")?)?;
            fs::write(path, wanted)?;
        }
    }
    if stale.is_empty() { Ok(()) } else { Err(format!("not as generated: {}", stale.join(", ")).into()) }
}

fn generate(sdk: &Path, mut generator: Box<dyn WorldGenerator>) -> Result<Files, Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sdk.join("../wit/provisioner-0.1"))?;
    let world: WorldId = resolve.select_world(&[package], Some(WORLD))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    Ok(files)
}

fn c(sdk: &Path) -> Result<Written, Box<dyn Error>> {
    // No object file: `ss plugin build` adds the contract to the module.
    let options = wit_bindgen_c::Opts { no_object_file: true, ..Default::default() };
    let files = generate(sdk, options.build())?;
    Ok(files.iter().map(|(name, bytes)| (Path::new("c/bindings").join(name), bytes.to_vec())).collect())
}

fn go(sdk: &Path) -> Result<Written, Box<dyn Error>> {
    let options = wit_bindgen_go::Opts {
        format: wit_bindgen_go::Format::False,
        async_: Default::default(),
        generate_stubs: false,
        pkg_name: Some(GO_PACKAGE.to_owned()),
        print_remote_pkg_version: false,
        include_versions: false,
        quiet: true,
    };
    let files = generate(sdk, options.build())?;
    let mut written = Written::new();
    for (name, bytes) in files.iter() {
        let text = String::from_utf8(bytes.to_vec())?.replace(GO_SUPPORT.0, GO_SUPPORT.1);
        written.insert(Path::new("go/internal/bindings").join(name), text.into_bytes());
    }
    Ok(written)
}
