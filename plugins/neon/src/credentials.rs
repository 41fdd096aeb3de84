//! The connection URLs, as handles: Neon makes them, the host keeps them.

use starsystem_provisioner::{Failure, Secret, compose, log};

use crate::api::{self, Mutated, Place};
use crate::explain::explain;
use crate::operations;

/// Both ways into the database.
pub(crate) struct Urls {
    pub(crate) pooled: Secret,
    pub(crate) direct: Secret,
}

/// Asks Neon for the URLs. Where Neon stores no passwords, the role gets a new one.
pub(crate) fn urls(place: &Place, host: &str) -> Result<Urls, Failure> {
    match (uri(place, true)?, uri(place, false)?) {
        (Some(pooled), Some(direct)) => Ok(Urls { pooled, direct }),
        _ => with_new_password(place, host),
    }
}

/// Shows the host what the URLs are now, so that it can tell whether those it keeps still are; both, or none where
/// Neon stores no passwords.
pub(crate) fn look(place: &Place) -> Result<(), Failure> {
    if uri(place, true)?.is_some() {
        uri(place, false)?;
    }
    Ok(())
}

/// `None` when the project stores no passwords.
fn uri(place: &Place, pooled: bool) -> Result<Option<Secret>, Failure> {
    let reply = place
        .request("getConnectionUri")
        .param("branch_id", &place.branch_id)
        .param("database_name", &place.database)
        .param("role_name", &place.role)
        .param("pooled", pooled)
        .send()?;
    match reply.status {
        412 => Ok(None),
        _ if reply.is_success() => reply.require_secret("/uri").map(Some),
        _ => Err(explain(&reply, "get the connection URL")),
    }
}

fn with_new_password(place: &Place, host: &str) -> Result<Urls, Failure> {
    log!("Neon stores no passwords for this project: the role `{}` gets a new one", place.role);
    let request = place.branch_request("resetRolePassword").param("role_name", &place.role);
    let reply = request.send()?;
    if !reply.is_success() {
        return Err(explain(&reply, "reset the password"));
    }
    let password = reply.require_secret("/role/password")?;
    let mutated: Mutated = reply.json()?;
    operations::wait_for(&place.project_id, &mutated.operations)?;
    let url = |host: &str| {
        let (role, database) = (api::encoded(&place.role), api::encoded(&place.database));
        let template = format!(
            "postgresql://{role}:{{password|url}}@{host}/{database}?sslmode=require&channel_binding=require"
        );
        compose(&template, &[("password", password)])
    };
    Ok(Urls { pooled: url(&pooler(host))?, direct: url(host)? })
}

/// The pooler's host: `-pooler` behind the first label.
fn pooler(host: &str) -> String {
    match host.split_once('.') {
        Some((endpoint, domain)) => format!("{endpoint}-pooler.{domain}"),
        None => host.to_owned(),
    }
}
