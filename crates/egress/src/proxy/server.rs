//! The URL of a proxy.
//!
//! `http://HOST:PORT` and `socks5://HOST:PORT`, and nothing behind that. What could be read in two ways is refused: a port
//! is written out, since programs differ in what they take a missing one for. `socks5h` is `socks5`: names are never left to
//! a proxy, so there is nothing that the one does and the other does not.

use std::fmt;

use outport_policy::{Host, NameError};
use percent_encoding::percent_decode_str;

use super::credentials::{Credentials, CredentialsError};

/// A proxy: how it is spoken to, where it is, and as whom. `Display` and `Debug` show no credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyServer {
    protocol: Protocol,
    host: Host,
    port: u16,
    credentials: Option<Credentials>,
}

/// The protocol by which a proxy is asked for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1 with the method CONNECT (RFC 9110, section 9.3.6).
    Http,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
}

/// Why a text is not the URL of a proxy. It says nothing of what may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyServerError {
    /// No scheme, or no `://` behind it.
    #[error("it has no scheme; write `http://HOST:PORT` or `socks5://HOST:PORT`")]
    NoScheme,
    /// `https://…`
    #[error(
        "TLS with a proxy is not spoken; write `http://HOST:PORT`, and reach it by a network that you trust"
    )]
    Https,
    /// `socks4://…`
    #[error("version 4 of SOCKS is not spoken; write `socks5://HOST:PORT`")]
    Socks4,
    /// Another scheme.
    #[error("a proxy is spoken to by `http` or `socks5`, and by nothing else")]
    Scheme,
    /// `http://user:password@host:3128`
    #[error(
        "it has a user or a password, which others see in lists of processes, logs and histories; keep them apart from the URL"
    )]
    UserInfo,
    /// User and password cannot be sent.
    #[error("its user and password cannot be used: {0}")]
    Credentials(#[from] CredentialsError),
    /// A host that is none.
    #[error("its host is not valid: {0}")]
    Host(#[from] NameError),
    /// An address that nobody has.
    #[error("nobody can be connected to at its address")]
    Nowhere,
    /// No port.
    #[error("it has no port; write `HOST:PORT`, such as `http://proxy.example.com:3128`")]
    NoPort,
    /// A port that is none.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// Something behind the port.
    #[error("there is something behind its port, and nothing belongs there")]
    Behind,
    /// White space, or what cannot be shown.
    #[error("it holds white space or a control character")]
    Blank,
}

impl ProxyServer {
    /// Reads a URL that an option or a file has. It has no user and no password.
    ///
    /// # Errors
    ///
    /// What makes it no such URL.
    pub fn parse(text: &str) -> Result<Self, ProxyServerError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyServerError::NoScheme)?;
        Self::of(scheme, rest, UserInfo::Refused)
    }

    /// Reads the value of a variable such as `HTTPS_PROXY`, as other programs do: without a scheme it is one of HTTP, a slash
    /// may end it, and it may have a user and a password, percent-encoded.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse).
    pub fn parse_variable(text: &str) -> Result<Self, ProxyServerError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        Self::of(scheme, rest, UserInfo::Taken)
    }

    fn of(scheme: &str, rest: &str, user_info: UserInfo) -> Result<Self, ProxyServerError> {
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(ProxyServerError::Blank);
        }
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "http" => Protocol::Http,
            "socks5" | "socks5h" => Protocol::Socks5,
            "https" => return Err(ProxyServerError::Https),
            "socks4" | "socks4a" => return Err(ProxyServerError::Socks4),
            "" => return Err(ProxyServerError::NoScheme),
            _ => return Err(ProxyServerError::Scheme),
        };
        // The last one, since a password may hold others; and before anything behind the host is looked at, which may be the
        // rest of a password that was not encoded.
        let (credentials, place) = match (rest.rsplit_once('@'), user_info) {
            (Some(_), UserInfo::Refused) => return Err(ProxyServerError::UserInfo),
            (Some((user_info, place)), UserInfo::Taken) => (Some(decoded(user_info)?), place),
            (None, _) => (None, rest),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains(['/', '?', '#', '\\']) {
            return Err(ProxyServerError::Behind);
        }
        let (host, port) = host_and_port(place)?;
        let server = Self {
            protocol,
            host,
            port,
            credentials: None,
        };
        match credentials {
            Some(credentials) => Ok(server.with(credentials)?),
            None => Ok(server),
        }
    }

    /// The same, spoken to as somebody.
    ///
    /// # Errors
    ///
    /// Its protocol has no room for these credentials.
    pub fn with(self, credentials: Credentials) -> Result<Self, CredentialsError> {
        if self.protocol == Protocol::Socks5 {
            credentials.fit_socks5()?;
        }
        Ok(Self {
            credentials: Some(credentials),
            ..self
        })
    }

    /// The name or address.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if it is spoken to as somebody.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

/// The treatment of a user and a password in a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UserInfo {
    Refused,
    Taken,
}

