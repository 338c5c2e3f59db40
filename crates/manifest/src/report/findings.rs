//! The collection of problems and notes while a file is read.

use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Note, Problem, Reading};
use crate::report::remark::Remark;
use crate::source::{SourceFile, Span};
use crate::syntax::{SyntaxMistake, Tree, touch};

/// The problems and notes of one file so far.
pub(crate) struct Findings {
    source: SourceFile,
    area: Area,
    problems: Vec<(Span, Problem)>,
    notes: Vec<(Span, Note)>,
    damaged: Vec<Span>,
    unread: Vec<Span>,
}

impl Findings {
    /// Starts with the syntax mistakes of `tree`.
    pub(crate) fn new(source: &SourceFile, area: Area, tree: &Tree<'_>) -> Self {
        let mut findings = Self {
            source: source.clone(),
            area,
            problems: Vec::new(),
            notes: Vec::new(),
            damaged: tree.damaged.clone(),
            unread: tree.unread.clone(),
        };
        for mistake in &tree.mistakes {
            findings.report_syntax(mistake);
        }
        findings
    }

    /// Something is wrong at `span`.
    pub(crate) fn report(&mut self, span: &Span, mistake: Mistake) {
        let location = self.source.location(span);
        self.problems.push((
            span.clone(),
            Problem {
                area: self.area,
                mistake,
                location,
            },
        ));
    }

    /// Takes back that a key of this table is missing.
    pub(crate) fn withdraw_missing(&mut self, key: &str, table: &str) {
        // It was reported not long ago.
        let reported = self.problems.iter().rposition(|(_, problem)| {
            matches!(&problem.mistake, Mistake::MissingKey { key: own, table: of } if *own == key && of == table)
        });
        if let Some(index) = reported {
            self.problems.remove(index);
        }
    }

    /// Something is worth saying about `span`.
    pub(crate) fn remark(&mut self, span: &Span, remark: Remark) {
        let location = self.source.location(span);
        self.notes.push((
            span.clone(),
            Note {
                area: self.area,
                remark,
                location,
            },
        ));
    }

    /// The number of mistakes so far.
    pub(crate) fn mistakes(&self) -> usize {
        self.problems.len()
    }

    /// The file that is being read.
    pub(crate) fn source(&self) -> &SourceFile {
        &self.source
    }

    /// True if a syntax mistake stands in the value at `span`, so that it says something else than was meant.
    pub(crate) fn is_damaged(&self, span: &Span) -> bool {
        self.damaged.iter().any(|damage| touch(damage, span))
    }

    /// True if `word` stands in a part of the file that could not be read: then it may not be missing after all.
    pub(crate) fn is_in_unread_part(&self, word: &str) -> bool {
        self.unread
            .iter()
            .any(|span| self.source.slice(span).contains(word))
    }

    /// The value that was read, with everything found on the way in the order of the file.
    pub(crate) fn into_reading<T>(mut self, tentative: T) -> Reading<T> {
        self.problems.sort_by_key(|(span, _)| span.start);
        self.notes.sort_by_key(|(span, _)| span.start);
        let problems = self.problems.into_iter().map(|(_, problem)| problem).collect();
        let notes = self.notes.into_iter().map(|(_, note)| note).collect();
        Reading::new(tentative, problems, notes)
    }

    fn report_syntax(&mut self, mistake: &SyntaxMistake) {
        let reported = if mistake.is_duplicate_key() {
            Mistake::DuplicateKey {
                key: self.source.slice(&mistake.span).to_owned(),
            }
        } else {
            Mistake::Syntax {
                message: mistake.message.clone(),
            }
        };
        self.report(&mistake.span, reported);
    }
}
