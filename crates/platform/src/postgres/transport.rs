//! From a connection to one that the client library speaks over: TLS, where the address wants it and the server has it.
//!
//! The client asks for TLS by a message of its own, and the server says in one byte whether it has it. No more than that
//! byte is read before TLS begins, so nothing that somebody put on the way is taken for what came through it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;

use outport_egress::HostConnection;
use outport_policy::Host;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Encryption;

/// TLS over a connection that was judged.
pub(super) type Secured = <MakeRustlsConnect as MakeTlsConnect<HostConnection>>::Stream;

/// What is spoken over.
pub(super) enum Transport {
    Plain(HostConnection),
    Secured(Box<Secured>),
}

/// Why there is nothing to speak over.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    #[error("the server has no TLS, which `sslmode` demands")]
    NoTls,
    #[error("the server does not say whether it has TLS")]
    NoAnswer,
    #[error("TLS cannot be agreed on: {0}; `sslmode=disable` does without")]
    Tls(io::Error),
    #[error("the connection was broken off")]
    Broken(#[from] io::Error),
}

impl Transport {
    /// Asks the server for TLS as the address wants it, and speaks it.
    pub(super) async fn agree(
        mut connection: HostConnection,
        encryption: Encryption,
        host: &Host,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, TransportError> {
        if encryption == Encryption::Never {
            return Ok(Self::Plain(connection));
        }
        connection.write_all(&TLS_REQUEST).await?;
        connection.flush().await?;
        match (connection.read_u8().await?, encryption) {
            (b'S', _) => Ok(Self::Secured(Box::new(secure(connection, host, tls).await?))),
            (b'N', Encryption::IfOffered) => Ok(Self::Plain(connection)),
            (b'N', _) => Err(TransportError::NoTls),
            _ => Err(TransportError::NoAnswer),
        }
    }
}

async fn secure(
    connection: HostConnection,
    host: &Host,
    tls: Arc<ClientConfig>,
) -> Result<Secured, TransportError> {
    let name = match host {
        Host::Name(name) => name.as_str().to_owned(),
        Host::Address(address) => address.ip().to_string(),
    };
    let mut connector = MakeRustlsConnect::new(ClientConfig::clone(&tls));
    let connector = MakeTlsConnect::<HostConnection>::make_tls_connect(&mut connector, &name);
    let connecting = match connector {
        Ok(connector) => connector.connect(connection),
        Err(never) => match never {},
    };
    connecting.await.map_err(TransportError::Tls)
}

/// To the client library, a stream that speaks TLS already.
pub(super) struct Begun;

impl<S: TlsStream + Unpin> TlsConnect<S> for Begun {
    type Stream = S;
    type Error = Infallible;
    type Future = Ready<Result<S, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(stream))
    }
}

/// `SSLRequest`: its length, and a version that is none.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
