//! `ss schema`: the JSON Schema of both files, for editors.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use ss_core::config::{FileKind, json_schema};
use ss_engine::Failure;

use crate::args;
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;

/// Where the schema of `starsystem.yaml` is written, beside it.
pub const BASE_FILE: &str = ".starsystem/system.schema.json";
/// Where the schema of overlays is written.
pub const OVERLAY_FILE: &str = ".starsystem/overlay.schema.json";

/// Prints a schema, or writes both.
pub fn run(context: &Context, args: &args::Schema) -> Result<Exit, CommandError> {
    let catalog = match context.directory.join("starsystem.yaml").is_file() {
        true => Project::open_base(context)?.catalog(context, &[])?,
        false => Catalog::first_party(),
    };
    if !args.write {
        let kind = if args.overlay { FileKind::Overlay } else { FileKind::Base };
        print!("{}", text(kind, &catalog));
        return Ok(Exit::Ok);
    }
    write(&context.directory, &catalog)?;
    if context.json {
        println!("{}", json!({"version": 1, "kind": "schema", "files": [BASE_FILE, OVERLAY_FILE]}));
    } else {
        let check = context.style.green("✓");
        println!("{check} {BASE_FILE}\n{check} {OVERLAY_FILE}");
    }
    Ok(Exit::Ok)
}

/// Writes both schemas where the `yaml-language-server` lines of `ss init` look for them.
pub fn write(directory: &Path, catalog: &Catalog) -> Result<(), CommandError> {
    for (name, kind) in [(BASE_FILE, FileKind::Base), (OVERLAY_FILE, FileKind::Overlay)] {
        let path = directory.join(name);
        let folder = path.parent().expect("the name has a folder");
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text(kind, catalog))).map_err(
            |error| {
                Failure::new("SS0111", format!("`{}` cannot be written: {error}", path.display()))
            },
        )?;
    }
    Ok(())
}

fn text(kind: FileKind, catalog: &Catalog) -> String {
    let types = catalog.types().into_iter();
    let targets: BTreeMap<String, Value> =
        types.map(|(kind, known)| (kind, known.schema)).collect();
    format!("{:#}\n", json_schema(kind, &targets))
}
