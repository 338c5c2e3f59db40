//! TLS of outgoing requests and of other host interfaces: whom to trust, and who to be.
//!
//! By default a server is trusted if the roots of this machine vouch for it, and the guest shows no certificate. A
//! [`TlsProfile`] changes both for some hosts of a component (Spin's `[[client_tls]]`). Names are always verified;
//! there is no switch against it.

use std::fmt;
use std::sync::{Arc, LazyLock};

use outport_policy::Host;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
#[cfg(feature = "http")]
use tokio_rustls::TlsConnector;

/// The TLS settings of a component towards the hosts that it reaches.
#[derive(Default)]
pub(crate) struct Tls {
    profiles: Vec<Arc<TlsProfile>>,
}

impl Tls {
    /// The first profile that names a host is the one for it.
    pub(crate) fn new(profiles: Vec<Arc<TlsProfile>>) -> Self {
        Self { profiles }
    }

    /// The connector for requests to `host`.
    #[cfg(feature = "http")]
    pub(crate) fn connector(&self, host: &Host) -> TlsConnector {
        TlsConnector::from(Arc::clone(self.config(host)))
    }

    /// The same for what is not HTTP, and offers no protocol.
    pub(crate) fn without_alpn(&self, host: &Host) -> Arc<ClientConfig> {
        without_alpn(self.config(host))
    }

    fn config(&self, host: &Host) -> &Arc<ClientConfig> {
        let profile = self.profiles.iter().find(|profile| profile.hosts.contains(host));
        profile.map_or_else(|| &*PLATFORM, |profile| &profile.config)
    }
}

/// The differences from the default for some hosts.
///
/// ```
/// # use outport_egress::TlsProfile;
/// # use outport_policy::Host;
/// let host = Host::parse("api.example.com")?;
/// let profile = TlsProfile::builder(vec![host]).platform_roots().build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TlsProfile {
    hosts: Vec<Host>,
    config: Arc<ClientConfig>,
}

/// Collects the parts of a [`TlsProfile`].
pub struct TlsProfileBuilder {
    hosts: Vec<Host>,
    roots: RootCertStore,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl TlsProfile {
    /// A profile for `hosts` that trusts nobody yet and shows no certificate.
    pub fn builder(hosts: Vec<Host>) -> TlsProfileBuilder {
        TlsProfileBuilder {
            hosts,
            roots: RootCertStore::empty(),
            client: None,
        }
    }

    /// The same for what is not HTTP, and offers no protocol.
    pub(crate) fn without_alpn(&self) -> Arc<ClientConfig> {
        without_alpn(&self.config)
    }
}

impl TlsProfileBuilder {
    /// Trusts the roots of this machine.
    pub fn platform_roots(mut self) -> Self {
        self.roots.extend(platform_roots().roots);
        self
    }

    /// Trusts the roots of Mozilla's list, as it was when Outport was built.
    pub fn mozilla_roots(mut self) -> Self {
        self.roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        self
    }

    /// Trusts the certificates in `pem` as well.
    ///
    /// # Errors
    ///
    /// `pem` has no certificate, or one that is none.
    pub fn roots_pem(mut self, pem: &[u8]) -> Result<Self, TlsProfileError> {
        for certificate in certificates(pem)? {
            self.roots.add(certificate).map_err(TlsProfileError::Root)?;
        }
        Ok(self)
    }

    /// Shows the certificates in `chain` to servers that ask, and proves them with the key in `key`, both PEM.
    ///
    /// # Errors
    ///
    /// `chain` has no certificate, or `key` no private key.
    pub fn client_pem(mut self, chain: &[u8], key: &[u8]) -> Result<Self, TlsProfileError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsProfileError::NoKey)?;
        self.client = Some((certificates(chain)?, key));
        Ok(self)
    }

    /// The profile.
    ///
    /// # Errors
    ///
    /// The client's certificate and key do not belong together, or are of a kind that is not known.
    pub fn build(self) -> Result<TlsProfile, TlsProfileError> {
        let trusting = config().with_root_certificates(self.roots);
        let config = match self.client {
            None => trusting.with_no_client_auth(),
            Some((chain, key)) => trusting
                .with_client_auth_cert(chain, key)
                .map_err(TlsProfileError::Client)?,
        };
        Ok(TlsProfile {
            hosts: self.hosts,
            config: with_alpn(config),
        })
    }
}

impl fmt::Debug for TlsProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsProfile")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// The reason why a [`TlsProfile`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsProfileError {
    /// A file of certificates has none.
    #[error("no certificate was found; a PEM file has `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// A file for a key has none.
    #[error("no private key was found; a PEM file has `-----BEGIN PRIVATE KEY-----`")]
    NoKey,
    /// A root certificate cannot be used as one.
    #[error("a root certificate cannot be used: {0}")]
    Root(rustls::Error),
    /// The client's certificate cannot be used with its key.
    #[error("the client certificate cannot be used with its key: {0}")]
    Client(rustls::Error),
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsProfileError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsProfileError::NoCertificate),
    }
}

/// The name that the certificate of `host` has to be for, and that is sent.
///
/// # Errors
///
/// It is a name that no certificate can be for.
pub(crate) fn server_name(host: &Host) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match host {
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned()),
        Host::Address(address) => Ok(ServerName::from(address.ip())),
    }
}

/// The default, read when the first request needs it.
static PLATFORM: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    with_alpn(
        config()
            .with_root_certificates(platform_roots())
            .with_no_client_auth(),
    )
});

fn platform_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some root certificates of this machine cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::error!("this machine has no root certificates; every HTTPS request will fail");
    }
    roots
}

fn config() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    // Named, not the default of the process, which an embedder may have set to another one.
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions of TLS")
}

fn without_alpn(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols.clear();
    Arc::new(config)
}

fn with_alpn(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_mozilla_is_trusted_only_where_it_is_asked_for() {
        let name = b"ISRG Root X1";
        let trusts = |builder: &TlsProfileBuilder| {
            let mut subjects = builder.roots.roots.iter().map(|root| root.subject.as_ref());
            subjects.any(|subject| subject.windows(name.len()).any(|part| part == name))
        };
        let builder = TlsProfile::builder(Vec::new());
        assert!(!trusts(&builder));
        assert!(trusts(&builder.mozilla_roots()));
    }
}
