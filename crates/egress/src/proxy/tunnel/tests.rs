//! A proxy that says what it is told to, good or bad.

use std::sync::Mutex;

use outport_policy::Transport;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::{Credentials, EgressProxies};
use super::*;
use crate::egress::Egress;
use crate::testing::{Script, instance};

/// What a proxy does with a connection: reads so many bytes and sends these, one after the other, and then hangs up or not.
#[derive(Clone)]
struct Play {
    steps: Vec<(usize, Vec<u8>)>,
    then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Closes,
    Waits,
}

/// Steps of a play, in a table.
type Steps<'a> = &'a [(usize, &'a [u8])];

/// The proxy, and what it read.
struct Player {
    address: SocketAddr,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Player {
    async fn start(play: Play) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let read = Arc::new(Mutex::new(Vec::new()));
        let noted = read.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (play, noted) = (play.clone(), noted.clone());
                tokio::spawn(async move {
                    for (length, answer) in play.steps {
                        let mut bytes = vec![0; length];
                        if stream.read_exact(&mut bytes).await.is_err() {
                            return;
                        }
                        noted.lock().unwrap().extend(bytes);
                        let _ = stream.write_all(&answer).await;
                    }
                    if play.then == Then::Waits {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, read }
    }
}

fn egress(server: ProxyServer) -> Egress {
    let builder = Egress::builder().resolver(Arc::new(Script::new()));
    builder
        .egress_proxies(EgressProxies::one(server))
        .build()
        .unwrap()
}

async fn open(server: ProxyServer, remote: SocketAddr) -> Result<Arc<OwnedFd>, Trouble> {
    let egress = egress(server);
    let enforcer = instance(&egress, &["*://*:*"]);
    let permit = enforcer.authorize_connect(Transport::Tcp, remote).unwrap();
    Tunnel::new(enforcer.component(), permit, Carried::default())?
        .open()
        .await
}

fn server(scheme: &str, player: &Player) -> ProxyServer {
    ProxyServer::parse(&format!("{scheme}://{}", player.address)).unwrap()
}

fn remote() -> SocketAddr {
    "192.0.2.7:5432".parse().unwrap()
}

const REQUEST: &str = "CONNECT 192.0.2.7:5432 HTTP/1.1\r\nHost: 192.0.2.7:5432\r\n\r\n";

/// All that the socket reads now.
fn waiting(socket: &OwnedFd) -> Vec<u8> {
    let mut bytes = [0; 256];
    let (length, _) = rustix::net::recv(socket, &mut bytes, RecvFlags::empty()).unwrap();
    bytes[..length].to_vec()
}

// proves: PX-1, PX-6
#[tokio::test]
async fn what_the_peer_says_right_behind_the_answer_is_the_guests() {
    for answer in [
        "HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n",
        "HTTP/1.1 204\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let answer = format!("{answer}220 ready\r\n\r\n");
        let player = Player::start(Play {
            steps: vec![(REQUEST.len(), answer.into_bytes())],
            then: Then::Waits,
        });
        let player = player.await;
        let socket = open(server("http", &player), remote()).await.unwrap();
        assert_eq!(waiting(&socket), b"220 ready\r\n\r\n");
        assert_eq!(*player.read.lock().unwrap(), REQUEST.as_bytes());
    }
    for bound in [
        &[1, 10, 0, 0, 1, 0, 9][..],
        &[4; 19],
        &[3, 4, b'n', b'a', b'm', b'e', 0, 9],
        &[3, 0, 0, 9],
    ] {
        let success = [&[5, 0, 0], bound, b"220 ready"].concat();
        let player = Player::start(Play {
            steps: vec![(3, vec![5, 0]), (10, success)],
            then: Then::Waits,
        });
        let player = player.await;
        let socket = open(server("socks5", &player), remote()).await.unwrap();
        assert_eq!(waiting(&socket), b"220 ready", "{bound:?}");
        let asked = [5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 7, 0x15, 0x38];
        assert_eq!(*player.read.lock().unwrap(), asked);
    }
}

// proves: PX-5, PX-6
#[tokio::test]
async fn a_proxy_that_refuses_or_talks_nonsense_gives_no_connection() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(9000));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(400);
    let lines = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(2000));
    let rows: [(&str, Errno); 14] = [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", Errno::ACCESS),
        (
            "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n",
            Errno::ACCESS,
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.9/\r\n\r\n",
            Errno::CONNREFUSED,
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nnope",
            Errno::CONNREFUSED,
        ),
        ("HTTP/1.1 504 Timeout\r\n\r\n", Errno::TIMEDOUT),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Errno::CONNRESET),
        ("HTTP/1.1 200 OK\r\n", Errno::CONNRESET),
        ("", Errno::CONNRESET),
        ("SSH-2.0-OpenSSH_9.2\r\n", Errno::CONNRESET),
        ("\u{5}\u{0}", Errno::CONNRESET),
        (&long, Errno::CONNRESET),
        (&lines, Errno::CONNRESET),
        (&interim, Errno::CONNRESET),
        ("HTTP/2 200\r\n\r\n", Errno::CONNRESET),
    ];
    for (answer, expected) in rows {
        let player = Player::start(Play {
            steps: vec![(REQUEST.len(), answer.as_bytes().to_vec())],
            then: Then::Closes,
        });
        let trouble = open(server("http", &player.await), remote()).await.unwrap_err();
        assert_eq!(trouble.errno(), expected, "{trouble} after {:.40}", answer);
    }
    let socks: [(Steps<'_>, Errno); 10] = [
        (&[(3, &[5, 0xff])], Errno::ACCESS),
        (&[(3, &[5, 2])], Errno::CONNRESET),
        (&[(3, &[4, 0])], Errno::CONNRESET),
        (&[(3, b"HTTP/1.1 400 Bad Request\r\n\r\n")], Errno::CONNRESET),
        (&[(3, &[5])], Errno::CONNRESET),
        (&[(3, &[5, 0]), (10, &[5, 2, 0, 1])], Errno::ACCESS),
        (
            &[(3, &[5, 0]), (10, &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0])],
            Errno::CONNREFUSED,
        ),
        (
            &[(3, &[5, 0]), (10, &[5, 0, 0, 9, 0, 0, 0, 0, 0, 0])],
            Errno::CONNRESET,
        ),
        (&[(3, &[5, 0]), (10, &[5, 0, 0, 3, 200, 1, 2])], Errno::CONNRESET),
        (
            &[(3, &[5, 0]), (10, &[4, 0, 0, 1, 0, 0, 0, 0, 0, 0])],
            Errno::CONNRESET,
        ),
    ];
    for (steps, expected) in socks {
        let steps: Vec<_> = steps
            .iter()
            .map(|(length, answer)| (*length, answer.to_vec()))
            .collect();
        let said = format!("{steps:?}");
        let player = Player::start(Play {
            steps,
            then: Then::Closes,
        });
        let trouble = open(server("socks5", &player.await), remote()).await.unwrap_err();
        assert_eq!(trouble.errno(), expected, "{trouble} after {said}");
    }
}

