//! One request to the app's public address, as a visitor makes it.

use std::time::Duration;

use starsystem_provisioner::{CallError, CallErrorKind, Reply, Request, clock};

use crate::health::one_line;

/// How long the address of a new app may take to be known everywhere.
const PATIENCE_MS: u64 = 120_000;
/// Operations by the number of segments in the path, and the names of those.
const OPERATIONS: [&str; 5] = ["probe", "probe1", "probe2", "probe3", "probe4"];
const SEGMENTS: [&str; 4] = ["a", "b", "c", "d"];

/// What a visitor found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// An answer; the URL that was asked.
    Answers(String),
    /// None that is good, for two minutes; the URL and what came instead.
    Silent(String, String),
    /// The path cannot be asked for.
    Inexpressible,
}

/// Asks until there is a good answer or patience ends.
pub fn visit(app: &str, path: &str) -> Probed {
    let Some(segments) = segments(path) else { return Probed::Inexpressible };
    let deadline_ms = clock::now_ms() + PATIENCE_MS;
    let mut url = format!("https://{app}.fly.dev{path}");
    loop {
        let answer = ask(app, &segments);
        if let Ok(reply) = &answer
            && let Some(asked) = reply.header("x-ss-url")
        {
            url = one_line(asked, 300);
        }
        let why = match answer {
            Ok(reply) if (200..400).contains(&reply.status) => return Probed::Answers(url),
            Ok(reply) => format!("status {}", reply.status),
            Err(error) if error.kind == CallErrorKind::Denied => {
                return Probed::Silent(url, error.message);
            }
            Err(error) => error.message,
        };
        if clock::now_ms() >= deadline_ms {
            return Probed::Silent(url, why);
        }
        clock::wait(Duration::from_secs(3));
    }
}

fn ask(app: &str, segments: &[&str]) -> Result<Reply, CallError> {
    let request = Request::new(OPERATIONS[segments.len()]).param("app", app);
    let pairs = SEGMENTS.iter().zip(segments);
    pairs.fold(request, |request, (name, segment)| request.param(*name, segment)).send()
}

/// The segments of a path that the operations can express: at most four, and nothing that the host would
/// encode differently.
fn segments(path: &str) -> Option<Vec<&str>> {
    let path = path.strip_prefix('/')?;
    if path.is_empty() {
        return Some(Vec::new());
    }
    let segments: Vec<&str> = path.split('/').collect();
    let plain = |segment: &&str| {
        !matches!(*segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
    };
    (segments.len() < OPERATIONS.len() && segments.iter().all(plain)).then_some(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_segments_or_are_left_alone() {
        assert_eq!(segments("/"), Some(vec![]));
        assert_eq!(segments("/health"), Some(vec!["health"]));
        assert_eq!(segments("/a/b/c/d"), Some(vec!["a", "b", "c", "d"]));
        for path in ["/a/b/c/d/e", "/a/", "/../x", "/a?b=1", "/a%20b", "a"] {
            assert_eq!(segments(path), None, "{path}");
        }
    }
}
