//! Texts with the expected places marked in them: `source = «5»`.

#![allow(
    clippy::mod_module_files,
    reason = "several programs share it, and a file beside them would be one more"
)]

use outport_manifest::{Note, Problem, SourceFile, Span};
use outport_policy::Location;

/// A text without its marks, and what stood between each pair.
pub(crate) struct Marked {
    pub(crate) text: String,
    pub(crate) spans: Vec<Span>,
}

impl Marked {
    pub(crate) fn new(marked: &str) -> Self {
        let mut text = String::new();
        let mut spans = Vec::new();
        let mut rest = marked;
        while let Some((before, after)) = rest.split_once('«') {
            text.push_str(before);
            let (between, behind) = after.split_once('»').expect("every « has its »");
            spans.push(text.len()..text.len() + between.len());
            text.push_str(between);
            rest = behind;
        }
        text.push_str(rest);
        Self { text, spans }
    }

    pub(crate) fn file(&self) -> SourceFile {
        SourceFile::new("spin.toml", self.text.as_str())
    }

    /// The places of the marks, in the words of messages.
    pub(crate) fn locations(&self) -> Vec<Location> {
        let file = self.file();
        self.spans.iter().map(|span| file.location(span)).collect()
    }
}

pub(crate) fn problem_places(problems: &[Problem]) -> Vec<Location> {
    problems.iter().map(|problem| problem.location.clone()).collect()
}

pub(crate) fn problem_codes(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| problem.code().to_string())
        .collect()
}

pub(crate) fn note_codes(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| note.code().to_string()).collect()
}
