//! The second layer, in the kernel, as the operator wants it.
//!
//! It is entered before the process has a second thread, so what the process opens for itself is opened here, just
//! before: the place for compiled code and the audit log. Listeners are open already.

use clap::{Args, ValueEnum};
use outport_runtime::cache::CompiledCode;
use outport_runtime::sandbox::{Demand, Sandbox};
use outport_runtime::surroundings::{Access, Directory};

use crate::audit_output::AuditOutput;
use crate::diagnostic::Diagnostic;
use crate::engine_room::compiled_code;
use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::OperatorSide;
use crate::terminal::Terminal;

/// Whether to enter.
#[derive(Debug, Clone, Args)]
pub(crate) struct SandboxOptions {
    /// Give up in the kernel what no guest needs: listening, raw sockets, running programs, writing files elsewhere
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t = KernelSandbox::On,
        env = "OUTPORT_KERNEL_SANDBOX",
        hide_env_values = true
    )]
    kernel_sandbox: KernelSandbox,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KernelSandbox {
    /// Rely on the gate alone
    Off,
    /// As far as the kernel can
    On,
    /// Do not start where the kernel cannot do all of it
    Required,
}

/// What was opened before.
pub(crate) struct Inside {
    pub(crate) code: CompiledCode,
    pub(crate) audit: Option<AuditOutput>,
}

impl SandboxOptions {
    /// Opens what the process writes to, and gives up the rest. Guests may write to some of `directories`. What is held
    /// then is said by `tell`; what cannot be held is a warning.
    pub(crate) fn enter(
        &self,
        side: &OperatorSide,
        directories: &[Directory],
        terminal: Terminal,
        tell: fn(Terminal, &str),
    ) -> Result<Inside, Failure> {
        let (code, code_directory) = compiled_code(terminal);
        let audit = side.audit_log.as_deref().map(AuditOutput::open).transpose();
        let audit = audit.map_err(|error| {
            let advice = "name a file in a directory that is there and that you may write to, or `-`";
            Failure::unusable(Diagnostic::error(error.to_string()).advising(advice))
        })?;
        let guests = directories.iter().filter(|shared| shared.access == Access::Write);
        let guests = guests.map(|shared| shared.host.clone());
        let sandbox = code_directory
            .into_iter()
            .chain(guests)
            .fold(Sandbox::new(), Sandbox::writable);
        let held = match self.kernel_sandbox {
            KernelSandbox::Off => "off".to_owned(),
            KernelSandbox::On => enter(&sandbox, Demand::WhatThereIs, terminal)?,
            KernelSandbox::Required => enter(&sandbox, Demand::Everything, terminal)?,
        };
        tell(terminal, &format!("Kernel sandbox: {held}"));
        Ok(Inside { code, audit })
    }
}

/// Answers what the kernel holds now.
fn enter(sandbox: &Sandbox, demand: Demand, terminal: Terminal) -> Result<String, Failure> {
    match sandbox.enter(demand) {
        Ok(enforced) => {
            if !enforced.is_everything() {
                warn(
                    terminal,
                    "this kernel cannot hold all that the kernel sandbox is made of",
                );
            }
            Ok(enforced.to_string())
        }
        Err(error) if demand == Demand::Everything => Err(Failure::unusable(
            Diagnostic::error(format!("there is no kernel sandbox: {error}"))
                .advising("`--kernel-sandbox on` takes what there is"),
        )),
        Err(error) => {
            warn(terminal, &format!("the kernel sandbox was not entered: {error}"));
            Ok("not entered".to_owned())
        }
    }
}

fn warn(terminal: Terminal, what: &str) {
    let warning = Diagnostic::warning(what).advising("`--kernel-sandbox off` does without it");
    terminal.show(&warning, &Files::default());
}
