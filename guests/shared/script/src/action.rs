//! What a statement can do, and the text that says so.
//!
//! Words are separated by white space, the verb first. Texts to send are the rest of the statement, verbatim
//! but for the escapes of [`crate::text`]. Sockets and look-ups are kept by name: `as NAME` keeps what the
//! statement made, `on NAME` uses what an earlier one kept; without either it ends with the statement.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::text::unescape;
use crate::world::{Direction, Family, HttpRequest};

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Creates a TCP socket and does nothing with it.
    TcpCreate(Family, SocketRef),
    /// Binds a TCP socket.
    TcpBind(SocketAddr, SocketRef),
    /// Connects a TCP socket.
    TcpConnect(SocketAddr, SocketRef),
    /// Listens on a TCP socket; one of the family given if it names none.
    TcpListen(Family, SocketRef),
    /// Accepts a connection from the first name and keeps it as the second.
    TcpAccept(String, Option<String>),
    /// Sends bytes.
    TcpSend(String, Vec<u8>),
    /// Receives what comes first.
    TcpReceive(String, Duration),
    /// Shuts a connection down.
    TcpShutdown(String, Direction),
    /// Sends 64 bytes and waits for 64, so many times.
    TcpPing(String, usize),
    /// Sends so many zero bytes.
    TcpUpload(String, u64),
    /// Receives to the end and counts.
    TcpDownload(String),
    /// The local address of a TCP or UDP socket.
    Local(String),
    /// The address that a TCP socket is connected to.
    Remote(String),
    /// Creates a UDP socket and does nothing with it.
    UdpCreate(Family, SocketRef),
    /// Binds a UDP socket.
    UdpBind(SocketAddr, SocketRef),
    /// Connects a UDP socket.
    UdpConnect(SocketAddr, SocketRef),
    /// Sends a datagram, to the connected peer if there is no address.
    UdpSend(String, Option<SocketAddr>, Vec<u8>),
    /// The datagrams that come first.
    UdpReceive(String, Duration),
    /// All datagrams of a span of time.
    UdpCollect(String, Duration),
    /// Sends a datagram of 64 bytes to the connected peer and waits for one, so many times.
    UdpPing(String, usize),
    /// Looks a name up and waits for all addresses.
    Lookup(String),
    /// Starts to look the first name up, and keeps the look-up as the second.
    LookupStart(String, String),
    /// The next address of a look-up.
    LookupNext(String),
    /// All addresses that a look-up has left.
    LookupRead(String),
    /// Drops a socket or look-up.
    Drop(String),
    /// Sends an HTTP request.
    Http(HttpRequest, Show),
    /// Reads a file below the first directory that the guest was given.
    FileRead(String),
    /// Makes such a file.
    FileWrite(String, Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Computes for so long without waiting for anything.
    Spin(Duration),
    /// Allocates and touches so many bytes, and keeps them.
    Allocate(usize),
    /// The value of an environment variable, or all of them.
    Environment(Option<String>),
    /// The command line.
    Arguments,
    /// Says a text.
    Print(String),
    /// Executes an unreachable instruction.
    Trap,
    /// Ends the guest.
    Exit(u8),
    /// Performs the action and says how long it took.
    Timed(Box<Action>),
    /// Performs each action and counts the results.
    Repeat(Vec<Action>),
    /// Performs each action and says the median time.
    Median(Vec<Action>),
}

/// Where the socket of a statement comes from and goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketRef {
    /// A fresh one, kept by that name if the statement succeeds, else dropped.
    Fresh(Option<String>),
    /// One that an earlier statement kept.
    Kept(String),
}

/// What to print of an HTTP answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The status.
    Status,
    /// The status and the start of the body.
    Text,
    /// The status and the length of the body.
    Length,
}

/// A text that is not a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    statement: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a statement", self.statement)
    }
}

impl Error for Mistake {}

impl FromStr for Action {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        prefixed(text).or_else(|| parse(text)).ok_or_else(|| Mistake {
            statement: text.to_owned(),
        })
    }
}

/// The statements that take another statement.
fn prefixed(text: &str) -> Option<Action> {
    let (prefix, rest) = text.split_once(char::is_whitespace)?;
    match prefix {
        "timed" => Some(Action::Timed(rest.trim_start().parse().ok().map(Box::new)?)),
        "repeat" => iterations(rest).map(Action::Repeat),
        "median" => iterations(rest).map(Action::Median),
        _ => None,
    }
}

/// `N STATEMENT` as N actions, with the number of each in place of `{}`.
fn iterations(text: &str) -> Option<Vec<Action>> {
    let (count, statement) = text.trim_start().split_once(char::is_whitespace)?;
    let count: usize = count.parse().ok().filter(|count| *count > 0)?;
    (1..=count)
        .map(|n| statement.trim_start().replace("{}", &n.to_string()).parse().ok())
        .collect()
}

