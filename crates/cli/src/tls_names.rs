//! The option that says by which layers names are held to TLS (TLS-1).

use clap::ValueEnum;
use outport_policy::TlsNames;

/// By which layers the server name is judged where a guest opens TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsNamesOption {
    /// By none
    Off,
    /// By what the operator denies
    Denied,
    /// By the list of the component too, where a name opened the connection
    Allowed,
    /// As `allowed`, and then TLS has to name its server
    Required,
}

impl From<TlsNamesOption> for TlsNames {
    fn from(option: TlsNamesOption) -> Self {
        match option {
            TlsNamesOption::Off => Self::Off,
            TlsNamesOption::Denied => Self::Denied,
            TlsNamesOption::Allowed => Self::Allowed,
            TlsNamesOption::Required => Self::Required,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: TLS-1
    #[test]
    fn each_word_is_that_of_the_policy() {
        let words = TlsNamesOption::value_variants().iter().map(|option| {
            let word = option.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!(word.parse(), Ok(TlsNames::from(*option)));
            word
        });
        assert!(words.eq(TlsNames::ALL.map(|mode| mode.to_string())));
    }
}
