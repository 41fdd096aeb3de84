//! Which token goes with a request, and the check that it works before anything is made.

use std::collections::{BTreeMap, BTreeSet};

use ss_core::ident::ServiceId;
use ss_core::plan::{Plan, Step};
use ss_core::record::RequestLine;
use ss_core::redact::Secret;
use ss_core::state::State;
use ss_gate::manifest::{Auth, Connection, Credential, Manifest, Operation};
use ss_ports::{Egress, Exchange, HttpRequest, RetryRules};

use crate::failure::Failure;
use crate::run::{Override, Run};

/// The complete value of the `Authorization` header for a connection, or `None` when it needs none.
pub(crate) async fn authorization(
    run: &Run,
    service: &ServiceId,
    manifest: &Manifest,
    connection: &Connection,
) -> Result<Option<Secret>, Failure> {
    let Some(auth) = &connection.auth else { return Ok(None) };
    let token = token(run, service, manifest, &auth.bearer).await?;
    Ok(Some(header(auth, &token)))
}

/// The token of a credential: the variable named in `credential_env` if it is set, else the vault's.
async fn token(
    run: &Run,
    service: &ServiceId,
    manifest: &Manifest,
    name: &str,
) -> Result<Secret, Failure> {
    // `credential_env` names one variable, so it stands for the plugin's first credential.
    let first = manifest.credentials.first().is_some_and(|credential| credential.name == name);
    let variable = run.settings.credentials.get(service).filter(|_| first);
    if let Some(value) = variable.and_then(|credential| credential.value.clone()) {
        return Ok(value);
    }
    if let Some(token) = run.ports.vault.token(name).await? {
        return Ok(token);
    }
    let mut failure = Failure::new(
        "SS0511",
        format!("`{service}` needs the credential `{name}`, and there is none"),
    );
    if let Some(credential) = variable {
        failure = failure
            .hint(format!("set the variable {} (`credential_env` names it)", credential.variable));
    }
    failure = failure.hint(format!("or store it: `ss vault set {name}`"));
    if let Some(credential) = manifest.credentials.iter().find(|credential| credential.name == name)
    {
        failure = failure.hint(credential.description.clone());
    }
    Err(failure)
}

fn header(auth: &Auth, token: &Secret) -> Secret {
    let text = token.expose().trim();
    for (scheme, prefixes) in &auth.schemes {
        if text.strip_prefix(scheme.as_str()).is_some_and(|rest| rest.starts_with(' ')) {
            return Secret::new(text.to_owned());
        }
        if prefixes.iter().any(|prefix| text.starts_with(prefix.as_str())) {
            return Secret::new(format!("{scheme} {text}"));
        }
    }
    Secret::new(format!("Bearer {}", text.strip_prefix("Bearer ").unwrap_or(text)))
}

/// Makes sure that every credential the plan needs is there and is accepted, before the first change. Each
/// credential is tried once, by the read that its manifest names.
pub(crate) async fn check_credentials(
    run: &Run,
    plan: &Plan,
    state: &State,
) -> Result<(), Failure> {
    let mut tried = BTreeSet::new();
    // A conditional step may need its credential too, and half-way is a bad place to find out.
    for step in plan.steps.iter().filter(|step| step.action.changes() || step.if_inputs_change) {
        for kind in kinds(step, state) {
            let Ok(provisioner) = run.ports.provisioners.for_target(kind) else { continue };
            check_plugin(run, &step.service, &provisioner.plugin().manifest, &mut tried).await?;
        }
    }
    Ok(())
}

/// The target types whose plugins a step calls: to replace one type by another takes both.
fn kinds<'s>(step: &'s Step, state: &'s State) -> BTreeSet<&'s str> {
    let recorded = state.services.get(&step.service).map(|record| record.provider.as_str());
    recorded.into_iter().chain([step.kind.as_str()]).collect()
}

async fn check_plugin(
    run: &Run,
    service: &ServiceId,
    manifest: &Manifest,
    tried: &mut BTreeSet<(String, String)>,
) -> Result<(), Failure> {
    for credential in &manifest.credentials {
        let auths = manifest.connections.iter().filter_map(|connection| connection.auth.as_ref());
        if !auths.into_iter().any(|auth| auth.bearer == credential.name) {
            continue;
        }
        let token = token(run, service, manifest, &credential.name).await?;
        // The same token of the same credential is tried once, however many services use it.
        let digest = ss_core::value::keyed_digest(manifest.name.as_bytes(), token.expose());
        if !tried.insert((credential.name.clone(), digest)) {
            continue;
        }
        if let Some(tried) = try_token(
            &*run.ports.egress,
            manifest,
            &run.settings.connections,
            credential,
            &token,
            Some(service),
        )
        .await
        {
            run.record_request(tried.line(service));
            match tried.verdict() {
                Verdict::Good => {}
                Verdict::Refused(answered) => {
                    return Err(refused(run, service, &credential.name, &answered));
                }
                Verdict::Unreachable(message) => {
                    return Err(Failure::new("SS0513", message)
                        .hint("nothing was changed; try again when it can be reached"));
                }
            }
        }
    }
    Ok(())
}

