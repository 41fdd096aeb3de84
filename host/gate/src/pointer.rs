//! JSON pointers with `*` for every element, as manifests use them.
//!
//! A pattern is RFC 6901 text in which a whole token `*` matches every key of an object and every index of a list.

use serde_json::Value;

/// Why a pattern cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a JSON pointer: it must be empty or begin with `/`")]
pub struct InvalidPointer(pub String);

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Any,
    Key(String),
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidPointer> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let rest = text.strip_prefix('/').ok_or_else(|| InvalidPointer(text.to_owned()))?;
        Ok(Self(
            rest.split('/')
                .map(|token| if token == "*" { Token::Any } else { Token::Key(unescape(token)) })
                .collect(),
        ))
    }

    /// Whether a concrete pointer is one that the pattern stands for.
    pub fn matches(&self, pointer: &str) -> bool {
        let Ok(Self(concrete)) = Self::parse(pointer) else { return false };
        concrete.len() == self.0.len()
            && self.0.iter().zip(&concrete).all(|(pattern, token)| match (pattern, token) {
                (Token::Any, Token::Key(_)) => true,
                (Token::Key(left), Token::Key(right)) => left == right,
                (_, Token::Any) => false,
            })
    }

    /// Every place that matches, with what stood for each `*`, in document order.
    pub fn select<'a>(&self, value: &'a Value) -> Vec<(Vec<String>, &'a Value)> {
        let mut found = vec![(Vec::new(), value)];
        for token in &self.0 {
            found =
                found.into_iter().flat_map(|(bound, value)| step(token, bound, value)).collect();
        }
        found
    }

    /// The concrete pointer for what stood for each `*`.
    pub fn bind(&self, bound: &[String]) -> String {
        let mut bound = bound.iter();
        let mut pointer = String::new();
        for token in &self.0 {
            pointer.push('/');
            match token {
                Token::Key(key) => pointer.push_str(&escape(key)),
                Token::Any => pointer.push_str(&escape(bound.next().map_or("*", String::as_str))),
            }
        }
        pointer
    }
}

fn step<'a>(token: &Token, bound: Vec<String>, value: &'a Value) -> Vec<(Vec<String>, &'a Value)> {
    let with = |key: &str, value| {
        let mut bound = bound.clone();
        bound.push(key.to_owned());
        (bound, value)
    };
    match (token, value) {
        (Token::Any, Value::Object(map)) => {
            map.iter().map(|(key, value)| with(key, value)).collect()
        }
        (Token::Any, Value::Array(list)) => {
            list.iter().enumerate().map(|(index, value)| with(&index.to_string(), value)).collect()
        }
        (Token::Key(key), Value::Object(map)) => {
            map.get(key).map(|value| (bound, value)).into_iter().collect()
        }
        (Token::Key(key), Value::Array(list)) => key
            .parse::<usize>()
            .ok()
            .and_then(|index| list.get(index))
            .map(|value| (bound, value))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// Puts a value at a concrete pointer, making objects on the way where nothing stands. `false` when something
/// other than an object or an existing element is in the way.
pub fn place(root: &mut Value, pointer: &str, new: Value) -> bool {
    let Ok(Pattern(tokens)) = Pattern::parse(pointer) else { return false };
    let mut at = root;
    for token in tokens {
        let Token::Key(key) = token else { return false };
        if at.is_null() {
            *at = Value::Object(serde_json::Map::new());
        }
        at = match at {
            Value::Object(map) => map.entry(key).or_insert(Value::Null),
            Value::Array(list) => {
                match key.parse::<usize>().ok().and_then(|index| list.get_mut(index)) {
                    Some(element) => element,
                    None => return false,
                }
            }
            _ => return false,
        };
    }
    *at = new;
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selects_every_element() {
        let body = json!({"uris": [{"u": "a"}, {"u": "b"}, {"x": 1}], "m": {"k/1": {"u": "c"}}});
        let pattern = Pattern::parse("/uris/*/u").unwrap();
        let found = pattern.select(&body);
        assert_eq!(found.len(), 2);
        assert_eq!(pattern.bind(&found[1].0), "/uris/1/u");
        let pattern = Pattern::parse("/m/*/u").unwrap();
        let found = pattern.select(&body);
        assert_eq!(pattern.bind(&found[0].0), "/m/k~11/u");
        assert!(pattern.matches("/m/k~11/u"));
        assert!(!pattern.matches("/m/k/1/u"));
        assert!(!pattern.matches("/m/*/u"));
    }

    #[test]
    fn places_and_makes_the_way() {
        let mut body = Value::Null;
        assert!(place(&mut body, "/values/A", json!("x")));
        assert_eq!(body, json!({"values": {"A": "x"}}));
        assert!(!place(&mut body, "/values/A/b", json!(1)));
        assert!(!place(&mut json!([1]), "/3", json!(1)));
    }
}
