//! The values of an app's variables: who may set them, and who wins.
//!
//! From the strongest to the weakest:
//!
//! 1. `--variable NAME=VALUE` (the last one of a name);
//! 2. the environment, `SPIN_VARIABLE_NAME`;
//! 3. `.env` beside the manifest, whose lines have the same names;
//! 4. a variables file, `--variable @FILE` (the last one);
//! 5. the default in `spin.toml`.
//!
//! A name given by an option or file that the app does not declare is a mistake; the environment and `.env` are shared
//! with others and may hold anything. Of a name there that is nearly that of a variable which nothing sets a note says
//! so. All required variables that nobody sets are reported together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use outport_policy::Location;

use crate::reading::dotenv::{DotEnv, read_dotenv};
use crate::reading::variable_file::{VariableFileFormat, read_variable_file};
use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Note, Problem, Reading};
use crate::report::remark::Remark;
use crate::report::spelling::{candidates, nearest};
use crate::source::SourceFile;
use crate::values::variable::{Fallback, VariableDeclaration, VariableName};
use crate::values::variable_text::VariableText;
use crate::values::variable_value::{OPTION, Origin, VariableValue};

/// The value of each variable of an app.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<VariableName, VariableValue>,
}

impl Variables {
    /// Gives every declared variable its value.
    ///
    /// A problem is: a required variable that nothing sets; a name that is not declared; a value from the
    /// environment that is not text; whatever was wrong with a variables file. A variable whose declaration has a
    /// mistake has no value, which is none more.
    pub fn resolve(
        declared: &[VariableDeclaration],
        given: &GivenVariables,
        manifest: &SourceFile,
    ) -> Reading<Self> {
        let mut problems = given.problems.clone();
        problems.extend(given.unknown_names(declared));
        let mut variables = Self::default();
        for declaration in declared {
            let name = &declaration.name.value;
            match given.value_of(declaration) {
                Ok(Some(value)) => drop(variables.values.insert(name.clone(), value)),
                Ok(None) if declaration.fallback == Fallback::Unclear => {}
                Ok(None) => {
                    let location = manifest.location(&declaration.name.span);
                    let mistake = Mistake::VariableNotSet {
                        name: name.clone(),
                        secret: declaration.secret,
                    };
                    problems.push(Problem {
                        area: Area::Variables,
                        mistake,
                        location,
                    });
                }
                Err(variable) => {
                    let location = Location::Environment {
                        variable: variable.as_str().into(),
                    };
                    let mistake = Mistake::EnvironmentNotText { variable };
                    problems.push(Problem {
                        area: Area::Variables,
                        mistake,
                        location,
                    });
                }
            }
        }
        let notes = given.misspelled(declared, &variables);
        Reading::new(variables, problems, notes)
    }

    /// The value of a variable.
    pub fn get(&self, name: &VariableName) -> Option<&VariableValue> {
        self.values.get(name)
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, &VariableValue)> {
        self.values.iter()
    }
}

/// The values that options, environment and files give to variables, before it is known which ones the app has.
#[derive(Default)]
pub struct GivenVariables {
    arguments: Vec<(String, Arc<str>)>,
    environment: HashMap<String, OsString>,
    dotenv: HashMap<String, (String, Location)>,
    files: Vec<FileVariable>,
    problems: Vec<Problem>,
}

/// One line of a variables file.
pub(crate) struct FileVariable {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    pub(crate) location: Location,
}

