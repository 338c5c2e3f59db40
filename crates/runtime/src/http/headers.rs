//! The headers by which Spin tells a guest how its request was routed.
//!
//! | header | for `GET /shop/items/7?x=1` on the route `/shop/:kind/...` |
//! | --- | --- |
//! | `spin-full-url` | `http://example.com/shop/items/7?x=1` |
//! | `spin-path-info` | `/7` |
//! | `spin-matched-route` | `/shop/:kind/...` |
//! | `spin-raw-component-route` | `/shop/:kind/...` |
//! | `spin-component-route` | `/shop/:kind` |
//! | `spin-base-path` | `/` |
//! | `spin-client-addr` | `203.0.113.9:50412` |
//! | `spin-path-match-kind` | `items` |
//! | `spin-client-cert` | `:MIIB…:`, the certificate that the client has shown, if it was asked for one: DER, in base64 between colons (RFC 9440, section 2.2) |
//!
//! The last one is Outport's own, and the URL begins with `https://` where TLS is spoken.
//!
//! A guest believes them, so whatever a client sent under a `spin-` name is removed first, with `_` for `-` as well: to
//! a guest that makes variables of headers, as CGI does, both are one.

use std::net::SocketAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;
use outport_manifest::PathRoute;

use super::tls::TlsFacts;

/// The headers that are the same for every request on a route, made once.
#[derive(Debug)]
pub(super) struct RouteHeaders {
    matched: HeaderValue,
    written: HeaderValue,
    prefix: HeaderValue,
}

/// The parts of a request that the headers tell.
pub(super) struct Described<'a> {
    pub(super) authority: &'a str,
    pub(super) path_and_query: &'a str,
    pub(super) rest: &'a str,
    pub(super) named: &'a [(&'a str, &'a str)],
    pub(super) client: SocketAddr,
    /// None of a request in the clear, or of a component of the app.
    pub(super) tls: Option<&'a TlsFacts>,
}

const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");
const CLIENT_CERT: HeaderName = HeaderName::from_static("spin-client-cert");

impl RouteHeaders {
    pub(super) fn of(route: &PathRoute) -> Self {
        let written = route.as_str();
        let prefix = written.strip_suffix("/...").unwrap_or(written);
        Self {
            matched: value(&matched(written)),
            written: value(written),
            prefix: value(prefix),
        }
    }

    /// Replaces all `spin-` headers of a request by what is true of it.
    pub(super) fn put_into(&self, headers: &mut HeaderMap, request: &Described<'_>) {
        remove_claims(headers);
        let scheme = match request.tls {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        };
        let url = format!("{scheme}://{}{}", request.authority, request.path_and_query);
        headers.insert(FULL_URL, value(&url));
        headers.insert(PATH_INFO, value(request.rest));
        headers.insert(MATCHED_ROUTE, self.matched.clone());
        headers.insert(RAW_COMPONENT_ROUTE, self.written.clone());
        headers.insert(COMPONENT_ROUTE, self.prefix.clone());
        headers.insert(BASE_PATH, HeaderValue::from_static("/"));
        headers.insert(CLIENT_ADDR, value(&request.client.to_string()));
        if let Some(certificate) = request.tls.and_then(TlsFacts::client_certificate) {
            headers.insert(CLIENT_CERT, certificate.clone());
        }
        for (name, text) in request.named {
            // A route may use a name that no header can have; such a segment stays untold.
            if let Ok(name) = HeaderName::try_from(format!("spin-path-match-{}", name.to_ascii_lowercase())) {
                headers.insert(name, value(text));
            }
        }
    }
}

/// A route as Spin tells it: with a slash at the beginning and none at the end, so nothing for the root.
fn matched(route: &str) -> String {
    let route = route.strip_prefix('/').unwrap_or(route);
    let route = format!("/{route}");
    route.strip_suffix('/').unwrap_or(&route).to_owned()
}

fn remove_claims(headers: &mut HeaderMap) {
    let claims: Vec<_> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()))
        .cloned()
        .collect();
    for claim in claims {
        headers.remove(claim);
    }
}

fn is_claim(name: &str) -> bool {
    name.strip_prefix("spin")
        .is_some_and(|rest| rest.starts_with(['-', '_']))
}

/// Everything that comes here was part of a request line or of a header already, or was read as a route; what
/// cannot be a header all the same is left empty.
fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matched_route_begins_with_a_slash_and_does_not_end_with_one() {
        let rows = [
            ("/", ""),
            ("/a", "/a"),
            ("a", "/a"),
            ("/a/", "/a"),
            ("a/b/", "/a/b"),
            ("/...", "/..."),
            ("...", "/..."),
            ("/a/...", "/a/..."),
            ("/:x/", "/:x"),
        ];
        for (route, told) in rows {
            assert_eq!(matched(route), told, "{route}");
        }
    }

    #[test]
    fn the_headers_tell_how_a_request_was_routed_and_nothing_a_client_claims() {
        let route = PathRoute::parse("/shop/:Kind/...").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("spin-client-addr", HeaderValue::from_static("1.2.3.4:5"));
        headers.append("spin-client-addr", HeaderValue::from_static("1.2.3.4:6"));
        headers.insert("spin-path-match-admin", HeaderValue::from_static("yes"));
        headers.insert("spin_client_addr", HeaderValue::from_static("1.2.3.4:7"));
        headers.insert("spin-client-cert", HeaderValue::from_static(":AAEC:"));
        headers.insert("spinner", HeaderValue::from_static("kept"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        RouteHeaders::of(&route).put_into(
            &mut headers,
            &Described {
                authority: "example.com:80",
                path_and_query: "/shop/items/7?x=1",
                rest: "/7",
                named: &[("Kind", "items")],
                client: SocketAddr::from(([203, 0, 113, 9], 50412)),
                tls: None,
            },
        );
        let mut told: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                ("accept", "*/*"),
                ("spin-base-path", "/"),
                ("spin-client-addr", "203.0.113.9:50412"),
                ("spin-component-route", "/shop/:Kind"),
                ("spin-full-url", "http://example.com:80/shop/items/7?x=1"),
                ("spin-matched-route", "/shop/:Kind/..."),
                ("spin-path-info", "/7"),
                ("spin-path-match-kind", "items"),
                ("spin-raw-component-route", "/shop/:Kind/..."),
                ("spinner", "kept"),
            ]
        );
    }
}
