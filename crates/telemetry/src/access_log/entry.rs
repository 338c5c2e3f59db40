//! What an access log says of a request, with a bound on each value that a client chose.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use http::header::{HOST, HeaderMap, HeaderName, REFERER, USER_AGENT};
use http::uri::{Authority, Uri};
use http::{Method, Version};
use outport_runtime::http::RequestRecord;

/// A request that is over. Values of headers are bytes: nobody says what characters they mean.
pub(super) struct Entry<'a> {
    pub(super) began: SystemTime,
    pub(super) duration: Duration,
    pub(super) client: SocketAddr,
    pub(super) method: Cow<'a, [u8]>,
    pub(super) target: Cow<'a, [u8]>,
    pub(super) protocol: &'static str,
    pub(super) scheme: &'a str,
    pub(super) host: Option<Cow<'a, [u8]>>,
    pub(super) referer: Option<Cow<'a, [u8]>>,
    pub(super) user_agent: Option<Cow<'a, [u8]>>,
    pub(super) component: Option<&'a str>,
    pub(super) route: Option<&'a str>,
    pub(super) status: u16,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) complete: bool,
    pub(super) trace_id: Option<u128>,
    pub(super) is_sampled: bool,
}

impl<'a> Entry<'a> {
    pub(super) fn of(request: &RequestRecord<'a>) -> Self {
        let target = request.target;
        Self {
            began: request.began,
            duration: request.duration,
            client: canonical(request.client),
            method: cut(request.method.as_str().as_bytes(), MOST_OF_METHOD),
            target: target_of(request.method, target, request.version),
            protocol: protocol(request.version),
            scheme: request.scheme.as_str(),
            host: host(target, request.headers),
            referer: header(request.headers, &REFERER, MOST_OF_REFERER, without_users),
            user_agent: header(request.headers, &USER_AGENT, MOST_OF_USER_AGENT, as_it_is),
            component: request.component,
            route: request.route,
            status: request.status.as_u16(),
            sent: request.sent,
            received: request.received,
            complete: request.is_whole,
            trace_id: request.trace_id,
            is_sampled: request.is_sampled,
        }
    }
}

/// A client of IPv4 at a socket of IPv6 is one of IPv4.
fn canonical(client: SocketAddr) -> SocketAddr {
    let address: IpAddr = client.ip().to_canonical();
    SocketAddr::new(address, client.port())
}

/// The target as a request of HTTP/1.1 has it, without a user and a password in it. HTTP/2 says scheme and host by
/// themselves, and servers log the path alone.
fn target_of<'a>(method: &Method, target: &'a Uri, version: Version) -> Cow<'a, [u8]> {
    let path = target.path_and_query().map_or("", |path| path.as_str());
    let Some(authority) = target.authority() else {
        return cut(path.as_bytes(), MOST_OF_TARGET);
    };
    let host = host_of(authority);
    if method == Method::CONNECT {
        return cut(host.as_bytes(), MOST_OF_TARGET);
    }
    match target.scheme_str() {
        Some(scheme) if version <= Version::HTTP_11 => {
            let whole = format!("{scheme}://{host}{path}");
            Cow::Owned(cut(whole.as_bytes(), MOST_OF_TARGET).into_owned())
        }
        _ => cut(path.as_bytes(), MOST_OF_TARGET),
    }
}

/// The host that was asked for, with its port if one was written.
fn host<'a>(target: &'a Uri, headers: &'a HeaderMap) -> Option<Cow<'a, [u8]>> {
    match target.authority() {
        Some(authority) => Some(cut(host_of(authority).as_bytes(), MOST_OF_HOST)),
        None => header(headers, &HOST, MOST_OF_HOST, |host| {
            let user = host.iter().rposition(|byte| *byte == b'@');
            Cow::Borrowed(&host[user.map_or(0, |at| at + 1)..])
        }),
    }
}

/// Host and port; what comes before is a user and a password.
fn host_of(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

/// The values of a header, as one. Each is cleaned while it is whole: what is cut has perhaps no end by which a password could
/// be told.
fn header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    most: usize,
    clean: fn(&[u8]) -> Cow<'_, [u8]>,
) -> Option<Cow<'a, [u8]>> {
    let mut values = headers.get_all(name).iter().map(|value| clean(value.as_bytes()));
    let mut all = values.next()?;
    for value in values {
        if all.len() > most {
            break;
        }
        let all = all.to_mut();
        all.extend_from_slice(b", ");
        all.extend_from_slice(&value);
    }
    Some(match all {
        Cow::Borrowed(value) => cut(value, most),
        Cow::Owned(value) => Cow::Owned(cut(&value, most).into_owned()),
    })
}

fn as_it_is(value: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(value)
}

