//! A certificate with its key, as a server shows it, and the authorities that vouch for clients.
//!
//! A chain and a key become a [`ServerCertificate`] only if they fit. What is merely odd about it (dates, names, the order
//! of the chain) is there to be asked for: an expired certificate still serves clients who do not look.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::pem::{CertificateChain, PemProblem, PrivateKey, certificates};

/// A certificate that a server shows, with the key that proves it.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) names: Vec<String>,
    has_names: bool,
    validity: Validity,
    unlinked: Option<usize>,
}

/// The time from when until when a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: SystemTime,
    /// Not after.
    pub until: SystemTime,
}

/// The reason why a chain and a key are not a certificate that a server can show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// One of the certificates cannot be read.
    #[error("certificate {number} in it cannot be read: it is not one of X.509")]
    Unreadable {
        /// Its number, from 1 on.
        number: usize,
    },
    /// One of the certificates is larger than those that are understood.
    #[error("certificate {number} in it has {size} bytes, and may have {MOST_BYTES}")]
    TooLarge {
        /// Its number, from 1 on.
        number: usize,
        /// Its bytes in DER.
        size: usize,
    },
    /// The key is of a kind that is not known.
    #[error("the private key is of a kind that is not supported, or is damaged")]
    UnsupportedKey,
    /// The key belongs to another certificate.
    #[error("the private key is not that of the certificate")]
    KeyOfAnother,
    /// The key belongs to a certificate that does not stand first.
    #[error(
        "the private key is that of certificate {number} in it, and the server's own has to be the first"
    )]
    NotFirst {
        /// Its number, from 1 on.
        number: usize,
    },
}

impl CertificateProblem {
    /// The reason why a certificate cannot be read: its size, if that is it.
    fn unreadable(number: usize, der: &CertificateDer<'_>) -> Self {
        let size = der.len();
        if size > MOST_BYTES {
            Self::TooLarge { number, size }
        } else {
            Self::Unreadable { number }
        }
    }
}

impl ServerCertificate {
    /// The certificate that `chain` begins with, proved by `key`.
    ///
    /// # Errors
    ///
    /// The two do not fit, or one of them cannot be read.
    pub fn new(chain: CertificateChain, key: PrivateKey) -> Result<Self, CertificateProblem> {
        let CertificateChain(chain) = chain;
        let read: Vec<Read> = (1..)
            .zip(&chain)
            .map(|(number, der)| Read::of(der).ok_or_else(|| CertificateProblem::unreadable(number, der)))
            .collect::<Result<_, _>>()?;
        let own = read.first().ok_or(CertificateProblem::Unreadable { number: 1 })?;
        let key = any_supported_type(&key.0).map_err(|_| CertificateProblem::UnsupportedKey)?;
        let fits = |der: &CertificateDer<'static>| {
            let pair = CertifiedKey::new(vec![der.clone()], Arc::clone(&key));
            // Of a key that does not say what it is the public half of nothing is known.
            !matches!(
                pair.keys_match(),
                Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch))
            )
        };
        match chain.iter().position(fits) {
            Some(0) => {}
            Some(at) => return Err(CertificateProblem::NotFirst { number: at + 1 }),
            None => return Err(CertificateProblem::KeyOfAnother),
        }
        let links = read.windows(2).position(|pair| pair[0].issuer != pair[1].subject);
        Ok(Self {
            names: own.names.clone(),
            has_names: own.has_names,
            validity: own.validity,
            unlinked: links.map(|at| at + 2),
            certified: Arc::new(CertifiedKey::new(chain, key)),
        })
    }

    /// The DNS names that it is for, in lower case; `*.example.com` is for each name one label below `example.com`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// True if it is for a name or an address: clients refuse one that is for none.
    pub fn has_names(&self) -> bool {
        self.has_names
    }

    /// The time in which it holds.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The number, from 1 on, of the first certificate of the chain that did not issue the one before it.
    pub fn unlinked(&self) -> Option<usize> {
        self.unlinked
    }
}

/// Authorities that vouch for clients.
#[derive(Debug, Clone)]
pub struct ClientAuthorities {
    roots: Arc<RootCertStore>,
    validities: Vec<Validity>,
}

/// The authorities of clients cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoritiesProblem {
    /// The file is not what it should be.
    #[error(transparent)]
    Pem(#[from] PemProblem),
    /// One of the certificates cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateProblem),
}

impl ClientAuthorities {
    /// The authorities whose certificates are in `pem`.
    ///
    /// # Errors
    ///
    /// There is none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthoritiesProblem> {
        let mut roots = RootCertStore::empty();
        let mut validities = Vec::new();
        for (number, der) in (1..).zip(certificates(pem, MOST_AUTHORITIES)?) {
            let unreadable = CertificateProblem::unreadable(number, &der);
            validities.push(Read::of(&der).ok_or_else(|| unreadable.clone())?.validity);
            roots.add(der).map_err(|_| unreadable)?;
        }
        Ok(Self {
            roots: Arc::new(roots),
            validities,
        })
    }

    /// The time in which each of them holds, in the order of the file.
    pub fn validities(&self) -> &[Validity] {
        &self.validities
    }

    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    /// Bytes of the names of all.
    pub(super) fn size_of_subjects(&self) -> usize {
        let subjects = self.roots.subjects();
        subjects.iter().map(|subject| subject.as_ref().len()).sum()
    }
}

