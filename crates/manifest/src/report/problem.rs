//! A problem of a file, and what is worth knowing about it.
//!
//! A [`Problem`] refuses the file; a [`Note`] does not. Both have a stable code, a place, a message that says what
//! and where, and often a help line that says what to write. Reading never stops at the first problem.

use std::fmt;

use outport_policy::Location;

use crate::report::mistake::Mistake;
use crate::report::remark::Remark;
use crate::report::severity::Severity;

/// One thing that makes a file or option unusable.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The kind of file or option that it is in.
    pub area: Area,
    /// The mistake.
    pub mistake: Mistake,
    /// The place of the mistake.
    pub location: Location,
}

impl Problem {
    /// The stable code, such as `manifest.unknown-key`.
    pub fn code(&self) -> Code {
        Code {
            area: self.area,
            name: self.mistake.name(),
        }
    }

    /// Advice on what to write instead, if that can be given.
    pub fn help(&self) -> Option<String> {
        self.mistake.help()
    }
}

/// `spin.toml:12:5: [component.web] has no key …`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.mistake)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.mistake)
    }
}

/// One thing about a file that is worth saying and refuses nothing.
#[derive(Debug, Clone)]
pub struct Note {
    /// The kind of file that it is about.
    pub area: Area,
    /// The remark.
    pub remark: Remark,
    /// The place that it is about.
    pub location: Location,
}

impl Note {
    /// The stable code, such as `manifest.not-used`.
    pub fn code(&self) -> Code {
        Code {
            area: self.area,
            name: self.remark.name(),
        }
    }

    /// The severity.
    pub fn severity(&self) -> Severity {
        self.remark.severity()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.remark)
    }
}

/// The kind of file or option that something is said about: the first half of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Area {
    /// `spin.toml`
    Manifest,
    /// The runtime config file.
    RuntimeConfig,
    /// `outport.toml`.
    Config,
    /// Values for variables: options, the environment, a variables file.
    Variables,
}

impl Area {
    /// As it stands in a code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::RuntimeConfig => "runtime-config",
            Self::Config => "config",
            Self::Variables => "variables",
        }
    }
}

/// A stable code: an area, a dot and a name. Codes are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    /// The first half.
    pub area: Area,
    /// The second half.
    pub name: &'static str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.area.as_str(), self.name)
    }
}

/// The result of reading something: as much of it as could be read, all problems and all notes.
#[derive(Debug, Clone)]
#[must_use]
pub struct Reading<T> {
    tentative: T,
    problems: Vec<Problem>,
    notes: Vec<Note>,
}

impl<T> Reading<T> {
    pub(crate) fn new(tentative: T, problems: Vec<Problem>, notes: Vec<Note>) -> Self {
        Self {
            tentative,
            problems,
            notes,
        }
    }

    /// The value that was read, if nothing was wrong with it.
    ///
    /// # Errors
    /// All that was wrong.
    pub fn complete(self) -> Result<(T, Vec<Note>), Problems> {
        if self.problems.is_empty() {
            Ok((self.tentative, self.notes))
        } else {
            Err(Problems(self.problems))
        }
    }

    /// The part that could be read despite the problems, for looking for more of them. Where there was a mistake it has
    /// gaps and empty stand-ins: never run it.
    pub fn tentative(&self) -> &T {
        &self.tentative
    }

    /// The part that could be read, for those who keep the problems elsewhere.
    pub(crate) fn into_tentative(self) -> T {
        self.tentative
    }

    /// The part that could be read, apart from what was told.
    pub(crate) fn split(self) -> (T, Reading<()>) {
        (self.tentative, Reading::new((), self.problems, self.notes))
    }

    /// The problems that `apart` is true of, and everything else.
    pub(crate) fn divide(mut self, apart: impl Fn(&Problem) -> bool) -> (Vec<Problem>, Self) {
        let (divided, problems) = self.problems.into_iter().partition(apart);
        self.problems = problems;
        (divided, self)
    }

    /// All that was wrong, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// All that is worth saying, in the order of the file.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// Everything that was wrong, one line each.
#[derive(Debug, Clone)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
