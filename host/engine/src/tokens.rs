//! Which token goes with a request, and the check that it works before anything is made.

use std::collections::BTreeSet;

use ss_core::ident::ServiceId;
use ss_core::plan::{Plan, Step};
use ss_core::record::RequestLine;
use ss_core::redact::Secret;
use ss_core::state::State;
use ss_gate::manifest::{Auth, Connection, Manifest, Operation};
use ss_ports::{HttpRequest, RetryRules};

use crate::failure::Failure;
use crate::run::Run;

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
        let verify_by = credential.verify.as_deref().and_then(|name| manifest.operation(name));
        if let Some((connection, operation)) = verify_by {
            verify(run, service, manifest, connection, operation, &credential.name).await?;
        }
    }
    Ok(())
}

async fn verify(
    run: &Run,
    service: &ServiceId,
    manifest: &Manifest,
    connection: &Connection,
    operation: &Operation,
    credential: &str,
) -> Result<(), Failure> {
    let path = operation.route.to_string();
    let path = path.split_once(' ').map_or("/", |(_, path)| path);
    let authorization = authorization(run, service, manifest, connection).await?;
    let request = request(run, connection, operation, path, authorization);
    let exchange = run.ports.egress.send(request).await;
    run.record_request(RequestLine {
        service: service.clone(),
        operation: operation.name.clone(),
        method: operation.route.method().to_owned(),
        route: path.to_owned(),
        status: exchange.result.as_ref().ok().map(|reply| reply.status),
        error: exchange.result.as_ref().err().map(ToString::to_string),
        ms: exchange.duration_ms,
        bytes: exchange.bytes,
        attempts: exchange.attempts,
    });
    let name = &connection.name;
    match exchange.result {
        Ok(reply) if matches!(reply.status, 401 | 403) => {
            let answered = format!("{name} answered {}", reply.status);
            Err(refused(run, service, credential, &answered))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("`{name}` cannot be reached: {error}");
            Err(Failure::new("SS0513", message)
                .hint("nothing was changed; try again when it can be reached"))
        }
    }
}

fn request(
    run: &Run,
    connection: &Connection,
    operation: &Operation,
    path: &str,
    authorization: Option<Secret>,
) -> HttpRequest {
    let overridden = run.settings.connections.get(&connection.name);
    let base = overridden.map_or(connection.base_url.as_str(), |to| to.base_url.as_str());
    HttpRequest {
        connection: connection.name.clone(),
        operation: operation.name.clone(),
        method: operation.route.method().to_owned(),
        url: format!("{}{path}", base.trim_end_matches('/')),
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
    use std::collections::BTreeMap;

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
