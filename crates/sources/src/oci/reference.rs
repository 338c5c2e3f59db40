//! The name of an artifact in a registry: `[oci://]HOST[:PORT]/repository[:TAG][@sha256:HEX]`.
//!
//! It is read as strictly as the distribution specification has it, and nothing is guessed: a text without a host is no
//! reference, since which registry is meant would be a choice of ours (Docker's is `docker.io`). The first part is a
//! host as Docker has it: it has a dot or a port, is in brackets, or is `localhost`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use outport_manifest::Digest;

use super::manifest::strict_digest;

/// An artifact in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    host: RegistryHost,
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// A registry: a host in lower case, and its port where that is not the one of its scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RegistryHost(String);

/// The name of a repository: parts in lower case, between slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository(String);

/// The tag of an artifact, which its registry can move to another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

/// The reason why a text names nothing in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The first part is no host.
    #[error("it does not begin with the host of a registry, as in `ghcr.io/me/app:1.0`")]
    NoHost,
    /// The host or port cannot be one.
    #[error("its host is not a name or address, with or without a port")]
    Host,
    /// The repository is missing or not written as one.
    #[error(
        "its repository is not one: lower-case letters and digits, with `.`, `_`, `__` or `-` between them, in parts \
         between slashes"
    )]
    Repository,
    /// The tag is not one.
    #[error(
        "its tag is not one: up to 128 letters, digits, `_`, `.` and `-`, of which the last two are not first"
    )]
    Tag,
    /// The digest is not one.
    #[error("its digest is not `sha256:` and 64 hexadecimal digits in lower case")]
    Digest,
    /// Longer than any registry has them.
    #[error("it is longer than {LONGEST} characters")]
    Long,
}

impl Reference {
    /// An artifact of which neither tag nor digest is said: that is tag `latest`.
    pub fn new(host: RegistryHost, repository: Repository) -> Self {
        Self {
            host,
            repository,
            tag: None,
            digest: None,
        }
    }

    /// The registry.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// The repository in it.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag: the one that is written, else `latest`; none where only a digest is.
    pub fn tag(&self) -> Option<Tag> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(Tag("latest".to_owned())),
        }
    }

    /// The digest, if one is written: then the tag is for people alone.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository with another tag, and no digest.
    #[must_use]
    pub fn at_tag(&self, tag: Tag) -> Self {
        Self {
            tag: Some(tag),
            digest: None,
            ..self.clone()
        }
    }

    /// The same with a digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > LONGEST {
            return Err(ReferenceError::Long);
        }
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let (host, rest) = text.split_once('/').ok_or(ReferenceError::NoHost)?;
        if !looks_like_a_host(host) {
            return Err(ReferenceError::NoHost);
        }
        let host = host.parse()?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(strict_digest(digest).ok_or(ReferenceError::Digest)?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.parse()?)),
            None => (rest, None),
        };
        Ok(Self {
            host,
            repository: repository.parse()?,
            tag,
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// True for what Docker takes for a host rather than for the first part of a repository.
fn looks_like_a_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':', '['])
}

impl RegistryHost {
    /// As a URL has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without its port; an IPv6 address without brackets.
    pub fn name(&self) -> &str {
        match self.0.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None => self.0.split(':').next().unwrap_or(&self.0),
        }
    }

    /// True if it is this machine by name or address, where nobody listens in on plain HTTP.
    pub fn is_loopback(&self) -> bool {
        let name = self.name();
        name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

impl FromStr for RegistryHost {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(ReferenceError::Host)?;
                let address: Ipv6Addr = address.parse().map_err(|_| ReferenceError::Host)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or(ReferenceError::Host)?),
                };
                (format!("[{address}]"), port)
            }
            None => {
                let (name, port) = match text.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (text, None),
                };
                let is_label = |label: &str| {
                    let byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                    !label.is_empty()
                        && label.len() <= 63
                        && label.bytes().all(byte)
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                };
                if name.len() > 253 || !name.split('.').all(is_label) {
                    return Err(ReferenceError::Host);
                }
                (name.to_ascii_lowercase(), port)
            }
        };
        let Some(port) = port else {
            return Ok(Self(name));
        };
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
        match port.parse::<u16>() {
            Ok(port) if is_number => Ok(Self(format!("{name}:{port}"))),
            _ => Err(ReferenceError::Host),
        }
    }
}

impl Repository {
    /// As a URL has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() <= 255 && text.split('/').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Repository)
        }
    }
}

/// Runs of lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between two of them.
fn is_part(part: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut between = 0;
    let bytes = part.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    if !ends.iter().all(|end| end.is_some_and(|byte| is_letter(*byte))) {
        return false;
    }
    for (at, byte) in bytes.iter().enumerate() {
        if is_letter(*byte) {
            let separator = &part[at - between..at];
            let is_dashes = separator.bytes().all(|byte| byte == b'-');
            if !is_dashes && !matches!(separator, "." | "_" | "__") {
                return false;
            }
            between = 0;
        } else if matches!(byte, b'.' | b'_' | b'-') {
            between += 1;
        } else {
            return false;
        }
    }
    true
}

