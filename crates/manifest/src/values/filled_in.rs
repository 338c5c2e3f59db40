//! An entry whose variables have values.

use std::fmt;

use outport_policy::{EntryError, text};

use crate::values::variable::VariableName;
use crate::values::variable_value::VariableValue;

/// An entry that is none once its variables are filled in. Shows the values of variables, except secret ones.
#[derive(Debug, Clone)]
pub struct FilledIn {
    /// The entry as it is written.
    pub template: String,
    /// Its variables and what was filled in for them.
    pub values: Vec<(VariableName, VariableValue)>,
    /// The mistake in the result; nothing is told of it if it holds a secret.
    pub error: Option<EntryError>,
}

impl fmt::Display for FilledIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an entry with ", text::quote(&self.template))?;
        for (index, (name, value)) in self.values.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            let text = value.text.to_string();
            write!(
                f,
                "{separator}`{name}` = `{}` ({})",
                text::quote(&text),
                value.origin
            )?;
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => f.write_str("; the reason is not shown, since a value is secret"),
        }
    }
}
