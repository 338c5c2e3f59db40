//! Files of certificates and keys, as text: PEM (RFC 7468).
//!
//! What is looked for is taken, and what stands beside it is passed over, so that certificates and their key may be one
//! file. Where it is not there, what is there instead is named, since most mistakes are a file in the place of another:
//!
//! | file | taken for certificates | taken for a key |
//! | --- | --- | --- |
//! | `CERTIFICATE` | these, in their order | [`PemProblem::NoKey`], with the label |
//! | `PRIVATE KEY`, `RSA PRIVATE KEY`, `EC PRIVATE KEY` | [`PemProblem::NoCertificate`], with the label | this, if it is the only one |
//! | `ENCRYPTED PRIVATE KEY`, `Proc-Type: 4,ENCRYPTED` | the same | [`PemProblem::Encrypted`] |
//! | not text (DER, PKCS #12) | [`PemProblem::NotPem`] | the same |
//!
//! No error and no output for debugging has a byte of a key.

use std::fmt;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file, the server's own first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateChain(pub(super) Vec<CertificateDer<'static>>);

/// A private key.
#[derive(PartialEq, Eq)]
pub struct PrivateKey(pub(super) PrivateKeyDer<'static>);

/// The reason why a file is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemProblem {
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// It is DER, PKCS #12 or anything else that is not text.
    #[error("it is not PEM, which is text")]
    NotPem,
    /// A section does not end, or is not base64.
    #[error("the section `{label}` in it is damaged or cut off")]
    Damaged {
        /// The label of the section.
        label: String,
    },
    /// There is no certificate, but perhaps something else.
    #[error("there is no certificate in it{}", but(.found))]
    NoCertificate {
        /// The label of what is there.
        found: Option<String>,
    },
    /// There are more certificates than a chain has.
    #[error("there are more than {most} certificates in it")]
    TooManyCertificates {
        /// So many may be there.
        most: usize,
    },
    /// There is no private key, but perhaps something else.
    #[error("there is no private key in it{}", but(.found))]
    NoKey {
        /// The label of what is there.
        found: Option<String>,
    },
    /// There is more than one private key.
    #[error("there are {count} private keys in it, and nobody says which one is meant")]
    SeveralKeys {
        /// The number of keys.
        count: usize,
    },
    /// The key has a passphrase.
    #[error("the private key in it is encrypted, and nobody is asked for its passphrase")]
    Encrypted,
}

fn but(found: &Option<String>) -> String {
    found
        .as_ref()
        .map_or_else(String::new, |label| format!(", but a section `{label}`"))
}

impl PemProblem {
    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<&'static str> {
        let (Self::NoCertificate { found } | Self::NoKey { found }) = self else {
            return match self {
                Self::NotPem => Some(
                    "convert it: `openssl x509 -inform der` for a certificate, `openssl pkey -inform der` for a key, \
                     `openssl pkcs12 -nodes` for a file `.p12` or `.pfx` with both",
                ),
                Self::Encrypted => {
                    Some("decrypt it: `openssl pkey -in FILE -out PLAIN`, and let nobody else read that")
                }
                Self::SeveralKeys { .. } => {
                    Some("keep each key in a file of its own, in the order of the certificates")
                }
                _ => None,
            };
        };
        let (wants_key, found) = (
            matches!(self, Self::NoKey { .. }),
            found.as_deref().unwrap_or_default(),
        );
        Some(match found {
            _ if KEYS.contains(&found) || found == ENCRYPTED => {
                "a key goes to `--tls-key`, and the certificates to `--tls-cert`"
            }
            CERTIFICATE => "certificates go to `--tls-cert`, and their key to `--tls-key`",
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                "it asks an authority for a certificate; what the authority answered with is the certificate"
            }
            "TRUSTED CERTIFICATE" => "convert it: `openssl x509 -in FILE -out PLAIN`",
            "PKCS7" => "convert it: `openssl pkcs7 -print_certs -in FILE -out PLAIN`",
            "OPENSSH PRIVATE KEY" => "a key of SSH is not one of a certificate",
            "PUBLIC KEY" => "the private key is what it takes",
            _ if wants_key => "a private key begins with `-----BEGIN PRIVATE KEY-----`",
            _ => "a certificate begins with `-----BEGIN CERTIFICATE-----`",
        })
    }
}

