//! One entry of `allowed_outbound_hosts` or of the operator's deny list.
//!
//! ```text
//! entry  = scheme "://" host [ ":" port ] [ "/" ]
//! scheme = "*" | letters | "{" scheme { "," scheme } "}"
//! host   = "*" | name | "*." name | IPv4 | "[" IPv6 "]" | network | "self" | "{" host { "," host } "}"
//! port   = "*" | number | number ".." number | number "-" number | "{" port { "," port } "}"
//! ```
//!
//! Text becomes an [`Entry`] once; everything after that works on its parts. What was written is kept beside them
//! for messages, with its place. Nothing ambiguous is read: each mistake is an [`EntryError`] that says what to
//! write instead, and nothing is cut off or skipped.

mod error;
mod parse;
mod problem;
mod suggestion;

use std::fmt;
use std::sync::Arc;

pub use self::error::EntryError;
pub use self::problem::EntryProblem;
use crate::host_pattern::HostPattern;
use crate::{Location, PortRange, PortSet, Protocol, Scheme, Transport, text};

/// An entry: schemes × hosts × ports, with its text and place. Cheap to clone.
#[derive(Clone)]
pub struct Entry(Arc<Parts>);

struct Parts {
    text: Box<str>,
    secrecy: Secrecy,
    location: Location,
    schemes: Vec<EntryScheme>,
    hosts: Vec<HostPattern>,
    ports: EntryPorts,
}

/// The relation between the text of an entry and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secrecy {
    /// The text is the meaning.
    Shown,
    /// The text is the meaning as long as the variables in it have these values.
    FilledIn,
    /// The text stands for something that is never shown.
    Concealed,
}

/// The scheme part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryScheme {
    /// `*`: every scheme and every socket.
    Any,
    /// `tcp` or `udp`: raw sockets only.
    Socket(Transport),
    /// A URL scheme: host interfaces of that protocol, no socket.
    Url(Scheme),
}

/// The port part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryPorts {
    /// None was written: each scheme's own.
    OfScheme,
    /// The ports that were written, in that order.
    Written(Vec<PortSpec>),
}

/// One port or range of ports as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortSpec {
    /// `*`, a number, or `a-b`.
    Inclusive(PortRange),
    /// Spin's `a..b`, which leaves `b` out. Holds the ports that are really meant.
    HalfOpen(PortRange),
}

impl Entry {
    /// Reads one entry. White space around it is ignored.
    ///
    /// # Errors
    ///
    /// The first mistake, with the part of the text at fault.
    pub fn parse(text: &str, location: Location) -> Result<Self, EntryError> {
        Self::read(text, text.trim(), Secrecy::Shown, location)
    }

    /// Reads an entry whose variables are filled in, so that it may be another one the next time.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_filled_in(text: &str, location: Location) -> Result<Self, EntryError> {
        Self::read(text, text.trim(), Secrecy::FilledIn, location)
    }

    /// Reads an entry that holds a secret, which a variable has. Wherever it is shown, `shown` is shown instead.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse). The error speaks of `text`, so it is as secret as that.
    pub fn parse_shown_as(text: &str, shown: &str, location: Location) -> Result<Self, EntryError> {
        Self::read(text, shown, Secrecy::Concealed, location)
    }

    fn read(text: &str, shown: &str, secrecy: Secrecy, location: Location) -> Result<Self, EntryError> {
        match parse::parts(text) {
            Ok((schemes, hosts, ports)) => Ok(Self(Arc::new(Parts {
                text: shown.into(),
                secrecy,
                location,
                schemes,
                hosts,
                ports,
            }))),
            Err(mistake) => {
                let span = mistake.span_in(text);
                let instead = suggestion::instead_of(text.trim(), &mistake);
                Err(EntryError::new(text, location, mistake.problem, span, instead))
            }
        }
    }

    /// The entry as it was written, without the white space around it; for one that holds a secret what is shown
    /// instead.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// True if the entry holds a secret, so that nothing may be shown of it but its [`text`](Self::text).
    pub fn is_concealed(&self) -> bool {
        self.0.secrecy == Secrecy::Concealed
    }

    /// True if variables were filled in, secret ones or others: what stands in the file is not its text.
    pub fn is_filled_in(&self) -> bool {
        self.0.secrecy != Secrecy::Shown
    }

    /// The place where it was written.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// The entry's name in messages: its text, at most 120 characters of it, and where it was written.
    pub fn cited(&self) -> impl fmt::Display {
        Cited(self)
    }

    /// Its schemes; at least one.
    pub fn schemes(&self) -> &[EntryScheme] {
        &self.0.schemes
    }

    /// Its hosts; at least one.
    pub fn hosts(&self) -> &[HostPattern] {
        &self.0.hosts
    }

    /// Its ports as written.
    pub fn ports(&self) -> &EntryPorts {
        &self.0.ports
    }

    /// The ports that the entry means for one of its schemes.
    pub fn ports_for(&self, scheme: &EntryScheme) -> PortSet {
        match (&self.0.ports, scheme) {
            (EntryPorts::Written(specs), _) => specs.iter().map(|spec| spec.range()).collect(),
            (EntryPorts::OfScheme, EntryScheme::Url(scheme)) => scheme
                .default_port()
                .and_then(PortRange::one)
                .into_iter()
                .collect(),
            (EntryPorts::OfScheme, EntryScheme::Any | EntryScheme::Socket(_)) => PortSet::EMPTY,
        }
    }

    /// True if the entry can permit a raw socket of any kind (AL-3, AL-4).
    pub fn permits_sockets(&self) -> bool {
        self.0
            .schemes
            .iter()
            .any(|scheme| !matches!(scheme, EntryScheme::Url(_)))
    }
}

