//! `ss completions` and `ss man`: what a shell and a manual know of the command line.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::env::Shells;
use ss_engine::Failure;

use crate::args::Cli;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// The variable by which a shell asks the binary itself.
pub const VARIABLE: &str = "COMPLETE";

/// Prints the script that a shell sources.
pub fn completions(shell: &str) -> Result<Exit, CommandError> {
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(shell) else {
        let known: Vec<&str> = shells.names().collect();
        return Err(CommandError::usage(format!(
            "`{shell}` is no shell that is known; there are: {}",
            known.join(", ")
        )));
    };
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, "ss", "ss", "ss", &mut script)
        .and_then(|()| std::io::stdout().write_all(&script))
        .map_err(|error| failed(&format!("the script cannot be written: {error}")))?;
    Ok(Exit::Ok)
}

/// Writes a page for every command.
pub fn man(context: &Context, directory: &Path) -> Result<Exit, CommandError> {
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .map_err(|error| failed(&format!("`{}`: {error}", directory.display())))?;
    if !context.quiet {
        println!("{} man pages in {}", context.style.green("✓"), directory.display());
    }
    Ok(Exit::Ok)
}

fn failed(message: &str) -> CommandError {
    Failure::new("SS0002", message).into()
}
