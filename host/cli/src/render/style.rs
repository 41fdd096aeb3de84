//! Colours, or none.

use std::io::IsTerminal;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Colours when standard output is a terminal, and neither `--no-color` nor NO_COLOR says otherwise.
    pub fn detect(no_color: bool) -> Self {
        let unwanted =
            no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: !unwanted && std::io::stdout().is_terminal() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Good news.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Bad news.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// A change.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Beside the point.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}
