//! The arguments and environment variables of a command that answers a request: those of CGI (RFC 3875, section 4.1) as
//! Spin sets them, and the component's own.
//!
//! A client chooses names and values of headers. It must not choose anything else, so of the variables that it names,
//! `HTTP_` and a header:
//!
//! - none takes the place of another. What the component or the operator has set stays, and a header with another
//!   character than letters, digits and `-` is left out: `a_b` and `a-b` would be the same variable.
//! - none is made of `Proxy`, since `HTTP_PROXY` tells many a library where to send its requests ([httpoxy]), nor of
//!   `Authorization` and `Connection`, which are not for a program (RFC 3875, section 4.1.18), nor of others that say who
//!   somebody is or how the body came.
//!
//! The other variables of CGI are the host's, and come before what the component or the operator has set.
//!
//! [httpoxy]: https://httpoxy.org/

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use hyper::body::Body;
use outport_manifest::WagiArguments;
use percent_encoding::percent_decode_str;

use crate::guest_env::GuestEnv;
use crate::http::tls::TlsFacts;
use crate::http::{IN_PROCESS, authority};

/// The arguments and environment variables for one request.
pub(super) struct Exchange {
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
}

impl Exchange {
    /// Those for a request that the router has described in its headers.
    pub(super) fn of(head: &Parts, body: &impl Body, arguments: &WagiArguments, own: &GuestEnv) -> Self {
        let query = head.uri.query().unwrap_or_default();
        let mut environment: BTreeMap<String, String> = own.environment.iter().cloned().collect();
        for (name, value) in of_headers(&head.headers) {
            environment.entry(name).or_insert(value);
        }
        // What is not known is not there, whoever else would say it.
        environment.remove("CONTENT_LENGTH");
        environment.extend(of_cgi(head, body, query));
        environment.extend(of_route(&head.headers));
        // HTTP/2 has it in another place.
        if let Ok(authority) = authority::find(&head.uri, &head.headers) {
            environment
                .entry("HTTP_HOST".to_owned())
                .or_insert_with(|| authority.to_string());
        }
        Self {
            arguments: arguments.fill_in(head.uri.path(), query),
            environment: environment.into_iter().collect(),
        }
    }
}

/// The variables of RFC 3875, section 4.1, and what Spin has beside them.
fn of_cgi(head: &Parts, body: &impl Body, query: &str) -> Vec<(String, String)> {
    let told = |name: &str| head.headers.get(name).and_then(text).unwrap_or_default();
    let authority = authority::find(&head.uri, &head.headers).ok();
    let host = authority.as_ref().map(|authority| authority.host());
    let port = authority.as_ref().and_then(|authority| authority.port_u16());
    let client: SocketAddr = told("spin-client-addr").parse().unwrap_or(IN_PROCESS);
    let client = client.ip().to_string();
    let route = told("spin-matched-route");
    let is_https = head.extensions.get::<TlsFacts>().is_some();
    let rest = told("spin-path-info");
    let mut variables = vec![
        ("AUTH_TYPE", String::new()),
        ("CONTENT_TYPE", told(CONTENT_TYPE.as_str()).to_owned()),
        ("GATEWAY_INTERFACE", "CGI/1.1".to_owned()),
        ("PATH_INFO", rest.to_owned()),
        ("PATH_TRANSLATED", decoded(rest)),
        ("QUERY_STRING", query.to_owned()),
        ("REMOTE_ADDR", client.clone()),
        ("REMOTE_HOST", client),
        ("REMOTE_USER", String::new()),
        ("REQUEST_METHOD", head.method.to_string()),
        (
            "SCRIPT_NAME",
            route.strip_suffix("/...").unwrap_or(route).to_owned(),
        ),
        (
            "SERVER_NAME",
            host.filter(|host| !host.is_empty())
                .unwrap_or("localhost")
                .to_owned(),
        ),
        (
            "SERVER_PORT",
            port.unwrap_or(if is_https { 443 } else { 80 }).to_string(),
        ),
        ("SERVER_PROTOCOL", format!("{:?}", head.version)),
        ("SERVER_SOFTWARE", "WAGI/1".to_owned()),
        ("X_RAW_PATH_INFO", rest.to_owned()),
    ];
    // Not of CGI, but what every server says, and many a library looks for.
    variables.extend(is_https.then(|| ("HTTPS", "on".to_owned())));
    // Of a body in chunks nobody knows before its end how long it is.
    let length = body.size_hint().exact();
    variables.extend(length.map(|length| ("CONTENT_LENGTH", length.to_string())));
    let named = variables.into_iter();
    named.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The variables for what the router tells of the way: `X_FULL_URL` for `spin-full-url`.
fn of_route(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(OF_THE_ROUTER)?;
        // It is `PATH_INFO`.
        let name = Some(name).filter(|name| *name != "path-info")?;
        Some((format!("X_{}", spelled(name)), text(value)?.to_owned()))
    })
}

/// The variables that a client chooses, several headers of one name in one.
fn of_headers(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers
        .keys()
        .filter(|name| is_passed_on(name))
        .filter_map(|name| {
            let values: Option<Vec<&str>> = headers.get_all(name).iter().map(text).collect();
            let separator = if name == COOKIE { "; " } else { ", " };
            Some((
                format!("HTTP_{}", spelled(name.as_str())),
                values?.join(separator),
            ))
        })
}

fn is_passed_on(name: &HeaderName) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let withheld = [
        AUTHORIZATION,
        CONNECTION,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("proxy"),
    ];
    let written = name.as_str();
    !withheld.contains(name) && !written.starts_with(OF_THE_ROUTER) && written.bytes().all(is_plain)
}

