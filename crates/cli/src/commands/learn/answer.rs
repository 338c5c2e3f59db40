//! Where the answer goes: standard output, which guests do not have meanwhile.
//!
//! What a guest prints would stand among the entries, or in a diff that somebody hands on. So its standard output becomes
//! standard error before anything of it runs, and the answer goes to what was standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// The stream of the answer.
pub(super) struct Answer(Option<File>);

impl Answer {
    /// Standard output, where no guest runs.
    pub(super) fn alone() -> Self {
        Self(None)
    }

    /// Standard output, which from now on is standard error for everybody else in the process.
    ///
    /// # Errors
    ///
    /// There are no descriptors left.
    pub(super) fn kept_from_guests() -> io::Result<Self> {
        let kept = io::stdout().as_fd().try_clone_to_owned()?;
        redirect()?;
        Ok(Self(Some(kept.into())))
    }

    /// Writes all of it.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.0 {
            // Who reads it may have seen enough before its end.
            Some(kept) => match kept.write_all(text.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written,
            },
            None => crate::terminal::print(text),
        }
    }
}

#[expect(unsafe_code, reason = "one descriptor takes the place of another; see SAFETY")]
fn redirect() -> io::Result<()> {
    // SAFETY: both numbers are those of standard streams, which nobody in the process owns.
    match unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
