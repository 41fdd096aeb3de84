//! Certificates as records: asked for, perhaps issued by the clock, never real.

use axum::Json;
use axum::extract::{Path, RawQuery, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Fly;
use super::caller::Caller;
use super::fault::Fault;
use super::model::{App, Certificate, State};
use super::pages::Page;
use super::request::{Answer, object, ok, query};
use crate::clock::rfc3339;

const YEAR_QUARTER_MS: i64 = 90 * 24 * 3_600_000;

/// Whether it is in use by now.
fn is_issued(state: &State, certificate: &Certificate, now_ms: i64) -> bool {
    let after_ms = state.settings.certificate_issue_ms;
    certificate.custom || after_ms.is_some_and(|ms| certificate.created_ms + ms <= now_ms)
}

fn detail(state: &State, app: &App, hostname: &str, now_ms: i64) -> Result<Value, Fault> {
    let text = format!("not_found: certificate for {hostname} not found");
    let certificate = app.certificates.get(hostname).ok_or_else(|| Fault::not_found(&text))?;
    let issued = is_issued(state, certificate, now_ms);
    let public = |v6: bool| {
        let of_kind = app
            .ips
            .iter()
            .filter(move |ip| super::ips::is_public(&ip.kind) && (ip.kind == "v6") == v6);
        of_kind.map(|ip| ip.ip.clone()).collect::<Vec<String>>()
    };
    let source = if certificate.custom { "custom" } else { "fly" };
    Ok(json!({
        "hostname": hostname,
        "acme_requested": certificate.acme,
        "configured": issued,
        "status": if issued { "Ready" } else { "Awaiting configuration" },
        "certificates": [{
            "source": source,
            "status": if issued { "active" } else { "pending_validation" },
            "created_at": rfc3339(certificate.created_ms),
            "expires_at": rfc3339(certificate.created_ms + YEAR_QUARTER_MS),
            "issued": [],
        }],
        "dns_requirements": {
            "a": public(false),
            "aaaa": public(true),
            "cname": format!("{}.fly.dev", app.name),
            "acme_challenge": {
                "name": format!("_acme-challenge.{hostname}"),
                "target": format!("{hostname}.{}.flydns.net", app.id),
            },
            "ownership": { "name": format!("_fly-ownership.{hostname}"), "app_value": app.id },
        },
        "validation": {
            "alpn_configured": issued, "dns_configured": issued, "http_configured": issued,
            "ownership_txt_configured": issued,
        },
        "validation_errors": [],
    }))
}

fn summary(state: &State, hostname: &str, certificate: &Certificate, now_ms: i64) -> Value {
    let issued = is_issued(state, certificate, now_ms);
    json!({
        "hostname": hostname,
        "acme_requested": certificate.acme,
        "configured": issued,
        "has_custom_certificate": certificate.custom,
        "has_fly_certificate": certificate.acme && issued,
        "status": if issued { "Ready" } else { "Awaiting configuration" },
        "created_at": rfc3339(certificate.created_ms),
        "updated_at": rfc3339(certificate.created_ms),
    })
}

/// `GET …/certificates?limit&cursor&filter`
pub async fn list(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let (now_ms, mut query) = (fly.now_ms(), query(raw.as_deref()));
    query.entry("limit".to_owned()).or_insert_with(|| "25".to_owned());
    let page = Page::read(&query, now_ms, 500)?;
    fly.read(|state| {
        let known = &caller.app(state, now_ms, &app)?.certificates;
        let wanted = |host: &str| query.get("filter").is_none_or(|part| host.contains(part));
        let found: Vec<_> = known.iter().filter(|(host, _)| wanted(host)).collect();
        let total = found.len();
        let (found, cursor) = page.cut(found, |(host, _)| host);
        let views: Vec<Value> =
            found.into_iter().map(|(host, known)| summary(state, host, known, now_ms)).collect();
        let mut answer = json!({ "certificates": views, "total_count": total });
        if let Some(cursor) = cursor {
            answer["next_cursor"] = json!(cursor);
        }
        Ok(ok(answer))
    })
}

/// `POST …/certificates/acme {hostname}`
pub async fn acme(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.createAcmeCertificateRequest")?;
    add(&fly, &caller, &app, &body, false)
}

/// `POST …/certificates/custom {hostname, fullchain, private_key}`
pub async fn custom(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.createCustomCertificateRequest")?;
    for field in ["fullchain", "private_key"] {
        if !body[field].as_str().is_some_and(|text| text.contains("-----BEGIN")) {
            return Err(Fault::unprocessable(&format!("Validation failed: {field} is not PEM")));
        }
    }
    add(&fly, &caller, &app, &body, true)
}

fn add(fly: &Fly, caller: &Caller, app: &str, body: &Value, custom: bool) -> Answer {
    let hostname = body["hostname"].as_str().unwrap_or_default().to_ascii_lowercase();
    let label = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-*_".contains(&b))
    };
    if !hostname.contains('.') || !hostname.split('.').all(label) {
        return Err(Fault::unprocessable("Validation failed: Hostname is invalid"));
    }
    let now_ms = fly.now_ms();
    fly.change(|state| {
        let known = &mut caller.app_mut(state, now_ms, app)?.certificates;
        let fresh = Certificate { acme: false, custom: false, created_ms: now_ms };
        let certificate = known.entry(hostname.clone()).or_insert(fresh);
        if custom {
            certificate.custom = true;
        } else {
            certificate.acme = true;
        }
        Ok(())
    })?;
    let view =
        fly.read(|state| detail(state, caller.app(state, now_ms, app)?, &hostname, now_ms))?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

type One = Path<(String, String)>;

/// `GET …/certificates/{hostname}`
pub async fn get(Extract(fly): Extract<Fly>, caller: Caller, Path((app, hostname)): One) -> Answer {
    let now_ms = fly.now_ms();
    fly.read(|state| Ok(ok(detail(state, caller.app(state, now_ms, &app)?, &hostname, now_ms)?)))
}

/// `POST …/certificates/{hostname}/check`
pub async fn check(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, hostname)): One,
) -> Answer {
    let now_ms = fly.now_ms();
    fly.read(|state| {
        let mut view = detail(state, caller.app(state, now_ms, &app)?, &hostname, now_ms)?;
        view["dns_records"] = json!({ "a": [], "aaaa": [], "cname": [], "resolved_addresses": [] });
        Ok(ok(view))
    })
}

/// `DELETE …/certificates/{hostname}`
pub async fn delete(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, hostname)): One,
) -> Answer {
    let now_ms = fly.now_ms();
    fly.change(|state| {
        let known = &mut caller.app_mut(state, now_ms, &app)?.certificates;
        let text = format!("not_found: certificate for {hostname} not found");
        known.remove(&hostname).map(|_| ()).ok_or_else(|| Fault::not_found(&text))
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
