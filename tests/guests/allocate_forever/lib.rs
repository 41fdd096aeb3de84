//! Allocates memory forever.

fn apply(_service: guest::Service) -> Result<guest::Outcome, guest::Failure> {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

guest::apply!(apply);
