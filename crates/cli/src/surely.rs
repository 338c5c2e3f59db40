//! Work of threads that must outlive it.
//!
//! What loads a list of denied hosts or a certificate again reads what people and programs have written. Were there a mistake
//! of Outport's own in it, a thread that ended would leave the old list in force for good, and nobody would know.

use std::panic::{AssertUnwindSafe, catch_unwind};

use outport_check::Diagnostic;

use crate::files::Files;
use crate::terminal::Terminal;

/// Does it. A panic is told as an error, with what `stays` as it was because of it, and answered with nothing.
///
/// What the work has changed before stays changed: it must be such that it can be done again.
pub(crate) fn surely<T>(stays: &str, terminal: Terminal, work: impl FnOnce() -> T) -> Option<T> {
    // What is half-done is replaced by the next that goes well.
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        terminal.show(&failed(stays), &Files::default());
    }
    done.ok()
}

fn failed(stays: &str) -> Diagnostic {
    let message = format!("{stays}, because of a mistake in Outport, which is told above");
    Diagnostic::error(message)
        .helped_by("please report it; a file that says something else is loaded as usual")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_on_learns_of_a_panic() {
        let terminal = Terminal::new(false, false);
        assert_eq!(surely("the list stays", terminal, || 7), Some(7));
        let mut done = 0;
        let none = surely("the list stays", terminal, || {
            done += 1;
            assert!(done > 1, "for this test");
        });
        assert_eq!(none, None);
        assert_eq!(surely("the list stays", terminal, || done), Some(1));
        assert!(
            failed("the list stays")
                .message
                .starts_with("the list stays, because")
        );
    }
}