/// A token that was tried.
#[derive(Debug)]
pub struct Tried<'m> {
    connection: &'m Connection,
    operation: &'m Operation,
    exchange: Exchange,
}

/// What came of trying a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The API accepted it.
    Good,
    /// The API refused it: who answered what.
    Refused(String),
    /// Nobody answered: why.
    Unreachable(String),
}

/// Tries a token by the read that its credential names in the manifest; `None` when it names none.
pub async fn try_token<'m>(
    egress: &dyn Egress,
    manifest: &'m Manifest,
    overrides: &BTreeMap<String, Override>,
    credential: &Credential,
    token: &Secret,
    service: Option<&ServiceId>,
) -> Option<Tried<'m>> {
    let (connection, operation) = manifest.operation(credential.verify.as_deref()?)?;
    let authorization = connection.auth.as_ref().map(|auth| header(auth, token));
    let mut request = request(overrides, connection, operation, authorization);
    request.service = service.cloned();
    let exchange = egress.send(request).await;
    Some(Tried { connection, operation, exchange })
}

impl Tried<'_> {
    /// Good, refused or unreachable.
    pub fn verdict(&self) -> Verdict {
        let name = &self.connection.name;
        match &self.exchange.result {
            Ok(reply) if matches!(reply.status, 401 | 403) => {
                Verdict::Refused(format!("{name} answered {}", reply.status))
            }
            Ok(_) => Verdict::Good,
            Err(error) => Verdict::Unreachable(format!("`{name}` cannot be reached: {error}")),
        }
    }

    fn line(&self, service: &ServiceId) -> RequestLine {
        let result = &self.exchange.result;
        RequestLine {
            service: service.clone(),
            operation: self.operation.name.clone(),
            method: self.operation.route.method().to_owned(),
            route: self.operation.route.path(),
            status: result.as_ref().ok().map(|reply| reply.status),
            error: result.as_ref().err().map(ToString::to_string),
            ms: self.exchange.duration_ms,
            bytes: self.exchange.bytes,
            attempts: self.exchange.attempts,
        }
    }
}

fn request(
    overrides: &BTreeMap<String, Override>,
    connection: &Connection,
    operation: &Operation,
    authorization: Option<Secret>,
) -> HttpRequest {
    let overridden = overrides.get(&connection.name);
    let base = overridden.map_or(connection.base_url.as_str(), |to| to.base_url.as_str());
    HttpRequest {
        connection: connection.name.clone(),
        operation: operation.name.clone(),
        service: None,
        route: operation.route.path(),
        method: operation.route.method().to_owned(),
        url: format!("{}{}", base.trim_end_matches('/'), operation.route.path()),
        local: overridden.is_some_and(|to| to.local),
        authorization,
        headers: Vec::new(),
        body: None,
        timeout_ms: 15_000,
        retry: RetryRules {
            safe: true,
            always: Vec::new(),
            answers: Vec::new(),
            attempts: 4,
            total_ms: 60_000,
        },
        rate: None,
    }
}

fn refused(run: &Run, service: &ServiceId, credential: &str, answered: &str) -> Failure {
    let message = format!("the credential `{credential}` was refused ({answered})");
    let mut failure = Failure::new("SS0512", message);
    let variable = run.settings.credentials.get(service);
    if let Some(variable) = variable.filter(|variable| variable.value.is_some()) {
        failure = failure.hint(format!("it came from the variable {}", variable.variable));
    }
    failure.hint(format!(
        "nothing was changed; put a working one in its place: `ss vault set {credential}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_chosen_by_prefix_and_never_doubled() {
        let auth = Auth {
            bearer: "fly.api_token".to_owned(),
            schemes: BTreeMap::from([("FlyV1".to_owned(), vec!["fm2_".to_owned()])]),
        };
        let value = |token: &str| header(&auth, &Secret::from(token)).expose().clone();
        assert_eq!(value("fo1_abc\n"), "Bearer fo1_abc");
        assert_eq!(value("fm2_abc"), "FlyV1 fm2_abc");
        assert_eq!(value("FlyV1 fm2_abc"), "FlyV1 fm2_abc");
        assert_eq!(value("Bearer x"), "Bearer x");
    }
}
