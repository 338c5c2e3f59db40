//! Why a command did not do what it is for, and the status that it exits with.

use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::terminal::Terminal;

/// A command that came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was given cannot be used: exit status 2.
    Unusable {
        /// All that is wrong.
        diagnostics: Vec<Diagnostic>,
        /// The files that the diagnostics quote.
        files: Files,
    },
    /// The machine did not play along: exit status 1.
    Broken(anyhow::Error),
}

impl Failure {
    /// One thing that cannot be used.
    pub(crate) fn unusable(diagnostic: Diagnostic) -> Failure {
        Failure::Unusable {
            diagnostics: vec![diagnostic],
            files: Files::default(),
        }
    }

    /// Several things that cannot be used, some of them in files.
    pub(crate) fn unusable_in(files: &Files, diagnostics: Vec<Diagnostic>) -> Failure {
        Failure::Unusable {
            diagnostics,
            files: files.clone(),
        }
    }

    /// Tells it, and answers the exit status.
    pub(crate) fn show(&self, terminal: Terminal) -> i32 {
        match self {
            Failure::Unusable { diagnostics, files } => {
                terminal.show_all(diagnostics, files);
                2
            }
            Failure::Broken(error) => {
                terminal.show(&Diagnostic::error(format!("{error:#}")), &Files::default());
                1
            }
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Broken(error.into())
    }
}