/// A text without the users and passwords of the URLs in it, which browsers leave out by themselves. What browsers take for
/// one counts: any number of slashes and backslashes behind the scheme, or two without one.
fn without_users(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'@') {
        return Cow::Borrowed(text);
    }
    let mut clean = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut authority = behind_scheme(text);
    while let Some(begin) = authority.or_else(|| behind_slashes(rest)) {
        let (before, after) = rest.split_at(begin);
        let ends = |byte: &u8| matches!(byte, b'/' | b'\\' | b'?' | b'#');
        let end = after.iter().position(ends).unwrap_or(after.len());
        let user = after[..end].iter().rposition(|byte| *byte == b'@');
        clean.extend_from_slice(before);
        clean.extend_from_slice(&after[user.map_or(0, |at| at + 1)..end]);
        rest = &after[end..];
        authority = None;
    }
    clean.extend_from_slice(rest);
    Cow::Owned(clean)
}

/// Where a host may be in a text that begins with a scheme.
fn behind_scheme(text: &[u8]) -> Option<usize> {
    let of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let begin = text.len() - text.trim_ascii_start().len();
    let scheme = text[begin..].iter().take_while(|byte| of_scheme(byte)).count();
    let colon = begin + scheme;
    (scheme > 0 && text.get(colon) == Some(&b':')).then(|| colon + 1 + slashes(&text[colon + 1..]))
}

/// Where a host may be in a text that has two slashes.
fn behind_slashes(text: &[u8]) -> Option<usize> {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let two = text.windows(2).position(|two| two.iter().all(is_slash))?;
    Some(two + slashes(&text[two..]))
}

/// The number of slashes, backslashes and spaces that it begins with.
fn slashes(text: &[u8]) -> usize {
    let is_one = |byte: &&u8| matches!(byte, b'/' | b'\\' | b' ' | b'\t');
    text.iter().take_while(is_one).count()
}

