//! The app: made once, with its addresses and secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use starsystem_provisioner::{
    Attempt, Failure, FailureKind, NamedSecret, Reply, checkpoint, clock, ensure, log, poll, step,
};

use crate::api::{self, Address, Api, App, Secrets};
use crate::config::MARK;
use crate::record::{self, Attributes};
use crate::refusal::{self, Refusal};

/// How often the creation of the app is tried while its answer gets lost.
const ATTEMPTS: u32 = 3;
/// How long a list of addresses may lag behind.
const READ_LAG: Duration = Duration::from_secs(10);

/// Makes the app, or finds the one that an earlier run made.
pub fn create(api: &Api, mark: &str) -> Result<App, Failure> {
    let name = &api.names.app;
    // The same key with another name is refused, so the name is part of the key.
    let key = format!("{mark}-{name}");
    make(api, mark, &key)?;
    let attributes =
        Attributes { app: name.clone(), org: api.names.org.clone(), ..Attributes::default() };
    checkpoint(&record::record(attributes, None));
    step!("App created: {name}");
    api.app_is_fresh();
    if let Some(app) = api.find_app()? {
        return Ok(app);
    }
    // The key may stand for an app that was made with it and deleted since.
    log!("app {name} does not appear; creating it with another key");
    let random: String = clock::random(8).iter().map(|byte| format!("{byte:02x}")).collect();
    make(api, mark, &format!("{key}-{random}"))?;
    api.app_is_fresh();
    api.find_app()?.ok_or_else(|| {
        Failure::unavailable(format!(
            "Fly created app `{name}` and does not know it a minute later; run `ss deploy` again"
        ))
    })
}

fn make(api: &Api, mark: &str, key: &str) -> Result<(), Failure> {
    let mut attempt = 1;
    loop {
        let answer = api.create_app(key);
        // With the same key, asking again cannot make a second app.
        if api::is_open(&answer) && attempt < ATTEMPTS {
            attempt += 1;
            log!("the answer to creating app {} is lost; asking again", api.names.app);
            clock::wait(Duration::from_secs(1));
            continue;
        }
        let reply = answer?;
        return match refusal::of(&reply) {
            _ if reply.is_success() => Ok(()),
            Refusal::NameTaken => adopt(api, mark, &reply),
            _ => Err(api.failure(&reply, "create the app")),
        };
    }
}

/// The name is taken: by this service, if a machine in it bears its mark.
fn adopt(api: &Api, mark: &str, taken: &Reply) -> Result<(), Failure> {
    let name = &api.names.app;
    let app = match api.find_app() {
        Ok(Some(app)) => app,
        Ok(None) => return Err(api.failure(taken, "create the app")),
        Err(failure) if failure.kind == FailureKind::Unauthorized => {
            return Err(Failure::invalid(format!(
                "the Fly app name `{name}` is taken by another organisation, and names are shared by all of Fly's customers: choose another `app`"
            )));
        }
        Err(failure) => return Err(failure),
    };
    if api.machines()?.iter().any(|machine| machine.metadata(MARK) == Some(mark)) {
        return Ok(());
    }
    let org = if app.org().is_empty() { "yours" } else { app.org() };
    Err(Failure::conflict(format!(
        "the Fly app `{name}` exists already in organisation `{org}` and nothing in it was made by this service: choose another `app`, or remove it with `fly apps destroy {name}`"
    )))
}

/// The app's addresses; a public app gets those it lacks. A list without an address that was there before may lag behind:
/// it is read again for a while, so that an app does not get the same address twice.
pub fn addresses(
    api: &Api,
    public: bool,
    known: &BTreeSet<String>,
) -> Result<Vec<Address>, Failure> {
    let shows = |seen: &[Address]| known.iter().all(|ip| seen.iter().any(|one| one.ip == *ip));
    let settled = poll(READ_LAG, Duration::from_secs(1), || {
        let seen = api.addresses()?;
        Ok(shows(&seen).then_some(seen))
    })?;
    let mut addresses = match settled {
        Some(addresses) => addresses,
        None => api.addresses()?,
    };
    for (kind, fits) in [("shared_v4", is_public_v4 as fn(&Address) -> bool), ("v6", is_public_v6)]
    {
        if !public || addresses.iter().any(fits) {
            continue;
        }
        let find = || Ok(api.addresses()?.into_iter().find(fits));
        addresses.push(ensure_absent(find, || api.assign_address(kind))?);
        log!("address {kind} assigned");
    }
    Ok(addresses)
}

fn is_public_v4(address: &Address) -> bool {
    !address.egress && address.ip.contains('.') && !address.ip.contains(':')
}

/// Addresses in `fdaa::/16` are private.
fn is_public_v6(address: &Address) -> bool {
    !address.egress && address.ip.contains(':') && !address.ip.starts_with("fdaa")
}

/// Gives the app the service's secrets and takes back those it no longer has. Gives the version that machines
/// must at least have, and the digests of the service's secrets.
pub fn secrets(
    api: &Api,
    inputs: &[NamedSecret],
    recorded: &BTreeMap<String, String>,
) -> Result<Secrets, Failure> {
    let wanted = |name: &str| inputs.iter().any(|input| input.name == name);
    let gone: Vec<&str> =
        recorded.keys().map(String::as_str).filter(|name| !wanted(name)).collect();
    if inputs.is_empty() && gone.is_empty() {
        return Ok(Secrets::default());
    }
    let mut secrets = api.set_secrets(inputs, &gone)?;
    if !inputs.iter().all(|input| secrets.digests.contains_key(&input.name)) {
        secrets.digests = api.secrets()?.digests;
    }
    secrets.digests.retain(|name, _| wanted(name));
    Ok(secrets)
}

/// [`ensure`] for what was just seen to be absent: it does not look before the first try.
pub fn ensure_absent<T>(
    mut find: impl FnMut() -> Result<Option<T>, Failure>,
    create: impl FnMut() -> Result<T, Attempt>,
) -> Result<T, Failure> {
    let mut tried = false;
    let find = || if std::mem::replace(&mut tried, true) { find() } else { Ok(None) };
    Ok(ensure(find, create)?.into_inner())
}
