//! Who asks: the token, what it reaches, and whether it may ask again so soon.
//!
//! Extracted by every handler, so an unrouted path never gets as far.

use axum::extract::FromRequestParts;
use http::{HeaderMap, Method, header, request::Parts};
use serde_json::{Value, json};

use super::fault::Fault;
use super::model::{App, Goal, Machine, State};
use super::request::rfc3339_utc_words;
use super::{Fly, lock};

/// The documented token with all rights in both organisations; `fm2_sandbox` is its new form.
pub const TOKEN: &str = "sandbox-fly-token";
/// The documented token that may only read.
pub const READ_ONLY_TOKEN: &str = "sandbox-fly-readonly";
/// What the login hands out, and the macaroon form of [`TOKEN`].
pub(super) const MACAROON: &str = "fm2_sandbox";
/// A permission token that lacks its discharge.
const UNDISCHARGED: &str = "fm2_sandbox_undischarged";
/// Slug and name of the caller's organisations.
pub(super) const ORGS: [(&str, &str); 2] =
    [("personal", "Sandbox Personal"), ("sandbox-org", "Sandbox Org")];
const USER: &str = "sandbox@example.com";

/// A caller whose token is good.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Shown as owner of leases.
    pub user: String,
    read_only: bool,
    /// Id of the only app it reaches.
    app_id: Option<String>,
    nonce: Option<String>,
}

impl FromRequestParts<Fly> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, fly: &Fly) -> Result<Self, Fault> {
        let mut caller = fly.read(|state| authenticate(&parts.headers, state))?;
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        if caller.read_only && !reads {
            return Err(Fault::unauthorized());
        }
        let limited = fly.read(|state| state.settings.rate_limits);
        let path = parts.uri.path();
        if limited && !lock(&fly.inner.limits).admit(fly.now_ms(), parts.method.as_str(), path) {
            return Err(Fault::rate_limited());
        }
        let nonce = parts.headers.get("fly-machine-lease-nonce");
        caller.nonce = nonce.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(caller)
    }
}

/// Finds the caller behind the `Authorization` header.
fn authenticate(headers: &HeaderMap, state: &State) -> Result<Caller, Fault> {
    let value = headers.get(header::AUTHORIZATION).ok_or_else(Fault::bad_token)?;
    let value = value.to_str().map_err(|_| Fault::bad_scheme())?;
    let (scheme, tokens) = value.split_once(' ').ok_or_else(Fault::bad_scheme)?;
    if scheme != "Bearer" && scheme != "FlyV1" {
        return Err(Fault::bad_scheme());
    }
    let tokens: Vec<&str> = tokens.split(',').map(str::trim).collect();
    let known = tokens.iter().find_map(|token| known(token, state));
    if known.is_none() && tokens.contains(&UNDISCHARGED) {
        return Err(Fault::no_discharge("e60f8cd1-a991-50f2-a3f8-cccca3b7f28c"));
    }
    known.ok_or_else(Fault::bad_token)
}

fn known(token: &str, state: &State) -> Option<Caller> {
    let caller =
        |read_only, app_id| Caller { user: USER.to_owned(), read_only, app_id, nonce: None };
    match token {
        TOKEN | MACAROON => Some(caller(false, None)),
        READ_ONLY_TOKEN => Some(caller(true, None)),
        _ => {
            let made = |app: &&App| app.deploy_tokens.iter().any(|made| made == token);
            let app = state.apps.values().find(made)?;
            Some(caller(false, Some(app.id.clone())))
        }
    }
}