// proves: PX-6
#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_waited_for_for_a_bounded_time() {
    for (scheme, steps) in [
        ("http", vec![]),
        (
            "http",
            vec![(REQUEST.len(), b"HTTP/1.1 200 OK\r\nVia: ".to_vec())],
        ),
        ("socks5", vec![]),
        ("socks5", vec![(3, vec![5, 0]), (10, vec![5, 0, 0])]),
    ] {
        let player = Player::start(Play {
            steps,
            then: Then::Waits,
        });
        let server = server(scheme, &player.await);
        let begun = tokio::time::Instant::now();
        let trouble = open(server, remote()).await.unwrap_err();
        assert_eq!(trouble.errno(), Errno::TIMEDOUT, "{trouble}");
        assert!(
            begun.elapsed() <= TUNNEL_TIME + Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
}

// proves: PX-1
#[tokio::test]
async fn who_asks_is_said_where_it_is_known_and_wanted() {
    let credentials = Credentials::new("guest", "secret").unwrap();
    let wanted = "Proxy-Authorization: Basic Z3Vlc3Q6c2VjcmV0\r\n\r\n";
    let length = REQUEST.len() - 2 + wanted.len();
    let player = Player::start(Play {
        steps: vec![(length, b"HTTP/1.1 200 OK\r\n\r\n".to_vec())],
        then: Then::Waits,
    });
    let player = player.await;
    let known = server("http", &player).with(credentials.clone()).unwrap();
    open(known, remote()).await.unwrap();
    let read = String::from_utf8(player.read.lock().unwrap().clone()).unwrap();
    assert!(read.ends_with(wanted), "{read}");

    for (status, fine) in [(0, true), (1, false)] {
        let player = Player::start(Play {
            steps: vec![
                (4, vec![5, 2]),
                (14, vec![1, status]),
                (10, vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            ],
            then: Then::Waits,
        });
        let player = player.await;
        let known = server("socks5", &player).with(credentials.clone()).unwrap();
        let opened = open(known, remote()).await;
        assert_eq!(opened.is_ok(), fine, "{opened:?}");
        let read = player.read.lock().unwrap().clone();
        assert_eq!(
            read[..18],
            [&[5, 2, 0, 2], &b"\x01\x05guest\x06secret"[..]].concat()
        );
    }
}

// proves: PX-2
#[tokio::test]
async fn an_address_that_turns_out_to_be_the_proxys_is_not_asked_for() {
    use outport_policy::{AnswerSource, Name};

    use crate::dns::{Answer, Extent};

    let player = Player::start(Play {
        steps: vec![],
        then: Then::Waits,
    });
    let player = player.await;
    let address = |text: &str| outport_policy::Address::new(text.parse().unwrap());
    let answer = Answer {
        chain: Vec::new(),
        addresses: vec![address("127.0.0.1"), address("192.0.2.7")],
        source: AnswerSource::Server,
        ttl: Duration::ZERO,
        extent: Extent::Whole,
    };
    let script = Script::new().then("proxy.example.com", Ok(answer));
    let name = Name::parse("proxy.example.com").unwrap();
    let url = format!("http://{name}:{}", player.address.port());
    let builder = Egress::builder().resolver(Arc::new(script));
    let proxies = EgressProxies::one(ProxyServer::parse(&url).unwrap());
    let egress = builder.egress_proxies(proxies).build().unwrap();
    let enforcer = instance(&egress, &["*://*:*"]);
    let itself = SocketAddr::new("192.0.2.7".parse().unwrap(), player.address.port());
    // Nobody has resolved the name yet.
    let permit = enforcer.authorize_connect(Transport::Tcp, itself).unwrap();
    let tunnel = Tunnel::new(enforcer.component(), permit, Carried::default()).unwrap();
    let trouble = tunnel.open().await.unwrap_err();
    assert!(matches!(trouble, Trouble::Itself), "{trouble}");
    assert!(player.read.lock().unwrap().is_empty());
    // From now on it is refused, and loopback with it.
    for refused in [
        itself,
        player.address,
        SocketAddr::new("127.9.9.9".parse().unwrap(), itself.port()),
    ] {
        let denied = enforcer.authorize_connect(Transport::Tcp, refused).unwrap_err();
        assert_eq!(denied.reason().code(), "hard.egress-proxy", "{refused}");
    }
}

// proves: PX-1
#[tokio::test]
async fn a_permit_that_leads_through_a_proxy_connects_nothing_without_it() {
    let player = Player::start(Play {
        steps: vec![],
        then: Then::Waits,
    });
    let egress = egress(server("http", &player.await));
    let enforcer = instance(&egress, &["*://*:*"]);
    let permit = |remote| enforcer.authorize_connect(Transport::Tcp, remote).unwrap();
    let socket = crate::sockets::Family::V4.socket(Transport::Tcp).unwrap();
    let begun = crate::sockets::begin(&socket, permit(remote()));
    assert_eq!(begun.err(), Some(Errno::ACCESS));
    // And one that does not is not for a proxy.
    let direct = permit("127.0.0.1:9999".parse().unwrap());
    let tunnel = Tunnel::new(enforcer.component(), direct, Carried::default());
    assert!(matches!(tunnel.err(), Some(Trouble::NotPermitted)));
    let scoped = permit("[2001:db8::1%3]:80".parse().unwrap());
    let tunnel = Tunnel::new(enforcer.component(), scoped, Carried::default()).unwrap();
    assert!(matches!(tunnel.open().await, Err(Trouble::Scoped)));
}
