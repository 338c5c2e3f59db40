//! TLS of the operator's client: the roots of this machine, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, as for
//! the requests of guests.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

pub(super) fn config() -> ClientConfig {
    // Named, not the default of the process, which an embedder may have set to another one.
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions of TLS")
        .with_root_certificates(roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some root certificates of this machine cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}
