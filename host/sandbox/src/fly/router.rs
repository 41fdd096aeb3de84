//! Which handler answers which path. What is not here is a plain-text 404, whoever asks.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use http::{HeaderValue, StatusCode};

use super::{Fly, ids};
use super::{
    apps, certificates, create, exec, ips, lease, lifecycle, list, logs, metadata, platform,
    secrets, update, volumes, wait,
};

/// The Machines API, everything below `/v1`.
pub fn router(fly: Fly) -> Router {
    Router::new()
        .merge(app_routes())
        .merge(machine_routes())
        .route("/orgs/{org}/machines", get(platform::org_machines))
        .route("/orgs/{org}/volumes", get(volumes::of_org))
        .route("/platform/regions", get(platform::regions))
        .route("/platform/placements", post(platform::placements))
        .route("/tokens/current", get(platform::current_token))
        .method_not_allowed_fallback(unrouted)
        .fallback(unrouted)
        .layer(axum::middleware::map_response(|response| async { identified(response) }))
        .with_state(fly)
}

fn app_routes() -> Router<Fly> {
    const APP: &str = "/apps/{app}";
    let below = |path: &str| format!("{APP}{path}");
    Router::new()
        .route("/apps", get(apps::list).post(apps::create))
        .route(APP, get(apps::get).delete(apps::delete))
        .route(&below("/deploy_token"), post(apps::deploy_token))
        .route(&below("/secrets"), get(secrets::list).post(secrets::set_many))
        .route(
            &below("/secrets/{name}"),
            get(secrets::get).post(secrets::set).delete(secrets::remove),
        )
        .route(&below("/ip_assignments"), get(ips::list).post(ips::assign))
        .route(&below("/ip_assignments/{ip}"), delete(ips::release))
        .route(&below("/certificates"), get(certificates::list))
        .route(&below("/certificates/acme"), post(certificates::acme))
        .route(&below("/certificates/custom"), post(certificates::custom))
        .route(
            &below("/certificates/{hostname}"),
            get(certificates::get).delete(certificates::delete),
        )
        .route(&below("/certificates/{hostname}/check"), post(certificates::check))
        .route(&below("/volumes"), get(volumes::list).post(volumes::create))
        .route(
            &below("/volumes/{volume}"),
            get(volumes::get).put(volumes::update).delete(volumes::delete),
        )
        .route(&below("/volumes/{volume}/extend"), put(volumes::extend))
        .route(
            &below("/volumes/{volume}/snapshots"),
            get(volumes::snapshots).post(volumes::snapshot),
        )
}

fn machine_routes() -> Router<Fly> {
    const MACHINE: &str = "/apps/{app}/machines/{id}";
    let below = |path: &str| format!("{MACHINE}{path}");
    Router::new()
        .route("/apps/{app}/machines", get(list::list).post(create::create))
        .route(MACHINE, get(list::get).post(update::update).delete(lifecycle::delete))
        .route(&below("/start"), post(lifecycle::start))
        .route(&below("/stop"), post(lifecycle::stop))
        .route(&below("/suspend"), post(lifecycle::suspend))
        .route(&below("/restart"), post(lifecycle::restart))
        .route(&below("/signal"), post(lifecycle::signal))
        .route(&below("/cordon"), post(lifecycle::cordon))
        .route(&below("/uncordon"), post(lifecycle::uncordon))
        .route(&below("/wait"), get(wait::wait))
        .route(&below("/exec"), post(exec::exec))
        .route(&below("/ps"), get(exec::ps))
        .route(&below("/versions"), get(list::versions))
        .route(&below("/events"), get(list::events))
        .route(&below("/lease"), get(lease::get).post(lease::acquire).delete(lease::release))
        .route(&below("/metadata"), get(metadata::all).patch(metadata::merge).put(metadata::merge))
        .route(
            &below("/metadata/{key}"),
            get(metadata::get).post(metadata::set).delete(metadata::remove),
        )
}

/// The endpoints of `api.fly.io` that are not the Machines API.
pub fn platform_routes() -> Router<Fly> {
    Router::new().route("/api/v1/apps/{app}/logs", get(logs::read))
}

/// Gives an answer its `fly-request-id`.
pub fn identified(mut response: Response) -> Response {
    let id = format!("{}-iad", ids::ulid(crate::clock::wall_ms()));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("fly-request-id", id);
    }
    response
}

/// Go's own answer to a path it does not know.
pub async fn unrouted() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}
