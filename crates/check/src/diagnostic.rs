//! Something to tell about what was written or given: what, where, and what to write instead.

use std::fmt;
use std::ops::Range;

use outport_manifest::{Note, Problem, Remark, Severity};
use outport_policy::{Entry, EntryError, Location, text};

use crate::code::Code;

/// Something to tell.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The kind; none where it is of no listed kind, such as the end of a guest.
    pub code: Option<FindingCode>,
    /// Its severity.
    pub severity: Severity,
    /// The message: a sentence without a full stop.
    pub message: String,
    /// The location that it is about.
    pub location: Option<Location>,
    /// A value from no file, to be quoted.
    pub quoted: Option<Quoted>,
    /// The component that it is about, if it is about one.
    pub component: Option<String>,
    /// Other locations that have to do with it, each with what it is there.
    pub related: Vec<(Location, String)>,
    /// Advice on what to do.
    pub help: Option<String>,
    /// One line that says enough, where nobody asked for more than usual.
    pub brief: Option<String>,
    /// A change of the file that is safe to make without asking.
    pub fix: Option<Fix>,
}

/// A value, and the bytes of it that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The value.
    pub text: String,
    /// The part that is meant.
    pub meant: Range<usize>,
}

/// The code of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingCode {
    /// From this crate's list.
    Check(Code),
    /// A mistake or remark in one of the files.
    File(outport_manifest::Code),
}

/// A safe change of one entry, or of a list. The span is that of the entry's text in its file, or of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Take the entry out.
    Remove {
        /// Bytes of the file.
        span: Range<usize>,
    },
    /// Write the entry otherwise.
    Replace {
        /// Bytes of the file.
        span: Range<usize>,
        /// The new text.
        with: String,
    },
    /// Take out the list with its key, and write these entries into the list of another key beside it.
    Move {
        /// Bytes of the file.
        span: Range<usize>,
        /// The other key.
        to: &'static str,
        /// The further entries of that list, for each item of this one.
        entries: Vec<Vec<String>>,
    },
}

impl Diagnostic {
    /// Something of this code, of the severity that the code has.
    pub fn new(code: Code, location: Location, message: impl Into<String>) -> Self {
        Self {
            code: Some(FindingCode::Check(code)),
            location: Some(location),
            ..Self::of_severity(code.severity(), message.into())
        }
    }

    /// An error without a code.
    pub fn error(message: impl Into<String>) -> Self {
        Self::of_severity(Severity::Error, message.into())
    }

    /// A warning without a code.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::of_severity(Severity::Warning, message.into())
    }

    /// A note without a code.
    pub fn note(message: impl Into<String>) -> Self {
        Self::of_severity(Severity::Note, message.into())
    }

    fn of_severity(severity: Severity, message: String) -> Self {
        Self {
            code: None,
            severity,
            message,
            location: None,
            quoted: None,
            component: None,
            related: Vec::new(),
            help: None,
            brief: None,
            fix: None,
        }
    }

    /// With this code; the severity stays.
    #[must_use]
    pub fn coded(mut self, code: Code) -> Self {
        self.code = Some(FindingCode::Check(code));
        self
    }

    /// With the location that it is about.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// With a value that came from no file, all of which is meant.
    #[must_use]
    pub fn quoting(mut self, text: &str) -> Self {
        self.quoted = Some(Quoted {
            text: text.to_owned(),
            meant: 0..text.len(),
        });
        self
    }

    /// Its code; what was given cannot be used, where it has none.
    pub fn code(&self) -> FindingCode {
        self.code.unwrap_or(FindingCode::Check(Code::Input))
    }

    /// Its location; the embedder's code, where it has none.
    pub(crate) fn location(&self) -> &Location {
        self.location.as_ref().unwrap_or(&Location::Code)
    }

    /// The bytes of a file that it is about.
    pub(crate) fn span(&self) -> Option<Range<usize>> {
        self.location.as_ref().and_then(span_of)
    }

    /// About this component.
    #[must_use]
    pub fn of(mut self, component: impl Into<String>) -> Self {
        self.component = Some(component.into());
        self
    }

    /// With what to do.
    #[must_use]
    pub fn helped_by(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another location that has to do with it.
    #[must_use]
    pub fn related_to(mut self, location: Location, what: impl Into<String>) -> Self {
        self.related.push((location, what.into()));
        self
    }

    /// Without anything that would tell what a secret is: the code says it all.
    pub(crate) fn concealing(self, entry: &Entry) -> Self {
        let Some(FindingCode::Check(code)) = self.code else {
            return self;
        };
        Self {
            message: format!(
                "`{}`: {}; the rest is not shown, since it would tell a secret",
                text::excerpt(entry.text()),
                code.meaning()
            ),
            related: Vec::new(),
            help: None,
            brief: None,
            fix: None,
            ..self
        }
    }

    pub(crate) fn in_brief(mut self, line: String) -> Self {
        self.brief = Some(line);
        self
    }

    pub(crate) fn fixed_by(mut self, fix: Option<Fix>) -> Self {
        self.fix = fix;
        self
    }

    pub(crate) fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

/// The bytes of a file that a location stands for.
pub(crate) fn span_of(location: &Location) -> Option<Range<usize>> {
    match location {
        Location::File { span, .. } => Some(span.clone()),
        _ => None,
    }
}

impl From<&Problem> for Diagnostic {
    fn from(problem: &Problem) -> Self {
        Self {
            code: Some(FindingCode::File(problem.code())),
            location: Some(problem.location.clone()),
            help: problem.help(),
            ..Self::error(problem.mistake.to_string())
        }
    }
}

impl From<&Note> for Diagnostic {
    fn from(note: &Note) -> Self {
        Self {
            code: Some(FindingCode::File(note.code())),
            location: Some(note.location.clone()),
            fix: fix_of(note),
            ..Self::of_severity(note.severity(), note.remark.to_string())
        }
    }
}

/// An entry on the command line or in the environment.
impl From<&EntryError> for Diagnostic {
    fn from(error: &EntryError) -> Self {
        let shown = error.shown();
        let message = format!(
            "`{}` is not a valid entry: {}",
            text::excerpt(&shown),
            error.problem()
        );
        Self {
            location: Some(error.location().clone()),
            quoted: Some(Quoted {
                text: shown.to_string(),
                meant: error.span(),
            }),
            help: error.instead().map(|instead| format!("write `{instead}`")),
            ..Self::error(message)
        }
    }
}

fn fix_of(note: &Note) -> Option<Fix> {
    match &note.remark {
        Remark::AllowedHttpHosts { entries } => Some(Fix::Move {
            span: span_of(&note.location)?,
            to: "allowed_outbound_hosts",
            entries: entries.clone()?,
        }),
        _ => None,
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(code) => code.fmt(f),
            Self::File(code) => code.fmt(f),
        }
    }
}
