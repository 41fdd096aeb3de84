//! Runs into an unreachable instruction, without a word.

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    core::arch::wasm32::unreachable()
}

guest::apply!(apply);
