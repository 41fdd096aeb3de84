//! `cargo xtask`: the project's chores. Plain standard library, so that it builds before everything else.

mod bench;
mod compare;
mod live;
mod overhead;
mod record;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test       everything that CI tests, with the release binary
cargo xtask tidy       layering, file sizes and forbidden words
cargo xtask record     draws docs/deploy.svg from a real run on the sandbox
cargo xtask compare    `ss plan` against `terraform plan`, as ratios
cargo xtask bench      generated systems of 1,000 and 10,000 services, beside terraform (--json=FILE, --check for CI)
cargo xtask overhead   what a dead trace collector costs a deploy, as a ratio
cargo xtask live       the walkthrough on neon.tech and fly.io, with your own tokens (costs money)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("test") => test::run(),
        Some("tidy") => tidy::run(),
        Some("record") => record::run(),
        Some("compare") => compare::run(),
        Some("bench") => bench::bench(&arguments[1..]),
        Some("overhead") => overhead::run(&arguments[1..]),
        Some("live") => live::run(&arguments[1..]),
        _ => {
            print!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
