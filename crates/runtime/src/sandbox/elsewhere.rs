//! Systems and processors that have no sandbox of this kind.

use super::{Demand, Enforced, FileTimes, Gap, Sandbox, SandboxError};

pub(super) fn enter(_sandbox: &Sandbox, demand: Demand) -> Result<Enforced, SandboxError> {
    match demand {
        Demand::Everything => Err(SandboxError::Missing {
            missing: "a sandbox for processes that Outport knows; that is Linux on x86-64 or AArch64",
        }),
        Demand::WhatThereIs => Ok(Enforced {
            gaps: vec![Gap {
                why: "Outport knows no sandbox for processes on this system".to_owned(),
                advice: "Linux on x86-64 or AArch64 has one",
            }],
            ..Enforced::default()
        }),
    }
}

pub(super) fn seal(_times: FileTimes) -> Result<(), SandboxError> {
    Ok(())
}

pub(super) fn hold_files(_sandbox: &Sandbox) -> Result<(), SandboxError> {
    Ok(())
}

pub(super) fn without_network() -> Result<(), SandboxError> {
    Ok(())
}
