//! As whom PostgreSQL runs: it refuses root, and containers are often root.
//!
//! A user namespace is tried first, since files then stay ours; where the kernel forbids those,
//! `setpriv` drops to an unprivileged uid that owns the data and may still pass through our
//! folders.

use std::path::Path;
use std::process::Command;

use super::PostgresError;

/// The uid used where there are no user namespaces: `nobody`.
const OTHER_UID: u32 = 65_534;

/// One way to run a program as somebody who is not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// We are not root.
    Plain,
    /// Root here, uid 1000 in a user namespace.
    Namespace,
    /// Another uid.
    OtherUid,
}

impl Runner {
    /// The first way that works, tried on a harmless program.
    pub(crate) fn choose(probe_in: &Path) -> Result<Self, PostgresError> {
        if !is_root() {
            return Ok(Self::Plain);
        }
        let works = |runner: &Self| {
            let mut probe = runner.command(Path::new("test"));
            probe.arg("-d").arg(probe_in);
            probe.output().is_ok_and(|said| said.status.success())
        };
        [Self::Namespace, Self::OtherUid].into_iter().find(works).ok_or_else(|| {
            PostgresError::new(
                "PostgreSQL refuses to run as root, and neither `unshare` (user namespaces) nor \
                 `setpriv` works here; run the sandbox as an ordinary user",
            )
        })
    }

    /// `program`, to be run this way; arguments are added by the caller.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::Plain => return Command::new(program),
            Self::Namespace => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]);
                command
            }
            Self::OtherUid => {
                let mut command = Command::new("setpriv");
                let uid = OTHER_UID.to_string();
                command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
                command
                    .args(["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]);
                command.args(["--bounding-set=-all,+dac_override", "--"]);
                command
            }
        };
        command.arg(program);
        command
    }

    /// Who must own the data, when that is not us.
    pub(crate) fn owner(self) -> Option<u32> {
        (self == Self::OtherUid).then_some(OTHER_UID)
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Plain => "the user",
            Self::Namespace => "root, in a user namespace",
            Self::OtherUid => "uid 65534",
        }
    }
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
