//! Text from outside made safe to print: one line, no control, bidi or invisible characters.

/// The text on one line, at most `limit` characters, with everything that could move the cursor, reorder or hide
/// text shown as `\u{…}`.
pub fn printable(text: &str, limit: usize) -> String {
    let mut safe = String::with_capacity(text.len().min(limit));
    for (count, character) in text.chars().enumerate() {
        if count == limit {
            safe.push('…');
            break;
        }
        match character {
            '\n' | '\t' => safe.push(' '),
            '\r' => {}
            character if is_unsafe(character) => safe.extend(character.escape_unicode()),
            character => safe.push(character),
        }
    }
    safe
}

/// A JSON document as text on one line. What `printable` would show as `\u{…}` is written as JSON's own escape, so
/// that a program reads what was there and a terminal shows nothing of it.
pub fn json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if !has_unsafe(&text) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 64);
    // JSON has such characters in strings only, where an escape may stand for them.
    for character in text.chars() {
        if is_unsafe(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Whether a text holds a character that [`is_unsafe`].
pub fn has_unsafe(text: &str) -> bool {
    // Nearly every text is plain ASCII, and that is seen many bytes at a time.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    !is_plain && text.chars().any(is_unsafe)
}

/// Whether a character moves the cursor, reorders text or hides in it.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' | '\u{61c}' | '\u{180e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_in_harmless_characters() {
        let value = serde_json::json!({"a\u{9b}": "\u{1b}\u{202e}\u{e0041}\u{7f} grün"});
        let text = json(&value);
        assert_eq!(text, r#"{"a\u009b":"\u001b\u202e\udb40\udc41\u007f grün"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_is_unsafe_is_found_among_much_that_is_not() {
        for harmless in ["", "plain ~", "grün ✓", &"long ".repeat(100)] {
            assert!(!has_unsafe(harmless), "{harmless}");
        }
        for harmful in ["\n", "\u{7f}", "a\u{9b}", "grün \u{202e}", "plain\u{1b}[2J"] {
            assert!(has_unsafe(harmful), "{harmful:?}");
        }
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc\u{202e}d", 100), "a\\u{1b}[2Jb c\\u{202e}d");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("grün ✓", 10), "grün ✓");
    }
}
