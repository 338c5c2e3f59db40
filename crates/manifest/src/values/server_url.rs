//! The address of a server that the operator configures: a Redis behind a key-value store, a libSQL, a model server.
//!
//! ```text
//! redis://user:password@cache.internal:6380/1?…
//! ^^^^^           hidden ^^^^^^^^^^^^^^^^^^^ hidden
//! ```
//!
//! Scheme, host and port are read here, for showing them and for holding them against the deny list. All else is for the
//! client that connects, may be secret, and is shown to nobody.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use outport_policy::{Host, NameError, Scheme, text};
use url::Url;

/// The URL of a server. `Display` and `Debug` show scheme, host and port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    text: Arc<str>,
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// Why a text is not the URL of a server. What is told of the text is never a user, a password or what is behind the port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerUrlError {
    /// Not a URL at all.
    #[error("is not a URL: {0}")]
    Syntax(url::ParseError),
    /// A URL of another scheme.
    #[error("has the scheme `{}`, which is not one for this server", text::quote(.0))]
    Scheme(String),
    /// Something that a client would leave out, or read otherwise.
    #[error("holds white space or a control character")]
    Blank,
    /// `redis:///0`
    #[error("names no host")]
    NoHost,
    /// A host that is none.
    #[error("has no valid host: {0}")]
    Host(NameError),
    /// Port 0.
    #[error("has the port 0, at which nobody listens")]
    PortZero,
    /// `https://user:password@host`, where they would not be sent.
    #[error("has a user or a password, which this server is not sent")]
    UserInfo,
    /// `https://host/path?query`, where it would not be sent.
    #[error("has a `?` or a `#`, and nothing behind it is sent to this server")]
    Query,
}