impl CertificateChain {
    /// The certificates in `pem`.
    ///
    /// # Errors
    ///
    /// There is none, or one is damaged.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PemProblem> {
        Ok(Self(certificates(pem, MOST_IN_A_CHAIN)?))
    }
}

/// The certificates in `pem`, of which there may be so many.
pub(super) fn certificates(pem: &[u8], most: usize) -> Result<Vec<CertificateDer<'static>>, PemProblem> {
    let labels = labels(pem)?;
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        if found.len() == most {
            return Err(PemProblem::TooManyCertificates { most });
        }
        match certificate {
            Ok(certificate) => found.push(certificate),
            Err(_) if labels.iter().any(|label| label == CERTIFICATE) => {
                return Err(damaged(&labels, &[CERTIFICATE]));
            }
            // Something else is damaged, which is not what was looked for.
            Err(_) => break,
        }
    }
    if found.is_empty() {
        return Err(PemProblem::NoCertificate {
            found: labels.into_iter().next(),
        });
    }
    Ok(found)
}

impl PrivateKey {
    /// The key in `pem`: PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    ///
    /// There is none, it is encrypted, or there are several.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PemProblem> {
        let labels = labels(pem)?;
        let count = labels
            .iter()
            .filter(|label| KEYS.contains(&label.as_str()))
            .count();
        let is_encrypted =
            labels.iter().any(|label| label == ENCRYPTED) || has_line(pem, b"Proc-Type: 4,ENCRYPTED");
        match count {
            _ if is_encrypted => Err(PemProblem::Encrypted),
            0 => Err(PemProblem::NoKey {
                // Parameters of a curve stand before many a key, and say nothing here.
                found: labels.into_iter().find(|label| label != "EC PARAMETERS"),
            }),
            1 => PrivateKeyDer::from_pem_slice(pem)
                .map(Self)
                .map_err(|_| damaged(&labels, &KEYS)),
            count => Err(PemProblem::SeveralKeys { count }),
        }
    }
}

/// Whoever prints a key prints nothing of it.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// The labels of the sections, in their order.
fn labels(pem: &[u8]) -> Result<Vec<String>, PemProblem> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    if pem.iter().all(is_space) {
        return Err(PemProblem::Empty);
    }
    // DER of a certificate, a key or PKCS #12 is a SEQUENCE, and what else is no text is no PEM.
    if std::str::from_utf8(pem).is_err() {
        return Err(PemProblem::NotPem);
    }
    let lines = pem.split(|byte| matches!(byte, b'\n' | b'\r'));
    let labels = lines.filter_map(|line| {
        let label = line.trim_ascii().strip_prefix(BEGIN)?.strip_suffix(END)?;
        // A label is a few capital letters. What else stands there may be anything, and is not repeated.
        let is_plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
        (label.len() <= LONGEST_LABEL && label.iter().all(is_plain))
            .then(|| String::from_utf8_lossy(label).into_owned())
    });
    Ok(labels.collect())
}

fn has_line(pem: &[u8], start: &[u8]) -> bool {
    let mut lines = pem.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.any(|line| line.trim_ascii_start().starts_with(start))
}

