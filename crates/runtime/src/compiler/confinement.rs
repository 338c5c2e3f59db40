//! The rights that keeper and compilers give up in the kernel, beside what they have closed.
//!
//! | | keeper | compiler |
//! | --- | --- | --- |
//! | writing files | in the directory of compiled code alone | nowhere |
//! | sockets, running programs | none | none |
//! | the rest of the [sandbox](crate::sandbox), new processes among it | | all of it |
//!
//! As far as the kernel can. The bounds of time and memory do not rest on it.

use crate::cache::PrivateDirectory;
use crate::sandbox::{Demand, Sandbox};

/// The choice whether rights are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// As far as the kernel can.
    Kernel,
    /// Not at all: for debuggers and profilers.
    None,
}

impl Confinement {
    /// Holds the keeper, and every process that it starts.
    pub(super) fn of_keeper(self, directory: Option<&PrivateDirectory>) {
        if self == Self::Kernel {
            let sandbox = Sandbox::new();
            let sandbox = match directory {
                Some(directory) => sandbox.writable(directory.path()),
                None => sandbox,
            };
            note(sandbox.hold_files());
            note(Sandbox::without_network());
        }
    }

    /// Holds a compiler.
    pub(super) fn of_compiler(self) {
        if self == Self::Kernel {
            note(Sandbox::new().enter(Demand::WhatThereIs));
        }
    }
}

/// The process that runs guests says what the kernel cannot hold.
fn note<T>(held: Result<T, crate::sandbox::SandboxError>) {
    if let Err(error) = held {
        tracing::debug!(%error, "the compiler is not held by the kernel");
    }
}
