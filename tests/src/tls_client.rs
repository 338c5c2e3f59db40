//! A client of TLS that offers what the test says, and looks at what it gets.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, StreamOwned, SupportedProtocolVersion};

use crate::http::{Response, read_response};
use crate::tls::{Authority, Identity};
use crate::until::PATIENCE;

/// A connection to a server of TLS.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A client in the making, and as often as it connects. Sessions are not resumed unless it is said.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: ClientConfig,
    name: ServerName<'static>,
}

impl TlsClient {
    /// A client that trusts servers of this authority, calls its server `localhost`, and offers no protocol (ALPN).
    ///
    /// # Panics
    ///
    /// Never: the provider knows the versions.
    pub fn trusting(authority: &Authority) -> Self {
        Self::of_versions(authority, rustls::DEFAULT_VERSIONS)
    }

    /// The same of these versions of TLS.
    ///
    /// # Panics
    ///
    /// If the provider does not know them.
    pub fn of_versions(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider knows the versions")
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self {
            config,
            name: ServerName::try_from("localhost").expect("a name"),
        }
    }

    /// It calls its server so: a name, or an address, which is not sent.
    ///
    /// # Panics
    ///
    /// If it is neither.
    #[must_use]
    pub fn naming(mut self, name: &str) -> Self {
        self.name = ServerName::try_from(name.to_owned()).expect("a name or an address");
        self
    }

    /// It offers these protocols (ALPN).
    #[must_use]
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        self
    }

    /// It shows this certificate to a server that asks.
    ///
    /// # Panics
    ///
    /// Never: the key is that of the certificate.
    #[must_use]
    pub fn showing(mut self, identity: &Identity) -> Self {
        let certified = CertifiedKey::from_der(
            vec![identity.der.clone()],
            identity.private.clone_key(),
            self.config.crypto_provider(),
        );
        let certified = certified.expect("a certificate and its key");
        self.config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        self
    }

    /// It comes again with the tickets that it was given.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.config.resumption = Resumption::in_memory_sessions(8);
        self
    }

    /// A connection whose handshake is done, as far as the client can tell.
    ///
    /// # Errors
    ///
    /// If the server is not trusted, or does not take part.
    ///
    /// # Panics
    ///
    /// Never: the name is one.
    pub fn connect(&self, server: SocketAddr) -> io::Result<TlsStream> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(Arc::new(self.config.clone()), self.name.clone());
        let mut stream = StreamOwned::new(connection.map_err(io::Error::other)?, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// `GET path` on a connection of its own.
    ///
    /// # Errors
    ///
    /// If there is no connection or no answer.
    pub fn get(&self, server: SocketAddr, path: &str) -> io::Result<Response> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
        self.send(server, &request)
    }

    /// Sends `request` as it is on a connection of its own, and reads one response.
    ///
    /// # Errors
    ///
    /// If there is no connection or no answer.
    pub fn send(&self, server: SocketAddr, request: &str) -> io::Result<Response> {
        let mut stream = self.connect(server)?;
        stream.write_all(request.as_bytes())?;
        read_response(&mut BufReader::new(stream), request)
    }
}

/// The certificate that the server has shown, as DER.
///
/// # Panics
///
/// If there is none, since the handshake is not done.
pub fn shown(stream: &TlsStream) -> &[u8] {
    let chain = stream.conn.peer_certificates().expect("the handshake is done");
    &chain[0]
}
