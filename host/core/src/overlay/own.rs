//! The block as `ss` itself wrote it, read without a YAML parser: it is most of a large overlay, and a line of it is a
//! field. What is read is written again and compared, byte for byte; whatever else is there is for the parser.

use std::fmt::Write;

use super::block;
use crate::state::{STATE_VERSION, State};

const HEAD: &str = "_state:\n  # written by ss; do not edit\n";

/// Where the block begins, and its state; `None` unless it is the last thing in the text and exactly as it was written.
pub(super) fn read(text: &str) -> Option<(usize, State)> {
    let start = match text.starts_with(HEAD) {
        true => 0,
        false => text.find("\n_state:\n")? + 1,
    };
    let (before, block) = text.split_at(start);
    // A second document or a second block is something to complain about.
    let begins = |line: &str| {
        ["---", "...", "_state", "\"_state", "'_state"].iter().any(|it| line.starts_with(it))
    };
    if before.lines().any(begins) {
        return None;
    }
    let state: State = serde_json::from_str(&json(block.strip_prefix(HEAD)?)?).ok()?;
    (state.version == STATE_VERSION && block::render(&state) == block).then_some((start, state))
}

/// The lines as one JSON object. Wrong lines make wrong JSON, or another state than they say: both are noticed.
fn json(lines: &str) -> Option<String> {
    let mut json = String::with_capacity(lines.len() + lines.len() / 8);
    let mut level = 0;
    for line in lines.lines() {
        let content = line.trim_start_matches(' ');
        let at = (line.len() - content.len()) / 2;
        let (key, value) = split(content)?;
        if at > level {
            json.push('{');
        } else {
            json.extend(std::iter::repeat_n('}', level - at));
            json.push(',');
        }
        level = at;
        match key.starts_with('"') {
            true => write!(json, "{key}:{value}"),
            false => write!(json, "\"{key}\":{value}"),
        }
        .ok()?;
    }
    json.extend(std::iter::repeat_n('}', level));
    Some(json)
}

/// Key and value of a line. Ids are the only keys in quotes, and hold no `:`.
fn split(content: &str) -> Option<(&str, &str)> {
    let (key, value) = content.split_once(':')?;
    Some((key, value.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::ServiceId;
    use crate::overlay;

    fn written() -> (State, String) {
        let mut state = State::empty("line");
        state.serial = 4;
        state.version = STATE_VERSION;
        state.retired.insert(ServiceId::new("old").expect("an id"), 2);
        let text = "version: \"2\"\n# mine\nservices: {}\n";
        let text = overlay::splice(text, Some(&state)).expect("a block can be added");
        (state, text)
    }

    #[test]
    fn what_was_written_is_read() {
        let (state, text) = written();
        let (start, read) = read(&text).expect("it is as it was written");
        assert_eq!(read, state);
        assert!(text[start..].starts_with("_state:"));
        assert_eq!(overlay::read(&text).unwrap(), Some(state));
    }

    #[test]
    fn anything_else_is_left_to_the_parser() {
        let (_, text) = written();
        for other in [
            text.replace("serial: 4", "serial:  4"),
            text.replace("serial: 4", "serial: 4 # mine"),
            text.replace("do not edit", "edited"),
            text.replace('\n', "\r\n"),
            format!("{text}more: 1\n"),
            format!("{text}# mine\n"),
            format!("a: 1\n---\n{text}"),
            format!("\"_state\": 1\n{text}"),
            format!("_state: 1\n{text}"),
            "version: \"2\"\n".to_owned(),
        ] {
            assert!(read(&other).is_none(), "{other}");
        }
        // Only another value in the same form is another state.
        assert_eq!(read(&text.replace("serial: 4", "serial: 5")).unwrap().1.serial, 5);
    }
}
