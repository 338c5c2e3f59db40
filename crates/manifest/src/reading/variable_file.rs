//! The sources of values for variables: the argument of `--variable`, and variables files.
//!
//! As with Spin the argument is one of three:
//!
//! | written | value |
//! | --- | --- |
//! | `NAME=VALUE` | the text behind the first `=` |
//! | `NAME=@FILE` | the content of the file, without one line end at its end |
//! | `@FILE.toml`, `@FILE.json` | a file with a string for each of several variables |
//!
//! Values may be secret, so nothing here repeats one in a message.

use std::path::PathBuf;
use std::str::FromStr;

use outport_policy::text;

use crate::reading::fields::Fields;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Problem, Reading};
use crate::source::SourceFile;
use crate::syntax::Repaired;
use crate::variables::FileVariable;

/// The argument of `--variable`. Reading the files is up to the caller.
#[derive(Clone, PartialEq, Eq)]
pub enum VariableArgument {
    /// `NAME=VALUE`
    Value {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
    },
    /// `NAME=@FILE`
    FileContent {
        /// The variable.
        name: String,
        /// The file whose content is the value.
        path: PathBuf,
    },
    /// `@FILE`
    File {
        /// The file with values for several variables.
        path: PathBuf,
        /// The format to read it in.
        format: VariableFileFormat,
    },
}

/// The format of a variables file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VariableFileFormat {
    /// `name = "value"` lines.
    Toml,
    /// One object of strings.
    Json,
}

/// The reason why a text is no argument of `--variable`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableArgumentError {
    /// No `=` and no `@`.
    #[error("write `NAME=VALUE`, `NAME=@FILE` or `@FILE`")]
    Form,
    /// `@vars.yaml`
    #[error("the name of a variables file must end in `.toml` or `.json`")]
    FileKind,
}

impl FromStr for VariableArgument {
    type Err = VariableArgumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix('@') {
            let path = PathBuf::from(path);
            let format = match path.extension().and_then(|extension| extension.to_str()) {
                Some("toml") => VariableFileFormat::Toml,
                Some("json") => VariableFileFormat::Json,
                _ => return Err(VariableArgumentError::FileKind),
            };
            return Ok(Self::File { path, format });
        }
        let (name, value) = text.split_once('=').ok_or(VariableArgumentError::Form)?;
        let name = name.to_owned();
        Ok(match value.strip_prefix('@') {
            Some(path) => Self::FileContent {
                name,
                path: path.into(),
            },
            None => Self::Value {
                name,
                value: value.to_owned(),
            },
        })
    }
}

/// Shows no value: it may be secret.
impl std::fmt::Debug for VariableArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value { name, .. } => write!(f, "{name}=***"),
            Self::FileContent { name, path } => write!(f, "{name}=@{}", text::path(path)),
            Self::File { path, .. } => write!(f, "@{}", text::path(path)),
        }
    }
}

pub(crate) fn read_variable_file(
    source: &SourceFile,
    format: VariableFileFormat,
) -> Reading<Vec<FileVariable>> {
    match format {
        VariableFileFormat::Toml => read_toml(source),
        VariableFileFormat::Json => read_json(source),
    }
}

fn read_toml(source: &SourceFile) -> Reading<Vec<FileVariable>> {
    let repaired = Repaired::of(source);
    let tree = repaired.tree();
    let mut found = Findings::new(source, Area::Variables, &tree);
    let fields = Fields::new("the variables file", 0..0, tree.root.get_ref());
    let mut lines = Vec::new();
    for (name, node) in fields.names(source) {
        if let Some(text) = node.string(&mut found) {
            let location = source.location(&text.span);
            lines.push(FileVariable {
                name: name.value,
                text: text.value.into(),
                location,
            });
        }
    }
    found.into_reading(lines)
}

fn read_json(source: &SourceFile) -> Reading<Vec<FileVariable>> {
    let mut lines = Vec::new();
    let mut problems = Vec::new();
    let mut report = |offset: usize, mistake: Mistake| {
        let location = source.location(&(offset..offset));
        problems.push(Problem {
            area: Area::Variables,
            mistake,
            location,
        });
    };
    match serde_json::from_str(source.text()) {
        Ok(serde_json::Value::Object(object)) => {
            for (name, value) in object {
                match value {
                    serde_json::Value::String(text) => {
                        lines.push(FileVariable {
                            name,
                            text: text.into(),
                            location: source.location(&(0..0)),
                        });
                    }
                    other => report(
                        0,
                        Mistake::WrongType {
                            item: None,
                            key: name,
                            expected: "a string",
                            found: json_type_name(&other),
                        },
                    ),
                }
            }
        }
        Ok(other) => {
            let found = json_type_name(&other);
            report(
                0,
                Mistake::WrongType {
                    item: None,
                    key: "the variables file".into(),
                    expected: "a table",
                    found,
                },
            );
        }
        Err(error) => {
            let offset = source.offset(error.line(), error.column());
            report(
                offset,
                Mistake::Syntax {
                    message: "this is not JSON".into(),
                },
            );
        }
    }
    Reading::new(lines, problems, Vec::new())
}

fn json_type_name(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "`null`",
        serde_json::Value::Bool(_) => "`true` or `false`",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
        serde_json::Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_a_value_a_file_for_a_value_or_a_file_of_values() {
        use VariableArgumentError::*;
        let value = |name: &str, value: &str| {
            Ok(VariableArgument::Value {
                name: name.into(),
                value: value.into(),
            })
        };
        let rows = [
            ("a=b", value("a", "b")),
            ("a=", value("a", "")),
            ("a=b=c", value("a", "b=c")),
            (
                "a=@b.txt",
                Ok(VariableArgument::FileContent {
                    name: "a".into(),
                    path: "b.txt".into(),
                }),
            ),
            (
                "@b.toml",
                Ok(VariableArgument::File {
                    path: "b.toml".into(),
                    format: VariableFileFormat::Toml,
                }),
            ),
            (
                "@b.json",
                Ok(VariableArgument::File {
                    path: "b.json".into(),
                    format: VariableFileFormat::Json,
                }),
            ),
            ("@b.yaml", Err(FileKind)),
            ("@b", Err(FileKind)),
            ("a", Err(Form)),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<VariableArgument>(), expected, "{text:?}");
        }
    }

    #[test]
    fn debug_output_of_an_argument_hides_the_value() {
        let argument: VariableArgument = "token=hunter2".parse().unwrap();
        assert_eq!(format!("{argument:?}"), "token=***");
    }
}