impl Tag {
    /// As a URL has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which `cosign` keeps the signatures of what has this digest.
    pub(crate) fn of_signatures(digest: &Digest) -> Self {
        Self(format!("sha256-{}.sig", digest.hex()))
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let starts = !text.starts_with(['.', '-']);
        if (1..=128).contains(&text.len()) && starts && text.bytes().all(byte) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Tag)
        }
    }
}

macro_rules! display_as_text {
    ($($name:ident),*) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        })*
    };
}

display_as_text!(RegistryHost, Repository, Tag);

/// Characters of the longest text that is looked at.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_reference_is_read_strictly() {
        let pinned = format!("ghcr.io/me/app@sha256:{HEX}");
        let both = format!("oci://ghcr.io/me/app:1.0@sha256:{HEX}");
        let upper = format!("ghcr.io/me/app@sha256:{}", HEX.to_uppercase());
        let short = format!("ghcr.io/me/app@sha256:{}", &HEX[1..]);
        let long = format!("ghcr.io/{}", "a".repeat(256));
        let tag = format!("ghcr.io/a:{}", "a".repeat(129));
        let rows: &[(&str, Result<&str, ReferenceError>)] = &[
            ("ghcr.io/me/app:1.0", Ok("ghcr.io/me/app:1.0")),
            ("oci://GHCR.io/me/app", Ok("ghcr.io/me/app:latest")),
            ("localhost/app", Ok("localhost/app:latest")),
            ("localhost:5000/app", Ok("localhost:5000/app:latest")),
            ("127.0.0.1:5000/a/b/c:x_Y-1.z", Ok("127.0.0.1:5000/a/b/c:x_Y-1.z")),
            ("[::1]:5000/app", Ok("[::1]:5000/app:latest")),
            ("[0:0::1]/app", Ok("[::1]/app:latest")),
            (
                "host:5000/a__b/c---d/e.f_g",
                Ok("host:5000/a__b/c---d/e.f_g:latest"),
            ),
            (&pinned, Ok(&pinned)),
            (&both, Ok(&both["oci://".len()..])),
            ("me/app:1.0", Err(ReferenceError::NoHost)),
            ("app", Err(ReferenceError::NoHost)),
            ("", Err(ReferenceError::NoHost)),
            ("./app", Err(ReferenceError::Host)),
            ("../app", Err(ReferenceError::Host)),
            ("/etc/passwd", Err(ReferenceError::NoHost)),
            ("https://ghcr.io/app", Err(ReferenceError::Host)),
            ("a.b:0/app", Err(ReferenceError::Host)),
            ("a.b:/app", Err(ReferenceError::Host)),
            ("a.b:+80/app", Err(ReferenceError::Host)),
            ("a.b:65536/app", Err(ReferenceError::Host)),
            ("user@a.b/app", Err(ReferenceError::Host)),
            ("-a.b/app", Err(ReferenceError::Host)),
            ("a..b/app", Err(ReferenceError::Host)),
            ("[::1/app", Err(ReferenceError::Host)),
            ("[::1]5000/app", Err(ReferenceError::Host)),
            ("ghcr.io/", Err(ReferenceError::Repository)),
            ("ghcr.io/Me/app", Err(ReferenceError::Repository)),
            ("ghcr.io/me//app", Err(ReferenceError::Repository)),
            ("ghcr.io/../app", Err(ReferenceError::Repository)),
            ("ghcr.io/a___b", Err(ReferenceError::Repository)),
            ("ghcr.io/a..b", Err(ReferenceError::Repository)),
            ("ghcr.io/a.-b", Err(ReferenceError::Repository)),
            ("ghcr.io/a-", Err(ReferenceError::Repository)),
            ("ghcr.io/a%2e", Err(ReferenceError::Repository)),
            ("ghcr.io/a?b=c", Err(ReferenceError::Repository)),
            (&long, Err(ReferenceError::Repository)),
            ("ghcr.io/a:", Err(ReferenceError::Tag)),
            ("ghcr.io/a:.b", Err(ReferenceError::Tag)),
            ("ghcr.io/a:b/c", Err(ReferenceError::Tag)),
            (&tag, Err(ReferenceError::Tag)),
            (&upper, Err(ReferenceError::Digest)),
            (&short, Err(ReferenceError::Digest)),
            ("ghcr.io/a@sha512:00", Err(ReferenceError::Digest)),
        ];
        for (text, expected) in rows {
            let read = text.parse().map(|reference: Reference| reference.to_string());
            let expected = expected.clone().map(str::to_owned);
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        for (text, expected) in [
            ("localhost:5000", true),
            ("127.8.0.1", true),
            ("[::1]:80", true),
            ("localhost.example.com", false),
            ("10.0.0.1:5000", false),
            ("[::2]", false),
        ] {
            let host: RegistryHost = text.parse().unwrap();
            assert_eq!(host.is_loopback(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(text in "(oci://)?[a-z.\\[\\]:0-9]{1,12}(/[a-zA-Z0-9._-]{0,8}){0,3}(:[\\w.-]{0,9})?") {
            if let Ok(reference) = text.parse::<Reference>() {
                let again: Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(again.to_string(), reference.to_string());
            }
        }
    }
}