fn parse(text: &str) -> Option<Action> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let action = match words.as_slice() {
        ["tcp.create", family, to @ ..] => Action::TcpCreate(parse_family(family)?, parse_socket_ref(to)?),
        ["tcp.bind", local, to @ ..] => Action::TcpBind(local.parse().ok()?, parse_socket_ref(to)?),
        ["tcp.connect", remote, to @ ..] => Action::TcpConnect(remote.parse().ok()?, parse_socket_ref(to)?),
        ["tcp.listen", "on", name] => Action::TcpListen(Family::Ipv4, SocketRef::Kept(name.to_string())),
        ["tcp.listen", family, to @ ..] => Action::TcpListen(parse_family(family)?, parse_socket_ref(to)?),
        ["tcp.accept", "on", from] => Action::TcpAccept(from.to_string(), None),
        ["tcp.accept", "on", from, "as", name] => Action::TcpAccept(from.to_string(), Some(name.to_string())),
        ["tcp.send", name, _, ..] => Action::TcpSend(name.to_string(), unescape(after(text, 2))),
        ["tcp.recv", name] => Action::TcpReceive(name.to_string(), RECEIVE_TIMEOUT),
        ["tcp.recv", name, ms] => Action::TcpReceive(name.to_string(), milliseconds(ms)?),
        ["tcp.shutdown", name, half] => Action::TcpShutdown(name.to_string(), parse_direction(half)?),
        ["tcp.ping", name, rounds] => {
            Action::TcpPing(name.to_string(), rounds.parse().ok().filter(|n| *n > 0)?)
        }
        ["tcp.upload", name, bytes] => Action::TcpUpload(name.to_string(), bytes.parse().ok()?),
        ["tcp.download", name] => Action::TcpDownload(name.to_string()),
        ["udp.create", family, to @ ..] => Action::UdpCreate(parse_family(family)?, parse_socket_ref(to)?),
        ["udp.bind", local, to @ ..] => Action::UdpBind(local.parse().ok()?, parse_socket_ref(to)?),
        ["udp.connect", remote, to @ ..] => Action::UdpConnect(remote.parse().ok()?, parse_socket_ref(to)?),
        ["udp.send", name, _, ..] => Action::UdpSend(name.to_string(), None, unescape(after(text, 2))),
        ["udp.send-to", name, to, _, ..] => {
            Action::UdpSend(name.to_string(), Some(to.parse().ok()?), unescape(after(text, 3)))
        }
        ["udp.recv", name, ms] => Action::UdpReceive(name.to_string(), milliseconds(ms)?),
        ["udp.ping", name, rounds] => {
            Action::UdpPing(name.to_string(), rounds.parse().ok().filter(|n| *n > 0)?)
        }
        ["udp.collect", name, ms] => Action::UdpCollect(name.to_string(), milliseconds(ms)?),
        ["dns.lookup", name] => Action::Lookup(name.to_string()),
        ["dns.start", name, "as", kept] => Action::LookupStart(name.to_string(), kept.to_string()),
        ["dns.next", name] => Action::LookupNext(name.to_string()),
        ["dns.read", name] => Action::LookupRead(name.to_string()),
        ["local", name] => Action::Local(name.to_string()),
        ["remote", name] => Action::Remote(name.to_string()),
        ["drop", name] => Action::Drop(name.to_string()),
        ["http", method, url, headers @ ..] => http(method, url, headers, 0, Show::Status)?,
        ["http.text", method, url, headers @ ..] => http(method, url, headers, 0, Show::Text)?,
        ["http.length", method, url, headers @ ..] => http(method, url, headers, 0, Show::Length)?,
        ["http.upload", bytes, url, headers @ ..] => {
            http("POST", url, headers, bytes.parse().ok()?, Show::Text)?
        }
        ["http.parts", method, scheme, authority, path, headers @ ..] => {
            let request = HttpRequest {
                method: method.to_string(),
                scheme: part(scheme),
                authority: part(authority),
                path: part(path),
                headers: parse_headers(headers)?,
                body: 0,
            };
            Action::Http(request, Show::Status)
        }
        ["file.read", path] => Action::FileRead(path.to_string()),
        ["file.write", path, _, ..] => Action::FileWrite(path.to_string(), unescape(after(text, 2))),
        ["wait", ms] => Action::Wait(milliseconds(ms)?),
        ["spin", ms] => Action::Spin(milliseconds(ms)?),
        ["alloc", bytes] => Action::Allocate(bytes.parse().ok()?),
        ["env"] => Action::Environment(None),
        ["env", name] => Action::Environment(Some(name.to_string())),
        ["args"] => Action::Arguments,
        ["print", ..] => Action::Print(after(text, 1).to_owned()),
        ["trap"] => Action::Trap,
        ["exit", code] => Action::Exit(code.parse().ok()?),
        _ => return None,
    };
    Some(action)
}

/// How long a statement without a time of its own waits for a peer.
pub(crate) const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What follows the first `words` words, verbatim.
fn after(text: &str, words: usize) -> &str {
    (0..words).fold(text, |rest, _| {
        rest.split_once(char::is_whitespace)
            .map_or("", |(_, rest)| rest.trim_start())
    })
}

