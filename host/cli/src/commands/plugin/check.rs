//! `ss plugin check`: what can be said of a component without asking anything of it but its manifest.

use std::time::Instant;

use serde_json::json;
use ss_conformance::{Remark, lint};
use ss_core::text::printable;
use ss_gate::rights;
use ss_ports::{Plugin, Provisioner};
use ss_wasm::imports_of;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins;

/// Looks at a component.
pub fn run(context: &Context, reference: &str) -> Result<Exit, CommandError> {
    let begun = Instant::now();
    let provisioner = plugins::alone(context, reference)?;
    let loaded_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Plugin { pin, manifest } = provisioner.plugin();
    // A first-party plugin has no file, and what it imports was checked when this program was built.
    let component = std::fs::read(context.directory.join(reference)).unwrap_or_default();
    let imports = imports_of(&component).unwrap_or_default();
    let remarks = lint(manifest);
    let rights = rights(manifest);
    if context.json {
        let remark = |remark: &Remark| json!({"about": remark.about, "text": remark.text});
        crate::render::answer(&json!({
            "version": 1, "kind": "plugin-check",
            "plugin": {"name": pin.name, "version": pin.version, "digest": pin.digest},
            "targets": manifest.targets.iter().map(|target| &target.kind).collect::<Vec<_>>(),
            "bytes": component.len(), "loaded_ms": loaded_ms, "imports": imports, "rights": rights,
            "remarks": remarks.iter().map(remark).collect::<Vec<_>>(),
        }));
    } else {
        let style = context.style;
        println!(
            "{} {} {} ({})",
            style.green("✓"),
            pin.name,
            printable(&pin.version, 40),
            pin.digest
        );
        println!("  {}", printable(&manifest.description, 400));
        if !component.is_empty() {
            println!("  {} KiB, loaded in {loaded_ms} ms", component.len().div_ceil(1024));
            println!("\nIt imports:");
            imports.iter().for_each(|import| println!("  {import}"));
        }
        println!("\nIt may:");
        rights.iter().for_each(|right| println!("  {}", printable(right, 300)));
        if !remarks.is_empty() {
            println!("\nWorth a look:");
        }
        for Remark { about, text } in &remarks {
            println!(
                "  {} `{}`: {}",
                style.yellow("!"),
                printable(about, 100),
                printable(text, 400)
            );
        }
    }
    Ok(Exit::Ok)
}
