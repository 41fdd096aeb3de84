//! `ss plugin build`: the language's own toolchain, run by its SDK's script, then what came of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;
use ss_component::component_of;
use ss_engine::Failure;
use ss_ports::Provisioner;
use ss_wasm::imports_of;

use super::language::Language;
use crate::args::PluginBuild;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins;

/// What is said of a component that was built.
struct Built {
    language: Language,
    file: PathBuf,
    bytes: usize,
    native_bytes: u64,
    imports: Vec<String>,
    build_ms: u64,
    first_start_ms: u64,
    second_start_ms: u64,
}

/// Builds.
pub fn run(context: &Context, args: &PluginBuild) -> Result<Exit, CommandError> {
    let folder = context.directory.join(&args.folder);
    let folder = folder
        .canonicalize()
        .map_err(|error| unbuilt(format!("`{}`: {error}", folder.display())))?;
    let language = Language::of(&folder).ok_or_else(|| no_language(&folder))?;
    let file = match &args.output {
        Some(output) => context.directory.join(output),
        None => folder.join(file_name(&folder)),
    };
    let begun = Instant::now();
    compile(context, language, &folder, &file)?;
    let built = measure(context, language, file, begun)?;
    print(context, &built);
    Ok(Exit::Ok)
}

fn unbuilt(message: String) -> CommandError {
    CommandError::new(Exit::Failed, Failure::new("SS0622", message))
}

fn no_language(folder: &Path) -> CommandError {
    let signs: Vec<&str> = Language::ALL.map(Language::sign).to_vec();
    let message =
        format!("`{}` holds no provisioner: none of {}", folder.display(), signs.join(", "));
    let failure = Failure::new("SS0622", message).hint("`ss plugin new NAME --lang=…` begins one");
    CommandError::new(Exit::Failed, failure)
}

/// `dns-go` makes `dns_go.wasm`.
fn file_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
    format!("{name}.wasm")
}

/// Runs the SDK's script, whose output is the toolchain's own words, and makes a component of what it wrote.
fn compile(
    context: &Context,
    language: Language,
    folder: &Path,
    file: &Path,
) -> Result<(), CommandError> {
    let script = language.build_script(folder).ok_or_else(|| {
        let sdk = language.sdk();
        unbuilt(format!("there is no sdk/{sdk}/build.sh in `{}` or around it", folder.display()))
    })?;
    let unwritten = |error| unbuilt(format!("`{}` cannot be written: {error}", file.display()));
    let fresh = file.with_extension("wasm.new");
    let mut build = Command::new("sh");
    build.arg(&script).arg(folder).arg(&fresh).stdin(Stdio::null());
    // stdout is this command's answer; what a compiler says is progress.
    let output = build
        .stderr(if context.quiet { Stdio::piped() } else { Stdio::inherit() })
        .output()
        .map_err(|error| unbuilt(format!("`{}` cannot be run: {error}", script.display())))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        return Err(unbuilt(format!("the toolchain for {} did not build it", language.as_str())));
    }
    let module = std::fs::read(&fresh)
        .map_err(|error| unbuilt(format!("`{}` was not written: {error}", fresh.display())))?;
    let component = component_of(module).map_err(|error| unbuilt(error.to_string()))?;
    std::fs::write(&fresh, component).map_err(unwritten)?;
    std::fs::rename(&fresh, file).map_err(unwritten)
}

/// Loads it twice: the first time it is compiled to native code, from then on that is kept.
fn measure(
    context: &Context,
    language: Language,
    file: PathBuf,
    begun: Instant,
) -> Result<Built, CommandError> {
    let build_ms = since(begun);
    let reference = file.to_string_lossy().into_owned();
    let start = || -> Result<_, CommandError> {
        let begun = Instant::now();
        let provisioner = plugins::alone(context, &reference)?;
        provisioner.start().map_err(|error| unbuilt(error.to_string()))?;
        Ok((since(begun), provisioner))
    };
    let (first_start_ms, _) = start()?;
    let (second_start_ms, provisioner) = start()?;
    let component = std::fs::read(&file).unwrap_or_default();
    let native_bytes = native_bytes(context, &provisioner.plugin().pin.digest);
    Ok(Built {
        language,
        bytes: component.len(),
        native_bytes,
        imports: imports_of(&component).unwrap_or_default(),
        file,
        build_ms,
        first_start_ms,
        second_start_ms,
    })
}

fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The size of what is kept of a component's native code; 0 when nothing is.
fn native_bytes(context: &Context, digest: &str) -> u64 {
    let prefix = format!("{}-", digest.trim_start_matches("sha256:"));
    let Ok(home) = context.home() else { return 0 };
    let entries = std::fs::read_dir(home.join("plugins")).into_iter().flatten().flatten();
    let of_it = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    of_it.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

fn print(context: &Context, built: &Built) {
    if context.json {
        return crate::render::answer(&json!({
            "version": 1, "kind": "plugin-build", "language": built.language.as_str(),
            "file": built.file, "bytes": built.bytes, "native_bytes": built.native_bytes,
            "imports": built.imports, "build_ms": built.build_ms,
            "first_start_ms": built.first_start_ms, "second_start_ms": built.second_start_ms,
        }));
    }
    println!("{} {}", context.style.green("✓"), built.file.display());
    println!(
        "  size:    {} KiB, as native code {} KiB",
        built.bytes.div_ceil(1024),
        built.native_bytes.div_ceil(1024)
    );
    println!("  built:   {} ms", built.build_ms);
    println!(
        "  starts:  {} ms the first time (compiled), {} ms from then on",
        built.first_start_ms, built.second_start_ms
    );
    println!("  imports:");
    built.imports.iter().for_each(|import| println!("    {import}"));
}
