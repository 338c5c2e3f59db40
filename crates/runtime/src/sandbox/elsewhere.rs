//! Systems and processors that have no sandbox of this kind.

use std::path::PathBuf;

use super::{Demand, Enforced, SandboxError};

pub(super) fn enter(_writable: &[PathBuf], demand: Demand) -> Result<Enforced, SandboxError> {
    match demand {
        Demand::Everything => Err(SandboxError::Missing {
            missing: "a sandbox for processes that Outport knows; that is Linux on x86-64 or AArch64",
        }),
        Demand::WhatThereIs => Ok(Enforced {
            system_calls: false,
            files: false,
            ports: false,
        }),
    }
}