impl EntryScheme {
    /// True if an entry of this scheme on the allow list permits `protocol` (AL-3, AL-4, AL-6, AL-9).
    pub fn permits(&self, protocol: Protocol<'_>) -> bool {
        match (self, protocol) {
            (Self::Any, _) => true,
            (Self::Socket(own), Protocol::Socket(transport)) => *own == transport,
            (Self::Url(own), Protocol::Url(scheme)) => own == scheme,
            (Self::Socket(_), Protocol::Url(_)) | (Self::Url(_), Protocol::Socket(_)) => false,
        }
    }

    /// True if an entry of this scheme on the deny list denies `protocol`: it does if the traffic could be what
    /// the entry names (DL-2).
    pub fn denies(&self, protocol: Protocol<'_>) -> bool {
        match (self, protocol) {
            (Self::Any, _) => true,
            (Self::Socket(own), Protocol::Socket(transport)) => *own == transport,
            (Self::Socket(own), Protocol::Url(_)) => *own == Transport::Tcp,
            (Self::Url(_), Protocol::Socket(transport)) => transport == Transport::Tcp,
            (Self::Url(own), Protocol::Url(scheme)) => own == scheme,
        }
    }
}

impl PortSpec {
    /// The ports meant.
    pub const fn range(self) -> PortRange {
        match self {
            Self::Inclusive(range) | Self::HalfOpen(range) => range,
        }
    }
}

/// Two entries are equal if they mean the same in the same order; text and place do not count.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.schemes == other.0.schemes && self.0.hosts == other.0.hosts && self.0.ports == other.0.ports
    }
}

impl Eq for Entry {}

/// The canonical spelling; reading it gives an equal entry. Of an entry that holds a secret its text.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_concealed() {
            return f.write_str(self.text());
        }
        fmt_list(&self.0.schemes, f)?;
        f.write_str("://")?;
        fmt_list(&self.0.hosts, f)?;
        match &self.0.ports {
            EntryPorts::OfScheme => Ok(()),
            EntryPorts::Written(specs) => {
                f.write_str(":")?;
                fmt_list(specs, f)
            }
        }
    }
}

fn fmt_list<T: fmt::Display>(parts: &[T], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let [part] = parts {
        return part.fmt(f);
    }
    for (i, part) in parts.iter().enumerate() {
        f.write_str(if i == 0 { "{" } else { "," })?;
        part.fmt(f)?;
    }
    f.write_str("}")
}

struct Cited<'e>(&'e Entry);

impl fmt::Display for Cited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", text::excerpt(self.0.text()), self.0.location())
    }
}

impl fmt::Display for EntryScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Socket(transport) => transport.fmt(f),
            Self::Url(scheme) => scheme.fmt(f),
        }
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inclusive(range) => range.fmt(f),
            Self::HalfOpen(range) => write!(f, "{}..{}", range.first(), u32::from(range.last()) + 1),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.text(), self.location())
    }
}

#[cfg(test)]
mod tests;
