//! TLS inside the guest: `HOST:PORT`, and the certificate of an authority in PEM.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub fn rustls(address: &str, more: &[String]) -> Result<()> {
    let mut roots = RootCertStore::empty();
    for certificate in more {
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls_rustcrypto::provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let (host, _) = address.rsplit_once(':').context("an address HOST:PORT")?;
    for number in 0..20 {
        let tcp = TcpStream::connect(address)?;
        let name = ServerName::try_from(host.to_owned())?;
        let mut tls = StreamOwned::new(ClientConnection::new(config.clone(), name)?, tcp);
        write!(
            tls,
            "GET /{number} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut line = String::new();
        BufReader::new(&mut tls).read_line(&mut line)?;
        println!("{number} {}", line.trim());
    }
    Ok(())
}
