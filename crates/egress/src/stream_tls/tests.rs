use std::sync::atomic::{AtomicUsize, Ordering};

use outport_policy::TlsNames;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::testing::{Script, World};
use crate::tls::TlsProfile;
use crate::tls_usage::OpenRemote;

/// A server for `a.example`, and an instance that trusts it.
struct Scene {
    world: World,
    enforcer: Arc<Enforcer>,
    client: StreamTls,
    server: TlsAcceptor,
}

impl Scene {
    fn new(denied: &[&str]) -> Self {
        Self::under(TlsNames::Denied, &[], denied)
    }

    fn under(mode: TlsNames, allowed: &[&str], denied: &[&str]) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let profile = TlsProfile::builder(vec![Host::parse("a.example").unwrap()])
            .roots_pem(cert.pem().as_bytes())
            .unwrap()
            .build()
            .unwrap();
        let mut world = World::new(Script::new()).deny(denied);
        world.operator.tls_names = mode;
        let enforcer = world.instance(allowed);
        Self {
            client: StreamTls::new(enforcer.clone(), Arc::new(Tls::new(vec![Arc::new(profile)]))),
            server: TlsAcceptor::from(Arc::new(server)),
            world,
            enforcer,
        }
    }

    /// A connection to port 443, as the policy sees it.
    fn connected(&self) -> OpenRemote {
        self.enforcer
            .tls_usage()
            .opened("203.0.113.1:443".parse::<std::net::SocketAddr>().unwrap().into())
    }

    /// The two ends of a connection that takes so many bytes on the way.
    async fn agree(&self, on_the_way: usize) -> (SecuredStream<DuplexStream>, TlsStream<DuplexStream>) {
        let (near, far) = duplex(on_the_way);
        let handshake = self.client.authorize("a.example").unwrap();
        let (client, server) = tokio::join!(handshake.connect(near), self.server.accept(far));
        (client.unwrap(), server.unwrap())
    }
}

#[derive(Default)]
struct Turns(AtomicUsize);

impl crate::HostAccount for Turns {
    fn charge(&self, work: &mut dyn FnMut()) {
        self.0.fetch_add(1, Ordering::Relaxed);
        work();
    }

    fn aside(&self, work: &mut dyn FnMut()) {
        work();
    }
}

#[tokio::test]
async fn text_goes_both_ways_until_the_end_is_said() {
    let scene = Scene::new(&[]);
    let _open = scene.connected();
    let (mut client, mut server) = scene.agree(1024).await;
    client.write_all(b"to the server").await.unwrap();
    client.flush().await.unwrap();
    let mut text = [0; 13];
    server.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"to the server");
    server.write_all(b"to the client").await.unwrap();
    server.shutdown().await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "to the client");
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(scene.world.events.take(), ["tls.connect a.example:443"]);
}

// proves: TLS-5
#[tokio::test]
async fn a_connection_that_is_made_during_the_handshake_is_asked_about_too() {
    let scene = Scene::new(&["*://a.example:8443"]);
    let open = scene.connected();
    drop(scene.agree(1024).await);
    let (near, far) = duplex(1024);
    let handshake = scene.client.authorize("a.example").unwrap();
    let meanwhile = scene
        .enforcer
        .tls_usage()
        .opened("203.0.113.1:8443".parse::<std::net::SocketAddr>().unwrap().into());
    let (client, _server) = tokio::join!(handshake.connect(near), scene.server.accept(far));
    assert!(matches!(client, Err(StreamTlsError::Denied)));
    assert!(matches!(
        scene.client.authorize("A.EXAMPLE."),
        Err(StreamTlsError::Denied)
    ));
    drop(meanwhile);
    drop(scene.agree(1024).await);
    drop(open);
    assert!(matches!(
        scene.client.authorize("a.example"),
        Err(StreamTlsError::TooMany)
    ));
    assert_eq!(
        scene.world.events.take(),
        [
            "tls.connect a.example:443",
            "tls.connect a.example:443",
            "tls.connect a.example [deny.tls-name]",
            "tls.connect a.example [deny.tls-name]",
            "tls.connect a.example:443",
            "tls.connect a.example [quota.connections]",
        ]
    );
}

// proves: ISO-2
#[tokio::test]
async fn what_tls_costs_is_at_the_account_of_its_instance() {
    let scene = Scene::new(&[]);
    let _open = scene.connected();
    let turns = Arc::new(Turns::default());
    scene.enforcer.charge_to(turns.clone());
    let so_far = || turns.0.swap(0, Ordering::Relaxed);
    let (mut client, mut server) = scene.agree(1024).await;
    assert!(so_far() >= 2, "the handshake");
    client.write_all(b"text").await.unwrap();
    assert_eq!(so_far(), 1, "a write");
    server.write_all(b"text").await.unwrap();
    client.read_exact(&mut [0; 4]).await.unwrap();
    assert_eq!(so_far(), 1, "a read");
    client.flush().await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(so_far(), 2, "flush and shutdown");
}

