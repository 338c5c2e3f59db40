//! The failure of a command: the reason why it did not do what it is for, and the status that it exits with.

use outport_check::Diagnostic;

use crate::files::Files;
use crate::terminal::Terminal;

/// A command that came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input cannot be used: exit status 2.
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
    pub(crate) fn unusable(diagnostic: Diagnostic) -> Self {
        Self::Unusable {
            diagnostics: vec![diagnostic],
            files: Files::default(),
        }
    }

    /// Several things that cannot be used, some of them in files.
    pub(crate) fn unusable_in(files: &Files, diagnostics: Vec<Diagnostic>) -> Self {
        Self::Unusable {
            diagnostics,
            files: files.clone(),
        }
    }

    /// Tells it, and answers the exit status.
    pub(crate) fn show(&self, terminal: Terminal) -> i32 {
        match self {
            Self::Unusable { diagnostics, files } => {
                let (told, untold) = first(diagnostics);
                terminal.show_all(told, files);
                if untold > 0 {
                    let note = Diagnostic::note(format!("there are {untold} more mistakes"));
                    terminal.show(&note, files);
                }
                2
            }
            Self::Broken(error) => {
                terminal.show(&Diagnostic::error(causes(error)), &Files::default());
                1
            }
        }
    }
}

/// Those that are told of so many mistakes, and the number of the others. One more is told rather than counted.
fn first(diagnostics: &[Diagnostic]) -> (&[Diagnostic], usize) {
    if diagnostics.len() <= MOST_MISTAKES + 1 {
        return (diagnostics, 0);
    }
    let (told, untold) = diagnostics.split_at(MOST_MISTAKES);
    (told, untold.len())
}

/// Mistakes that are told at once: a list has as many as somebody has written entries.
pub(crate) const MOST_MISTAKES: usize = 20;

/// The error and its causes, except those that an outer one has told already.
fn causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told.as_str() {
            "" => cause,
            _ if told.contains(&cause) => told,
            _ => format!("{told}: {cause}"),
        }
    })
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_mistakes_the_rest_is_counted() {
        for (count, told, untold) in [(0, 0, 0), (21, 21, 0), (22, 20, 2), (3000, 20, 2980)] {
            let mistakes = vec![Diagnostic::error("a mistake"); count];
            let (shown, rest) = first(&mistakes);
            assert_eq!((shown.len(), rest), (told, untold), "{count}");
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || anyhow::anyhow!("no such file");
        let rows = [
            (cause(), "no such file"),
            (
                cause().context("cannot open `a`"),
                "cannot open `a`: no such file",
            ),
            (
                cause().context("cannot open `a`: no such file"),
                "cannot open `a`: no such file",
            ),
            (cause().context("b").context("a"), "a: b: no such file"),
        ];
        for (error, told) in rows {
            assert_eq!(causes(&error), told);
        }
    }
}