/// As many bytes of it, and three dots where there were more.
fn cut(value: &[u8], most: usize) -> Cow<'_, [u8]> {
    match value.get(..most) {
        Some(begin) if value.len() > most => Cow::Owned([begin, b"..."].concat()),
        _ => Cow::Borrowed(value),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// Bytes of a method, which a client may make up.
const MOST_OF_METHOD: usize = 32;

/// Bytes of a target.
const MOST_OF_TARGET: usize = 4096;

/// Bytes of a host and a port.
const MOST_OF_HOST: usize = 261;

/// Bytes of the URL that somebody came from.
const MOST_OF_REFERER: usize = 2048;

/// Bytes of a client's name.
const MOST_OF_USER_AGENT: usize = 512;

#[cfg(test)]
pub(super) mod tests {
    use std::time::UNIX_EPOCH;

    use http::header::HeaderValue;

    use super::*;

    pub(in crate::access_log) fn entry() -> Entry<'static> {
        Entry {
            began: UNIX_EPOCH + Duration::from_millis(1_772_357_400_125),
            duration: Duration::from_micros(12_345),
            client: "127.0.0.1:40000".parse().unwrap(),
            method: Cow::Borrowed(b"GET"),
            target: Cow::Borrowed(b"/a/b?c=d"),
            protocol: "HTTP/1.1",
            scheme: "http",
            host: Some(Cow::Borrowed(b"example.com:3000")),
            referer: Some(Cow::Borrowed(b"http://example.com/")),
            user_agent: Some(Cow::Borrowed(b"curl/8.5.0")),
            component: Some("web"),
            route: Some("/a/..."),
            status: 200,
            sent: 1234,
            received: 5,
            complete: true,
            trace_id: Some(0xaf76_51f0_0000_0000_0000_0000_0000_0001),
            is_sampled: true,
        }
    }

    #[test]
    fn a_target_is_written_as_servers_do_without_a_password() {
        let rows = [
            ("GET", "/a?b=c", Version::HTTP_11, "/a?b=c"),
            (
                "GET",
                "http://example.com/a?b",
                Version::HTTP_11,
                "http://example.com/a?b",
            ),
            (
                "GET",
                "http://user:secret@example.com:80/a",
                Version::HTTP_11,
                "http://example.com:80/a",
            ),
            (
                "GET",
                "http://user:s%40@[::1]:80/a",
                Version::HTTP_10,
                "http://[::1]:80/a",
            ),
            (
                "GET",
                "https://user:secret@example.com/a?b",
                Version::HTTP_2,
                "/a?b",
            ),
            ("GET", "https://example.com", Version::HTTP_2, "/"),
            ("OPTIONS", "*", Version::HTTP_11, "*"),
            ("CONNECT", "example.com:443", Version::HTTP_11, "example.com:443"),
            (
                "CONNECT",
                "me:secret@example.com:443",
                Version::HTTP_11,
                "example.com:443",
            ),
        ];
        for (method, uri, version, expected) in rows {
            let (method, uri): (Method, Uri) = (method.parse().unwrap(), uri.parse().unwrap());
            let target = target_of(&method, &uri, version);
            assert_eq!(
                String::from_utf8_lossy(&target),
                expected,
                "{method} {uri} {version:?}"
            );
        }
    }

    #[test]
    fn what_a_client_chose_is_bounded() {
        let long = "x".repeat(100_000);
        let mut headers = HeaderMap::new();
        for _ in 0..50 {
            headers.append(REFERER, HeaderValue::from_str(&long).unwrap());
        }
        let referer = header(&headers, &REFERER, MOST_OF_REFERER, without_users).unwrap();
        assert_eq!(referer.len(), MOST_OF_REFERER + 3);
        assert!(referer.ends_with(b"x..."));
        let uri: Uri = format!("/{}", "y".repeat(60_000)).parse().unwrap();
        let target = target_of(&Method::GET, &uri, Version::HTTP_11);
        assert_eq!(target.len(), MOST_OF_TARGET + 3);
        for (length, expected) in [(0, 0), (31, 31), (32, 32), (33, 35)] {
            assert_eq!(
                cut(&long.as_bytes()[..length], MOST_OF_METHOD).len(),
                expected,
                "{length}"
            );
        }
    }

    #[test]
    fn headers_are_one_value_and_no_header_is_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(header(&headers, &USER_AGENT, 100, as_it_is), None);
        headers.append(USER_AGENT, HeaderValue::from_static(""));
        assert_eq!(
            header(&headers, &USER_AGENT, 100, as_it_is).unwrap(),
            b"".as_slice()
        );
        headers.append(USER_AGENT, HeaderValue::from_static("b"));
        assert_eq!(
            header(&headers, &USER_AGENT, 100, as_it_is).unwrap(),
            b", b".as_slice()
        );
    }

    #[test]
    fn the_host_is_the_targets_or_the_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("example.org:80"));
        let rows = [
            ("/a", "example.org:80"),
            ("https://me:secret@example.com/a", "example.com"),
        ];
        for (uri, expected) in rows {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(host(&uri, &headers).unwrap(), expected.as_bytes(), "{uri}");
        }
        assert_eq!(host(&"/a".parse().unwrap(), &HeaderMap::new()), None);
    }

    #[test]
    fn a_referer_says_no_password() {
        let rows = [
            ("https://me:secret@example.com/a@b", "https://example.com/a@b"),
            ("https://me@sec@ret@example.com", "https://example.com"),
            (
                "https://example.com/?mail=me@example.org",
                "https://example.com/?mail=me@example.org",
            ),
            ("/path/me@example.org", "/path/me@example.org"),
            ("me@example.com", "me@example.com"),
            ("", ""),
            ("://@", "://"),
            // What browsers take for a URL (https://url.spec.whatwg.org, section 4.4).
            ("//me:secret@example.com/", "//example.com/"),
            ("http:\\\\me:secret@example.com\\a@b", "http:\\\\example.com\\a@b"),
            ("http:me:secret@example.com", "http:example.com"),
            ("http:/me:secret@example.com", "http:/example.com"),
            ("http:////me:secret@example.com", "http:////example.com"),
            (" http:/\t/me:sec ret@example.com", " http:/\t/example.com"),
            ("ht\ttp://me:secret@example.com", "ht\ttp://example.com"),
            // Several in one.
            (
                "http://a.example/, http://me:secret@b.example/",
                "http://a.example/, http://b.example/",
            ),
            (
                "https://a.example/?next=https://me:secret@b.example/",
                "https://a.example/?next=https://b.example/",
            ),
        ];
        for (url, expected) in rows {
            let shown = without_users(url.as_bytes());
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_left_out_before_values_are_joined_or_cut() {
        let mut headers = HeaderMap::new();
        let long = format!("http://me:{}@example.com/", "s".repeat(2 * MOST_OF_REFERER));
        for referer in ["http://a.example/", long.as_str(), "//me:s@b.example/"] {
            headers.append(REFERER, HeaderValue::from_str(referer).unwrap());
        }
        let referer = header(&headers, &REFERER, MOST_OF_REFERER, without_users).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&referer),
            "http://a.example/, http://example.com/, //b.example/"
        );
        let long = format!("me:{}@example.com", "s".repeat(2 * MOST_OF_HOST));
        for value in ["me:secret@example.com:80", &long] {
            headers.append(HOST, HeaderValue::from_str(value).unwrap());
        }
        let target: Uri = "/".parse().unwrap();
        let host = host(&target, &headers).unwrap();
        assert_eq!(String::from_utf8_lossy(&host), "example.com:80, example.com");
    }

    #[test]
    fn a_client_of_ipv4_is_one_at_a_socket_of_ipv6_too() {
        let rows = [
            ("[::ffff:192.0.2.7]:5", "192.0.2.7:5"),
            ("[2001:db8::7]:5", "[2001:db8::7]:5"),
            ("192.0.2.7:5", "192.0.2.7:5"),
        ];
        for (client, expected) in rows {
            assert_eq!(canonical(client.parse().unwrap()).to_string(), expected);
        }
    }
}
