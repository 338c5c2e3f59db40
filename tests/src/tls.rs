//! An authority of the test's own, and servers whose certificates it signed: one for HTTPS, and one that does with its
//! clients what the test says. Clients are in [`tls_client`](crate::tls_client).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::until::PATIENCE;

/// Signs certificates. Nobody else knows it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) private: PrivateKeyDer<'static>,
}

impl Identity {
    /// The certificate as DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// For a server that shows it, and asks for no certificate.
    ///
    /// # Panics
    ///
    /// Never: the key is that of the certificate.
    pub fn server_config(self) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.der], self.private)
            .expect("a certificate and its key")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    ///
    /// Never: the machine can make keys.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // By the default name of certificates each of them would seem to have signed itself.
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of tests");
        let key = KeyPair::generate().expect("a key of our own");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate of our own");
        Self { issuer }
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `name`, of a server or a client.
    ///
    /// # Panics
    ///
    /// If `name` is none.
    pub fn identity(&self, name: &str) -> Identity {
        self.sign(&CertificateParams::new(vec![name.to_owned()]).expect("a name"))
    }

    /// A certificate for these names, in which the test has changed something.
    ///
    /// # Panics
    ///
    /// If one of the names is none.
    pub fn identity_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key of our own");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate of our own");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            private: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    /// The same, which has expired long ago.
    ///
    /// # Panics
    ///
    /// If `name` is none.
    pub fn expired(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        self.sign(&params)
    }

    /// For a server with a certificate for `name`, which speaks these protocols (ALPN) and asks for no certificate.
    ///
    /// # Panics
    ///
    /// If `name` is none.
    pub fn server_config(&self, name: &str, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = self.identity(name).server_config();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root of our own");
        Arc::new(roots)
    }
}

/// An HTTPS server on 127.0.0.1 that answers every request with `hello`. Ends when dropped.
#[derive(Debug)]
pub struct TlsOrigin {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TlsOrigin {
    /// A server for `localhost` that lets in only clients with a certificate of `authority`, which vouches for the
    /// server too.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(authority: &Authority) -> Self {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider.clone())
            .build()
            .expect("the authority has a root");
        let server = authority.identity("localhost");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.der], server.private)
            .expect("a certificate and its key");
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let config = Arc::clone(&config);
                    // Who is not let in gets an alert, which is all that there is to say.
                    thread::spawn(move || answer(stream, config));
                }
            }
        });
        Self {
            address,
            ended,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsOrigin {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let stream = stream.get_mut();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// A client of a [`TlsPeer`].
pub type Client = StreamOwned<ServerConnection, TcpStream>;

/// A server on 127.0.0.1 that does with each client what the test says. Ends when dropped.
#[derive(Debug)]
pub struct TlsPeer {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TlsPeer {
    /// A server that shows `identity`. `serve` has each client on a thread of its own, before the handshake.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(
        identity: Identity,
        serve: impl Fn(Client) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(identity.server_config());
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let ended = Arc::new(AtomicBool::new(false));
        let (end, serve) = (Arc::clone(&ended), Arc::new(serve));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (config, serve) = (Arc::clone(&config), Arc::clone(&serve));
                // Whoever is not spoken with has hung up.
                thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
                    serve(StreamOwned::new(connection, stream))
                });
            }
        });
        Self {
            address,
            ended,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsPeer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
