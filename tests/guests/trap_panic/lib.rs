//! Panics, after printing what a terminal must not be told.

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    println!("on standard output");
    eprintln!("about to \u{1b}[2Jpanic");
    panic!("this component panics")
}

guest::apply!(apply);
