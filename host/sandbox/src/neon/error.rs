//! The vendor's error bodies, with its texts to the letter where they are known.
//!
//! Texts marked "ours" are guesses: no evidence of the vendor's wording was found.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// A refusal. The request id is added at the door, where the request is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) retry_after_seconds: Option<i64>,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: "", message: message.into(), retry_after_seconds: None }
    }

    fn coded(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, ..Self::new(status, message) }
    }

    /// Ours, in the style of the vendor's own validation messages.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(401, "supplied credentials do not pass authentication")
    }

    pub(crate) fn org_required() -> Self {
        Self::new(400, "org_id is required, you can find it on your organization settings page")
    }

    /// Ours.
    pub(crate) fn no_organization() -> Self {
        Self::new(404, "organization not found")
    }

    pub(crate) fn out_of_scope(project_id: &str) -> Self {
        Self::new(
            404,
            format!(
                "not allowed to perform actions outside the project this key is scoped to; \
                 subject_project_id:{project_id:?}"
            ),
        )
    }

    pub(crate) fn organization_key() -> Self {
        Self::new(404, "not allowed for organization API keys")
    }

    /// Ours.
    pub(crate) fn no_route() -> Self {
        Self::new(404, "this route does not exist")
    }

    /// Ours.
    pub(crate) fn no_method() -> Self {
        Self::new(405, "method not allowed")
    }

    pub(crate) fn no_project() -> Self {
        Self::new(404, "project not found")
    }

    pub(crate) fn no_branch() -> Self {
        Self::new(404, "branch not found")
    }

    /// Ours.
    pub(crate) fn no_endpoint() -> Self {
        Self::new(404, "endpoint not found")
    }

    pub(crate) fn no_role(name: &str, branch_id: &str) -> Self {
        let message =
            format!("role not found for branch; role_name:{name:?}, branch_id:{branch_id:?}");
        Self::new(404, message)
    }

    /// Ours, after the role's.
    pub(crate) fn no_database(name: &str, branch_id: &str) -> Self {
        let message = format!(
            "database not found for branch; database_name:{name:?}, branch_id:{branch_id:?}"
        );
        Self::new(404, message)
    }

    /// Ours.
    pub(crate) fn no_operation() -> Self {
        Self::new(404, "operation not found")
    }

    pub(crate) fn branch_exists(name: &str, with_code: bool) -> Self {
        let code = if with_code { "BRANCH_ALREADY_EXISTS" } else { "" };
        Self::coded(409, code, format!("branch already exists; branch_name:{name:?}"))
    }

    /// Ours, after the branch's.
    pub(crate) fn role_exists(name: &str) -> Self {
        Self::new(409, format!("role already exists; role_name:{name:?}"))
    }

    /// Ours, after the branch's.
    pub(crate) fn database_exists(name: &str) -> Self {
        Self::new(409, format!("database already exists; database_name:{name:?}"))
    }

    /// Ours.
    pub(crate) fn writer_exists(branch_id: &str) -> Self {
        Self::new(409, format!("read_write endpoint already exists; branch_id:{branch_id:?}"))
    }

    /// The status is the vendor's, the text is ours.
    pub(crate) fn passwords_not_stored() -> Self {
        Self::new(412, "storing passwords is disabled")
    }

    pub(crate) fn projects_limit(max: usize, got: usize) -> Self {
        let message = format!("user projects limit of {max} exceeded, got {got}");
        Self::coded(422, "PROJECTS_LIMIT_EXCEEDED", message)
    }

    pub(crate) fn branches_limit() -> Self {
        Self::coded(422, "BRANCHES_LIMIT_EXCEEDED", "branches limit exceeded")
    }

    pub(crate) fn root_branches_limit() -> Self {
        Self::coded(422, "ROOT_BRANCHES_LIMIT_EXCEEDED", "root branches limit exceeded")
    }

    pub(crate) fn history_too_long(requested: i64, max: i64) -> Self {
        Self::new(
            400,
            format!(
                "requested history retention seconds exceeds allowed maximum; \
                 requested_history_retention_seconds:\"{requested}\", max:\"{max}\""
            ),
        )
    }

    pub(crate) fn settings_nil() -> Self {
        Self::new(400, "settings must not be nil")
    }

    pub(crate) fn branch_not_ready() -> Self {
        Self::new(422, "branch not ready yet")
    }

    /// Ours, except for the protected branch's words.
    pub(crate) fn not_deletable(why: &str) -> Self {
        Self::new(422, format!("cannot delete {why} branch"))
    }

    pub(crate) fn locked() -> Self {
        Self::new(
            423,
            "project already has running conflicting operations, scheduling of new ones is prohibited",
        )
    }

    pub(crate) fn transitive_state() -> Self {
        Self::new(423, "endpoint is in some transitive state, could not suspend")
    }

    pub(crate) fn too_many(retry_after_seconds: Option<i64>) -> Self {
        Self { retry_after_seconds, ..Self::new(429, "too many requests") }
    }

    /// Ours: the sandbox could not keep its promise.
    pub(crate) fn disk(error: &std::io::Error) -> Self {
        Self::new(500, format!("the sandbox could not keep its state: {error}"))
    }

    /// The answer, for the request with this id.
    pub(crate) fn answer(&self, request_id: &str) -> Response {
        let body = json!({
            "request_id": request_id,
            "code": self.code,
            "message": self.message,
        });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

/// Carried to the door as an extension, since only the door knows the request id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut answer = Response::default();
        answer.extensions_mut().insert(self);
        answer
    }
}
