//! Fresh ids, passwords and ports.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpSocket;

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
        let port = unused(candidate, |port| !promised.contains(port) && hold(*port));
        promised.push(port);
        port
    };
    (next(), next())
}

/// Ports that were promised and are not open yet: bound, so that no other sandbox is promised them, and not listening,
/// so that a connection is refused as before.
static HELD: Mutex<BTreeMap<u16, TcpSocket>> = Mutex::new(BTreeMap::new());
/// A port that is never opened, because its endpoint was not to be, is held no longer than this many others are.
const HELD_MAX: usize = 256;

fn hold(port: u16) -> bool {
    let bound = TcpSocket::new_v4().and_then(|socket| {
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(socket)
    });
    let Ok(socket) = bound else { return false };
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.insert(port, socket);
    if held.len() > HELD_MAX {
        held.pop_first();
    }
    true
}

/// Lets go of a port that is about to be opened.
pub(crate) fn release(port: u16) {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&port);
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

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_promised_port_is_nobody_elses_until_it_is_let_go() {
        let (direct, pooled) = ports(&State::default());
        assert_ne!(direct, pooled);
        for port in [direct, pooled] {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            assert!(!hold(port), "promised twice");
            assert!(TcpListener::bind(address).is_err(), "taken by another program");
            assert!(TcpStream::connect(address).is_err(), "answered before it is open");
            release(port);
            TcpListener::bind(address).expect("let go");
        }
    }
}
