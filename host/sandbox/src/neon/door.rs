//! The door of the API: key, rate limit, request id.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::Neon;
use super::auth::{self, Principal};
use super::error::ApiError;
use crate::front::request_id;

/// Checks a request in, and gives refusals their body.
pub(crate) async fn enter(State(neon): State<Neon>, mut request: Request, next: Next) -> Response {
    let request_id = request_id(request.headers());
    let principal = match check(&neon, &request) {
        Ok(principal) => principal,
        Err(refusal) => return refusal.answer(&request_id),
    };
    request.extensions_mut().insert(principal);
    let answer = next.run(request).await;
    match answer.extensions().get::<ApiError>() {
        Some(refusal) => refusal.answer(&request_id),
        None => answer,
    }
}

fn check(neon: &Neon, request: &Request) -> Result<Principal, ApiError> {
    let settings = neon.settings();
    let principal = auth::authenticate(request.headers(), &settings)?;
    let route = format!("{} {}", request.method(), route_of(request.uri().path()));
    neon.inner.limits.take(&settings, &principal.org_id, &route, neon.now_ms())?;
    Ok(principal)
}

/// The path with every second segment, where ids and names stand, left open.
fn route_of(path: &str) -> String {
    let open = |(index, segment)| if index % 2 == 0 { segment } else { "{}" };
    path.trim_matches('/').split('/').enumerate().map(open).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::route_of;

    #[test]
    fn ids_and_names_do_not_make_new_routes() {
        assert_eq!(
            route_of("/projects/a-1/branches/br-2/roles/x/reset_password"),
            "projects/{}/branches/{}/roles/{}/reset_password"
        );
        assert_eq!(route_of("/projects"), "projects");
    }
}
