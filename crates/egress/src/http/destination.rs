//! The destination that the guest wrote, as the one place that the request is for.
//!
//! | written | means |
//! | --- | --- |
//! | `http://API.Example./` | `http`, `api.example`, 80: names and addresses in their canonical form |
//! | `http://:80/` | `http`, `self`, 80: what Spin's SDKs make of a URL without a host is the app itself |
//! | `https://0x7f.1:8443/` | `https`, 127.0.0.1, 8443: every spelling of an address is that address |
//! | `http://user@host/`, `http://user@host@evil/` | refused: nothing that looks like another host passes |
//! | `http://host:99999/` | refused: a port that is none does not become the default one |
//! | `http://host`, `http://host?query` | the path `/`: SDKs that take URLs apart leave it out, HTTP cannot |
//! | a path that does not start with `/` | refused, except `*` for OPTIONS: a server could take it for a proxy's |

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Uri};
use outport_policy::{Attempt, Host, RequestMethod, Scheme, Spelling};

use crate::dial::Destination;

/// The request is for no place at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoDestination;

impl Destination {
    /// The place that `request` is for.
    pub(crate) fn of<B>(request: &Request<B>) -> Result<Self, NoDestination> {
        let uri = request.uri();
        let scheme = uri.scheme_str().and_then(Scheme::parse).ok_or(NoDestination)?;
        // Before it is judged: a URL that two readers could take for two hosts is judged as neither.
        if !matches!(scheme, Scheme::HTTP | Scheme::HTTPS) || !path_is_plain(request.method(), uri) {
            return Err(NoDestination);
        }
        let authority = uri.authority().ok_or(NoDestination)?;
        let host = host(authority)?;
        let port = port(authority)?.or(scheme.default_port()).ok_or(NoDestination)?;
        let spelling = Spelling::of(authority.host());
        Ok(Self {
            scheme,
            host,
            port,
            spelling,
        })
    }

    /// A request to there by `method`, for the policy.
    pub(crate) fn attempt(&self, method: &Method) -> Attempt<'_> {
        self.attempt_by(request_method(method))
    }

    /// Host and port for the `Host` header or HTTP/2's `:authority`.
    pub(super) fn authority(&self) -> String {
        match &self.host {
            host if Some(self.port) == self.scheme.default_port() => bracketed(host),
            host => format!("{}:{}", bracketed(host), self.port),
        }
    }

    /// Writes the destination into a request for an HTTP/1.1 server: only the path, and the `Host` that was judged.
    pub(super) fn write_http1(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), NoDestination> {
        let path = uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        *uri = Uri::builder()
            .path_and_query(path)
            .build()
            .map_err(|_| NoDestination)?;
        headers.insert(
            HOST,
            HeaderValue::try_from(self.authority()).map_err(|_| NoDestination)?,
        );
        Ok(())
    }

    /// Writes the destination into a request for an HTTP/2 server: the whole URL, and no `Host`.
    pub(super) fn write_http2(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), NoDestination> {
        let path = uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        let whole = Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(self.authority())
            .path_and_query(path);
        *uri = whole.build().map_err(|_| NoDestination)?;
        headers.remove(HOST);
        Ok(())
    }
}

