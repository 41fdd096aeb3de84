//! Waits forever.

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    loop {
        guest::clock::wait(u32::MAX);
    }
}

guest::apply!(apply);
