//! Fresh ids, passwords and ports.

use std::net::{Ipv4Addr, TcpListener};

use super::model::{Project, State};
use crate::random::{self, DIGITS, LETTERS, LOWER};

/// As in `quiet-harbor-40417290`.
pub(crate) fn project_id(state: &State) -> String {
    unused(
        || format!("{}-{}", random::words(), random::string(DIGITS, 8)),
        |id| !state.projects.contains_key(id.as_str()),
    )
}

/// As in `br-quiet-harbor-a1b2c3d4`.
pub(crate) fn branch_id(state: &State) -> String {
    let taken = |id: &str| state.projects.values().any(|project| project.branch(id).is_some());
    unused(
        || format!("br-{}-a{}", random::words(), random::string(LOWER, 7)),
        |id| !taken(id.as_str()),
    )
}

/// As in `ep-quiet-harbor-a1b2c3d4`.
pub(crate) fn endpoint_id(state: &State) -> String {
    let taken = |id: &str| state.projects.values().any(|project| project.endpoint(id).is_some());
    unused(
        || format!("ep-{}-a{}", random::words(), random::string(LOWER, 7)),
        |id| !taken(id.as_str()),
    )
}

/// As the vendor makes them.
pub(crate) fn password() -> String {
    format!("npg_{}", random::string(LETTERS, 12))
}

/// A name no other branch of the project has.
pub(crate) fn is_free_branch_name(project: &Project, name: &str) -> bool {
    project.branches.iter().all(|branch| branch.name != name)
}

/// Two ports below the system's ephemeral range, promised to nobody and free right now.
pub(crate) fn ports(state: &State) -> (u16, u16) {
    let mut promised = state.ports();
    let mut next = || {
        let port = unused(candidate, |port| {
            !promised.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
        });
        promised.push(port);
        port
    };
    (next(), next())
}

fn candidate() -> u16 {
    20_000 + u16::try_from(random::below(12_000)).unwrap_or(0)
}

/// Draws until one fits; gives up after many draws and lets the caller's check report it.
fn unused<T>(draw: impl Fn() -> T, fits: impl Fn(&T) -> bool) -> T {
    for _ in 0..1_000 {
        let drawn = draw();
        if fits(&drawn) {
            return drawn;
        }
    }
    draw()
}