/// The part of a certificate that matters here.
struct Read {
    subject: Name,
    issuer: Name,
    names: Vec<String>,
    has_names: bool,
    validity: Validity,
}

impl Read {
    /// None if it cannot be read, or is followed by something else.
    fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let general = certificate.get::<SubjectAltName>().ok().flatten();
        let general = general.map_or_else(Vec::new, |(_, SubjectAltName(names))| names);
        let names = general.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
            _ => None,
        });
        let is_for_somebody =
            |name: &GeneralName| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_));
        Some(Self {
            names: names.take(MOST_NAMES).collect(),
            has_names: general.iter().any(is_for_somebody),
            validity: Validity {
                from: certificate.validity.not_before.to_system_time(),
                until: certificate.validity.not_after.to_system_time(),
            },
            subject: certificate.subject,
            issuer: certificate.issuer,
        })
    }
}

/// Bytes of a certificate in DER that rustls reads: the length of any part of it has 16 bits.
const MOST_BYTES: usize = 0xffff;

/// Names of one certificate by which it is found. Authorities issue for 100 at most.
const MOST_NAMES: usize = 10_000;

/// Authorities that may vouch for clients.
const MOST_AUTHORITIES: usize = 1000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

    use super::*;

    fn key() -> KeyPair {
        KeyPair::generate().unwrap()
    }

    fn read(chain: &str, key: &KeyPair) -> Result<ServerCertificate, CertificateProblem> {
        let chain = CertificateChain::from_pem(chain.as_bytes()).unwrap();
        ServerCertificate::new(
            chain,
            PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap(),
        )
    }

    #[test]
    fn a_key_fits_the_first_certificate_or_none() {
        let (own, other) = (key(), key());
        let pem = |key: &KeyPair| {
            CertificateParams::new(vec!["a.example".to_owned()])
                .unwrap()
                .self_signed(key)
                .unwrap()
                .pem()
        };
        let (first, second) = (pem(&own), pem(&other));
        let fits = read(&first, &own).unwrap();
        assert_eq!(fits.names(), ["a.example"]);
        assert!(fits.has_names());
        assert_eq!(
            read(&first, &other).unwrap_err(),
            CertificateProblem::KeyOfAnother
        );
        let both = format!("{first}{second}");
        read(&both, &own).unwrap();
        assert_eq!(
            read(&both, &other).unwrap_err(),
            CertificateProblem::NotFirst { number: 2 }
        );
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(
            read(&format!("{first}{nonsense}"), &own).unwrap_err(),
            CertificateProblem::Unreadable { number: 2 }
        );
    }

    #[test]
    fn a_certificate_that_is_too_large_is_told_as_that() {
        let names = (0..6000).map(|number| format!("name-{number}.of-a-large-certificate.example"));
        let pem = CertificateParams::new(names.collect::<Vec<_>>())
            .unwrap()
            .self_signed(&key())
            .unwrap()
            .pem();
        let Err(AuthoritiesProblem::Certificate(problem)) = ClientAuthorities::from_pem(pem.as_bytes())
        else {
            panic!("it is read");
        };
        assert!(matches!(problem, CertificateProblem::TooLarge { number: 1, size } if size > 200_000));
        let told = problem.to_string();
        assert!(told.ends_with("bytes, and may have 65535"), "{told}");
    }

    #[test]
    fn names_dates_and_the_order_of_the_chain_are_known() {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        let issuer = CertifiedIssuer::self_signed(authority, key()).unwrap();
        let own = key();
        let mut params = CertificateParams::new(vec!["*.Example.COM".to_owned()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::IpAddress("192.0.2.1".parse().unwrap()));
        params.distinguished_name.push(DnType::CommonName, "a server");
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let certificate = params.signed_by(&own, &issuer).unwrap().pem();
        let linked = read(&format!("{certificate}{}", issuer.pem()), &own).unwrap();
        assert_eq!(linked.names(), ["*.example.com"]);
        assert_eq!(linked.unlinked(), None);
        let day = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let (from, until) = (day(978_307_200), day(1_009_843_200));
        assert_eq!(linked.validity(), Validity { from, until });
        let twice = read(&format!("{certificate}{certificate}"), &own).unwrap();
        assert_eq!(twice.unlinked(), Some(2));
        let nameless = CertificateParams::default().self_signed(&own).unwrap().pem();
        assert!(!read(&nameless, &own).unwrap().has_names());
    }
}
