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

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' | '\u{61c}' | '\u{180e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc\u{202e}d", 100), "a\\u{1b}[2Jb c\\u{202e}d");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("grün ✓", 10), "grün ✓");
    }
}
