//! Cursor paging: the cursor names the last id seen and when the first page was asked for.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::fault::Fault;

const CURSOR_LIFE_MS: i64 = 30 * 60 * 1000;

/// A page that was asked for.
#[derive(Clone, Debug)]
pub struct Page {
    limit: Option<usize>,
    after: Option<String>,
    first_ms: i64,
}

impl Page {
    /// Reads `limit` and `cursor`.
    ///
    /// # Errors
    /// 400 for a limit outside `1..=limit_max`, a cursor without limit, broken or too old.
    pub fn read(
        query: &HashMap<String, String>,
        now_ms: i64,
        limit_max: usize,
    ) -> Result<Self, Fault> {
        let out_of_range = || Fault::invalid(&format!("limit must be between 1 and {limit_max}"));
        let limit = match query.get("limit") {
            Some(text) => {
                let limit = text.parse().ok().filter(|limit| (1..=limit_max).contains(limit));
                Some(limit.ok_or_else(out_of_range)?)
            }
            None => None,
        };
        let Some(cursor) = query.get("cursor").filter(|cursor| !cursor.is_empty()) else {
            return Ok(Self { limit, after: None, first_ms: now_ms });
        };
        if limit.is_none() {
            return Err(Fault::invalid("cursor requires limit"));
        }
        let (first_ms, after) = decode(cursor).ok_or_else(|| Fault::invalid("invalid cursor"))?;
        if first_ms + CURSOR_LIFE_MS < now_ms {
            return Err(Fault::invalid("cursor expired"));
        }
        Ok(Self { limit, after: Some(after), first_ms })
    }

    /// The first page is empty; what follows begins at the start.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.limit.is_some() && self.after.is_none()
    }

    /// The cursor that leads to the very beginning.
    #[must_use]
    pub fn start_cursor(&self) -> String {
        encode(self.first_ms, "")
    }

    /// Cuts `items` (sorted by `id`) down to this page; also the cursor of the next.
    pub fn cut<T>(&self, items: Vec<T>, id: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        let after = self.after.as_deref().unwrap_or("");
        let mut rest = items.into_iter().filter(|item| id(item) > after);
        let Some(limit) = self.limit else { return (rest.collect(), None) };
        let page: Vec<T> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let cursor = page.last().filter(|_| more).map(|last| encode(self.first_ms, id(last)));
        (page, cursor)
    }
}

fn encode(first_ms: i64, after: &str) -> String {
    BASE64.encode(format!("{first_ms}/{after}"))
}

fn decode(cursor: &str) -> Option<(i64, String)> {
    let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
    let (first_ms, after) = text.split_once('/')?;
    Some((first_ms.parse().ok()?, after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn pages_cover_everything_once() {
        let items = ["a", "b", "c", "d", "e"];
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = Page::read(&query(&[("limit", "2"), ("cursor", &cursor)]), 0, 10).unwrap();
            let (items, next) = page.cut(items.to_vec(), |item| item);
            seen.extend(items);
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn bad_limits_and_cursors_are_refused() {
        let read = |pairs: &[(&str, &str)], now| Page::read(&query(pairs), now, 10);
        assert!(read(&[("limit", "0")], 0).is_err());
        assert!(read(&[("limit", "11")], 0).is_err());
        assert!(read(&[("cursor", "MC8")], 0).is_err());
        assert!(read(&[("limit", "1"), ("cursor", "%%")], 0).is_err());
        let old = encode(0, "a");
        assert!(read(&[("limit", "1"), ("cursor", &old)], CURSOR_LIFE_MS).is_ok());
        assert!(read(&[("limit", "1"), ("cursor", &old)], CURSOR_LIFE_MS + 1).is_err());
    }
}