fn decoded(user_info: &str) -> Result<Credentials, ProxyServerError> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let text = |part| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded.map_err(|_| CredentialsError::NotText)
    };
    Ok(Credentials::new(&text(user)?, &text(password)?)?)
}

fn host_and_port(place: &str) -> Result<(Host, u16), ProxyServerError> {
    let (host, port) = place.rsplit_once(':').ok_or(ProxyServerError::NoPort)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if port.ends_with(']') || (host.contains(':') && !bracketed) {
        // `[::1]`, or `::1`, whose last group reads like a port.
        return Err(ProxyServerError::NoPort);
    }
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0);
    let port = port.ok_or(ProxyServerError::Port)?;
    let host = Host::parse(host)?;
    match &host {
        Host::Address(address) if address.is_unspecified() || address.reads_as_multicast() => {
            Err(ProxyServerError::Nowhere)
        }
        Host::Name(name) if name.is_service_chaining() || name.is_the_app_itself() => {
            Err(ProxyServerError::Nowhere)
        }
        _ => Ok((host, port)),
    }
}

impl Protocol {
    /// Its scheme.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks5 => "socks5",
        }
    }
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.protocol.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_scheme_a_host_and_a_port() {
        use ProxyServerError as E;
        for (text, expected) in [
            ("http://proxy.example:3128", Ok("http://proxy.example:3128")),
            ("HTTP://Proxy.Example.:3128/", Ok("http://proxy.example:3128")),
            ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080")),
            ("http://[::1]:8080", Ok("http://[::1]:8080")),
            ("http://[::ffff:10.0.0.1]:8080", Ok("http://10.0.0.1:8080")),
            ("socks5://10.0.0.1:1080", Ok("socks5://10.0.0.1:1080")),
            ("socks5h://10.0.0.1:1080", Ok("socks5://10.0.0.1:1080")),
            ("https://proxy.example:3128", Err(E::Https)),
            ("socks4://proxy.example:1080", Err(E::Socks4)),
            ("socks4a://proxy.example:1080", Err(E::Socks4)),
            ("ftp://proxy.example:21", Err(E::Scheme)),
            ("://proxy.example:21", Err(E::NoScheme)),
            ("proxy.example:3128", Err(E::NoScheme)),
            ("", Err(E::NoScheme)),
            ("http://proxy.example", Err(E::NoPort)),
            ("http://[::1]", Err(E::NoPort)),
            ("http://::1", Err(E::NoPort)),
            ("http://proxy.example:", Err(E::Port)),
            ("http://proxy.example:0", Err(E::Port)),
            ("http://proxy.example:65536", Err(E::Port)),
            ("http://proxy.example:+80", Err(E::Port)),
            ("http://:3128", Err(E::Host(NameError::Empty))),
            ("http://0.0.0.0:3128", Err(E::Nowhere)),
            ("http://[::]:3128", Err(E::Nowhere)),
            ("http://224.0.0.1:3128", Err(E::Nowhere)),
            ("http://proxy.example:3128/path", Err(E::Behind)),
            ("http://proxy.example:3128?x", Err(E::Behind)),
            ("http://proxy.example:3128#x", Err(E::Behind)),
            ("http://proxy.exa mple:3128", Err(E::Blank)),
            ("http://user:secret@proxy.example:3128", Err(E::UserInfo)),
            ("http://user:sec/ret@proxy.example:3128", Err(E::UserInfo)),
            ("http://user@proxy.example:3128", Err(E::UserInfo)),
        ] {
            let read = ProxyServer::parse(text);
            let shown = read.clone().map(|server| server.to_string());
            assert_eq!(shown, expected.map(str::to_owned), "{text}");
            if let (Ok(server), Ok(shown)) = (&read, &shown) {
                assert_eq!(ProxyServer::parse(shown).as_ref(), Ok(server), "{text}");
            }
        }
    }

    #[test]
    fn a_variable_may_lack_the_scheme_and_have_a_password_which_nothing_shows() {
        let server = ProxyServer::parse_variable("proxy.example:3128").unwrap();
        assert_eq!(server.to_string(), "http://proxy.example:3128");
        assert!(!server.has_credentials());
        let server = ProxyServer::parse_variable("http://us%3aer:s%40cr@t@proxy.example:3128/").unwrap_err();
        assert_eq!(
            server,
            ProxyServerError::Credentials(CredentialsError::ColonInUser)
        );
        let server = ProxyServer::parse_variable("http://user:s%40cr@t@proxy.example:3128/").unwrap();
        assert_eq!(
            server.credentials(),
            Some(&Credentials::new("user", "s@cr@t").unwrap())
        );
        for shown in [
            server.to_string(),
            format!("{server:?}"),
            format!("{:?}", server.credentials()),
        ] {
            assert!(!shown.contains("cr@t") && !shown.contains("user"), "{shown}");
        }
        for wrong in [
            "http://user:secret@",
            "http://user:secret@:1",
            "ftp://user:secret@h:1",
        ] {
            let error = ProxyServer::parse_variable(wrong).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
