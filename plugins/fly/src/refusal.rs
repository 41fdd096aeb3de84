//! What Fly's refusals mean: a kind to act on, and a sentence with a way out.
//!
//! Fly has no error codes to speak of; the text decides. Everything here is pure.

use starsystem_provisioner::serde_json::Value;
use starsystem_provisioner::{Failure, FailureKind, Reply};

use crate::health::one_line;

/// What a refusal is, as far as the provisioner acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The app's name belongs to somebody.
    NameTaken,
    /// The token belongs to another organisation than the app, or may not do this.
    Forbidden,
    /// The token is not accepted.
    Unauthorized,
    /// There is no such app.
    NoApp,
    /// There is no such machine.
    NoMachine,
    /// A live machine has that name; its id.
    MachineExists(String),
    /// Somebody else changes the machine now.
    Leased,
    /// The machine changed since it was read.
    Stale,
    /// The secrets that were just set are not known there yet; nothing was done.
    SecretsNotYet,
    /// No room on the host or in the region.
    NoRoom,
    /// Not now; the same request may work in a moment.
    Transient,
    /// Anything else.
    Other,
}

/// What the sentences name.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The app.
    pub app: String,
    /// Its organisation.
    pub org: String,
    /// The region of the machines.
    pub region: String,
    /// The image of the machines.
    pub image: String,
}

/// Reads a refusal from status, text and code.
pub fn read(status: u16, text: &str, code: &str) -> Refusal {
    let lower = text.to_ascii_lowercase();
    let says = |part: &str| lower.contains(part);
    match status {
        401 => Refusal::Unauthorized,
        403 => Refusal::Forbidden,
        404 if says("page not found") => Refusal::Other,
        404 if says("machine") || says("unknown machine") => Refusal::NoMachine,
        404 if says("app") => Refusal::NoApp,
        409 | 412 | 422
            if says("no capacity")
                || says("could not reserve")
                || says("deploys to this host")
                || code == "insufficient_capacity" =>
        {
            Refusal::NoRoom
        }
        409 | 412 | 422 if says("secrets version") || says("min_secrets_version") => {
            Refusal::SecretsNotYet
        }
        409 if says("already exists") => {
            machine_id(text).map_or(Refusal::Other, Refusal::MachineExists)
        }
        409 if says("lease") => Refusal::Leased,
        409 if says("concurrent update") || says("version") => Refusal::Stale,
        422 if code == "name_taken" || says("already been taken") || says("uniqueness") => {
            Refusal::NameTaken
        }
        408 | 429 | 500..=599 => Refusal::Transient,
        _ => Refusal::Other,
    }
}

/// Reads a reply's refusal.
pub fn of(reply: &Reply) -> Refusal {
    let (text, code) = text_and_code(reply);
    read(reply.status, &text, &code)
}

/// The failure a reply stands for. `doing` completes “could not …”.
pub fn failure(reply: &Reply, doing: &str, names: &Names) -> Failure {
    let (text, code) = text_and_code(reply);
    let (kind, mut message) = explain(reply.status, &text, &code, doing, names);
    if let Some(id) = reply.header("fly-request-id") {
        message.push_str(&format!(" (Fly request {})", one_line(id, 64)));
    }
    let failure = Failure::new(kind, message);
    match reply.header("retry-after").and_then(|seconds| seconds.trim().parse::<u32>().ok()) {
        Some(seconds) => failure.retry_after_ms(seconds.saturating_mul(1000)),
        None => failure,
    }
}

fn text_and_code(reply: &Reply) -> (String, String) {
    // Codes of the lease endpoints stand in `code`, all others in `status`.
    let body = reply.value().unwrap_or(Value::Null);
    let code = body["status"].as_str().unwrap_or_default().to_owned();
    let text = body["error"].as_str().map(str::to_owned).or_else(|| reply.error_message());
    (one_line(&text.unwrap_or_default(), 300), code)
}

/// Kind and sentence of a refusal.
pub fn explain(
    status: u16,
    text: &str,
    code: &str,
    doing: &str,
    names: &Names,
) -> (FailureKind, String) {
    let Names { app, region, .. } = names;
    match read(status, text, code) {
        Refusal::NameTaken => (
            FailureKind::Invalid,
            format!(
                "the Fly app name `{app}` is taken, and names are shared by all of Fly's customers: choose another `app`"
            ),
        ),
        Refusal::Unauthorized => (FailureKind::Unauthorized, unauthorized(text)),
        Refusal::Forbidden => (FailureKind::Unauthorized, forbidden(doing, names)),
        Refusal::NoApp => (
            FailureKind::Broken,
            format!(
                "could not {doing}: the Fly app `{app}` does not exist; `ss plan --refresh` plans to create it"
            ),
        ),
        Refusal::NoMachine => (
            FailureKind::Broken,
            format!("could not {doing}: the machine no longer exists; run `ss deploy` again"),
        ),
        Refusal::MachineExists(id) => (
            FailureKind::Conflict,
            format!(
                "could not {doing}: app `{app}` already has a machine of that name ({id}) that this service did not make; remove or rename it (`fly machine list -a {app}`)"
            ),
        ),
        Refusal::Leased => (
            FailureKind::Conflict,
            format!(
                "could not {doing}: somebody else is changing it ({text}); wait for them and run `ss deploy` again"
            ),
        ),
        Refusal::Stale => (
            FailureKind::Conflict,
            format!(
                "could not {doing}: somebody else changed it at the same time; run `ss deploy` again"
            ),
        ),
        Refusal::NoRoom => (
            FailureKind::Declined,
            format!(
                "could not {doing}: Fly has no room in `{region}` now ({text}); choose another `region` or a smaller machine, or try later"
            ),
        ),
        Refusal::SecretsNotYet | Refusal::Transient => (
            FailureKind::Unavailable,
            format!(
                "could not {doing}: Fly cannot answer now (status {status}{}); run `ss deploy` again in a minute",
                quoted(text)
            ),
        ),
        Refusal::Other => other(status, text, code, doing, names),
    }
}

