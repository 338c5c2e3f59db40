//! DNS names in canonical form, and what a guest or an entry may write where a host belongs.
//!
//! A name is canonicalised once, when it is parsed: IDNA (UTS 46, non-transitional) to ASCII, lower case, one
//! trailing dot dropped. Two names are equal exactly if they name the same thing in the DNS.
//!
//! What looks like a number is not a name: `127.1`, `0x7f000001`, `2130706433` and full-width digits are spellings
//! of an IPv4 address in the WHATWG URL standard, and programs do resolve them so. [`Name::parse`] refuses them
//! and says which address was meant; [`Host::parse`] takes them for that address.

use std::borrow::Borrow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::{Address, text};

/// A DNS name, absolute and canonical: ASCII, lower case, without the trailing dot. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// Reads a DNS name as a person, a guest or a DNS server writes it.
    ///
    /// # Errors
    ///
    /// Refuses what cannot be a host's name in the DNS (RFC 1035 §2.3.4 for the lengths), and every spelling of an
    /// IPv4 address ([`NameError::IsAddress`]).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        // A spelling has at most four bytes for each byte of its name, and mapping one takes time by its length
        // (ISO-2).
        if text.len() > MAX_SPELLING {
            return Err(NameError::TooLong);
        }
        let ascii = to_ascii(text)?;
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if ends_in_a_number(name) {
            return Err(numeric(name));
        }
        check_labels(name)?;
        Ok(Self(name.into()))
    }

    /// The canonical text, without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if this is `localhost` or a name under `.localhost`, which never leave the machine (RFC 6761 §6.3).
    pub fn is_localhost(&self) -> bool {
        self.is_or_is_under("localhost")
    }

    /// True if this is a name of the app that asks: `self`, or `self.alt`, which Spin's SDKs write. Such names never
    /// reach the network over HTTP (AL-10).
    pub fn is_the_app_itself(&self) -> bool {
        matches!(self.as_str(), "self" | "self.alt")
    }

    /// True if this is a name for a component of the same app, under `spin.internal`. Such names never reach the
    /// network (AL-7).
    pub fn is_service_chaining(&self) -> bool {
        self.is_or_is_under("spin.internal")
    }

    /// True if the name has more than one label. Search domains apply only to names without a dot (DNS-2).
    pub fn has_dot(&self) -> bool {
        self.0.contains('.')
    }

    /// The names above this one, nearest first: for `a.b.example` these are `b.example` and `example`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('.').map(|(dot, _)| &self.0[dot + 1..])
    }

    fn is_or_is_under(&self, apex: &str) -> bool {
        self.0
            .strip_suffix(apex)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// The spelling of a name, as far as it says where to look for it. The [`Name`] is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// With the dot of the root at its end: it is that name, and no search domain is for it (DNS-2).
    Absolute,
    /// Without: search domains may be for it.
    Relative,
}

impl Spelling {
    /// The spelling of `text`, which [`Name::parse`] takes.
    pub fn of(text: &str) -> Self {
        if text.ends_with(DOTS) {
            Self::Absolute
        } else {
            Self::Relative
        }
    }
}

/// A host: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name.
    Name(Name),
    /// An IP address.
    Address(Address),
}

impl Host {
    /// Reads the host of a URL or the argument of a look-up. Every spelling of an address becomes that address:
    /// `[::1]`, `::1`, `127.0.0.1`, `127.1`, `0x7f000001`.
    ///
    /// # Errors
    ///
    /// Refuses what is neither a name nor an address; an IPv6 zone (`fe80::1%eth0`) among it, since a guest does
    /// not choose the host's interfaces.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(text).parse::<Ipv6Addr>() {
            return Ok(Self::Address(Address::new(IpAddr::V6(ip))));
        }
        match Name::parse(text) {
            Ok(name) => Ok(Self::Name(name)),
            Err(NameError::IsAddress(address)) => Ok(Self::Address(address)),
            Err(error) => Err(error),
        }
    }
}

