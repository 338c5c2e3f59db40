//! `up --build`: the app is built before anything of it is read to be run.
//!
//! A process of its own builds ([`build`](crate::commands::build)): what it needs to end compilers when somebody asks to stop,
//! this one must not have when guests run. Nothing is open yet, the kernel's sandbox is not closed, and a signal ends both
//! processes.
//!
//! What was pulled is not built: its commands are somebody else's.

use outport_check::Diagnostic;

use super::Options;
use crate::failure::Failure;
use crate::own_process;
use crate::terminal::Terminal;

impl Options {
    /// Builds what is to run, if that was asked for. Answers the exit status where nothing is to be run after it.
    pub(super) fn build_first(&self, terminal: Terminal) -> Result<Option<i32>, Failure> {
        if !self.build {
            return Ok(None);
        }
        let app = self.app_at();
        if let Some(reference) = app.named_reference() {
            let error = format!("`--build` would run commands of `{reference}` on this machine");
            return Err(Failure::unusable(Diagnostic::error(error).helped_by(
                "an app from a registry is built already: leave `--build` out",
            )));
        }
        let mut build = own_process::build(&app.manifest_file(), &self.component, terminal);
        let status = build.status()?;
        Ok((!status.success()).then(|| own_process::status(status)))
    }
}