fn other(status: u16, text: &str, code: &str, doing: &str, names: &Names) -> (FailureKind, String) {
    let Names { app, org, region, image } = names;
    let lower = text.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    if says(&["payment method", "billing", "limit"]) {
        let sentence = format!(
            "could not {doing}: Fly says “{text}”; add a payment method or raise the limit in the dashboard of `{org}`, or ask for less"
        );
        return (FailureKind::Declined, sentence);
    }
    if code == "volume_placement_capacity" || lower.contains("volume") {
        let sentence = format!(
            "could not {doing}: a volume that `ss` does not manage is in the way ({text}); detach it or update this machine with `fly machine update`"
        );
        return (FailureKind::Declined, sentence);
    }
    if status == 404 && lower.contains("page not found") {
        let sentence = format!(
            "could not {doing}: the address does not answer like Fly's API; check `connections` in the overlay"
        );
        return (FailureKind::Broken, sentence);
    }
    let field = if says(&["name under 63", "validation failed: name"]) {
        format!("`app: {app}` must be under 63 characters: lower-case letters, digits and dashes")
    } else if says(&["manifest", "pull", "image"]) {
        format!(
            "Fly cannot get the image `{image}`: check name and tag, and that it is public or in registry.fly.io"
        )
    } else if says(&["guest", "memory", "cpu"]) {
        "change `cpu_kind`, `cpus` or `memory_mb`".to_owned()
    } else if says(&["region"]) {
        format!("check `region: {region}` (`fly platform regions` lists them)")
    } else if says(&["organization", "org_slug"]) {
        format!("check `org: {org}` (`fly orgs list` lists yours)")
    } else {
        return unexplained(status, text, doing);
    };
    (FailureKind::Invalid, format!("could not {doing}: {field}{}", quoted(text)))
}

fn unexplained(status: u16, text: &str, doing: &str) -> (FailureKind, String) {
    let kind = match status {
        400 | 422 => FailureKind::Invalid,
        409 | 412 => FailureKind::Conflict,
        _ => FailureKind::Broken,
    };
    (kind, format!("could not {doing}: Fly refuses with status {status}{}", quoted(text)))
}

fn unauthorized(text: &str) -> String {
    let store = "store it with `ss vault set fly.api_token`";
    if text.contains("discharge") {
        return format!(
            "Fly says the token is incomplete: copy the whole line that `fly tokens create` prints, commas included, and {store}"
        );
    }
    if text.contains("malformed") {
        return format!(
            "Fly cannot read the token: copy the whole line that `fly tokens create org` prints and {store}"
        );
    }
    format!(
        "Fly does not accept the token: make a new one with `fly tokens create org` and {store}"
    )
}

fn forbidden(doing: &str, names: &Names) -> String {
    let Names { app, org, .. } = names;
    format!(
        "could not {doing}: the token has no right to it. If app `{app}` is yours, use a token of its organisation (`fly tokens create org -o {org}`; a deploy token cannot create apps)"
    )
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": “{text}”") }
}

