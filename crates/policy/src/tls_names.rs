//! Names held to TLS: by which layers the server name of a ClientHello is judged (TLS-1), and what such a name is.
//!
//! An address that was permitted because of a name may serve thousands of others. Where a guest opens TLS it says which of
//! them it means, and that is judged as a name for that port: by the deny list, and, if the operator wants that, by the
//! author's list too. It only ever narrows what a connection that was permitted can be used for.

use std::fmt;
use std::str::FromStr;

use crate::Host;

/// By which layers the server names of TLS are judged (TLS-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsNames {
    /// By none: nothing is looked at.
    Off,
    /// By the operator's deny list.
    #[default]
    Denied,
    /// By the author's list too, where a look-up opened the connection.
    Allowed,
    /// As [`Allowed`](Self::Allowed), and a connection that a look-up opened names its server if it speaks TLS.
    Required,
}

impl TlsNames {
    /// All of them, the narrowest last.
    pub const ALL: [Self; 4] = [Self::Off, Self::Denied, Self::Allowed, Self::Required];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Denied => "denied",
            Self::Allowed => "allowed",
            Self::Required => "required",
        }
    }

    /// True if names are judged by the author's list, too.
    pub const fn asks_the_author(self) -> bool {
        matches!(self, Self::Allowed | Self::Required)
    }
}

impl fmt::Display for TlsNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TlsNames {
    type Err = UnknownTlsNames;

    fn from_str(text: &str) -> Result<Self, UnknownTlsNames> {
        let mut all = Self::ALL.into_iter();
        all.find(|own| own.as_str() == text).ok_or(UnknownTlsNames)
    }
}

/// A word that says nothing of the names of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the names of TLS are judged `off`, `denied`, `allowed` or `required`")]
pub struct UnknownTlsNames;

/// What a ClientHello says of the server that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerName<'a> {
    /// This name, or an address in the place of one.
    Host(&'a Host),
    /// What a lenient server could read in one that is malformed: the deny list alone is asked.
    Piece(&'a Host),
    /// Nothing.
    Missing,
    /// It is malformed, or says more than one name; each of them was judged. This is the first one as it was written, if one
    /// was.
    Malformed(&'a [u8]),
    /// It began like TLS, and cannot be read, or says a name that is none: whoever reads it otherwise may find another one.
    /// This is the first one as it was written, if one was.
    Unread(&'a [u8]),
    /// It is longer than what is looked at, and whatever stands behind that is not known.
    TooLong,
}

impl ServerName<'_> {
    /// Why it is refused, where that is not by a host that it names.
    pub(crate) const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Host(_) | Self::Piece(_) => None,
            Self::Missing => Some("TLS on this connection has to name its server, and this names none"),
            Self::Malformed(_) => Some("the ClientHello is malformed, so it is held to no name"),
            Self::Unread(_) => Some("it began like TLS, and which server it is for cannot be read"),
            Self::TooLong => {
                Some("the ClientHello is longer than what is looked at for the name of its server")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_read_as_it_is_written() {
        for mode in TlsNames::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for other in ["", "on", "Denied", "deny", " denied", "none"] {
            assert_eq!(other.parse::<TlsNames>(), Err(UnknownTlsNames), "{other}");
        }
        assert_eq!(TlsNames::default(), TlsNames::Denied);
    }
}