// proves: ISO-3
#[tokio::test]
async fn a_place_is_given_back_when_the_connection_is_gone() {
    let scene = Scene::new(&[]);
    let _open = scene.connected();
    let first = scene.agree(1024).await;
    let second = scene.client.authorize("a.example").unwrap();
    assert!(matches!(
        scene.client.authorize("a.example"),
        Err(StreamTlsError::TooMany)
    ));
    drop(second);
    let third = scene.agree(1024).await;
    assert!(scene.client.authorize("a.example").is_err());
    drop((first, third));
    assert!(scene.client.authorize("a.example").is_ok());
}

#[tokio::test]
async fn what_is_left_of_a_write_is_sent_although_nobody_asks_for_it() {
    let scene = Scene::new(&[]);
    let _open = scene.connected();
    let (mut client, mut server) = scene.agree(1024).await;
    for _ in 0..3 {
        // All of it is taken at once, and 1024 bytes of it are on the way.
        assert_eq!(client.write(&[7; 50_000]).await.unwrap(), 50_000);
        let mut received = vec![0; 50_000];
        let read = timeout(HANDSHAKE_TIME, server.read_exact(&mut received)).await;
        read.expect("it is sent").unwrap();
        assert!(received.iter().all(|byte| *byte == 7));
    }
}

#[tokio::test]
async fn a_writer_that_waits_goes_on_although_the_rest_is_being_sent() {
    let scene = Scene::new(&[]);
    let _open = scene.connected();
    let (mut client, mut server) = scene.agree(1024).await;
    let written = async {
        client.write_all(&[7; 1_000_000]).await.unwrap();
        client.shutdown().await.unwrap();
        client
    };
    let mut received = Vec::new();
    let (_client, read) = tokio::join!(written, server.read_to_end(&mut received));
    assert_eq!((read.unwrap(), received.len()), (1_000_000, 1_000_000));
}

/// Says nothing, and takes nothing.
struct TakesNothing;

impl AsyncRead for TakesNothing {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for TakesNothing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Takes nothing any more once it is told so, as a stream of WASI 0.2 whose peer has closed.
struct TakesNothingLater(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for TakesNothingLater {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TakesNothingLater {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.1.load(Ordering::Relaxed) {
            0 => Pin::new(&mut self.0).poll_write(cx, bytes),
            _ => Poll::Ready(Ok(0)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_to_a_stream_that_takes_nothing_any_more_is_an_error() {
    let scene = Scene::new(&[]);
    let _open = scene.connected();
    let (near, far) = duplex(1024);
    let closed = Arc::new(AtomicUsize::new(0));
    let handshake = scene.client.authorize("a.example").unwrap();
    let near = TakesNothingLater(near, closed.clone());
    let (client, _server) = tokio::join!(handshake.connect(near), scene.server.accept(far));
    closed.store(1, Ordering::Relaxed);
    let mut client = client.unwrap();
    let written = timeout(HANDSHAKE_TIME, client.write_all(&[7; 1_000_000])).await;
    let error = written.expect("nobody waits for it").unwrap_err();
    assert_eq!(error.to_string(), "the connection ended without an end of TLS");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_with_nobody_ends() {
    let scene = Scene::new(&[]);
    let _open = scene.connected();
    let agree = async |transport| {
        let handshake = scene.client.authorize("a.example").unwrap();
        handshake.connect(transport).await.map(drop)
    };
    let ended = agree(tokio::io::join(TakesNothing, TakesNothing)).await;
    assert_eq!(
        ended.unwrap_err().to_string(),
        "the connection ended during the TLS handshake"
    );
    let (near, _far) = duplex(1024);
    let handshake = scene.client.authorize("a.example").unwrap();
    let begun = tokio::time::Instant::now();
    let ended = handshake.connect(near).await.map(drop);
    assert_eq!(
        ended.unwrap_err().to_string(),
        "the TLS handshake took more than 10 seconds"
    );
    assert_eq!(begun.elapsed(), HANDSHAKE_TIME);
}

// proves: TLS-5
#[tokio::test]
async fn a_server_is_judged_like_that_of_a_client_hello_in_every_mode() {
    const OWN: &[&str] = &["*://a.example:443"];
    const OTHER: &[&str] = &["*://b.example:443"];
    const ADDRESS: &[&str] = &["*://b.example:443", "*://203.0.113.0/24:443"];
    for (mode, allowed, denied, reason) in [
        (TlsNames::Off, OTHER, OWN, None),
        (TlsNames::Denied, OTHER, OWN, Some("deny.tls-name")),
        (TlsNames::Denied, OTHER, &[][..], None),
        (TlsNames::Allowed, OTHER, &[], Some("allow.tls-name")),
        (TlsNames::Required, OTHER, &[], Some("allow.tls-name")),
        (TlsNames::Allowed, OWN, &[], None),
        (TlsNames::Allowed, ADDRESS, &[], None),
        (TlsNames::Allowed, ADDRESS, OWN, Some("deny.tls-name")),
    ] {
        let scene = Scene::under(mode, allowed, denied);
        let _open = scene.connected();
        let permitted = scene.client.authorize("a.example");
        assert_eq!(
            permitted.is_ok(),
            reason.is_none(),
            "{mode} {allowed:?} {denied:?}"
        );
        let told = match reason {
            None => "tls.connect a.example:443".to_owned(),
            Some(reason) => format!("tls.connect a.example:443 [{reason}]"),
        };
        assert_eq!(scene.world.events.take(), [told]);
    }
}