/// The first section of these kinds is the one that is damaged, as far as anybody knows.
fn damaged(labels: &[String], kinds: &[&str]) -> PemProblem {
    let label = labels.iter().find(|label| kinds.contains(&label.as_str()));
    PemProblem::Damaged {
        label: label.cloned().unwrap_or_else(|| kinds[0].to_owned()),
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----";

const CERTIFICATE: &str = "CERTIFICATE";
const KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Characters of a label; the longest that is known has 27.
const LONGEST_LABEL: usize = 40;

/// Certificates of one chain, each of which goes to every client.
const MOST_IN_A_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn section(label: &str, content: &str) -> String {
        format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n")
    }

    fn own() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn certificates_and_their_key_may_be_one_file_and_other_sections_are_passed_over() {
        let (certificate, key) = own();
        let parameters = section("EC PARAMETERS", "BggqhkjOPQMBBw==");
        let both = format!("a comment\n{parameters}{key}{certificate}{certificate}");
        assert_eq!(CertificateChain::from_pem(both.as_bytes()).unwrap().0.len(), 2);
        let alone = PrivateKey::from_pem(key.as_bytes()).unwrap();
        assert!(PrivateKey::from_pem(both.as_bytes()).unwrap() == alone);
        let windows = both.replace('\n', "\r\n");
        assert_eq!(CertificateChain::from_pem(windows.as_bytes()).unwrap().0.len(), 2);
        assert!(PrivateKey::from_pem(windows.as_bytes()).unwrap() == alone);
        assert_eq!(format!("{alone:?}"), "PrivateKey { .. }");
    }

    #[test]
    fn a_file_in_the_place_of_another_is_told_by_what_is_in_it() {
        let (certificate, key) = own();
        let found = |label: &str| Some(label.to_owned());
        let damaged = |label: &str| PemProblem::Damaged {
            label: label.to_owned(),
        };
        let no_certificate = |found| PemProblem::NoCertificate { found };
        let no_key = |found| PemProblem::NoKey { found };
        let encrypted = section("ENCRYPTED PRIVATE KEY", "AAAA");
        let legacy = section(
            "RSA PRIVATE KEY",
            "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA",
        );
        let request = section("CERTIFICATE REQUEST", "AAAA");
        let cut = certificate[..certificate.len() / 2].to_owned();
        let cut_key = key[..key.len() / 2].to_owned();
        let hidden = "-----BEGIN hunter2-----\nAAAA\n".to_owned();
        let many = certificate.repeat(17);
        let rows: [(&[u8], PemProblem, PemProblem); 12] = [
            (b"", PemProblem::Empty, PemProblem::Empty),
            (b" \n\n", PemProblem::Empty, PemProblem::Empty),
            (&[0x30, 0x82, 0x01, 0xff], PemProblem::NotPem, PemProblem::NotPem),
            (b"hello", no_certificate(None), no_key(None)),
            (hidden.as_bytes(), no_certificate(None), no_key(None)),
            (certificate.as_bytes(), no_key(None), no_key(found("CERTIFICATE"))),
            (
                key.as_bytes(),
                no_certificate(found("PRIVATE KEY")),
                PemProblem::Empty,
            ),
            (
                encrypted.as_bytes(),
                no_certificate(found("ENCRYPTED PRIVATE KEY")),
                PemProblem::Encrypted,
            ),
            (
                legacy.as_bytes(),
                no_certificate(found("RSA PRIVATE KEY")),
                PemProblem::Encrypted,
            ),
            (
                request.as_bytes(),
                no_certificate(found("CERTIFICATE REQUEST")),
                no_key(found("CERTIFICATE REQUEST")),
            ),
            (
                cut.as_bytes(),
                damaged("CERTIFICATE"),
                no_key(found("CERTIFICATE")),
            ),
            (
                cut_key.as_bytes(),
                no_certificate(found("PRIVATE KEY")),
                damaged("PRIVATE KEY"),
            ),
        ];
        for (pem, as_certificates, as_key) in rows {
            let shown = String::from_utf8_lossy(pem);
            match CertificateChain::from_pem(pem) {
                Err(problem) => assert_eq!(problem, as_certificates, "{shown}"),
                Ok(_) => assert_eq!(pem, certificate.as_bytes(), "{shown}"),
            }
            match PrivateKey::from_pem(pem) {
                Err(problem) => assert_eq!(problem, as_key, "{shown}"),
                Ok(_) => assert_eq!(pem, key.as_bytes(), "{shown}"),
            }
        }
        let several = format!("{key}{key}");
        assert_eq!(
            PrivateKey::from_pem(several.as_bytes()).unwrap_err(),
            PemProblem::SeveralKeys { count: 2 }
        );
        assert_eq!(
            CertificateChain::from_pem(many.as_bytes()).unwrap_err(),
            PemProblem::TooManyCertificates { most: 16 }
        );
    }

    #[test]
    fn what_to_do_is_said_wherever_it_is_known() {
        let (_, key) = own();
        let wrong = CertificateChain::from_pem(key.as_bytes()).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "there is no certificate in it, but a section `PRIVATE KEY`"
        );
        assert!(wrong.advice().unwrap().contains("`--tls-key`"));
        let none = PrivateKey::from_pem(b"hello").unwrap_err();
        assert!(none.advice().unwrap().contains("BEGIN PRIVATE KEY"));
        assert_eq!(PemProblem::Empty.advice(), None);
    }
}
