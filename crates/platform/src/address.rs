//! What the address strings of interfaces have in common: one host, and parts that are percent-encoded (HI-1).

use outport_egress::Destination;
use outport_policy::{NameError, Scheme};

/// The part of an address string that is refused. It never quotes the string, which has a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadAddress(pub(crate) &'static str);

impl BadAddress {
    /// The part, for a message.
    #[cfg(all(feature = "key-value", feature = "redis"))]
    pub(crate) fn part(self) -> &'static str {
        self.0
    }
}

/// Refuses a string that is longer than any may be.
pub(crate) fn of_bounded_length(text: &str) -> Result<&str, BadAddress> {
    if text.len() > LONGEST {
        return Err(BadAddress("an address string that is too long"));
    }
    Ok(text)
}

/// Whether TLS is spoken. Where it is, the certificate and the name are verified, whatever the address says.
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// It is not.
    Never,
    /// Unless the server says that it has no TLS.
    IfOffered,
    /// Always.
    Always,
}

/// What stands behind the scheme of a URL, nothing of it decoded. What is missing is empty.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) struct UrlParts<'a> {
    /// User and password, if there is an `@`.
    pub(crate) who: Option<&'a str>,
    /// Host and port.
    pub(crate) place: &'a str,
    /// Without the `/` that it begins with.
    pub(crate) path: &'a str,
    /// Without the `?`.
    pub(crate) query: &'a str,
}

#[cfg(any(feature = "mysql", feature = "postgres"))]
impl<'a> UrlParts<'a> {
    pub(crate) fn of(rest: &'a str) -> Result<Self, BadAddress> {
        if rest.contains('#') {
            return Err(BadAddress("a fragment"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = match authority.split_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, authority),
        };
        Ok(Self {
            who,
            place,
            path,
            query,
        })
    }

    /// The path as the name of a database, if there is one.
    pub(crate) fn database(&self) -> Result<Option<String>, BadAddress> {
        if self.path.is_empty() {
            return Ok(None);
        }
        let database = decoded(self.path).filter(|_| !self.path.contains('/'));
        let database = database.ok_or(BadAddress("a database that is not percent-encoded"))?;
        Ok(Some(database))
    }

    /// The parameters, their values decoded.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = Result<(&'a str, String), BadAddress>> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or(BadAddress("a parameter without a value"))?;
            let value = decoded(value).ok_or(BadAddress("a parameter that is not percent-encoded"))?;
            Ok((key, value))
        })
    }
}

/// Sets a part that may be given once.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) fn once<T>(part: &mut Option<T>, value: T) -> Result<(), BadAddress> {
    match part.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadAddress("a part that is given twice")),
    }
}

/// The user and the password before an `@`, of which each may be missing.
pub(crate) fn credentials(text: &str) -> Result<(Option<String>, Option<String>), BadAddress> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let user = decoded(user).ok_or(BadAddress("a user that is not percent-encoded"))?;
    let password = password
        .map(|password| decoded(password).ok_or(BadAddress("a password that is not percent-encoded")))
        .transpose()?;
    Ok((Some(user).filter(|user| !user.is_empty()), password))
}

/// The text that a percent-encoded one stands for. What stands for itself must not be able to end the part.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b' '..=b'~' if !b"\"<>\\^`{|}[]".contains(&byte) => bytes.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

/// A host, and a port if there is one, as they stand in a URL.
pub(crate) fn host_and_port(text: &str) -> Result<(&str, Option<u16>), BadAddress> {
    if text.contains('@') {
        return Err(BadAddress("more than one `@`"));
    }
    if text.contains(',') {
        return Err(BadAddress("several hosts"));
    }
    if text.contains('%') {
        return Err(BadAddress("a percent-encoded host"));
    }
    let end = match text.rfind(']') {
        Some(bracket) => bracket + 1,
        None if text.starts_with('[') => {
            return Err(BadAddress("a host that is neither a name nor an address"));
        }
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end);
    if host.is_empty() {
        return Err(BadAddress("a host that is missing"));
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        None => Err(BadAddress("a host that is neither a name nor an address")),
        Some(port) => Ok((host, Some(port_of(port)?))),
    }
}

/// A port that can be connected to.
pub(crate) fn port_of(text: &str) -> Result<u16, BadAddress> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(0) => Err(BadAddress("the port 0")),
        Ok(port) if is_number => Ok(port),
        _ => Err(BadAddress("a port that is not a number up to 65535")),
    }
}

/// The place that a host means.
pub(crate) fn destination(scheme: Scheme, host: &str, port: u16) -> Result<Destination, BadAddress> {
    Destination::new(scheme, host, port).map_err(|error| {
        BadAddress(match error {
            NameError::TooLong | NameError::LongLabel(_) => "a name that is too long",
            _ => "a host that is neither a name nor an address",
        })
    })
}

/// Bytes of an address string.
const LONGEST: usize = 4096;
