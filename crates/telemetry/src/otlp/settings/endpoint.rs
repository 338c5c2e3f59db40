//! Where a signal goes, and how.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use outport_manifest::shown_url;
use outport_policy::text;
use outport_sources::http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use outport_sources::http::{HeaderMap, HeaderName, HeaderValue, Url};

use super::super::signal::Signal;
use super::pairs::pairs;
use super::{ENDPOINT, SettingsError, Variables, milliseconds, value_of, wrong};

/// Where a signal goes, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct Endpoint {
    /// The whole URL. User and password in it are sent as `Authorization`.
    pub url: Url,
    /// Headers of each request; their values are secrets.
    pub headers: HeaderMap,
    /// The time that one export may take, with all that it tries. 10 seconds by default.
    pub timeout: Duration,
    /// What is done to bodies. Nothing by default.
    pub compression: Compression,
}

/// What is done to bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// They are compressed by gzip.
    Gzip,
}

impl Endpoint {
    /// Reads where a signal goes; none if no endpoint is for it.
    pub(super) fn read(variables: Variables<'_>, signal: Signal) -> Result<Option<Self>, SettingsError> {
        let own = signal.variable("_ENDPOINT");
        let (variable, url) = if let Some(written) = value_of(variables, &own)? {
            // As it is: without a path at the root, which is what a URL means.
            let url = parse_url(&own, &written)?;
            (own, url)
        } else if let Some(written) = value_of(variables, ENDPOINT)? {
            let url = parse_url(ENDPOINT, &written)?;
            (ENDPOINT.to_owned(), below(url, signal))
        } else {
            return Ok(None);
        };
        let chosen = |what: &str| chosen(variables, signal, what);
        if let Some((name, protocol)) = chosen("_PROTOCOL")? {
            check_protocol(&name, protocol.trim())?;
        }
        for what in ["_CERTIFICATE", "_CLIENT_CERTIFICATE", "_CLIENT_KEY"] {
            if let Some((name, _)) = chosen(what)? {
                return Err(SettingsError {
                    help: Some(
                        "authorities are those of this machine, or of `SSL_CERT_FILE`; certificates of clients are \
                         for a collector beside Outport to have"
                            .to_owned(),
                    ),
                    ..wrong(&name, "it is not supported".to_owned())
                });
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            refuse_plain(&url, &variable)?;
        }
        let headers = match chosen("_HEADERS")? {
            Some((name, list)) => {
                let headers = headers(&list).map_err(|why| wrong(&name, why))?;
                if CREDENTIALS.iter().any(|name| headers.contains_key(name)) {
                    refuse_plain(&url, &name)?;
                }
                headers
            }
            None => HeaderMap::new(),
        };
        let timeout = match milliseconds(variables, &signal.variable("_TIMEOUT"))? {
            Some(own) => Some(own),
            None => milliseconds(variables, "OTEL_EXPORTER_OTLP_TIMEOUT")?,
        };
        let compression = match chosen("_COMPRESSION")? {
            None => Compression::None,
            Some((name, value)) => match value.trim() {
                "gzip" => Compression::Gzip,
                "none" => Compression::None,
                other => {
                    return Err(SettingsError {
                        help: Some("write `gzip` or `none`".to_owned()),
                        ..wrong(
                            &name,
                            format!("there is no compression `{}`", text::excerpt(other)),
                        )
                    });
                }
            },
        };
        Ok(Some(Self {
            url,
            headers,
            timeout: timeout.unwrap_or(TIMEOUT),
            compression,
        }))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &shown_url(self.url.as_str()))
            .finish_non_exhaustive()
    }
}

/// The variable of the signal, or the one of all, with its value.
fn chosen(
    variables: Variables<'_>,
    signal: Signal,
    what: &str,
) -> Result<Option<(String, String)>, SettingsError> {
    for name in [signal.variable(what), format!("OTEL_EXPORTER_OTLP{what}")] {
        if let Some(value) = value_of(variables, &name)? {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
}

fn parse_url(variable: &str, written: &str) -> Result<Url, SettingsError> {
    let written = written.trim();
    let why = match Url::parse(written) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => return Ok(url),
        // `localhost:4318` reads as a scheme and a path, `127.0.0.1:4318` as a path.
        Ok(_) => NO_SCHEME.to_owned(),
        Err(_) if !written.contains("://") => NO_SCHEME.to_owned(),
        Err(error) => format!("it is no URL: {error}"),
    };
    // What looks like a place may be shown; anything else may be a secret.
    let is_place = |letter: char| letter.is_ascii_alphanumeric() || "-_.:[]".contains(letter);
    let meant = Some(format!("http://{written}"))
        .filter(|meant| written.chars().all(is_place) && Url::parse(meant).is_ok());
    let example = meant.unwrap_or_else(|| "http://127.0.0.1:4318".to_owned());
    Err(SettingsError {
        help: Some(format!(
            "write a whole URL, such as `{}`",
            text::excerpt(&example)
        )),
        ..wrong(variable, why)
    })
}

/// The place of a signal below the one of all.
fn below(mut url: Url, signal: Signal) -> Url {
    let path = format!("{}/v1/{}", url.path().trim_end_matches('/'), signal.name());
    url.set_path(&path);
    url
}

fn check_protocol(name: &str, protocol: &str) -> Result<(), SettingsError> {
    let (why, help) = match protocol {
        "http/protobuf" => return Ok(()),
        "grpc" => (
            "gRPC is not spoken".to_owned(),
            "write `http/protobuf`, and the collector's port for that, which is 4318 as a rule",
        ),
        "http/json" => (
            "JSON is not written".to_owned(),
            "write `http/protobuf`, which collectors take at the same port",
        ),
        other => (
            format!("there is no protocol `{}`", text::excerpt(other)),
            "write `http/protobuf`",
        ),
    };
    Err(SettingsError {
        help: Some(help.to_owned()),
        ..wrong(name, why)
    })
}

fn headers(list: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (at, (name, value)) in pairs(list)?.into_iter().enumerate() {
        let name =
            HeaderName::try_from(name).map_err(|_| format!("the name of item {} is no header", at + 1))?;
        if OWN.contains(&name.as_str()) {
            return Err(format!(
                "item {} is `{name}`, which Outport writes itself",
                at + 1
            ));
        }
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| format!("the value of item {} is no header's", at + 1))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Refuses what says who asks where everybody could read it: the client would not send it.
fn refuse_plain(url: &Url, variable: &str) -> Result<(), SettingsError> {
    let is_here = url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    if url.scheme() == "https" || is_here {
        return Ok(());
    }
    Err(SettingsError {
        help: Some("send to an `https://` URL, or to a collector on this machine".to_owned()),
        ..wrong(variable, "credentials are not sent over plain http".to_owned())
    })
}

/// The headers that say who asks by themselves.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// The headers that say what a message is and how it is sent.
const OWN: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const NO_SCHEME: &str = "it does not begin with `http://` or `https://`";

const TIMEOUT: Duration = Duration::from_secs(10);
