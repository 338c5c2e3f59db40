//! The second layer, in the kernel, as the operator wants it.
//!
//! It is entered before the process has a second thread, so what the process opens for itself is opened here, just
//! before: the place for compiled code, with the process that writes to it, the logs, and what tools connect to.
//! Listeners for clients are open already, and so are the Unix sockets by which a service manager is told of the process
//! and by which the next process comes: neither kind can be opened later.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use outport_check::Diagnostic;
use outport_policy::text;
use outport_runtime::cache::CompiledCode;
use outport_runtime::compiler::Confinement;
use outport_runtime::guest_env::{Access, Directory};
use outport_runtime::sandbox::{Demand, Enforced, FileTimes, Gap, Sandbox};

use crate::access_log::unusable;
use crate::audit_output::AuditOutput;
use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::OperatorOptions;
use crate::reach::writable_by;
use crate::telemetry::{HandedAdmin, TelemetryOutputs};
use crate::terminal::Terminal;

/// The options that say whether the process enters the kernel's sandbox.
#[derive(Debug, Clone, Args)]
pub(crate) struct SandboxOptions {
    /// Give up in the kernel what no guest needs: listening, raw sockets, running programs, writing files elsewhere
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = KernelSandbox::On)]
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

/// The outputs that were opened before, and what the kernel holds.
pub(crate) struct Inside {
    pub(crate) code: CompiledCode,
    pub(crate) audit: Option<AuditOutput>,
    pub(crate) telemetry: TelemetryOutputs,
    pub(crate) held: Held,
}

/// The rules that the kernel holds; nothing if nobody asked it to.
pub(crate) struct Held(Option<Enforced>);

impl Held {
    /// Gives up what only a start needs, before the first guest runs, which has `directories`.
    pub(crate) fn seal(self, directories: &[Directory]) -> Result<(), Failure> {
        let writes = directories.iter().any(|shared| shared.access == Access::Write);
        let times = if writes { FileTimes::Set } else { FileTimes::Keep };
        match self.0 {
            Some(enforced) => Ok(enforced.seal(times)?),
            None => Ok(()),
        }
    }
}

impl SandboxOptions {
    /// The confinement of those who compile.
    pub(crate) fn confinement(&self) -> Confinement {
        match self.kernel_sandbox {
            KernelSandbox::Off => Confinement::None,
            KernelSandbox::On | KernelSandbox::Required => Confinement::Kernel,
        }
    }
}

impl OperatorOptions {
    /// Opens what the process writes to, and gives up the rest. Guests may write to some of `directories`, the process itself to
    /// `stores`, and to a log of requests if it `serves` clients. What is held then is said by `tell`; what cannot be held is
    /// a warning.
    pub(crate) fn enter_sandbox(
        &self,
        (directories, stores): (&[Directory], &[PathBuf]),
        (serves, admin): (bool, Option<HandedAdmin>),
        terminal: Terminal,
        tell: fn(Terminal, &str),
    ) -> Result<Inside, Failure> {
        self.keep_from(directories, serves, terminal)?;
        let audit = self.audit.open().map_err(unusable)?;
        let telemetry = self.telemetry.open(admin, audit.as_ref(), serves, terminal)?;
        let code = self.compiled_code(directories, terminal);
        let guests = directories.iter().filter(|shared| shared.access == Access::Write);
        let sandbox = guests
            .map(|shared| shared.host.clone())
            .chain(stores.iter().cloned())
            .fold(Sandbox::new(), Sandbox::writable);
        let audited = audit.as_ref().and_then(AuditOutput::directory);
        let logs = [audited, telemetry.log_directory()].into_iter().flatten();
        let sandbox = logs.fold(sandbox, Sandbox::with_logs_in);
        let held: Option<Enforced> = match self.sandbox.kernel_sandbox {
            KernelSandbox::Off => None,
            KernelSandbox::On => enter(&sandbox, Demand::WhatThereIs, terminal)?,
            KernelSandbox::Required => enter(&sandbox, Demand::Everything, terminal)?,
        };
        let words = held.as_ref().map_or("off".to_owned(), Enforced::to_string);
        tell(terminal, &format!("Kernel sandbox: {words}"));
        Ok(Inside {
            code,
            audit,
            telemetry,
            held: Held(held),
        })
    }

    /// Refuses to record into a file that a guest can change, and warns of a file of settings that one can.
    fn keep_from(&self, directories: &[Directory], serves: bool, terminal: Terminal) -> Result<(), Failure> {
        let what = |file: &str, path: &Path, shared: &Directory| {
            let (path, host) = (text::path(path), text::path(&shared.host));
            format!("the guest can write to the {file} `{path}`, through `{host}`, which `--dir` opens to it")
        };
        let requests = self.telemetry.access_log.file(serves);
        let logs = [
            ("audit log", self.audit.file()),
            ("access log", requests.as_deref()),
        ];
        for (name, log) in logs {
            if let Some(log) = log
                && let Some(shared) = writable_by(log, directories)
            {
                let error = Diagnostic::error(what(name, log, shared));
                return Err(Failure::unusable(
                    error.helped_by("keep the log in a directory that no guest can write to"),
                ));
            }
        }
        for (config, name) in self.files_to_watch() {
            if let Some(shared) = writable_by(&config, directories) {
                let advice = "it decides what guests may reach when it is read again; keep it in a directory that no \
                              guest can write to";
                warn(terminal, &what(name, &config, shared), advice);
            }
        }
        Ok(())
    }
}

/// Answers what the kernel holds now.
fn enter(sandbox: &Sandbox, demand: Demand, terminal: Terminal) -> Result<Option<Enforced>, Failure> {
    match sandbox.enter(demand) {
        Ok(enforced) => {
            for gap in &enforced.gaps {
                warn(terminal, &unheld(&enforced, gap), gap.advice);
            }
            Ok(Some(enforced))
        }
        Err(error) if demand == Demand::Everything => Err(Failure::unusable(
            Diagnostic::error(format!("there is no kernel sandbox: {error}"))
                .helped_by("`--kernel-sandbox on` makes do with what there is"),
        )),
        Err(error) => {
            let what = format!("the kernel sandbox was not entered: {error}");
            warn(
                terminal,
                &what,
                "`--kernel-sandbox required` does not start without it",
            );
            Ok(Some(Enforced::default()))
        }
    }
}

/// The sentence that says what is held and what is not, and why.
fn unheld(enforced: &Enforced, gap: &Gap) -> String {
    let Gap { why, .. } = gap;
    format!(
        "the kernel sandbox holds {enforced}, and not {}: {why}",
        enforced.missing()
    )
}

fn warn(terminal: Terminal, what: &str, advice: &str) {
    let warning = Diagnostic::warning(what).helped_by(advice);
    terminal.show(&warning, &Files::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_what_is_held_what_is_not_and_why_and_advises_to_give_up_nothing() {
        let gap = Gap {
            why: "a container refuses it".to_owned(),
            advice: "",
        };
        let mut enforced = Enforced::default();
        enforced.system_calls = true;
        assert_eq!(
            unheld(&enforced, &gap),
            "the kernel sandbox holds system calls, and not files and ports: a container refuses it"
        );
    }
}
