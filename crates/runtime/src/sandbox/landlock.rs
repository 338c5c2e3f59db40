//! Files and ports, by Landlock (<https://docs.kernel.org/userspace-api/landlock.html>).
//!
//! Landlock knows rights, and refuses every right that a ruleset handles and no rule gives. Handled here: all that
//! change files, running programs, and binding TCP sockets. One rule gives port 0, by which the kernel chooses.
//! Kernels that can do more also hold devices, Unix sockets and signals; nothing that was demanded rests on these.

use std::io;
use std::path::{Path, PathBuf};

use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, PathFdError, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};

use super::{Demand, Enforced, SandboxError};

/// Holds the calling thread, and every thread that it starts from now on.
pub(super) fn enter(writable: &[PathBuf], demand: Demand) -> Result<Enforced, SandboxError> {
    let opened = open_all(writable)?;
    let refused = |error: RulesetError| SandboxError::Landlock {
        reason: error.to_string(),
    };
    let status = restrict(opened, demand).map_err(|error| match demand {
        Demand::Everything if !is_complete() => SandboxError::Missing {
            missing: "all of Landlock that is needed (ABI 4, Linux 6.7)",
        },
        _ => refused(error),
    })?;
    Ok(enforced(&status))
}

fn restrict(writable: Vec<PathFd>, demand: Demand) -> Result<RestrictionStatus, RulesetError> {
    let needed = match demand {
        Demand::Everything => CompatLevel::HardRequirement,
        Demand::WhatThereIs => CompatLevel::BestEffort,
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(needed)
        .handle_access(changes() | AccessFs::Execute)?
        .handle_access(AccessNet::BindTcp)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .set_compatibility(needed)
        .add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    for directory in writable {
        ruleset = ruleset.add_rule(PathBeneath::new(directory, changes()))?;
    }
    ruleset.restrict_self()
}

/// All rights that change files.
fn changes() -> BitFlags<AccessFs> {
    AccessFs::from_write(ABI::V3)
}

fn open_all(directories: &[PathBuf]) -> Result<Vec<PathFd>, SandboxError> {
    let opened = directories.iter().filter_map(|path| match PathFd::new(path) {
        Ok(opened) => Some(Ok(opened)),
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
    }
}

/// Whether the kernel has all that can be demanded. Asks for a ruleset, and enters none.
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