impl GivenVariables {
    /// `--variable NAME=VALUE`.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Arc<str>>) {
        self.arguments.push((name.into(), value.into()));
    }

    /// The environment, as [`std::env::vars_os`] gives it; only `SPIN_VARIABLE_*` is kept.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        let named = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        self.environment
            .extend(named.filter(|(name, _)| name.starts_with(PREFIX)));
    }

    /// `.env` beside the manifest.
    pub fn dotenv(&mut self, source: &SourceFile) {
        let DotEnv {
            values,
            mut lines,
            problems,
        } = read_dotenv(source);
        let own = values.into_iter().filter(|(name, _)| name.starts_with(PREFIX));
        self.dotenv.extend(own.map(|(name, value)| {
            let line = lines.remove(&name).unwrap_or(0..0);
            (name, (value, source.location(&line)))
        }));
        self.problems.extend(problems);
    }

    /// A variables file.
    pub fn file(&mut self, source: &SourceFile, format: VariableFileFormat) {
        let reading = read_variable_file(source, format);
        self.problems.extend_from_slice(reading.problems());
        self.files.extend(reading.into_tentative());
    }

    /// The value of a variable, if anything sets it; or the environment variable whose value is not text.
    fn value_of(&self, declaration: &VariableDeclaration) -> Result<Option<VariableValue>, String> {
        let name = declaration.name.value.as_str();
        let secrecy = |text: &str| {
            if declaration.secret {
                VariableText::secret(text)
            } else {
                VariableText::public(text)
            }
        };
        if let Some((_, text)) = self.arguments.iter().rev().find(|(given, _)| given == name) {
            return Ok(Some(VariableValue {
                text: secrecy(text),
                origin: Origin::Argument,
            }));
        }
        let variable = declaration.name.value.environment_variable();
        if let Some(value) = self.environment.get(&variable) {
            let Some(text) = value.to_str() else {
                return Err(variable);
            };
            return Ok(Some(VariableValue {
                text: secrecy(text),
                origin: Origin::Environment(variable),
            }));
        }
        if let Some((text, _)) = self.dotenv.get(&variable) {
            return Ok(Some(VariableValue {
                text: secrecy(text),
                origin: Origin::DotEnv(variable),
            }));
        }
        if let Some(line) = self.files.iter().rev().find(|line| line.name == name) {
            let origin = Origin::File(line.location.clone());
            return Ok(Some(VariableValue {
                text: secrecy(&line.text),
                origin,
            }));
        }
        Ok(match &declaration.fallback {
            Fallback::Required | Fallback::Unclear => None,
            Fallback::Value(text) => Some(VariableValue {
                text: text.value.clone(),
                origin: Origin::Default,
            }),
        })
    }

    /// Names of the environment and of `.env` that set nothing, each beside the variable without a value of anybody's
    /// that was probably meant. A shell may have names of other apps: those that are unlike any are theirs.
    fn misspelled(&self, declared: &[VariableDeclaration], variables: &Variables) -> Vec<Note> {
        let known: HashSet<String> = declared
            .iter()
            .map(|variable| variable.name.value.environment_variable())
            .collect();
        let is_unset = |declaration: &&VariableDeclaration| {
            let value = variables.get(&declaration.name.value);
            value.is_none_or(|value| value.origin == Origin::Default)
        };
        let unset: Vec<&str> = declared
            .iter()
            .filter(is_unset)
            .take(MOST_COMPARED)
            .map(|declaration| declaration.name.value.as_str())
            .collect();
        let environment = self.environment.keys().map(|name| {
            let variable = name.as_str().into();
            (name, Location::Environment { variable })
        });
        let dotenv = self
            .dotenv
            .iter()
            .map(|(name, (_, location))| (name, location.clone()));
        let mut unknown: Vec<(&String, Location)> = environment
            .chain(dotenv)
            .filter(|(name, _)| !known.contains(*name))
            .collect();
        unknown.sort_by_key(|(name, _)| *name);
        unknown.truncate(MOST_COMPARED);
        let notes = unknown.into_iter().filter_map(|(name, location)| {
            let meant = nearest(name.strip_prefix(PREFIX)?, unset.iter().copied())?;
            let remark = Remark::NearlyAVariable {
                written: name.clone(),
                meant: format!("{PREFIX}{}", meant.to_uppercase()),
            };
            Some(Note {
                area: Area::Variables,
                remark,
                location,
            })
        });
        notes.collect()
    }

    fn unknown_names(&self, declared: &[VariableDeclaration]) -> Vec<Problem> {
        let known: HashSet<&str> = declared
            .iter()
            .map(|variable| variable.name.value.as_str())
            .collect();
        let option = Location::Option { name: OPTION.into() };
        let arguments = self.arguments.iter().map(|(name, _)| (name, option.clone()));
        let files = self.files.iter().map(|line| (&line.name, line.location.clone()));
        let unknown = arguments
            .chain(files)
            .filter(|(name, _)| !known.contains(name.as_str()));
        unknown
            .map(|(name, location)| {
                let all = declared.iter().map(|variable| variable.name.value.as_str());
                let (meant, known) = candidates(name, all);
                let mistake = Mistake::UnknownVariable {
                    name: name.clone(),
                    meant,
                    known,
                };
                Problem {
                    area: Area::Variables,
                    mistake,
                    location,
                }
            })
            .collect()
    }
}

/// Shows no values: which of them are secret is not known yet.
impl fmt::Debug for GivenVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
        f.debug_struct("GivenVariables")
            .field(
                "arguments",
                &names(self.arguments.iter().map(|(name, _)| name).collect()),
            )
            .field("environment", &names(self.environment.keys().collect()))
            .field(
                "files",
                &names(self.files.iter().map(|line| &line.name).collect()),
            )
            .finish_non_exhaustive()
    }
}

/// The prefix of the names that set variables from outside.
const PREFIX: &str = "SPIN_VARIABLE_";

/// Names that are compared with each other, of each kind.
const MOST_COMPARED: usize = 100;
