//! Every refusal in Fly's own words.
//!
//! The texts marked `measured` were seen from the real API or stand in its client's tests; the
//! others say the same kind of thing in the same style. See "Fly" in the README of this crate.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// An answer that is not a success.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// HTTP status.
    pub status: StatusCode,
    /// JSON body.
    pub body: Value,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, &format!("internal: {error}"))
    }
}

impl Fault {
    /// `{"error": text}`.
    #[must_use]
    pub fn new(status: StatusCode, text: &str) -> Self {
        Self { status, body: json!({ "error": text }) }
    }

    fn with_status(status: StatusCode, text: &str, code: &str) -> Self {
        Self { status, body: json!({ "error": text, "status": code }) }
    }

    /// 400 `invalid_argument: …`.
    #[must_use]
    pub fn invalid(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, &format!("invalid_argument: {text}"))
    }

    /// 412 `failed_precondition: …`.
    #[must_use]
    pub fn precondition(text: &str) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, &format!("failed_precondition: {text}"))
    }

    /// 422 with the bare text.
    #[must_use]
    pub fn unprocessable(text: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    /// 404 with the bare text.
    #[must_use]
    pub fn not_found(text: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 401, measured.
    #[must_use]
    pub fn bad_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Authenticate: token validation error")
    }

    /// 401, measured: a scheme other than `Bearer` and `FlyV1`.
    #[must_use]
    pub fn bad_scheme() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "malformed authorization header")
    }

    /// 401, measured: a permission token that comes without its discharge.
    #[must_use]
    pub fn no_discharge(token_id: &str) -> Self {
        let text = format!(
            "verify: invalid token: all tokens missing third-party discharge tokens; no verified \
             tokens; token {token_id}: missing third-party discharge token"
        );
        Self::new(StatusCode::UNAUTHORIZED, &text)
    }

    /// 403, measured.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::FORBIDDEN, "unauthorized")
    }

    /// 404, measured.
    #[must_use]
    pub fn no_app() -> Self {
        Self::not_found("app not found")
    }

    /// 404, measured: deleting an app that is not there.
    #[must_use]
    pub fn no_app_to_delete(name: &str) -> Self {
        Self::not_found(&format!("Could not find App \"{name}\""))
    }

    /// 422, measured.
    #[must_use]
    pub fn name_taken() -> Self {
        let text = "Validation failed: Name has already been taken";
        Self::with_status(StatusCode::UNPROCESSABLE_ENTITY, text, "name_taken")
    }

    /// 422, measured.
    #[must_use]
    pub fn name_shape() -> Self {
        Self::unprocessable(
            "Validation failed: Name under 63 chars using numbers, lowercase letters and dashes",
        )
    }

    /// 404, measured.
    #[must_use]
    pub fn no_machine() -> Self {
        Self::not_found("not_found: machine not found")
    }

    /// 409, measured.
    #[must_use]
    pub fn machine_name_in_use(id: &str, name: &str) -> Self {
        let text = format!(
            "already_exists: unique machine name violation, machine ID {id} already exists with \
             name \"{name}\""
        );
        Self::new(StatusCode::CONFLICT, &text)
    }

    /// 409, measured: `current_version` is stale.
    #[must_use]
    pub fn concurrent_update() -> Self {
        let text = "aborted: machine update failed due to concurrent update";
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 408, measured.
    #[must_use]
    pub fn wait_timed_out(desired: &str, current: &str) -> Self {
        let text = format!(
            "deadline_exceeded: machine failed to reach desired state, {desired}, currently {current}"
        );
        Self::new(StatusCode::REQUEST_TIMEOUT, &text)
    }

    /// 412, measured.
    #[must_use]
    pub fn replacing() -> Self {
        Self::precondition("machine getting replaced, refusing to start")
    }

    /// 412, measured.
    #[must_use]
    pub fn still_starting() -> Self {
        Self::precondition("machine still attempting to start")
    }

    /// 412, measured: deletion of a running machine without force.
    #[must_use]
    pub fn not_destroyable() -> Self {
        Self::precondition(
            "unable to destroy machine, not currently stopped, suspended, failed or created",
        )
    }

    /// 400, measured for `main.stopRequest`.
    #[must_use]
    pub fn not_an_object(kind: &str, go_type: &str) -> Self {
        let text = format!("json: cannot unmarshal {kind} into Go value of type {go_type}");
        Self::new(StatusCode::BAD_REQUEST, &text)
    }

    /// 429; the real API's text is not known.
    #[must_use]
    pub fn rate_limited() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded")
    }

    /// 409, measured: nothing free in the region.
    #[must_use]
    pub fn no_capacity() -> Self {
        Self::new(StatusCode::CONFLICT, "aborted: no capacity")
    }

    /// 409, measured: the host of an existing machine is full.
    #[must_use]
    pub fn host_full() -> Self {
        let text = "aborted: could not reserve resource for machine: insufficient memory available \
                    to fulfill request on the current host";
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 422, measured.
    #[must_use]
    pub fn insufficient_capacity() -> Self {
        let text = "could not find a candidate host";
        Self::with_status(StatusCode::UNPROCESSABLE_ENTITY, text, "insufficient_capacity")
    }

    /// 412, measured: the host of a volume is full.
    #[must_use]
    pub fn volume_host_full(volume: &str) -> Self {
        let text = format!(
            "insufficient resources to create new machine with existing volume id '{volume}'"
        );
        Self::with_status(StatusCode::PRECONDITION_FAILED, &text, "volume_placement_capacity")
    }

    /// 409 of the lease endpoints, measured; other endpoints say it in the usual shape.
    #[must_use]
    pub fn leased(machine: &str, owner: &str, expires: &str, on_lease: bool) -> Self {
        let text =
            format!("machine ID {machine} lease currently held by {owner}, expires at {expires}");
        if on_lease {
            return Self::lease(StatusCode::CONFLICT, &text, "invalid");
        }
        Self::new(StatusCode::CONFLICT, &format!("aborted: {text}"))
    }

    /// The error wrapper of the lease endpoints.
    #[must_use]
    pub fn lease(status: StatusCode, message: &str, code: &str) -> Self {
        Self { status, body: json!({ "status": "error", "message": message, "code": code }) }
    }
}
