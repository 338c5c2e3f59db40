//! TLS with clients: HTTPS on the server's own listeners.
//!
//! ```text
//! PEM ─► CertificateChain, PrivateKey ─► ServerCertificate ─┐
//! PEM ─► ClientAuthorities ─────────────────────────────────┴─► ServerTls ◄─ replaced while it serves
//!                                                                  │ the settings that are in force then
//! a client's connection ─► handshake: its time, its turns ─────────┴─► Secured: HTTP/2 or HTTP/1.1, a certificate
//! ```
//!
//! TLS 1.2 and 1.3, by rustls, with `ring`. Neither renegotiation nor early data are spoken. The protocol is agreed on by
//! ALPN: `h2`, `http/1.1`, and HTTP/1.1 with a client who offers none (RFC 9113, section 3.2, has HTTP/2 agreed on); one who
//! offers others alone is refused (RFC 7301, section 3.2).
//!
//! Which certificate is shown is decided [by name](by_name). Clients are asked for one of their own if there are authorities
//! that vouch for clients, and then each has to show one.
//!
//! A client who comes again resumes its session by a ticket, sealed by a key that only these settings have: settings that
//! take their place know none of the old tickets, so that whoever was let in by the old ones is looked at anew. Where clients
//! show certificates there are no tickets at all, since a session that is resumed shows none that could have expired
//! meanwhile.
//!
//! What is known of a certificate is parsed here, and no file is read.

mod by_name;
mod certificate;
mod facts;
mod handshake;
mod pem;
mod turns;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, Ticketer};
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};

use self::by_name::ByName;
pub use self::certificate::{
    AuthoritiesProblem, CertificateProblem, ClientAuthorities, ServerCertificate, Validity,
};
pub(super) use self::facts::{TlsFacts, scheme, tls_facts};
pub(super) use self::handshake::{Handshakes, HttpVersion, Secured};
pub use self::pem::{CertificateChain, PemProblem, PrivateKey};
pub(super) use self::turns::Turns;

/// The settings of TLS that a server has, which may be replaced while it serves. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct ServerTls(Arc<ArcSwap<ServerConfig>>);

/// The settings cannot be put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerTlsError {
    /// No certificate was given.
    #[error("a server of HTTPS needs a certificate")]
    NoCertificate,
    /// Anything else, in the words of the library.
    #[error("TLS cannot be served: {0}")]
    Other(#[from] rustls::Error),
    /// The authorities of clients cannot be used.
    #[error("the authorities of clients cannot be used: {0}")]
    ClientAuthorities(#[from] rustls::server::VerifierBuilderError),
}

impl ServerTls {
    /// Shows these certificates, of which the first is for clients who name no server, or one that none is for. With
    /// `authorities`, every client has to show a certificate that one of them vouches for.
    ///
    /// # Errors
    ///
    /// There is no certificate, or the machine has no random numbers.
    pub fn new(
        certificates: &[ServerCertificate],
        authorities: Option<&ClientAuthorities>,
    ) -> Result<Self, ServerTlsError> {
        let config = config(certificates, authorities)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(config))))
    }

    /// Puts other settings in force for connections that begin from now on. Those that are open keep what they agreed on.
    ///
    /// # Errors
    ///
    /// As for [`ServerTls::new`]; what was in force stays then.
    pub fn replace(
        &self,
        certificates: &[ServerCertificate],
        authorities: Option<&ClientAuthorities>,
    ) -> Result<(), ServerTlsError> {
        self.0.store(Arc::new(config(certificates, authorities)?));
        Ok(())
    }

    /// The settings that are in force.
    fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

fn config(
    certificates: &[ServerCertificate],
    authorities: Option<&ClientAuthorities>,
) -> Result<ServerConfig, ServerTlsError> {
    let by_name = ByName::of(certificates).ok_or(ServerTlsError::NoCertificate)?;
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut verifier = WebPkiClientVerifier::builder_with_provider(authorities.roots(), provider);
            if authorities.size_of_subjects() > MOST_OF_SUBJECTS {
                verifier = verifier.clear_root_hint_subjects();
            }
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(by_name));
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if authorities.is_some() {
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
    }
    Ok(config)
}

/// The algorithms.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The protocols by their names of ALPN (RFC 7301, RFC 9113).
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Tickets that a client of TLS 1.3 is given for each connection. Browsers open a few at a time, each of which takes one; every
/// ticket costs 200 bytes on the wire.
const TICKETS: usize = 2;

/// Bytes of the names of authorities that are told to clients, so that they choose by them which certificate to show. A
/// handshake has no room for those of a long list, and clients who are told none show the one that they have.
const MOST_OF_SUBJECTS: usize = 16 * 1024;
