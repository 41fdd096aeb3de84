//! Computes forever.

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    let mut number = 0_u32;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

guest::apply!(apply);
