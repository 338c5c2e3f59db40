//! The writer of the directory: this process, or where it has no right to, the [keeper](crate::compiler).

use std::fs::File;
use std::io;

use super::directory::{PrivateDirectory, is_use_noted};
use super::notes::keep_note;
use crate::compiler::CompilerProcess;

/// A directory, and who writes to it.
#[derive(Clone, Copy)]
pub(super) struct Filing<'a> {
    pub(super) directory: &'a PrivateDirectory,
    pub(super) keeper: Option<&'a CompilerProcess>,
}

impl<'a> Filing<'a> {
    /// This process writes itself.
    #[cfg(test)]
    pub(super) fn here(directory: &'a PrivateDirectory) -> Self {
        Filing {
            directory,
            keeper: None,
        }
    }

    /// Writes what a file holds.
    pub(super) fn note(self, name: &str, text: &str) -> io::Result<()> {
        match self.keeper {
            Some(keeper) => keeper.note(name, text),
            None => keep_note(self.directory, name, text),
        }
    }

    /// Notes that `file`, which is called `name`, was used now.
    pub(super) fn mark_used(self, name: &str, file: &File) {
        match self.keeper {
            Some(_) if is_use_noted(file) => {}
            Some(keeper) => drop(keeper.mark_used(name)),
            None => self.directory.mark_used(file),
        }
    }
}
