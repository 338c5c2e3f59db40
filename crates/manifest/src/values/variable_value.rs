//! The value of a variable, and who gave it.

use std::fmt;

use outport_policy::Location;

use crate::values::variable_text::VariableText;

/// A value and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableValue {
    /// The value; shown as `***` if the variable is secret.
    pub text: VariableText,
    /// The origin of the value.
    pub origin: Origin,
}

/// The party that set a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--variable NAME=VALUE`
    Argument,
    /// This environment variable.
    Environment(String),
    /// This line of `.env`.
    DotEnv(String),
    /// This place in a variables file.
    File(Location),
    /// The default in the manifest.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => f.write_str(OPTION),
            Self::Environment(variable) => f.write_str(variable),
            Self::DotEnv(variable) => write!(f, "{variable} in `.env`"),
            Self::File(location) => location.fmt(f),
            Self::Default => f.write_str("its default"),
        }
    }
}

/// The option that sets variables.
pub(crate) const OPTION: &str = "--variable";