fn parse_family(word: &str) -> Option<Family> {
    match word {
        "ipv4" => Some(Family::Ipv4),
        "ipv6" => Some(Family::Ipv6),
        _ => None,
    }
}

fn parse_socket_ref(words: &[&str]) -> Option<SocketRef> {
    match words {
        [] => Some(SocketRef::Fresh(None)),
        ["as", name] => Some(SocketRef::Fresh(Some(name.to_string()))),
        ["on", name] => Some(SocketRef::Kept(name.to_string())),
        _ => None,
    }
}

fn parse_direction(word: &str) -> Option<Direction> {
    match word {
        "receive" => Some(Direction::Receive),
        "send" => Some(Direction::Send),
        "both" => Some(Direction::Both),
        _ => None,
    }
}

fn milliseconds(word: &str) -> Option<Duration> {
    word.parse().ok().map(Duration::from_millis)
}

/// A request to a URL. It is cut apart, not judged: what a host makes of an odd one is what a script may be about.
fn http(method: &str, url: &str, headers: &[&str], body: u64, show: Show) -> Option<Action> {
    let (scheme, rest) = url.split_once("://")?;
    let path = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path);
    let request = HttpRequest {
        method: method.to_owned(),
        scheme: Some(scheme.to_owned()),
        authority: Some(authority.to_owned()),
        path: Some(if path.is_empty() { "/" } else { path }.to_owned()),
        headers: parse_headers(headers)?,
        body,
    };
    Some(Action::Http(request, show))
}

fn parse_headers(words: &[&str]) -> Option<Vec<(String, String)>> {
    words
        .iter()
        .map(|word| {
            word.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// A part of a request, where `-` leaves it unset.
fn part(word: &str) -> Option<String> {
    (word != "-").then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(text: &str) -> Action {
        text.parse().unwrap_or_else(|mistake| panic!("{mistake}"))
    }

    #[test]
    fn sockets_are_fresh_kept_or_used_again() {
        let remote = "127.0.0.1:80".parse().expect("an address");
        let cases = [
            ("tcp.connect 127.0.0.1:80", SocketRef::Fresh(None)),
            (
                "tcp.connect  127.0.0.1:80 as c1",
                SocketRef::Fresh(Some("c1".into())),
            ),
            ("tcp.connect 127.0.0.1:80 on s", SocketRef::Kept("s".into())),
        ];
        for (text, which) in cases {
            assert_eq!(action(text), Action::TcpConnect(remote, which), "{text}");
        }
    }

    #[test]
    fn a_text_is_the_rest_of_the_statement() {
        let cases: [(&str, &[u8]); 4] = [
            ("tcp.send c PING", b"PING"),
            (r"tcp.send c SET  a b\r\n", b"SET  a b\r\n"),
            (r"tcp.send  c   \x20\x3b", b" ;"),
            ("tcp.send c as b", b"as b"),
        ];
        for (text, bytes) in cases {
            assert_eq!(
                action(text),
                Action::TcpSend("c".into(), bytes.to_vec()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_repeated_statement_is_numbered() {
        let keep = |name: &str| Action::TcpCreate(Family::Ipv4, SocketRef::Fresh(Some(name.into())));
        assert_eq!(
            action("repeat 2 tcp.create ipv4 as s{}"),
            Action::Repeat(vec![keep("s1"), keep("s2")])
        );
    }

    #[test]
    fn a_url_is_cut_apart_and_not_judged() {
        let cases = [
            ("http://a", "a", "/"),
            ("http://u@a:1/b?c", "u@a:1", "/b?c"),
            ("http://[::1]?c", "[::1]", "?c"),
            ("http:///b", "", "/b"),
        ];
        for (url, authority, path) in cases {
            let Action::Http(request, Show::Status) = action(&format!("http GET {url} a=b")) else {
                panic!("{url}");
            };
            assert_eq!(request.authority.as_deref(), Some(authority), "{url}");
            assert_eq!(request.path.as_deref(), Some(path), "{url}");
            assert_eq!(request.headers, [("a".to_owned(), "b".to_owned())]);
        }
    }

    #[test]
    fn what_is_no_statement_is_refused() {
        let cases = [
            "tcp.connect",
            "tcp.connect localhost:80",
            "tcp.connect 127.0.0.1",
            "tcp.connect 127.0.0.1:80 as",
            "tcp.connect 127.0.0.1:80 at c1",
            "tcp.send c",
            "udp.send-to u 127.0.0.1:80",
            "dns.start localhost",
            "http GET localhost",
            "exit 256",
            "wait -1",
            "repeat 0 args",
            "repeat 2 agrs",
            "timed",
        ];
        for text in cases {
            assert_eq!(
                text.parse::<Action>(),
                Err(Mistake {
                    statement: text.to_owned()
                }),
                "{text}"
            );
        }
    }
}
