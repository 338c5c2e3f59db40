//! What is said of an option somewhere else than on the command line.

use std::ffi::OsString;

use outport_policy::Location;

/// One value for an option, and the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    option: String,
    word: Word,
    location: Location,
}

/// A value as it would be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// A flag that is given.
    On,
    /// A flag that is not, whatever is said further down.
    Off,
    /// The value of an option.
    Text(OsString),
}

impl Setting {
    /// What is said at `location` of the option without dashes.
    pub(crate) fn new(option: &str, word: Word, location: Location) -> Self {
        Self {
            option: option.to_owned(),
            word,
            location,
        }
    }

    /// The option, without dashes.
    pub(crate) fn option(&self) -> &str {
        &self.option
    }

    pub(crate) fn word(&self) -> &Word {
        &self.word
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// The argument that says the same on a command line, if one does.
    pub(crate) fn argument(&self) -> Option<OsString> {
        let mut argument = OsString::from("--");
        argument.push(&self.option);
        match &self.word {
            Word::Off => return None,
            Word::On => {}
            Word::Text(value) => {
                argument.push("=");
                argument.push(value);
            }
        }
        Some(argument)
    }
}
