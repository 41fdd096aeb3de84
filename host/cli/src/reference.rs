//! The last part of `docs/cli.md`, written from the command line's own definition and compared with the page.
//! `SS_BLESS=1 cargo test -p ss reference` writes it.

use clap::{Arg, Command, CommandFactory};

use crate::args::Cli;

const BEGIN: &str =
    "<!-- From here on the page is generated from the command line's definition. -->\n";
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");

fn reference() -> String {
    let mut out = String::from(BEGIN);
    out.push_str("\n## Every command and flag\n");
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        describe(command, "ss", &mut out);
    }
    out
}

fn describe(command: &Command, above: &str, out: &mut String) {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    out.push_str(&format!("\n### `{name}`\n\n{about}.\n"));
    let arguments: Vec<&Arg> = command.get_arguments().filter(|one| !one.is_hide_set()).collect();
    if !arguments.is_empty() {
        out.push_str("\n| argument | what |\n|---|---|\n");
    }
    for argument in arguments {
        out.push_str(&format!("| {} | {} |\n", usage(argument), meaning(argument)));
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        describe(inner, &name, out);
    }
}

fn usage(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.first().map(ToString::to_string).unwrap_or_default();
    match argument.get_long() {
        None if argument.is_required_set() => format!("`<{value}>`"),
        None => format!("`[{value}]`"),
        Some(long) if argument.get_action().takes_values() => format!("`--{long}={value}`"),
        Some(long) => {
            let short = argument.get_short().map(|short| format!(", `-{short}`"));
            format!("`--{long}`{}", short.unwrap_or_default())
        }
    }
}

fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        text.push_str(&format!(": {}", values.join(", ")));
    }
    let default: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.is_empty())
        .collect();
    if argument.get_action().takes_values() && !default.is_empty() {
        text.push_str(&format!(" (default: `{}`)", default.join(" ")));
    }
    text.replace('|', "\\|")
}

#[test]
fn the_page_is_what_the_command_line_says() {
    let page = std::fs::read_to_string(PAGE).expect("docs/cli.md");
    let (by_hand, generated) = page.split_at(page.find(BEGIN).unwrap_or(page.len()));
    let wanted = reference();
    if std::env::var_os("SS_BLESS").is_some() {
        std::fs::write(PAGE, format!("{}\n\n{wanted}", by_hand.trim_end())).expect("docs/cli.md");
    } else {
        assert!(generated == wanted, "docs/cli.md differs: SS_BLESS=1 cargo test -p ss reference");
    }
    for command in Cli::command().get_subcommands() {
        let name = format!("`ss {}", command.get_name());
        assert!(by_hand.contains(&name), "docs/cli.md has no words of its own on {name}`");
    }
}
