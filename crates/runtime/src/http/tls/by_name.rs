//! Which certificate a client is shown.
//!
//! | the client names (SNI) | it is shown |
//! | --- | --- |
//! | a name that a certificate has | that one |
//! | a name one label below one with `*.` | that one |
//! | another name, or none | the first, as it was given |
//!
//! Of several that are for a name, such as one with RSA and one with ECDSA, the first whose signature the client can
//! verify. A client who can verify none gets the first, and says so itself.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::ServerCertificate;

/// The certificates of a server, by name.
#[derive(Debug)]
pub(super) struct ByName {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what stands behind `*.`.
    below: HashMap<String, Vec<Arc<CertifiedKey>>>,
    default: Vec<Arc<CertifiedKey>>,
}

impl ByName {
    /// None of none.
    pub(super) fn of(certificates: &[ServerCertificate]) -> Option<Self> {
        let first = certificates.first()?;
        // Others that are for the same names stand in for it.
        let default = certificates.iter().filter(|other| other.names == first.names);
        let mut by_name = Self {
            exact: HashMap::new(),
            below: HashMap::new(),
            default: default.map(|other| Arc::clone(&other.certified)).collect(),
        };
        for certificate in certificates {
            for name in &certificate.names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut by_name.below, parent),
                    None => (&mut by_name.exact, name.as_str()),
                };
                let those = map.entry(key.to_owned()).or_default();
                those.push(Arc::clone(&certificate.certified));
            }
        }
        Some(by_name)
    }

    /// Those for this name.
    fn all_for(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let found = name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let below = || self.below.get(name.split_once('.')?.1);
            self.exact.get(&name).or_else(below)
        });
        found.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.all_for(client.server_name());
        let schemes = client.signature_schemes();
        let verifiable = all.iter().find(|own| own.key.choose_scheme(schemes).is_some());
        verifiable.or(all.first()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::super::pem::{CertificateChain, PrivateKey};
    use super::*;

    fn certificate(names: &[&str]) -> ServerCertificate {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let chain = CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        ServerCertificate::new(
            CertificateChain::from_pem(chain.as_bytes()).unwrap(),
            PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn a_name_finds_its_own_certificate_then_a_wildcard_then_the_first() {
        let all = [
            certificate(&["first.example"]),
            certificate(&["*.wild.example", "wild.example"]),
            certificate(&["a.wild.example", "other.example"]),
        ];
        let by_name = ByName::of(&all).unwrap();
        for (name, expected) in [
            (None, 0),
            (Some("first.example"), 0),
            (Some("FIRST.example."), 0),
            (Some("nobody.example"), 0),
            (Some("wild.example"), 1),
            (Some("b.wild.example"), 1),
            (Some("B.Wild.Example"), 1),
            (Some("a.wild.example"), 2),
            (Some("a.b.wild.example"), 0),
            (Some("other.example"), 2),
            (Some("x.other.example"), 0),
            (Some("*.wild.example"), 1),
            (Some("example"), 0),
        ] {
            let found = by_name.all_for(name).first().unwrap();
            let at = all.iter().position(|own| Arc::ptr_eq(&own.certified, found));
            assert_eq!(at, Some(expected), "{name:?}");
        }
        assert!(ByName::of(&[]).is_none());
    }

    #[test]
    fn of_several_for_a_name_all_are_there_in_their_order() {
        let all = [
            certificate(&["a.example"]),
            certificate(&["a.example"]),
            certificate(&["b.example"]),
        ];
        let by_name = ByName::of(&all).unwrap();
        for name in [Some("a.example"), None] {
            let found = by_name.all_for(name);
            assert_eq!(found.len(), 2, "{name:?}");
            assert!(Arc::ptr_eq(&found[0], &all[0].certified));
        }
    }
}
