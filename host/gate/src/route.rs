//! A route: `METHOD /path/{param}`, parsed once.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A method and a path with parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Route {
    method: String,
    segments: Vec<Segment>,
}

/// One piece of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text as it stands.
    Literal(String),
    /// The value of a parameter, encoded.
    Param(String),
}

/// Why a route cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{route}` is not a route: {problem}")]
pub struct InvalidRoute {
    route: String,
    problem: &'static str,
}

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

impl Route {
    /// Reads `METHOD /path/{param}`.
    pub fn parse(text: &str) -> Result<Self, InvalidRoute> {
        let invalid = |problem| InvalidRoute { route: text.to_owned(), problem };
        let (method, path) =
            text.split_once(' ').ok_or_else(|| invalid("expected `METHOD /path`"))?;
        if !METHODS.contains(&method) {
            return Err(invalid("the method must be GET, HEAD, POST, PUT, PATCH or DELETE"));
        }
        let path = path.strip_prefix('/').ok_or_else(|| invalid("the path must begin with `/`"))?;
        let segments = if path.is_empty() {
            Vec::new()
        } else {
            path.split('/')
                .map(|segment| parse_segment(segment).map_err(invalid))
                .collect::<Result<_, _>>()?
        };
        Ok(Self { method: method.to_owned(), segments })
    }

    /// The HTTP method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Whether the method only reads.
    pub fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// The path's pieces.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The path with its parameters as they stand: `/apps/{app}`.
    pub fn path(&self) -> String {
        let text = self.to_string();
        text.split_once(' ').map_or(String::new(), |(_, path)| path.to_owned())
    }

    /// Names of the path's parameters.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }
}

fn parse_segment(text: &str) -> Result<Segment, &'static str> {
    if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let good = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        return if good {
            Ok(Segment::Param(name.to_owned()))
        } else {
            Err("a parameter is `{lower_case}`")
        };
    }
    let good = !text.is_empty()
        && text != "."
        && text != ".."
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':')
        });
    if good {
        Ok(Segment::Literal(text.to_owned()))
    } else {
        Err("a path segment is letters, digits, `-`, `_`, `.`, `~`, `:`")
    }
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.method)?;
        if self.segments.is_empty() {
            return formatter.write_str("/");
        }
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(formatter, "/{text}")?,
                Segment::Param(name) => write!(formatter, "/{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Route {
    type Error = InvalidRoute;
    fn try_from(text: String) -> Result<Self, InvalidRoute> {
        Self::parse(&text)
    }
}

impl From<Route> for String {
    fn from(route: Route) -> String {
        route.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in ["GET /", "POST /projects", "DELETE /v1/apps/{app}/machines/{machine_id}"] {
            assert_eq!(Route::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_could_leave_the_path() {
        for text in [
            "GET",
            "get /a",
            "GET a",
            "GET /a//b",
            "GET /a/../b",
            "GET /a?x=1",
            "GET /a/{B}",
            "GET /a%2f",
            "TRACE /",
        ] {
            assert!(Route::parse(text).is_err(), "{text}");
        }
    }
}
