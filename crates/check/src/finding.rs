//! One finding: what, where, and what to write instead.

use crate::code::Code;
use outport_manifest::{Note, Problem, Remark, Severity};
use outport_policy::{Entry, Location, text};
use std::fmt;
use std::ops::Range;

/// Something worth telling before anything runs.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which kind it is.
    pub code: FindingCode,
    /// How much it matters.
    pub severity: Severity,
    /// What it is, in a sentence without a full stop.
    pub message: String,
    /// Where it is.
    pub location: Location,
    /// The component that it is about, if it is about one.
    pub component: Option<String>,
    /// Other places that have to do with it, each with what it is there.
    pub related: Vec<(Location, String)>,
    /// What to do.
    pub help: Option<String>,
    /// One line that says enough, where nobody asked for more than usual.
    pub brief: Option<String>,
    /// A change of the file that is safe to make without asking.
    pub fix: Option<Fix>,
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
        /// What that list is to have besides, for each item of this one.
        entries: Vec<Vec<String>>,
    },
}

impl Finding {
    /// A finding of this code, of the severity that the code has.
    pub fn new(code: Code, location: Location, message: impl Into<String>) -> Self {
        Self {
            code: FindingCode::Check(code),
            severity: code.severity(),
            message: message.into(),
            location,
            component: None,
            related: Vec::new(),
            help: None,
            brief: None,
            fix: None,
        }
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

    /// With another place that has to do with it.
    #[must_use]
    pub fn related_to(mut self, location: Location, what: impl Into<String>) -> Self {
        self.related.push((location, what.into()));
        self
    }

    /// Without anything that would tell what a secret is: the code says it all.
    pub(crate) fn concealing(self, entry: &Entry) -> Self {
        let FindingCode::Check(code) = self.code else {
            return self;
        };
        Self {
            message: format!(
                "`{}`: {}; it has to do with a secret",
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

/// The bytes of a file that a place stands for.
pub(crate) fn span_of(location: &Location) -> Option<Range<usize>> {
    match location {
        Location::File { span, .. } => Some(span.clone()),
        _ => None,
    }
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Self {
        Self {
            code: FindingCode::File(problem.code()),
            severity: Severity::Error,
            message: problem.mistake.to_string(),
            location: problem.location.clone(),
            component: None,
            related: Vec::new(),
            help: problem.help(),
            brief: None,
            fix: None,
        }
    }
}

impl From<&Note> for Finding {
    fn from(note: &Note) -> Self {
        Self {
            code: FindingCode::File(note.code()),
            severity: note.severity(),
            message: note.remark.to_string(),
            location: note.location.clone(),
            component: None,
            related: Vec::new(),
            help: None,
            brief: None,
            fix: fix_of(note),
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

/// `spin.toml:12:5: warning[entry.blocked]: …`, one line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}[{}]: {}",
            self.location,
            self.severity.as_str(),
            self.code,
            self.message
        )
    }
}
