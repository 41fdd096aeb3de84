//! Never ends describing itself.

fn manifest() -> String {
    let mut number = 0_u32;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

guest::describe!(manifest);
