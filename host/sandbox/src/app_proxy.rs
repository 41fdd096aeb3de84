//! `/app/NAME/…`: what `https://NAME.fly.dev` is on Fly, for the machines of one app in turn.
//!
//! Bodies are streamed both ways. A request is tried on another machine only when the first cannot
//! have acted on it: the connection was refused, or the method is safe, has no body, and nothing
//! was answered. Absent: TLS, HTTP/2, upgrades, and starting stopped machines on demand.

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, request};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::fly::{Fly, Route};

/// Headers that mean something between two neighbours only.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[derive(Clone)]
struct Proxy {
    fly: Fly,
    client: Client<HttpConnector, Body>,
}

/// Proxies everything; to be mounted with `nest_service("/app/{app}", …)`: `nest` would not let
/// `/app/NAME/` through.
pub fn router(fly: Fly) -> Router {
    // A kept connection could lead to a machine that has been replaced since.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    Router::new().fallback(forward).with_state(Proxy { fly, client })
}

async fn forward(
    State(proxy): State<Proxy>,
    OriginalUri(uri): OriginalUri,
    request: Request<Body>,
) -> Response {
    let Some((app, path)) = split(&uri) else {
        return refuse(StatusCode::NOT_FOUND, "no app is named");
    };
    let machines = match proxy.fly.route(app) {
        Route::Machines(machines) => machines,
        Route::NoApp => return refuse(StatusCode::NOT_FOUND, &format!("no app named {app}")),
        Route::NoAddress => {
            let text = format!("{app} has no public IP address: {app}.fly.dev would not resolve");
            return refuse(StatusCode::SERVICE_UNAVAILABLE, &text);
        }
        Route::NoMachine => {
            let text = format!("{app} has no machine that is started, healthy and not cordoned");
            return refuse(StatusCode::SERVICE_UNAVAILABLE, &text);
        }
    };
    proxy.try_in_turn((app, &path), &machines, request).await
}

/// `/app/NAME/rest?query` → the name and `/rest?query`.
fn split(uri: &Uri) -> Option<(&str, String)> {
    let whole = uri.path_and_query()?.as_str().strip_prefix("/app/")?;
    let end = whole.find(['/', '?']).unwrap_or(whole.len());
    let (app, rest) = whole.split_at(end);
    let slash = if rest.starts_with('/') { "" } else { "/" };
    Some((app, format!("{slash}{rest}")))
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

impl Proxy {
    async fn try_in_turn(
        &self,
        (app, path): (&str, &str),
        machines: &[(String, u16)],
        request: Request<Body>,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let bodiless = body.is_end_stream();
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method) && bodiless;
        let mut body = Some(body);
        for (id, port) in machines {
            let sent = if bodiless { Body::empty() } else { body.take().unwrap_or_default() };
            let Some(outgoing) = rewritten(&parts, (app, path), *port, sent) else {
                return refuse(StatusCode::BAD_REQUEST, "this path cannot be forwarded");
            };
            match self.client.request(outgoing).await {
                Ok(response) => return returned(response, id),
                Err(error) if bodiless && (safe || error.is_connect()) => {}
                Err(error) => {
                    let text = format!("machine {id} gave no answer: {error}");
                    return refuse(StatusCode::BAD_GATEWAY, &text);
                }
            }
        }
        refuse(StatusCode::BAD_GATEWAY, &format!("no machine of {app} gave an answer"))
    }
}

/// The request as the machine gets it.
fn rewritten(
    parts: &request::Parts,
    (app, path): (&str, &str),
    port: u16,
    body: Body,
) -> Option<Request<Body>> {
    let uri: Uri = format!("http://127.0.0.1:{port}{path}").parse().ok()?;
    let mut request = Request::builder().method(parts.method.clone()).uri(uri).body(body).ok()?;
    *request.headers_mut() = forwarded(&parts.headers);
    let prefix = HeaderValue::from_str(&format!("/app/{app}")).ok()?;
    let own = [
        ("x-forwarded-for", HeaderValue::from_static("127.0.0.1")),
        ("x-forwarded-proto", HeaderValue::from_static("http")),
        ("x-forwarded-prefix", prefix),
        ("fly-client-ip", HeaderValue::from_static("127.0.0.1")),
    ];
    for (name, value) in own {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Some(request)
}

fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    HOP_BY_HOP.iter().for_each(|name| drop(kept.remove(name)));
    kept
}

fn returned(response: http::Response<hyper::body::Incoming>, machine: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers = forwarded(&parts.headers);
    if let Ok(machine) = HeaderValue::from_str(machine) {
        parts.headers.insert("fly-machine-id", machine);
    }
    Response::from_parts(parts, Body::new(body.map_err(axum::Error::new)))
}
