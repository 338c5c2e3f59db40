//! What a guest may write for a host, and where it arrives: one table, on WASI 0.2 and 0.3.
//!
//! Nothing in a URL, a part of one, or a header leads a request elsewhere than to the host that was judged. Every
//! spelling of an address is that address, every spelling of a name that name; what could be read in two ways is
//! refused. A server at every address of the test's network writes down where each request arrived and with which
//! `Host`, so that a row is not believed because of its status.

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest;
use outport_e2e::http::{Closing, Origin, Request};
use outport_e2e::network::isolated;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::results;

/// A statement of the script guest, and what must become of it on WASI 0.2 and 0.3.
#[derive(Clone, Copy)]
struct Row {
    statement: &'static str,
    outcomes: [Outcome; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It arrives at 10.0.0.5, which the author allows, with this `Host` and this first line.
    Arrives(&'static str, &'static str),
    /// The guest gets this code, and the log has this reason.
    Denied(&'static str, &'static str),
    /// WASI's own rules do not take it: the guest gets this code, and nobody judges.
    NotTaken(&'static str),
}

use Outcome::{Arrives, Denied, NotTaken};

const fn row(statement: &'static str, outcome: Outcome) -> Row {
    Row {
        statement,
        outcomes: [outcome, outcome],
    }
}

const BAD_HOST: Outcome = Denied("HTTP-request-URI-invalid", "http.host");
const NO_AUTHORITY: &str = "invalid-authority";

/// The author allows `http://10.0.0.5:8080` and `http://good.test:8080`, which is there; `evil.test` is 10.0.0.6.
const ROWS: &[Row] = &[
    // What is meant, to show that the table can succeed.
    row(
        "http GET http://10.0.0.5:8080/a?b=c",
        Arrives("10.0.0.5:8080", "GET /a?b=c HTTP/1.1"),
    ),
    row(
        "http GET http://good.test:8080/",
        Arrives("good.test:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://evil.test:8080/",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    row(
        "http GET http://10.0.0.6:8080/",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    // User information, before and behind.
    row("http GET http://user@10.0.0.5:8080/", BAD_HOST),
    row("http GET http://user:secret@good.test:8080/", BAD_HOST),
    row("http GET http://good.test@evil.test:8080/", BAD_HOST),
    row("http GET http://@good.test:8080/", BAD_HOST),
    row("http.parts GET http user@good.test@evil.test:8080 /", BAD_HOST),
    row("http.parts GET http good.test:8080@evil.test /", BAD_HOST),
    row(
        "http.parts GET http evil.test#@good.test:8080 /",
        NotTaken(NO_AUTHORITY),
    ),
    row(
        "http.parts GET http good.test:8080#@evil.test /",
        NotTaken(NO_AUTHORITY),
    ),
    row(
        r"http.parts GET http good.test\@evil.test:8080 /",
        NotTaken(NO_AUTHORITY),
    ),
    row(
        r"http.parts GET http good.test:8080\.evil.test /",
        NotTaken(NO_AUTHORITY),
    ),
    row(
        "http.parts GET http good.test:8080/.evil.test /",
        NotTaken(NO_AUTHORITY),
    ),
    row(
        "http.parts GET http good.test:8080?.evil.test /",
        NotTaken(NO_AUTHORITY),
    ),
    // Names.
    row(
        "http GET http://good.test.:8080/",
        Arrives("good.test:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://GOOD.Test:8080/",
        Arrives("good.test:8080", "GET / HTTP/1.1"),
    ),
    row("http GET http://good.test..:8080/", BAD_HOST),
    row("http GET http://.good.test:8080/", BAD_HOST),
    row("http GET http://good..test:8080/", BAD_HOST),
    row("http GET http://ｇｏｏｄ.test:8080/", NotTaken(NO_AUTHORITY)),
    row("http GET http://good。test:8080/", NotTaken(NO_AUTHORITY)),
    row("http GET http://bücher.test:8080/", NotTaken(NO_AUTHORITY)),
    row(
        "http GET http://xn--bcher-kva.test:8080/",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    row("http GET http://%67ood.test:8080/", NotTaken(NO_AUTHORITY)),
    row(
        "http GET http://good.test%00.evil.test:8080/",
        NotTaken(NO_AUTHORITY),
    ),
    row(
        "http GET http://good_test:8080/",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    row("http GET http://*.test:8080/", BAD_HOST),
    // Addresses: every numeric form is the address that it is.
    row(
        "http GET http://10.0.0.5.:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://0xa000005:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://167772165:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://012.0.0.5:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://10.5:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://10.0.5:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://[::ffff:10.0.0.5]:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://[0:0:0:0:0:ffff:a00:5]:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://[::FFFF:A00:5]:8080/",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http GET http://167772166:8080/",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    row(
        "http GET http://0x7f000001:80/",
        Denied("destination-IP-prohibited", "runtime.loopback-port"),
    ),
    row(
        "http GET http://2130706433:80/",
        Denied("destination-IP-prohibited", "runtime.loopback-port"),
    ),
    row(
        "http GET http://0177.1:80/",
        Denied("destination-IP-prohibited", "runtime.loopback-port"),
    ),
    row(
        "http GET http://0:80/",
        Denied("destination-IP-prohibited", "hard.unspecified"),
    ),
    row(
        "http GET http://[::ffff:7f00:1]:80/",
        Denied("destination-IP-prohibited", "runtime.loopback-port"),
    ),
    row(
        "http GET http://0xa9fea9fe/",
        Denied("destination-IP-prohibited", "runtime.link-local"),
    ),
    row("http GET http://10.0.0.256:8080/", BAD_HOST),
    row("http GET http://10.0.0.5.6:8080/", BAD_HOST),
    row("http GET http://4294967296:8080/", BAD_HOST),
    row(
        "http GET http://0x:8080/",
        Denied("destination-IP-prohibited", "hard.unspecified"),
    ),
    row("http GET http://１０.0.0.5:8080/", NotTaken(NO_AUTHORITY)),
    row("http GET http://10。0。0。5:8080/", NotTaken(NO_AUTHORITY)),
    row("http GET http://[10.0.0.5]:8080/", BAD_HOST),
    row("http GET http://[fe80::1%251]:8080/", BAD_HOST),
    row("http GET http://[fe80::1%eth0]:8080/", BAD_HOST),
    // Ports.
    row(
        "http.parts GET http 10.0.0.5:0 /",
        Denied("HTTP-request-denied", "hard.port-zero"),
    ),
    row(
        "http.parts GET http 10.0.0.5:08080 /",
        Arrives("10.0.0.5:8080", "GET / HTTP/1.1"),
    ),
    row(
        "http.parts GET http 10.0.0.5 /",
        Denied("HTTP-request-denied", "allow.port"),
    ),
    row(
        "http.parts GET http 10.0.0.5: /",
        Denied("HTTP-request-denied", "allow.port"),
    ),
    row("http.parts GET http 10.0.0.5:65536 /", BAD_HOST),
    row("http GET http://10.0.0.5:65536/", BAD_HOST),
    row("http.parts GET http 10.0.0.5:73616 /", BAD_HOST),
    row("http.parts GET http 10.0.0.5:-8080 /", BAD_HOST),
    row("http.parts GET http 10.0.0.5:+8080 /", BAD_HOST),
    // Parts that are missing or of another kind.
    row(
        "http.parts GET http : /",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    row(
        "http.parts GET http :8080 /",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    // The app itself, as is a port alone.
    row(
        "http.parts GET http - /",
        Denied("HTTP-request-denied", "allow.no-match"),
    ),
    row(
        "http.parts GET - 10.0.0.5:8080 /",
        Denied("HTTP-request-denied", "allow.scheme"),
    ),
    row(
        "http.parts GET ftp 10.0.0.5:8080 /",
        NotTaken("HTTP-protocol-error"),
    ),
    row(
        "http.parts GET HTTP 10.0.0.5:8080 /",
        NotTaken("HTTP-protocol-error"),
    ),
    row(
        "http.parts CONNECT http 10.0.0.5:8080 /",
        Denied("HTTP-request-denied", "http.connect-method"),
    ),
    row(
        "http.parts Connect http 10.0.0.5:8080 /",
        Denied("HTTP-request-denied", "http.connect-method"),
    ),
    // Paths that look like somebody else's address.
    row(
        "http.parts GET http good.test:8080 ?a=b",
        Arrives("good.test:8080", "GET /?a=b HTTP/1.1"),
    ),
    row(
        "http.parts GET http good.test:8080 ?@evil.test:8080/",
        Arrives("good.test:8080", "GET /?@evil.test:8080/ HTTP/1.1"),
    ),
    row(
        "http.parts GET http good.test:8080 //evil.test/",
        Arrives("good.test:8080", "GET //evil.test/ HTTP/1.1"),
    ),
    row(
        "http.parts GET http good.test:8080 /http://evil.test/",
        Arrives("good.test:8080", "GET /http://evil.test/ HTTP/1.1"),
    ),
    row(
        "http.parts GET http good.test:8080 http://evil.test:8080/",
        NotTaken("invalid-path"),
    ),
    row(
        "http.parts GET http good.test:8080 evil.test:8080",
        NotTaken("invalid-path"),
    ),
    row(
        "http.parts GET http good.test:8080 @evil.test/",
        NotTaken("invalid-path"),
    ),
    row(
        "http.parts GET http good.test:8080 .evil.test/",
        NotTaken("invalid-path"),
    ),
    row(
        "http.parts OPTIONS http good.test:8080 *",
        NotTaken("invalid-path"),
    ),
    // Headers.
    row(
        "http GET http://good.test:8080/ Host=evil.test",
        NotTaken("header-error"),
    ),
    row(
        "http GET http://good.test:8080/ HOST=evil.test",
        NotTaken("header-error"),
    ),
    row(
        "http GET http://good.test:8080/ :authority=evil.test",
        NotTaken("header-error"),
    ),
    row(
        "http GET http://good.test:8080/ Connection=Host",
        NotTaken("header-error"),
    ),
    row(
        "http GET http://good.test:8080/ Transfer-Encoding=chunked",
        NotTaken("header-error"),
    ),
    row(
        "http GET http://good.test:8080/ X-Forwarded-Host=evil.test",
        Arrives("good.test:8080", "GET / HTTP/1.1"),
    ),
];

// proves: AL-6, DNS-13, HL-7
#[test]
fn every_spelling_of_a_host_is_that_host_and_what_is_ambiguous_reaches_nobody() {
    isolated(|| {
        let dns = DnsServer::start();
        dns.answers("good.test", [Reply::addresses(["10.0.0.5"])]);
        dns.answers("evil.test", [Reply::addresses(["10.0.0.6"])]);
        let origins = [8080, 80].map(|port| Origin::start_on(("::", port), "here", Closing::Always));
        for (version, script_guest) in ["script-guest", "script-guest-p3"].into_iter().enumerate() {
            let before = origins[0].requests().len();
            let run = Outport::run(guest::path(script_guest)).allow("http://{10.0.0.5,good.test}:8080");
            let statements = ROWS.iter().map(|row| row.statement);
            let finished = run.dns(&dns).args(statements).finish().expect_code(0);
            check(version, &finished, &origins[0].requests()[before..]);
        }
        assert_eq!(origins[1].accepted(), 0, "port 80 was allowed to nobody");
    });
}

fn check(version: usize, finished: &Finished, requests: &[Request]) {
    let (mut arrived, mut denials) = (requests.iter(), finished.reasons().into_iter());
    let results = results(&finished.stdout);
    assert_eq!(results.len(), ROWS.len(), "{finished}");
    for (Row { statement, outcomes }, result) in ROWS.iter().zip(results) {
        let shown = format!("{statement} => {result}\n{finished}");
        match outcomes[version] {
            Arrives(host, line) => {
                let request = arrived.next().map(as_it_arrived);
                assert_eq!(request, Some((host.to_owned(), line.to_owned())), "{shown}");
                assert_eq!(result, "200", "{shown}");
            }
            Denied(code, reason) => {
                assert_eq!(denials.next().as_deref(), Some(reason), "{shown}");
                assert_eq!(result, code, "{shown}");
            }
            NotTaken(code) => assert_eq!(result, code, "{shown}"),
        }
    }
    assert_eq!((arrived.next(), denials.next()), (None, None), "{finished}");
}

/// `Host` and first line.
///
/// # Panics
///
/// If the request did not come to the address that is allowed, or has more than one `Host`.
fn as_it_arrived(request: &Request) -> (String, String) {
    assert_eq!(request.at.to_string(), "10.0.0.5:8080", "{request:?}");
    let hosts = request.headers.iter().filter(|(name, _)| name == "host");
    let hosts: Vec<&str> = hosts.map(|(_, value)| value.as_str()).collect();
    assert_eq!(hosts.len(), 1, "{request:?}");
    (hosts[0].to_owned(), request.line.clone())
}
