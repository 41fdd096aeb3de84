//! What a process may still do once it has locked itself in: compute, and speak through the one socket it was given.
//!
//! Landlock takes the file system, the network and every other process away; seccomp leaves the system calls that a
//! running guest needs and lets no memory become executable any more. Both hold for all threads, for good.

use super::Walls;

/// Bounds what this process may use up; `memory` is what it may still fill, in bytes.
pub(super) fn limit(memory: u64) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, limit(0))?;
    // The image of a memory is a file without a name; there are no others.
    setrlimit(Resource::Fsize, limit(256 << 20))?;
    setrlimit(Resource::Nofile, limit(64))?;
    setrlimit(Resource::Data, limit(memory))?;
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::env::consts::ARCH;

    use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter_all_threads,
    };

    /// Takes files, network and other processes from this thread and those it starts. `false`: the kernel cannot.
    pub(in crate::wall) fn landlock() -> bool {
        let locked = || {
            let status = Ruleset::default()
                .handle_access(AccessFs::from_all(ABI::V5))?
                .handle_access(AccessNet::from_all(ABI::V5))?
                .scope(Scope::from_all(ABI::V6))?
                .create()?
                .restrict_self()?;
            Ok::<_, landlock::RulesetError>(status.ruleset != RulesetStatus::NotEnforced)
        };
        locked().unwrap_or(false)
    }

    /// Leaves what a guest needs. `false`: the kernel cannot.
    pub(in crate::wall) fn seccomp() -> bool {
        filter().is_some_and(|filter| apply_filter_all_threads(&filter).is_ok())
    }

    fn filter() -> Option<BpfProgram> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            FREE.iter().map(|call| (*call, Vec::new())).collect();
        // The third argument holds the protection of the pages.
        let not_executable = when(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)?;
        rules.insert(libc::SYS_mmap, vec![not_executable.clone()]);
        rules.insert(libc::SYS_mprotect, vec![not_executable]);
        // `abort` kills its own process, and may.
        let own = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, own)?]);
        let refused = SeccompAction::Errno(libc::EPERM as u32);
        let filter =
            SeccompFilter::new(rules, refused, SeccompAction::Allow, ARCH.try_into().ok()?);
        filter.ok()?.try_into().ok()
    }

    fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
        let condition =
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).ok()?;
        SeccompRule::new(vec![condition]).ok()
    }

    /// Speaking, memory, time, threads that are there, ending.
    const FREE: &[i64] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        // The image of a memory at its start is kept in one, and mapped copy-on-write.
        libc::SYS_memfd_create,
        libc::SYS_ftruncate,
        libc::SYS_fcntl,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_getrandom,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
}

#[cfg(target_os = "linux")]
pub(super) use linux::{landlock, seccomp};

/// Elsewhere there is no such wall yet.
#[cfg(not(target_os = "linux"))]
pub(super) fn landlock() -> bool {
    false
}

/// Elsewhere there is no such wall yet.
#[cfg(not(target_os = "linux"))]
pub(super) fn seccomp() -> bool {
    false
}

impl Walls {
    /// Whether nothing is missing.
    pub fn are_whole(&self) -> bool {
        self.landlock && self.seccomp
    }
}
