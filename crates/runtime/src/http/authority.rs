//! The authority that a request calls the server by: the host and port of its URL or, where the URL has none, of its
//! `Host`.
//!
//! The guest is told it in `spin-full-url` and builds links from it, and a proxy in front may have read it to decide
//! who answers. So it is one host and perhaps a port, or the request is answered with 400 (RFC 9112, section 3.2).
//!
//! | request | |
//! | --- | --- |
//! | `Host: example.com:8080` | that |
//! | `GET http://example.com/ HTTP/1.1`, whichever its `Host` | `example.com` |
//! | no `Host`, or an empty one | no host |
//! | two `Host` | several hosts; which of them a proxy looked at, nobody knows |
//! | `Host: user@example.com`, `example.com/x`, `a b`, `example.com:99999` | a host that is none |

use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Request, Uri};

use super::router::LocalReply;

/// The host and port that `request` is for, as they were written.
pub(super) fn authority<B>(request: &Request<B>) -> Result<Authority, LocalReply> {
    find(request.uri(), request.headers())
}

/// The same of a request's URL and headers.
pub(super) fn find(uri: &Uri, headers: &HeaderMap) -> Result<Authority, LocalReply> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, further) = (hosts.next(), hosts.next());
    if further.is_some() {
        return Err(LocalReply::ManyHosts);
    }
    let host = host.filter(|host| !host.is_empty()).map(plain).transpose()?;
    match (uri.authority(), host) {
        (Some(authority), _) if !is_plain(authority) => Err(LocalReply::BadHost),
        (Some(authority), _) => Ok(authority.clone()),
        (None, Some(host)) => Ok(host),
        (None, None) => Err(LocalReply::NoHost),
    }
}

fn plain(host: &HeaderValue) -> Result<Authority, LocalReply> {
    let host = Authority::try_from(host.as_bytes()).map_err(|_| LocalReply::BadHost)?;
    if is_plain(&host) {
        Ok(host)
    } else {
        Err(LocalReply::BadHost)
    }
}

/// True if there is nothing but a host and a port. The host may be empty where a component calls its own app, whose
/// URL is `http://:80/` in Spin's SDKs.
fn is_plain(authority: &Authority) -> bool {
    match authority.as_str().strip_prefix(authority.host()) {
        Some("" | ":") => true,
        Some(_) => authority.port_u16().is_some(),
        // User information stands before the host.
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_one_host_or_for_none() {
        // (URL, values of `Host`, authority)
        let rows: &[(&str, &[&str], Result<&str, LocalReply>)] = &[
            ("/", &["example.com"], Ok("example.com")),
            ("/", &["example.com:8080"], Ok("example.com:8080")),
            ("/", &["example.com:"], Ok("example.com:")),
            ("/", &["127.0.0.1:3000"], Ok("127.0.0.1:3000")),
            ("/", &["[::1]:3000"], Ok("[::1]:3000")),
            ("http://example.com/", &[], Ok("example.com")),
            ("http://example.com/", &["other"], Ok("example.com")),
            ("http://:80/", &[], Ok(":80")),
            ("/", &[], Err(LocalReply::NoHost)),
            ("/", &[""], Err(LocalReply::NoHost)),
            ("/", &["a", "a"], Err(LocalReply::ManyHosts)),
            ("http://example.com/", &["a", "b"], Err(LocalReply::ManyHosts)),
            ("/", &["user@example.com"], Err(LocalReply::BadHost)),
            ("http://user@example.com/", &[], Err(LocalReply::BadHost)),
            ("http://good@evil@example.com/", &[], Err(LocalReply::BadHost)),
            ("/", &["example.com:99999"], Err(LocalReply::BadHost)),
            ("/", &["example.com:80x"], Err(LocalReply::BadHost)),
            ("/", &["example.com/x"], Err(LocalReply::BadHost)),
            ("/", &["example.com?x"], Err(LocalReply::BadHost)),
            ("/", &["example.com#x"], Err(LocalReply::BadHost)),
            ("http://example.com/", &[""], Ok("example.com")),
            (
                "http://example.com/",
                &["example.com/x"],
                Err(LocalReply::BadHost),
            ),
            ("/", &["a b"], Err(LocalReply::BadHost)),
            ("/", &["a\"<script>"], Err(LocalReply::BadHost)),
            ("/", &["http://example.com"], Err(LocalReply::BadHost)),
            ("/", &["a,b"], Ok("a,b")),
        ];
        for (url, hosts, expected) in rows {
            let mut request = Request::new(());
            let Ok(uri) = url.parse() else {
                assert_eq!(*expected, Err(LocalReply::BadHost), "{url}: not even a URL");
                continue;
            };
            *request.uri_mut() = uri;
            for host in *hosts {
                request.headers_mut().append(HOST, host.parse().unwrap());
            }
            let found = authority(&request);
            let found = found.as_ref().map(Authority::as_str).map_err(|reply| *reply);
            assert_eq!(found, *expected, "{url} {hosts:?}");
        }
    }
}