impl ServerUrl {
    /// The schemes of Redis, with their ports.
    pub const REDIS: [(&'static str, u16); 2] = [("redis", 6379), ("rediss", 6379)];

    /// The schemes of MQTT, with their ports.
    pub const MQTT: [(&'static str, u16); 2] = [("mqtt", 1883), ("mqtts", 8883)];

    /// Reads a URL. `schemes` are those that the server is spoken to by, each with the port that a URL without one means.
    ///
    /// # Errors
    ///
    /// The part of `text` that makes it no URL of such a server.
    pub fn parse(text: &str, schemes: &[(&str, u16)]) -> Result<Self, ServerUrlError> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(ServerUrlError::Blank);
        }
        let url = Url::parse(text).map_err(ServerUrlError::Syntax)?;
        let wrong_scheme = || ServerUrlError::Scheme(url.scheme().to_owned());
        let known = schemes.iter().find(|(scheme, _)| *scheme == url.scheme());
        let (scheme, own_port) = known.ok_or_else(wrong_scheme)?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(ServerUrlError::NoHost)?;
        let port = url.port().unwrap_or(*own_port);
        if port == 0 {
            return Err(ServerUrlError::PortZero);
        }
        Ok(Self {
            text: text.into(),
            scheme: Scheme::parse(scheme).ok_or_else(wrong_scheme)?,
            host: Host::parse(host).map_err(ServerUrlError::Host)?,
            port,
        })
    }

    /// The same, of a server that is asked by paths below that of its URL, and knows its client by a token.
    ///
    /// # Errors
    ///
    /// There is more in the URL, which would be left out.
    pub fn with_path_alone(self) -> Result<Self, ServerUrlError> {
        let url = Url::parse(&self.text).map_err(ServerUrlError::Syntax)?;
        if !url.username().is_empty() || url.password().is_some() {
            Err(ServerUrlError::UserInfo)
        } else if url.query().is_some() || url.fragment().is_some() {
            Err(ServerUrlError::Query)
        } else {
            Ok(self)
        }
    }

    /// The URL as it is written, with all that is secret in it: for the client that connects, never for a message.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The scheme of the server.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The address of it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port, written or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The bytes of a text that must not be quoted where the URL of a server belongs, as it stands in a file: those before
    /// the host, and those behind the port. Of what is not such a URL all that could be secret.
    pub fn hidden_parts(text: &str) -> [Range<usize>; 2] {
        let end = text.len();
        let Some(start) = text.find("://").map(|colon| colon + "://".len()) else {
            return [0..end, end..end];
        };
        // What is escaped may be an `@`.
        if text.contains('\\') || Url::parse(text).is_err() {
            return [start..end, end..end];
        }
        let authority = &text[start..];
        let behind = start + authority.find(['/', '?', '#']).unwrap_or(authority.len());
        let host = text[start..behind].rfind('@').map_or(start, |at| start + at);
        [start..host, behind..end]
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: [(&str, u16); 2] = [("redis", 6379), ("rediss", 6379)];

    #[test]
    fn what_is_shown_of_a_url_is_scheme_host_and_port() {
        for (text, shown) in [
            ("redis://cache", "redis://cache:6379"),
            (
                "redis://u:hunter2@Cache.Internal:6380/1?x=hunter2",
                "redis://cache.internal:6380",
            ),
            ("rediss://:hunter2@[::1]/", "rediss://[::1]:6379"),
            ("REDIS://10.0.0.5", "redis://10.0.0.5:6379"),
            ("redis://a:b@hunter2@cache", "redis://cache:6379"),
        ] {
            let url = ServerUrl::parse(text, &REDIS).expect(text);
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(format!("{url:?}"), shown, "{text}");
            assert_eq!(url.expose(), text);
        }
    }

    #[test]
    fn what_is_not_the_url_of_such_a_server_is_refused() {
        use ServerUrlError::*;
        for (text, error) in [
            ("cache:6379", Scheme("cache".into())),
            ("", Syntax(url::ParseError::RelativeUrlWithoutBase)),
            ("redis://ca\nche", Blank),
            ("http://cache", Scheme("http".into())),
            ("unix:///run/redis.sock", Scheme("unix".into())),
            ("redis:///0", NoHost),
            ("redis:cache", NoHost),
            ("redis://cache:0", PortZero),
            ("redis://cache:65536", Syntax(url::ParseError::InvalidPort)),
            ("redis://a,b:1", Host(NameError::ForbiddenCharacter(','))),
            (
                "redis://%2Frun%2Fredis.sock",
                Host(NameError::ForbiddenCharacter('%')),
            ),
        ] {
            assert_eq!(ServerUrl::parse(text, &REDIS), Err(error), "{text}");
        }
        let long = format!("redis://{}", "a".repeat(300));
        assert!(matches!(ServerUrl::parse(&long, &REDIS), Err(Host(_))));
    }

    #[test]
    fn of_a_server_that_is_asked_by_paths_a_url_has_a_path_alone() {
        for (text, error) in [
            ("https://models.internal", None),
            ("http://[::1]:8080/api/v1/", None),
            ("https://hunter2@models.internal", Some(ServerUrlError::UserInfo)),
            ("https://:hunter2@models.internal", Some(ServerUrlError::UserInfo)),
            (
                "https://models.internal/?key=hunter2",
                Some(ServerUrlError::Query),
            ),
            ("https://models.internal/#", Some(ServerUrlError::Query)),
        ] {
            let url = ServerUrl::parse(text, &[("https", 443), ("http", 80)]).expect(text);
            assert_eq!(url.with_path_alone().err(), error, "{text}");
        }
    }

    #[test]
    fn a_quotation_has_scheme_host_and_port_alone() {
        for (text, shown) in [
            ("redis://cache", "redis://cache"),
            ("redis://u:p@cache:1/0", "redis://***@cache:1**"),
            ("https://db.example.com?token=x", "https://db.example.com********"),
            ("redis://u:p@q@cache", "redis://*****@cache"),
            ("redis://u:p@cache:99999", "redis://***************"),
            ("https://hunter2\\u0040x", "https://**************"),
            ("hunter2", "*******"),
            ("redis:hunter2@x", "***************"),
        ] {
            let mut quoted = text.to_owned();
            for part in ServerUrl::hidden_parts(text) {
                quoted.replace_range(part.clone(), &"*".repeat(part.len()));
            }
            assert_eq!(quoted, shown, "{text}");
        }
    }
}
