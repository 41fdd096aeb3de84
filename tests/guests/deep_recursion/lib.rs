//! Calls itself forever.

#[expect(unconditional_recursion, reason = "what this component is about")]
fn deeper(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 64]);
    deeper(depth + 1) + std::hint::black_box(block)[63]
}

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    Ok(guest::outcome(&deeper(0).to_string(), "{}"))
}

guest::apply!(apply);
