//! What a guest prints: its last lines, kept for the day it breaks.

use ss_core::text::printable;

const KEPT: usize = 16 << 10;
const LINE: usize = 2_000;

/// The last 16 KiB of a guest's standard output and standard error.
#[derive(Default)]
pub(crate) struct Printed(Vec<u8>);

impl Printed {
    /// Adds bytes; the oldest go when there are too many.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(KEPT)..];
        let spare = (self.0.len() + kept.len()).saturating_sub(KEPT);
        self.0.drain(..spare);
        self.0.extend_from_slice(kept);
    }

    /// As text that is safe to show: lines, and nothing else that moves a cursor.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<_> = text.trim_end().lines().map(|line| printable(line, LINE)).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut printed = Printed::default();
        printed.write(b"first");
        printed.write(&vec![b'.'; 2 * KEPT]);
        printed.write(b"last");
        assert_eq!(printed.0.len(), KEPT);
        assert!(printed.0.ends_with(b"..last"));
    }

    #[test]
    fn lines_stay_and_escapes_do_not() {
        let mut printed = Printed::default();
        printed.write(b"one\n\x1b[2Jtwo\xff\n");
        assert_eq!(printed.text(), "one\n\\u{1b}[2Jtwo\u{fffd}");
    }
}
