//! What Neon's refusals mean for the user: a sentence with a way out for each that a user can cause.
//!
//! Status first, then code, then words: Neon's `code` is often empty.

use starsystem_provisioner::{Failure, FailureKind, Reply, json};

/// The failure that a reply stands for. `doing` completes “could not …”.
pub(crate) fn explain(reply: &Reply, doing: &str) -> Failure {
    let text = reply.error_message().unwrap_or_default();
    let body = reply.value().unwrap_or_default();
    let code = json::text_at(&body, "/code").unwrap_or_default();
    let general = reply.failure(doing);
    let mut failure = match known(reply.status, code, &text) {
        Some((kind, message)) => Failure { kind, message, ..general },
        None => general,
    };
    if let Some(request_id) = json::text_at(&body, "/request_id") {
        failure = failure.details(json!({"request_id": request_id}));
    }
    failure
}

fn known(status: u16, code: &str, text: &str) -> Option<(FailureKind, String)> {
    use FailureKind::{Declined, Invalid, Unauthorized, Unavailable};
    let about = |word: &str| text.contains(word);
    let (kind, message) = match status {
        401 => (Unauthorized, BAD_KEY.to_owned()),
        403 => (
            Unauthorized,
            format!("the Neon API key may not do this: {text}. Use a key of an owner or editor"),
        ),
        404 if about("key is scoped to") => (Unauthorized, SCOPED_KEY.to_owned()),
        400 if about("org_id is required") => (Invalid, ORG_REQUIRED.to_owned()),
        400 | 422 if about("history retention") => (Invalid, history(text)),
        _ if status < 500
            && (code.ends_with("LIMIT_EXCEEDED") || about("limit of ") || about("quota")) =>
        {
            (
                Declined,
                format!(
                    "Neon's plan allows no more: {text}. Delete what you do not need or raise the plan, then deploy again"
                ),
            )
        }
        402 => (Declined, format!("Neon asks for another plan or a payment: {text}")),
        400 | 422 if about("autoscaling") || about("compute unit") => (
            Invalid,
            format!(
                "Neon refuses `autoscaling_limit_min_cu` or `autoscaling_limit_max_cu`: {text}"
            ),
        ),
        400 | 422 if about("suspend") => {
            (Invalid, format!("Neon refuses `suspend_timeout_seconds`: {text}"))
        }
        400 | 422 if about("pg_version") => (Invalid, format!("Neon refuses `pg_version`: {text}")),
        422 if about("not ready") => (Unavailable, BUSY.to_owned()),
        423 => (Unavailable, BUSY.to_owned()),
        429 => (
            Unavailable,
            "Neon answers that there are too many requests: deploy again in a minute".to_owned(),
        ),
        _ => return None,
    };
    Some((kind, message))
}

const BAD_KEY: &str = "Neon does not accept the API key: it is wrong, expired or revoked. Make one at \
    https://console.neon.tech/app/settings/api-keys and store it with `ss vault set neon.api_token`, or in the \
    variable that `credential_env` names";
const SCOPED_KEY: &str = "the Neon API key is limited to another project: use a personal key, a key of the \
    organisation, or one of the right project";
const ORG_REQUIRED: &str = "Neon needs to know the organisation: set `org_id` in the target (org-…, on the \
    organisation's settings page), or use an API key of the organisation";
const BUSY: &str =
    "Neon is still working on the project and takes no change: deploy again in a minute";

/// `…; requested_history_retention_seconds:"86400", max:"21600"`.
fn history(text: &str) -> String {
    let quoted = |name: &str| {
        let value = text.split_once(&format!("{name}:\""))?.1;
        value.split_once('"').map(|(value, _)| value.to_owned())
    };
    match quoted("max") {
        Some(max) => format!(
            "`history_retention_seconds` is more than your Neon plan allows: set it to {max} or less, or leave it out"
        ),
        None => format!("Neon refuses `history_retention_seconds`: {text}"),
    }
}