/// The id in `machine ID 148e21ea7d4389 already exists with name "web-1"`.
fn machine_id(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("machine ID ")?;
    let id: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refusals as the API words them: status, text, code; then kind, and what the sentence must say.
    const WORDED: &[(u16, &str, &str, FailureKind, &str)] = &[
        (
            422,
            "Validation failed: Name has already been taken",
            "name_taken",
            FailureKind::Invalid,
            "choose another `app`",
        ),
        (
            422,
            "Validation failed: Name under 63 chars using numbers, lowercase letters and dashes",
            "",
            FailureKind::Invalid,
            "`app: my-app` must be under 63",
        ),
        (422, "uniqueness constraint violated", "", FailureKind::Invalid, "choose another `app`"),
        (
            422,
            "Validation failed: Organization must exist",
            "",
            FailureKind::Invalid,
            "check `org: acme`",
        ),
        (403, "unauthorized", "", FailureKind::Unauthorized, "fly tokens create org -o acme"),
        (404, "app not found", "", FailureKind::Broken, "ss plan --refresh"),
        (404, "Could not find App \"my-app\"", "", FailureKind::Broken, "does not exist"),
        (404, "404 page not found", "", FailureKind::Broken, "check `connections`"),
        (
            401,
            "Authenticate: token validation error",
            "",
            FailureKind::Unauthorized,
            "fly tokens create org",
        ),
        (
            401,
            "verify: invalid token: all tokens missing third-party discharge tokens; no verified tokens",
            "",
            FailureKind::Unauthorized,
            "commas included",
        ),
        (
            401,
            "malformed authorization header",
            "",
            FailureKind::Unauthorized,
            "copy the whole line",
        ),
        (
            409,
            "already_exists: unique machine name violation, machine ID 148e21ea7d4389 already exists with name \"web-1\"",
            "",
            FailureKind::Conflict,
            "148e21ea7d4389",
        ),
        (
            409,
            "aborted: machine update failed due to concurrent update",
            "",
            FailureKind::Conflict,
            "run `ss deploy` again",
        ),
        (
            409,
            "aborted: could not reserve resource for machine: insufficient memory available to fulfill request on the current host",
            "",
            FailureKind::Declined,
            "no room in `iad`",
        ),
        (409, "aborted: no capacity", "", FailureKind::Declined, "another `region`"),
        (
            422,
            "could not find a candidate host",
            "insufficient_capacity",
            FailureKind::Declined,
            "another `region`",
        ),
        (
            412,
            "insufficient resources to create new machine with existing volume id 'vol_123'",
            "volume_placement_capacity",
            FailureKind::Declined,
            "volume",
        ),
        (
            409,
            "machine ID 3d8d413b29d089 lease currently held by hello@fly.io, expires at 2022-10-20 19:59:06 +0000 UTC",
            "error",
            FailureKind::Conflict,
            "hello@fly.io",
        ),
        (
            408,
            "deadline_exceeded: machine failed to reach desired state, started, currently created",
            "",
            FailureKind::Unavailable,
            "in a minute",
        ),
        (
            412,
            "failed_precondition: machine getting replaced, refusing to start",
            "",
            FailureKind::Conflict,
            "refusing to start",
        ),
        (
            412,
            "failed_precondition: unable to destroy machine, not currently stopped, suspended, failed or created",
            "",
            FailureKind::Conflict,
            "unable to destroy",
        ),
        (404, "not_found: machine not found", "", FailureKind::Broken, "no longer exists"),
        (
            400,
            "json: cannot unmarshal array into Go value of type main.stopRequest",
            "",
            FailureKind::Invalid,
            "cannot unmarshal",
        ),
        (
            422,
            "To create more than 1 machine per app please add a payment method.",
            "",
            FailureKind::Declined,
            "add a payment method",
        ),
        (
            422,
            "invalid config.guest.memory_mb, minimum required 4096 MiB",
            "",
            FailureKind::Invalid,
            "`memory_mb`",
        ),
        (
            400,
            "invalid_argument: failed to get manifest ghcr.io/me/api:v9: MANIFEST_UNKNOWN: manifest unknown",
            "",
            FailureKind::Invalid,
            "check name and tag",
        ),
        (
            400,
            "invalid_argument: region xyz not found",
            "",
            FailureKind::Invalid,
            "check `region: iad`",
        ),
        (429, "rate limit exceeded", "", FailureKind::Unavailable, "in a minute"),
        (503, "", "", FailureKind::Unavailable, "status 503"),
        (418, "teapot", "", FailureKind::Broken, "status 418"),
    ];

    fn names() -> Names {
        Names {
            app: "my-app".into(),
            org: "acme".into(),
            region: "iad".into(),
            image: "ghcr.io/me/api:v9".into(),
        }
    }

    #[test]
    fn every_refusal_has_a_kind_and_a_way_out() {
        for (status, text, code, kind, part) in WORDED {
            let (found, sentence) = explain(*status, text, code, "do it", &names());
            assert_eq!(found, *kind, "{status} {text}: {sentence}");
            assert!(sentence.contains(part), "{status} {text}: {sentence}");
        }
    }

    #[test]
    fn refusals_that_steer_the_rollout_are_told_apart() {
        let of = |status, text| read(status, text, "");
        let exists = "already_exists: unique machine name violation, machine ID 148e21ea7d4389 already exists with name \"web-1\"";
        assert_eq!(of(409, exists), Refusal::MachineExists("148e21ea7d4389".into()));
        assert_eq!(of(409, "aborted: machine ID 1 lease currently held by x"), Refusal::Leased);
        assert_eq!(of(409, "aborted: could not reserve resource for machine: x"), Refusal::NoRoom);
        assert_eq!(
            of(409, "aborted: machine update failed due to concurrent update"),
            Refusal::Stale
        );
        assert_eq!(of(404, "404 page not found"), Refusal::Other);
        assert_eq!(of(404, "app not found"), Refusal::NoApp);
    }
}
