//! The account: who am I, which organisations, which regions.

use axum::Json;
use axum::extract::{Path, State as Context};
use serde_json::{Value, json};

use super::Neon;
use super::auth::Principal;
use super::call::Call;
use super::error::ApiError;
use crate::settings::{KeyKind, NeonSettings};

/// Where a project lands that names no region.
pub(crate) const DEFAULT_REGION: &str = "aws-us-east-2";

/// Region, name, latitude, longitude.
const REGIONS: [(&str, &str, &str, &str); 9] = [
    ("aws-us-east-1", "AWS US East 1 (N. Virginia)", "38.13", "-78.45"),
    ("aws-us-east-2", "AWS US East 2 (Ohio)", "39.96", "-83"),
    ("aws-us-west-2", "AWS US West 2 (Oregon)", "46.15", "-123.88"),
    ("aws-eu-central-1", "AWS Europe Central 1 (Frankfurt)", "50", "8"),
    ("aws-eu-west-2", "AWS Europe West 2 (London)", "51.51", "-0.12"),
    ("aws-ap-southeast-1", "AWS Asia Pacific 1 (Singapore)", "1.37", "103.8"),
    ("aws-ap-southeast-2", "AWS Asia Pacific 2 (Sydney)", "-33.86", "151.2"),
    ("aws-sa-east-1", "AWS South America East 1 (Sao Paulo)", "-23.34", "-46.38"),
    ("azure-eastus2", "Azure East US 2 (Virginia)", "36.66", "-78.38"),
];

pub(crate) fn is_region(id: &str) -> bool {
    REGIONS.iter().any(|(region, ..)| *region == id)
}

/// `GET /regions`.
pub(crate) async fn regions(call: Call) -> Result<Json<Value>, ApiError> {
    if let Some(org_id) = call.query("org_id")
        && call.principal.org_id != org_id
    {
        return Err(ApiError::no_organization());
    }
    let all = REGIONS.iter().map(|(id, name, latitude, longitude)| {
        json!({
            "region_id": id,
            "name": name,
            "default": *id == DEFAULT_REGION,
            "geo_lat": latitude,
            "geo_long": longitude,
        })
    });
    Ok(Json(json!({"regions": all.collect::<Value>()})))
}

/// `GET /auth`: works with every kind of key.
pub(crate) async fn auth(call: Call) -> Json<Value> {
    let (account_id, method) = match call.principal.kind {
        KeyKind::Personal => (USER_ID, "api_key_user"),
        KeyKind::Org | KeyKind::Project => (call.principal.org_id.as_str(), "api_key_org"),
    };
    Json(json!({"account_id": account_id, "auth_method": method}))
}

const USER_ID: &str = "8a0c1f5e-6f7d-4f0e-9d25-2f9a50a6c0de";

/// `GET /users/me`: a person's key only.
pub(crate) async fn me(Context(neon): Context<Neon>, call: Call) -> Result<Json<Value>, ApiError> {
    if call.principal.kind != KeyKind::Personal {
        return Err(ApiError::organization_key());
    }
    let settings = neon.settings();
    let (email, name) = ("sandbox@localhost.localdomain", "Sandbox");
    Ok(Json(json!({
        "active_seconds_limit": 0,
        "auth_accounts": [
            {"provider": "github", "email": email, "name": name, "login": "sandbox", "image": ""}
        ],
        "email": email,
        "id": USER_ID,
        "image": "",
        "login": "sandbox",
        "name": name,
        "last_name": "",
        "projects_limit": settings.projects_max,
        "branches_limit": settings.branches_max,
        "max_autoscaling_limit": 0.25,
        "plan": settings.plan,
    })))
}

/// `GET /users/me/organizations`: the one that the key belongs to.
pub(crate) async fn organizations(Context(neon): Context<Neon>, call: Call) -> Json<Value> {
    Json(json!({"organizations": [of(&call.principal, &neon.settings())]}))
}

/// `GET /organizations/{org_id}`.
pub(crate) async fn organization(
    Context(neon): Context<Neon>,
    Path(org_id): Path<String>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    if call.principal.org_id == org_id {
        Ok(Json(of(&call.principal, &neon.settings())))
    } else {
        Err(ApiError::no_organization())
    }
}

fn of(principal: &Principal, settings: &NeonSettings) -> Value {
    json!({
        "id": principal.org_id,
        "name": "Sandbox",
        "handle": principal.org_id,
        "plan": settings.plan,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "managed_by": "console",
    })
}