/// The reason why a text is no DNS name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was written.
    #[error("the name is empty")]
    Empty,
    /// Two dots in a row, or one at the start.
    #[error("the name has an empty label (two dots in a row, or one at the start)")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("the label `{}` is longer than 63 bytes", text::excerpt(.0))]
    LongLabel(String),
    /// More than 253 bytes in all.
    #[error("the name is longer than 253 bytes")]
    TooLong,
    /// A character that no host name has.
    #[error("{0:?} cannot stand in a name")]
    ForbiddenCharacter(char),
    /// Not valid by UTS 46.
    #[error("the name is not valid by the rules for international names (UTS 46)")]
    NotIdna,
    /// A spelling of an IPv4 address.
    #[error("this is the address {0}, not a name")]
    IsAddress(Address),
    /// Ends in a number, like an IPv4 address, but is none.
    #[error("a name cannot end in a number, and this is not an IPv4 address either")]
    BadAddress,
}

/// The characters that UTS 46 takes for the dot between labels.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// Bytes of the longest spelling of a name that is looked at.
const MAX_SPELLING: usize = 4 * 254;

fn to_ascii(text: &str) -> Result<String, NameError> {
    if text.is_empty() || text == "." {
        return Err(NameError::Empty);
    }
    if let Some(bad) = text.chars().find(|c| c.is_ascii() && !may_stand_in_a_name(*c)) {
        return Err(NameError::ForbiddenCharacter(bad));
    }
    // With any hyphens, since such names are in use; lengths are looked at in `check_labels`, without the final dot.
    let ascii = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::URL,
            Hyphens::Allow,
            DnsLength::Ignore,
        )
        .map_err(|_| NameError::NotIdna)?;
    // UTS 46 maps some characters to ASCII ones that were not there before (full-width forms).
    match ascii.chars().find(|c| !may_stand_in_a_name(*c)) {
        Some(bad) => Err(NameError::ForbiddenCharacter(bad)),
        None => Ok(ascii.into_owned()),
    }
}

/// Letters, digits, hyphen (RFC 952, RFC 1123 §2.1) and the underscore, which service names begin with (RFC 8552).
fn may_stand_in_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn check_labels(name: &str) -> Result<(), NameError> {
    if name.len() > 253 {
        return Err(NameError::TooLong);
    }
    for label in name.split('.') {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            1..=63 => {}
            _ => return Err(NameError::LongLabel(label.to_owned())),
        }
    }
    Ok(())
}

/// True if the last label is a number in decimal or hexadecimal: the WHATWG URL standard's "ends in a number".
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
}