impl Caller {
    /// Name of the organisation `slug`, if this token reaches it.
    ///
    /// # Errors
    /// 404 for any other slug.
    pub fn org(&self, slug: &str) -> Result<&'static str, Fault> {
        let found = ORGS.iter().find(|(known, _)| *known == slug);
        found.map(|(_, name)| *name).ok_or_else(|| Fault::not_found("Could not find Organization"))
    }

    /// Refuses what needs a whole organisation to a token for one app.
    ///
    /// # Errors
    /// 403.
    pub fn reaches_org(&self) -> Result<(), Fault> {
        if self.app_id.is_some() { Err(Fault::unauthorized()) } else { Ok(()) }
    }

    /// The app `name`.
    ///
    /// # Errors
    /// 404, or 403 when it is somebody else's, or the lag after creation.
    pub fn app<'a>(&self, state: &'a State, now_ms: i64, name: &str) -> Result<&'a App, Fault> {
        let Some(app) = state.apps.get(name) else {
            let taken = state.settings.names_taken.iter().any(|taken| taken == name);
            return Err(if taken { Fault::unauthorized() } else { Fault::no_app() });
        };
        if self.app_id.as_ref().is_some_and(|only| *only != app.id) {
            return Err(Fault::unauthorized());
        }
        if app.created_ms + state.settings.app_lag_ms > now_ms {
            let unknown = state.settings.app_lag_status == 401;
            return Err(if unknown { Fault::bad_token() } else { Fault::no_app() });
        }
        Ok(app)
    }

    /// The app `name`, to be changed.
    ///
    /// # Errors
    /// As [`Caller::app`].
    pub fn app_mut<'a>(
        &self,
        state: &'a mut State,
        now_ms: i64,
        name: &str,
    ) -> Result<&'a mut App, Fault> {
        self.app(state, now_ms, name)?;
        state.apps.get_mut(name).ok_or_else(Fault::no_app)
    }

    /// A machine that can be read: live, or destroyed a short time ago.
    ///
    /// # Errors
    /// As [`Caller::app`], or 404.
    pub fn machine<'a>(
        &self,
        state: &'a State,
        now_ms: i64,
        (app, id): (&str, &str),
    ) -> Result<&'a Machine, Fault> {
        let app = self.app(state, now_ms, app)?;
        let machine = state.machines.get(id).filter(|machine| machine.app_id == app.id);
        let readable = |m: &&Machine| {
            let since = m.destroyed_ms.unwrap_or(i64::MAX);
            since.saturating_add(state.settings.destroyed_readable_ms) > now_ms
        };
        machine.filter(readable).ok_or_else(Fault::no_machine)
    }

    /// A live machine that this caller may change: nobody else holds its lease.
    ///
    /// # Errors
    /// As [`Caller::machine`], 404 for a destroyed one, 409 for a leased one.
    pub fn machine_mut<'a>(
        &self,
        state: &'a mut State,
        now_ms: i64,
        (app, id): (&str, &str),
    ) -> Result<&'a mut Machine, Fault> {
        if self.machine(state, now_ms, (app, id))?.goal == Goal::Destroy {
            return Err(Fault::no_machine());
        }
        let machine = state.machines.get_mut(id).ok_or_else(Fault::no_machine)?;
        self.holds(machine, now_ms, false)?;
        Ok(machine)
    }

    /// Whether no lease of somebody else is in the way.
    ///
    /// # Errors
    /// 409, in the shape of the lease endpoints if `on_lease`.
    pub fn holds(&self, machine: &Machine, now_ms: i64, on_lease: bool) -> Result<(), Fault> {
        match machine.lease_at(now_ms) {
            Some(lease) if self.nonce.as_deref() != Some(lease.nonce.as_str()) => {
                let expires = rfc3339_utc_words(lease.expires_ms);
                Err(Fault::leased(&machine.id, &lease.owner, &expires, on_lease))
            }
            _ => Ok(()),
        }
    }

    /// The nonce that came with the request.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref().filter(|nonce| !nonce.is_empty())
    }

    /// The answer of `tokens/current`.
    #[must_use]
    pub fn tokens(&self, state: &State) -> Value {
        let token = |slug: &str, name: &str, apps: Vec<&str>| {
            json!({ "token_id": super::ids::sha256(slug)[..16], "org_slug": slug,
                    "organization": name, "apps": apps, "user": self.user })
        };
        let only =
            self.app_id.as_ref().and_then(|id| state.apps.values().find(|app| app.id == *id));
        if let Some(app) = only {
            let name = ORGS.iter().find(|(slug, _)| *slug == app.org).map_or("", |(_, name)| *name);
            return json!({ "tokens": [token(&app.org, name, vec![app.name.as_str()])] });
        }
        let all = ORGS.map(|(slug, name)| token(slug, name, Vec::new()));
        json!({ "tokens": all })
    }
}