/// Writes the path `/` into a URL that has none, or only a query.
pub(super) fn complete_path(uri: &mut Uri) -> Result<(), NoDestination> {
    let Some(written) = uri.path_and_query().map(PathAndQuery::as_str) else {
        return Ok(());
    };
    // `as_str` says `/` for the empty path as well, which would be sent as it is.
    let completed = match written.strip_prefix('?') {
        Some(query) => PathAndQuery::try_from(format!("/?{query}")).map_err(|_| NoDestination)?,
        None if written == "/" => PathAndQuery::from_static("/"),
        None => return Ok(()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(completed);
    *uri = Uri::from_parts(parts).map_err(|_| NoDestination)?;
    Ok(())
}

/// The part of the method that matters to the policy. Methods differ by case, but not every proxy knows that.
fn request_method(method: &Method) -> RequestMethod {
    if method.as_str().eq_ignore_ascii_case("CONNECT") {
        RequestMethod::Connect
    } else {
        RequestMethod::Other
    }
}

fn path_is_plain(method: &Method, uri: &Uri) -> bool {
    match uri.path_and_query().map(PathAndQuery::as_str) {
        None => true,
        Some("*") => *method == Method::OPTIONS,
        Some(path) => path.starts_with('/'),
    }
}

/// The port that was written, nothing if none was.
fn port(authority: &Authority) -> Result<Option<u16>, NoDestination> {
    if authority.as_str().contains('@') {
        return Err(NoDestination);
    }
    match authority.as_str().strip_prefix(authority.host()) {
        Some("" | ":") => Ok(None),
        Some(port) => {
            let digits = port
                .strip_prefix(':')
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits
                .and_then(|digits| digits.parse().ok())
                .map(Some)
                .ok_or(NoDestination)
        }
        None => Err(NoDestination),
    }
}

/// The authority of a request that names a path alone: it is for the app that asks.
pub(crate) const THE_APP: &str = "self";

/// The host as the policy judges it: `self.alt` is `self`, and so is a host that was left out, as in Spin.
fn host(authority: &Authority) -> Result<Host, NoDestination> {
    let itself = || Host::parse(THE_APP);
    let host = match authority.host() {
        "" => itself(),
        text => match Host::parse(text) {
            Ok(Host::Name(name)) if name.is_the_app_itself() => itself(),
            host => host,
        },
    };
    host.map_err(|_| NoDestination)
}

fn bracketed(host: &Host) -> String {
    match host {
        Host::Name(name) => name.to_string(),
        Host::Address(address) if address.ip().is_ipv6() => format!("[{address}]"),
        Host::Address(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, uri: &str) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().unwrap_or_else(|error| panic!("{uri}: {error}"));
        request
    }

    // proves: AL-6
    #[test]
    fn every_spelling_of_a_place_is_that_place_and_what_is_ambiguous_is_none() {
        let rows = [
            ("http://api.example/", Some("http api.example 80")),
            ("HTTPS://API.Example./x?y", Some("https api.example 443")),
            ("http://api.example:80/", Some("http api.example 80")),
            ("http://api.example:/", Some("http api.example 80")),
            ("https://api.example:8443/", Some("https api.example 8443")),
            ("http://127.0.0.1:1/", Some("http 127.0.0.1 1")),
            ("http://0x7f.1/", Some("http 127.0.0.1 80")),
            ("http://2130706433/", Some("http 127.0.0.1 80")),
            ("http://[::1]:8080/", Some("http ::1 8080")),
            ("http://[::ffff:10.0.0.1]/", Some("http 10.0.0.1 80")),
            ("http://self.alt/x", Some("http self 80")),
            ("http://self/x", Some("http self 80")),
            ("http://:80/x", Some("http self 80")),
            ("http://api.example:0/", Some("http api.example 0")),
            ("http://user@api.example/", None),
            ("http://user:secret@api.example/", None),
            ("http://api.example:99999/", None),
            ("http://api..example/", None),
            ("http://user@host@evil/", None),
            ("ftp://api.example/", None),
            ("/relative", None),
        ];
        for (uri, expected) in rows {
            let found = Destination::of(&request(Method::GET, uri)).ok();
            let found = found.map(|found| match &found.host {
                Host::Name(name) => format!("{} {name} {}", found.scheme, found.port),
                Host::Address(address) => format!("{} {address} {}", found.scheme, found.port),
            });
            assert_eq!(found.as_deref(), expected, "{uri}");
        }
    }

    // proves: AL-6
    #[test]
    fn connect_is_connect_in_any_case() {
        let rows = [
            ("CONNECT", true),
            ("connect", true),
            ("Connect", true),
            ("GET", false),
            ("CONNECTS", false),
        ];
        for (text, connects) in rows {
            let found = request_method(&Method::from_bytes(text.as_bytes()).unwrap());
            assert_eq!(found == RequestMethod::Connect, connects, "{text}");
        }
    }

    // proves: AL-6
    #[test]
    fn a_path_that_a_server_could_take_for_a_proxys_is_refused() {
        let with_path = |method, path: &str| {
            let mut request = request(method, "http://api.example/");
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = PathAndQuery::try_from(path).ok();
            match Uri::from_parts(parts) {
                Ok(uri) => *request.uri_mut() = uri,
                Err(_) => return Err(NoDestination),
            }
            Destination::of(&request).map(|_| ())
        };
        assert_eq!(with_path(Method::GET, "/"), Ok(()));
        assert_eq!(
            with_path(Method::GET, "//evil/"),
            Ok(()),
            "a path of this server, however it looks"
        );
        assert_eq!(with_path(Method::OPTIONS, "*"), Ok(()));
        assert_eq!(with_path(Method::GET, "*"), Err(NoDestination));
        assert_eq!(with_path(Method::GET, "evil.example/"), Err(NoDestination));
        assert_eq!(with_path(Method::GET, "http://evil/"), Err(NoDestination));
    }

    #[test]
    fn a_path_that_was_left_out_is_the_root() {
        let rows = [
            ("#", "http://api.example/"),
            ("?x=1", "http://api.example/?x=1"),
            ("?", "http://api.example/?"),
            ("/", "http://api.example/"),
            ("/?x", "http://api.example/?x"),
            ("/a?x", "http://api.example/a?x"),
            ("*", "http://api.example*"),
        ];
        for (written, expected) in rows {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(http::uri::Scheme::HTTP);
            parts.authority = Some(Authority::from_static("api.example"));
            parts.path_and_query = Some(PathAndQuery::try_from(written).unwrap());
            let mut uri = Uri::from_parts(parts).unwrap();
            complete_path(&mut uri).unwrap();
            assert_eq!(uri.to_string(), expected, "{written}");
        }
        let mut sent = request(Method::GET, "http://api.example");
        complete_path(sent.uri_mut()).unwrap();
        assert_eq!(sent.uri().to_string(), "http://api.example/");
    }

    // proves: DNS-13
    #[test]
    fn the_host_header_is_the_place_that_was_judged() {
        let rows = [
            ("http://API.example./a?b", "api.example", "/a?b"),
            ("http://api.example:8080", "api.example:8080", "/"),
            ("https://api.example:443/", "api.example", "/"),
            ("http://[::1]:8080/", "[::1]:8080", "/"),
        ];
        for (uri, host, path) in rows {
            let mut sent = request(Method::GET, uri);
            sent.headers_mut()
                .insert(HOST, HeaderValue::from_static("evil.example"));
            let destination = Destination::of(&sent).unwrap();
            let (mut parts, ()) = sent.into_parts();
            destination
                .write_http1(&mut parts.uri, &mut parts.headers)
                .unwrap();
            assert_eq!(
                (
                    parts.headers[HOST].to_str().unwrap(),
                    parts.uri.to_string().as_str()
                ),
                (host, path),
                "{uri}"
            );

            destination
                .write_http2(&mut parts.uri, &mut parts.headers)
                .unwrap();
            assert!(!parts.headers.contains_key(HOST));
            assert_eq!(parts.uri.authority().map(Authority::as_str), Some(host), "{uri}");
        }
    }
}