fn spelled(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// The text of a header. None of one that is not text, which no variable can hold.
fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// A path without its escapes; as it is where a NUL, which ends a variable, is behind one of them.
fn decoded(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    if decoded.contains('\0') {
        path.to_owned()
    } else {
        decoded.into_owned()
    }
}

/// The beginning of the headers that only the router sets.
const OF_THE_ROUTER: &str = "spin-";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;

    use super::*;

    fn environment(
        request: http::request::Builder,
        body: &'static str,
        own: &[(&str, &str)],
    ) -> HashMap<String, String> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let env = GuestEnv {
            environment: own.iter().map(owned).collect(),
            ..GuestEnv::default()
        };
        let body = Full::new(Bytes::from_static(body.as_bytes()));
        let exchange = Exchange::of(&head, &body, &WagiArguments::default(), &env);
        let length = exchange.environment.len();
        let variables: HashMap<_, _> = exchange.environment.into_iter().collect();
        assert_eq!(variables.len(), length, "a variable is there twice");
        variables
    }

    #[test]
    fn a_request_is_told_by_the_variables_of_cgi() {
        let request = Request::post("/shop/items/a%20b%2Fc?x=1&y")
            .header("host", "example.com:8080")
            .header("content-type", "text/plain")
            .header("accept", "a")
            .header("accept", "b")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header(
                "spin-full-url",
                "http://example.com:8080/shop/items/a%20b%2Fc?x=1&y",
            )
            .header("spin-path-info", "/a%20b%2Fc")
            .header("spin-matched-route", "/shop/:kind/...")
            .header("spin-raw-component-route", "/shop/:kind/...")
            .header("spin-component-route", "/shop/:kind")
            .header("spin-base-path", "/")
            .header("spin-client-addr", "[2001:db8::1]:50412")
            .header("spin-path-match-kind", "items");
        let variables = environment(request, "four", &[("OWN", "1")]);
        let expected = [
            ("AUTH_TYPE", ""),
            ("CONTENT_LENGTH", "4"),
            ("CONTENT_TYPE", "text/plain"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("HTTP_ACCEPT", "a, b"),
            ("HTTP_CONTENT_TYPE", "text/plain"),
            ("HTTP_COOKIE", "a=1; b=2"),
            ("HTTP_HOST", "example.com:8080"),
            ("OWN", "1"),
            ("PATH_INFO", "/a%20b%2Fc"),
            ("PATH_TRANSLATED", "/a b/c"),
            ("QUERY_STRING", "x=1&y"),
            ("REMOTE_ADDR", "2001:db8::1"),
            ("REMOTE_HOST", "2001:db8::1"),
            ("REMOTE_USER", ""),
            ("REQUEST_METHOD", "POST"),
            ("SCRIPT_NAME", "/shop/:kind"),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "8080"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", "WAGI/1"),
            ("X_BASE_PATH", "/"),
            ("X_CLIENT_ADDR", "[2001:db8::1]:50412"),
            ("X_COMPONENT_ROUTE", "/shop/:kind"),
            ("X_FULL_URL", "http://example.com:8080/shop/items/a%20b%2Fc?x=1&y"),
            ("X_MATCHED_ROUTE", "/shop/:kind/..."),
            ("X_PATH_MATCH_KIND", "items"),
            ("X_RAW_COMPONENT_ROUTE", "/shop/:kind/..."),
            ("X_RAW_PATH_INFO", "/a%20b%2Fc"),
        ];
        let expected: HashMap<_, _> = expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(variables, expected);
    }

    #[test]
    fn a_client_names_no_variable_but_those_of_its_headers() {
        // (header, variable, its value beside `own`)
        let own = [
            ("HTTP_TOKEN", "own"),
            ("REQUEST_METHOD", "own"),
            ("HTTP_PROXY", "own"),
            ("PATH", "own"),
        ];
        let rows = [
            ("token", "HTTP_TOKEN", Some("own")),
            ("proxy", "HTTP_PROXY", Some("own")),
            ("path", "PATH", Some("own")),
            ("path", "HTTP_PATH", Some("sent")),
            ("authorization", "HTTP_AUTHORIZATION", None),
            ("connection", "HTTP_CONNECTION", None),
            ("a_b", "HTTP_A_B", None),
            ("a-b", "HTTP_A_B", Some("sent")),
            ("a.b", "HTTP_A.B", None),
            ("request-method", "REQUEST_METHOD", Some("GET")),
            ("x-full-url", "X_FULL_URL", None),
            ("x-full-url", "HTTP_X_FULL_URL", Some("sent")),
        ];
        for (header, variable, value) in rows {
            let request = Request::get("/").header(header, "sent");
            let variables = environment(request, "", &own);
            assert_eq!(
                variables.get(variable).map(String::as_str),
                value,
                "{header} {variable}"
            );
        }
        assert!(!environment(Request::get("/").header("proxy", "sent"), "", &[]).contains_key("HTTP_PROXY"));
    }

    #[test]
    fn no_variable_has_a_nul_or_is_not_text() {
        let rows = [
            ("/a%00b", "/a%00b"),
            ("/a%ffb", "/a\u{fffd}b"),
            ("/%", "/%"),
            ("", ""),
        ];
        for (path, expected) in rows {
            assert_eq!(decoded(path), expected, "{path}");
        }
        let odd = HeaderValue::from_bytes(b"\xff").unwrap();
        let variables = environment(Request::get("/").header("a", odd).header("b", "ü"), "", &[]);
        assert_eq!(variables.get("HTTP_A"), None);
        assert_eq!(variables["HTTP_B"], "ü");
    }
}
