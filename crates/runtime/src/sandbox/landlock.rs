//! Files and ports, by Landlock (<https://docs.kernel.org/userspace-api/landlock.html>).
//!
//! Landlock knows rights, and refuses every right that a ruleset handles and no rule gives. Handled here: all that
//! change files, running programs, and binding TCP sockets. One rule gives port 0, by which the kernel chooses.
//! Kernels that can do more also hold devices, Unix sockets and signals; nothing that was demanded rests on these,
//! since seccomp holds them everywhere.

use std::io;
use std::path::{Path, PathBuf};

use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, PathFdError, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};

use super::{Demand, Enforced, Gap, Sandbox, SandboxError};

/// Holds the calling thread, and every thread that it starts from now on.
pub(super) fn enter(sandbox: &Sandbox, demand: Demand) -> Result<Enforced, SandboxError> {
    let mut opened = open_all(&sandbox.writable, changes())?;
    opened.extend(open_all(&sandbox.logs, AccessFs::MakeReg | AccessFs::WriteFile)?);
    match (restrict(opened, demand), demand) {
        (Ok(status), _) => Ok(enforced(&status)),
        (Err(_), Demand::Everything) if !is_complete() => Err(SandboxError::Missing {
            missing: "all of Landlock that is needed (ABI 4, Linux 6.7)",
        }),
        (Err(error), Demand::Everything) => Err(SandboxError::Landlock {
            reason: error.to_string(),
        }),
        (Err(error), Demand::WhatThereIs) => Ok(Enforced {
            gaps: vec![Gap {
                why: format!("Landlock refuses: {error}"),
                advice: NEEDED,
            }],
            ..Enforced::default()
        }),
    }
}

/// The rights that a directory has for its purpose.
type Rights = BitFlags<AccessFs>;

fn restrict(writable: Vec<(PathFd, Rights)>, demand: Demand) -> Result<RestrictionStatus, RulesetError> {
    let needed = match demand {
        Demand::Everything => CompatLevel::HardRequirement,
        Demand::WhatThereIs => CompatLevel::BestEffort,
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(needed)
        .handle_access(changes() | AccessFs::Execute)?
        .handle_access(AccessNet::BindTcp)?
        // Beyond what may be demanded: held where the kernel can.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .set_compatibility(needed)
        .add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    for (directory, rights) in writable {
        ruleset = ruleset.add_rule(PathBeneath::new(directory, rights))?;
    }
    ruleset.restrict_self()
}

/// All rights that change files.
fn changes() -> Rights {
    AccessFs::from_write(ABI::V3)
}

fn open_all(directories: &[PathBuf], rights: Rights) -> Result<Vec<(PathFd, Rights)>, SandboxError> {
    let opened = directories.iter().filter_map(|path| match PathFd::new(path) {
        Ok(opened) => Some(Ok((opened, rights))),
        Err(error) => refusal(path, error).map(Err),
    });
    opened.collect()
}

/// A directory that is not there needs no rule.
fn refusal(path: &Path, error: PathFdError) -> Option<SandboxError> {
    let source = match error {
        PathFdError::OpenCall { source, .. } => source,
        other => io::Error::other(other.to_string()),
    };
    (source.kind() != io::ErrorKind::NotFound).then(|| SandboxError::Directory {
        path: path.to_owned(),
        source,
    })
}

fn enforced(status: &RestrictionStatus) -> Enforced {
    let abi = match (&status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => ABI::Unsupported,
        (_, LandlockStatus::Available { effective_abi, .. }) => effective_abi,
        _ => ABI::Unsupported,
    };
    Enforced {
        system_calls: false,
        files: abi >= ABI::V3,
        ports: abi >= ABI::V4,
        gaps: gap(status.landlock, abi).into_iter().collect(),
    }
}

/// The reason why Landlock does not hold all that is needed of it.
fn gap(status: LandlockStatus, abi: ABI) -> Option<Gap> {
    let (why, advice) = match status {
        _ if abi >= ABI::V4 => return None,
        LandlockStatus::NotEnabled => (
            "Landlock is in this kernel, and not enabled".to_owned(),
            "name `landlock` in the kernel's boot parameter `lsm=`",
        ),
        // A refusal looks the same from here.
        LandlockStatus::NotImplemented => (
            "this kernel has no Landlock, or a container's filter of system calls refuses it".to_owned(),
            "let the container use `landlock_create_ruleset`, `landlock_add_rule` and `landlock_restrict_self`, on \
             Linux 6.7 or newer",
        ),
        LandlockStatus::Available { .. } => (
            format!("this kernel has version {abi} of Landlock; files take version 3, ports version 4"),
            NEEDED,
        ),
    };
    Some(Gap { why, advice })
}

const NEEDED: &str = "Linux 6.7 or newer, with Landlock enabled, holds all";

/// True if the kernel has all that can be demanded. Asks for a ruleset, and enters none.
fn is_complete() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(changes())
        .and_then(|ruleset| ruleset.handle_access(AccessNet::BindTcp))
        .and_then(Ruleset::create)
        .is_ok()
}

/// The newest version that this was written for; newer rights are not handled unseen.
const NEWEST: ABI = ABI::V9;