fn numeric(name: &str) -> NameError {
    // As the URL standard of the WHATWG reads it, and with it the programs that would resolve it.
    match url::Host::parse(name) {
        Ok(url::Host::Ipv4(ip)) => NameError::IsAddress(ip.into()),
        _ => NameError::BadAddress,
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => match address.ip() {
                IpAddr::V4(ip) => ip.fmt(f),
                IpAddr::V6(ip) => write!(f, "[{ip}]"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: DNS-2
    #[test]
    fn a_name_is_absolute_if_it_is_written_with_its_final_dot() {
        let rows = [
            ("db", false),
            ("db.", true),
            ("db.example", false),
            ("DB.Example.", true),
            ("db\u{3002}", true),
            ("db\u{ff0e}", true),
            ("db\u{ff61}", true),
            ("d\u{3002}b", false),
        ];
        for (text, absolute) in rows {
            assert_eq!(Spelling::of(text) == Spelling::Absolute, absolute, "{text}");
            let written = Name::parse(text).unwrap();
            assert_eq!(written, Name::parse(written.as_str()).unwrap(), "{text}");
        }
    }

    // proves: DNS-2
    #[test]
    fn search_domains_are_for_names_of_one_label() {
        for (text, has_dot) in [("db", false), ("db.", false), ("db.example", true)] {
            let name = Name::parse(text).unwrap();
            assert_eq!(name.has_dot(), has_dot, "{text}");
            assert_eq!(format!("{name:?}"), name.to_string());
        }
    }

    // proves: DNS-2, ISO-2
    #[test]
    fn a_spelling_is_read_up_to_four_bytes_for_each_byte_of_a_name() {
        // Bold letters have four bytes each, the ideographic full stop three.
        let label = |n: usize| "\u{1d41a}".repeat(n);
        let longest = [label(63), label(63), label(63), label(61), String::new()].join("\u{3002}");
        assert_eq!(longest.len(), 1012);
        assert_eq!(Name::parse(&longest).unwrap().as_str().len(), 253);
        // What is looked at is refused for its first character, and what is not for its length.
        for (length, error) in [
            (1016, NameError::ForbiddenCharacter(' ')),
            (1017, NameError::TooLong),
            (5000, NameError::TooLong),
        ] {
            let text = format!(" {}", "a".repeat(length - 1));
            assert_eq!(Name::parse(&text), Err(error), "{length}");
        }
    }

    // proves: AL-1, DNS-2
    #[test]
    fn names_are_canonicalised() {
        for (text, canonical) in [
            ("example.com", "example.com"),
            ("EXAMPLE.Com", "example.com"),
            ("example.com.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("faß.example", "xn--fa-hia.example"),
            ("ｅｘａｍｐｌｅ.com", "example.com"),
            ("example。com", "example.com"),
            ("_redis._tcp.example.com", "_redis._tcp.example.com"),
            ("a--b.example", "a--b.example"),
            ("localhost", "localhost"),
            ("1e100.net", "1e100.net"),
        ] {
            assert_eq!(Name::parse(text).unwrap().as_str(), canonical, "{text}");
        }
    }

    // proves: DNS-2
    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let label = |n: usize| "a".repeat(n);
        let long = format!("{}.{}.{}.{}", label(63), label(63), label(63), label(61));
        let too_long = format!("{}.{}.{}.{}", label(63), label(63), label(63), label(62));
        assert_eq!(long.len(), 253);
        assert!(Name::parse(&long).is_ok());
        assert!(Name::parse(&format!("{long}.")).is_ok());
        assert!(Name::parse(&label(63)).is_ok());
        for (text, error) in [
            ("", NameError::Empty),
            (".", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a..", NameError::EmptyLabel),
            (&label(64), NameError::LongLabel(label(64))),
            (&too_long, NameError::TooLong),
            ("a b", NameError::ForbiddenCharacter(' ')),
            ("a\nb", NameError::ForbiddenCharacter('\n')),
            ("a%2eb", NameError::ForbiddenCharacter('%')),
            ("*.example.com", NameError::ForbiddenCharacter('*')),
            ("user@host", NameError::ForbiddenCharacter('@')),
            ("a／b", NameError::NotIdna),
            ("xn--a", NameError::NotIdna),
            ("256.1.1.1", NameError::BadAddress),
            ("1.2.3.4.5", NameError::BadAddress),
            ("example.1", NameError::BadAddress),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text:?}");
        }
    }

    // proves: AL-2, HL-7
    #[test]
    fn numeric_spellings_are_addresses() {
        for text in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "１２７.0.0.1",
        ] {
            let loopback = Address::new("127.0.0.1".parse().unwrap());
            assert_eq!(Name::parse(text), Err(NameError::IsAddress(loopback)), "{text}");
            assert_eq!(Host::parse(text), Ok(Host::Address(loopback)), "{text}");
        }
        for text in ["::1", "[::1]", "[0:0::1]"] {
            assert_eq!(Host::parse(text).unwrap().to_string(), "[::1]", "{text}");
        }
        assert_eq!(Host::parse("::ffff:127.0.0.1").unwrap().to_string(), "127.0.0.1");
        assert!(Host::parse("fe80::1%eth0").is_err());
    }

    #[test]
    fn names_know_their_parents_and_their_reserved_trees() {
        let name = Name::parse("a.b.example.com").unwrap();
        assert_eq!(
            name.parents().collect::<Vec<_>>(),
            ["b.example.com", "example.com", "com"]
        );
        for (text, localhost) in [
            ("localhost", true),
            ("a.localhost", true),
            ("notlocalhost", false),
            ("localhost.example", false),
        ] {
            assert_eq!(Name::parse(text).unwrap().is_localhost(), localhost, "{text}");
        }
    }
}
