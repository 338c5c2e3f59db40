//! Files that were read, kept so that messages can quote them.

use std::path::Path;
use std::{fs, io};

use outport_manifest::SourceFile;

use crate::diagnostic::Diagnostic;

/// The files that a command read.
#[derive(Clone, Default)]
pub(crate) struct Files {
    read: Vec<SourceFile>,
}

impl Files {
    /// Reads a file of text; `what` is what it is for.
    pub(crate) fn read(&mut self, path: &Path, what: &str) -> Result<SourceFile, Diagnostic> {
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, what, &error))?;
        let file = SourceFile::new(path, text);
        self.read.push(file.clone());
        Ok(file)
    }

    /// The file that was read from `path`.
    pub(crate) fn find(&self, path: &str) -> Option<&SourceFile> {
        self.read.iter().find(|file| file.path() == Path::new(path))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.read.iter().map(SourceFile::path))
            .finish()
    }
}

fn unreadable(path: &Path, what: &str, error: &io::Error) -> Diagnostic {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::error(format!("there is no {what} `{shown}`")),
        io::ErrorKind::InvalidData => Diagnostic::error(format!("the {what} `{shown}` is not UTF-8 text")),
        _ => Diagnostic::error(format!("cannot read the {what} `{shown}`: {error}")),
    }
}
