//! Ends itself as a program would.

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    std::process::exit(3)
}

guest::apply!(apply);
