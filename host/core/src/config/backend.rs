//! `state:` of an overlay: which settings belong to which backend.

use crate::diag::{Code, Diagnostic, Problems, Span, Spanned};
use crate::yaml::Node;

/// Where machines that share a state keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateBackend {
    /// A bucket that speaks S3. Who may read it is in the `AWS_*` variables.
    S3 {
        /// Its name.
        bucket: String,
        /// What stands before the system's name.
        prefix: Option<String>,
        /// Its region.
        region: Option<String>,
        /// The service's address when it is not AWS.
        endpoint: Option<String>,
    },
    /// A PostgreSQL database.
    Postgres {
        /// The variable that holds its address, with the password.
        url_env: String,
    },
}

impl StateBackend {
    /// As the overlay calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::S3 { .. } => "s3",
            Self::Postgres { .. } => "postgres",
        }
    }
}

const S3: &[&str] = &["bucket", "prefix", "region", "endpoint"];
const POSTGRES: &[&str] = &["url_env"];

/// Reads the block. What its shape alone makes wrong was told before.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Spanned<StateBackend>> {
    let text = |name: &str| node.get(name).and_then(Node::text).map(str::to_owned);
    let backend = text("backend")?;
    let (own, needed) = match backend.as_str() {
        "s3" => (S3, "bucket"),
        "postgres" => (POSTGRES, "url_env"),
        _ => return None,
    };
    for (key, _) in node.fields() {
        let name = key.text.as_str();
        if (S3.contains(&name) || POSTGRES.contains(&name)) && !own.contains(&name) {
            problems.add(|| misplaced(name, &backend, own, key.span));
        }
    }
    let Some(value) = text(needed) else {
        if node.get(needed).is_none() {
            problems.add(|| incomplete(&backend, needed, node.span));
        }
        return None;
    };
    let settings = match backend.as_str() {
        "s3" => StateBackend::S3 {
            bucket: value,
            prefix: text("prefix"),
            region: text("region"),
            endpoint: text("endpoint"),
        },
        _ => StateBackend::Postgres { url_env: value },
    };
    Some(Spanned::new(settings, node.span))
}

fn misplaced(name: &str, backend: &str, own: &[&str], span: Span) -> Diagnostic {
    let message = format!("`{name}` is not a setting of the backend `{backend}`");
    Diagnostic::error(Code::ForeignBackendSetting, message)
        .at(span, "")
        .help(format!("`{backend}` takes {}", own.join(", ")))
}

fn incomplete(backend: &str, needed: &str, span: Span) -> Diagnostic {
    let message = format!("the backend `{backend}` has no `{needed}`");
    let example = match backend {
        "s3" => "write `state: { backend: s3, bucket: my-app-state, region: us-east-1 }`",
        _ => {
            "write `state: { backend: postgres, url_env: STATE_DATABASE_URL }`, and put the address into that variable: \
             it holds a password"
        }
    };
    Diagnostic::error(Code::MissingBackendSetting, message).at(span, "").help(example)
}
