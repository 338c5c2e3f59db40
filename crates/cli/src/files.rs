//! Files that were read, kept so that messages can quote them. What is secret in them is never quoted.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use outport_check::{Diagnostic, Sources};
use outport_files::regular_file;
use outport_manifest::{SourceFile, Span};
use outport_policy::text;

/// The files that a command read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    sources: Sources,
}

impl Files {
    /// Reads a file of text that belongs to an app; `what` is what it is for. What is not a file is not opened.
    pub(crate) fn read(&mut self, path: &Path, what: &str) -> Result<SourceFile, Diagnostic> {
        self.keep(path, what, regular_file::open(path))
    }

    /// The same for a file that messages call otherwise.
    pub(crate) fn read_shown_as(
        &mut self,
        path: &Path,
        what: &str,
        shown: &str,
    ) -> Result<SourceFile, Diagnostic> {
        let text = read_own_text(path).map_err(|error| unreadable(path, what, &error))?;
        let file = SourceFile::new(path, text).shown_as(shown);
        self.sources.add(file.clone());
        Ok(file)
    }

    /// The same for a file of the operator's in which only a few lines can stand, which may be a pipe that the process was
    /// handed.
    pub(crate) fn read_settings(&mut self, path: &Path, what: &str) -> Result<SourceFile, Diagnostic> {
        let text = regular_file::open_or_handed(path)
            .and_then(|file| content_within(file, LONGEST_SETTINGS))
            .and_then(text_in)
            .map_err(|error| unreadable(path, what, &error))?;
        let file = SourceFile::new(path, text);
        self.add(file.clone());
        Ok(file)
    }

    /// Keeps a file that was read, to be quoted.
    pub(crate) fn add(&mut self, file: SourceFile) {
        self.sources.add(file);
    }

    /// The same for what the operator names, which may be a pipe that the process was handed.
    pub(crate) fn read_operators(&mut self, path: &Path, what: &str) -> Result<SourceFile, Diagnostic> {
        self.keep(path, what, regular_file::open_or_handed(path))
    }

    fn keep(&mut self, path: &Path, what: &str, opened: io::Result<File>) -> Result<SourceFile, Diagnostic> {
        let text = opened
            .and_then(text_of)
            .map_err(|error| unreadable(path, what, &error))?;
        let file = SourceFile::new(path, text);
        self.sources.add(file.clone());
        Ok(file)
    }

    /// From now on these bytes of a file are not quoted.
    pub(crate) fn conceal(&mut self, path: &Path, secret: Span) {
        self.sources.conceal(path, secret);
    }

    /// The text of a file that was read, as it is: to compare, not to show.
    pub(crate) fn content(&self, path: &Path) -> Option<String> {
        self.sources.file(path).map(|file| file.text().to_owned())
    }

    /// The texts that messages may quote.
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }
}

/// The text of a file that the operator names, which may be a pipe that the process was handed.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    regular_file::open_or_handed(path).and_then(text_of)
}

/// The content of a file that the operator names, which may be a pipe that the process was handed.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    regular_file::open_or_handed(path).and_then(content_of)
}

/// The text of a file that belongs to an app. What is not a file is not opened.
pub(crate) fn read_own_text(path: &Path) -> io::Result<String> {
    regular_file::open(path).and_then(text_of)
}

fn text_of(file: File) -> io::Result<String> {
    text_in(content_of(file)?)
}

fn text_in(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn content_of(file: File) -> io::Result<Vec<u8>> {
    content_within(file, LONGEST)
}

/// The content of a file. One that never ends is read to a limit only.
fn content_within(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut content)?;
    if read as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {} MiB", most >> 20),
        ));
    }
    Ok(content)
}

/// The message for a file that cannot be read; `what` is what it is for.
pub(crate) fn unreadable(path: &Path, what: &str, error: &io::Error) -> Diagnostic {
    let shown = text::path(path);
    if path.to_string_lossy().contains('\n') {
        // A key or a password, perhaps.
        let message = format!("the name of the {what} has several lines");
        return Diagnostic::error(message).helped_by("write the name of the file, not what is in it");
    }
    match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::error(format!("there is no {what} `{shown}`")),
        io::ErrorKind::InvalidData => Diagnostic::error(format!("the {what} `{shown}` is not UTF-8 text")),
        _ => Diagnostic::error(format!("cannot read the {what} `{shown}`: {error}")),
    }
}

/// Bytes of the longest text.
const LONGEST: u64 = 64 << 20;

/// Bytes of the longest file of settings.
const LONGEST_SETTINGS: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_place_of_a_name_is_not_shown() {
        let path = Path::new("-----BEGIN PRIVATE KEY-----\nhunter2\n");
        let told = unreadable(path, "private key", &io::ErrorKind::NotFound.into());
        assert!(!told.message.contains("hunter2"), "{}", told.message);
    }

    #[test]
    fn a_text_that_never_ends_is_refused() {
        let error = read_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is longer than 64 MiB");
    }
}
