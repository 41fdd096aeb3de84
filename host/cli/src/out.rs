//! Printing that nobody has to read.
//!
//! A reader that went away (`ss deploy | head`), a terminal that was closed, a full disk behind a redirection: none of
//! them may end a deploy half-way. These macros take the place of the standard ones, which panic then, in every
//! module of this crate.

/// Like the standard `print!`.
macro_rules! print {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = write!(std::io::stdout(), $($text)*);
    }};
}

/// Like the standard `println!`.
macro_rules! println {
    () => { print!("\n") };
    ($($text:tt)*) => { print!("{}\n", format_args!($($text)*)) };
}

/// Like the standard `eprint!`.
macro_rules! eprint {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = write!(std::io::stderr(), $($text)*);
    }};
}

/// Like the standard `eprintln!`.
macro_rules! eprintln {
    () => { eprint!("\n") };
    ($($text:tt)*) => { eprint!("{}\n", format_args!($($text)*)) };
}
