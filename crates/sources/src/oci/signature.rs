//! Signatures that `cosign` makes with a key, beside the artifact that they are of.
//!
//! ```text
//! repository:sha256-HEX.sig   a manifest, of which each layer is one signature:
//!   layer                     the payload, JSON: `critical.image.docker-manifest-digest` is what is signed for
//!   its annotation            the signature of the payload's bytes, in base64
//! ```
//!
//! A signature counts when one of the operator's keys verifies it and its payload is about this very digest. The name in
//! the payload is not compared, as with `cosign verify`: a mirror has another name for the same bytes. Certificates,
//! transparency logs and time are not looked at; who has the key may sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outport_manifest::Digest;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

use super::manifest::ImageManifest;

/// The type of a layer with a payload.
pub(crate) const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The annotation with the signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What a payload says that it is.
const TYPE: &str = "cosign container image signature";

/// Bytes of the longest payload.
pub(crate) const LONGEST_PAYLOAD: u64 = 64 << 10;

/// Signatures of one artifact that are looked at.
pub(crate) const MOST_SIGNATURES: usize = 32;

/// A key whose signatures count.
#[derive(Clone)]
pub struct VerifyKey {
    algorithm: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
}

/// The reason why a file is not the key of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyKeyError {
    /// It is not PEM, or of something else.
    #[error("it is not a public key in PEM, `-----BEGIN PUBLIC KEY-----`")]
    NotAPublicKey,
    /// It is a key to sign with.
    #[error("it is a private key: keep it to yourself, and name the public one, `cosign.pub`")]
    Private,
    /// A kind of key that is not served.
    #[error(
        "it is a key of a kind that is not served: those are ECDSA on P-256, Ed25519 and RSA of 2048 bits or more"
    )]
    Kind,
}

impl VerifyKey {
    /// Reads the one public key in a text.
    ///
    /// # Errors
    ///
    /// There is none, or more than one, or it is of another kind.
    pub fn from_pem(text: &[u8]) -> Result<Self, VerifyKeyError> {
        let blocks = pem::parse_many(text).map_err(|_| VerifyKeyError::NotAPublicKey)?;
        let block = match blocks.as_slice() {
            [block] => block,
            _ => return Err(VerifyKeyError::NotAPublicKey),
        };
        match block.tag() {
            "PUBLIC KEY" => Self::from_der(block.contents()),
            tag if tag.ends_with("PRIVATE KEY") => Err(VerifyKeyError::Private),
            _ => Err(VerifyKeyError::NotAPublicKey),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1).
    fn from_der(der: &[u8]) -> Result<Self, VerifyKeyError> {
        let read = || {
            let (info, rest) = element(der, SEQUENCE)?;
            let (kind, info) = element(info, SEQUENCE)?;
            let (bits, end) = element(info, BIT_STRING)?;
            // The number of bits that are not used comes first.
            let key = bits.strip_prefix(&[0])?;
            (rest.is_empty() && end.is_empty()).then_some((kind, key))
        };
        let (kind, key) = read().ok_or(VerifyKeyError::NotAPublicKey)?;
        let algorithm: &'static dyn VerificationAlgorithm = match kind {
            P256 if key.len() == 65 && key[0] == 4 => &ECDSA_P256_SHA256_ASN1,
            EDWARDS if key.len() == 32 => &ED25519,
            RSA if is_long_enough(key) => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(VerifyKeyError::Kind),
        };
        Ok(Self {
            algorithm,
            key: key.to_vec(),
        })
    }

    fn verifies(&self, payload: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.key)
            .verify(payload, signature)
            .is_ok()
    }
}

impl std::fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyKey").finish_non_exhaustive()
    }
}

/// A signature and what it is of.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// The layers of a manifest that hold payloads, with their signatures.
pub(crate) fn layers(manifest: &ImageManifest) -> Vec<(&super::manifest::Descriptor, Vec<u8>)> {
    let layers = manifest.layers.iter().filter_map(|layer| {
        let written = layer.annotations.as_ref()?.get(SIGNATURE)?;
        let signature = STANDARD.decode(written).ok()?;
        let fits = layer.media_type == PAYLOAD && layer.size <= LONGEST_PAYLOAD;
        fits.then_some((layer, signature))
    });
    layers.take(MOST_SIGNATURES).collect()
}

/// True if one of the signatures is of this digest, and by one of the keys.
pub(crate) fn is_signed(digest: &Digest, signatures: &[Signature], keys: &[VerifyKey]) -> bool {
    signatures.iter().any(|Signature { payload, signature }| {
        keys.iter().any(|key| key.verifies(payload, signature)) && is_about(payload, digest)
    })
}

fn is_about(payload: &[u8], digest: &Digest) -> bool {
    #[derive(Deserialize)]
    struct Payload {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        image: Image,
        #[serde(rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    struct Image {
        #[serde(rename = "docker-manifest-digest")]
        digest: String,
    }
    serde_json::from_slice(payload).is_ok_and(|payload: Payload| {
        payload.critical.kind == TYPE && payload.critical.image.digest == digest.to_string()
    })
}

const SEQUENCE: u8 = 0x30;

const BIT_STRING: u8 = 0x03;

/// `id-ecPublicKey` (RFC 5480) on `prime256v1`.
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];

/// `id-Ed25519` (RFC 8410).
const EDWARDS: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// `rsaEncryption` (RFC 8017), whose parameters are NULL.
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// True for an `RSAPublicKey` of 2048 bits or more: ring refuses shorter ones when it verifies, which is late to say so.
fn is_long_enough(key: &[u8]) -> bool {
    let modulus = element(key, SEQUENCE).and_then(|(key, _)| element(key, INTEGER));
    modulus.is_some_and(|(modulus, _)| modulus.len() >= 256)
}

const INTEGER: u8 = 0x02;

/// The content of the DER element with this tag that the bytes begin with, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits.iter().fold(0, |all, digit| all << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    use super::super::tree::digest_of;
    use super::*;

    fn info(kind: &[u8], key: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let bits = wrap(BIT_STRING, &[&[0], key].concat());
        wrap(SEQUENCE, &[wrap(SEQUENCE, kind), bits].concat())
    }

    fn pem(tag: &str, der: &[u8]) -> String {
        pem::encode(&pem::Pem::new(tag, der))
    }

    fn payload(digest: &Digest, kind: &str) -> Vec<u8> {
        serde_json::json!({
            "critical": {
                "identity": { "docker-reference": "elsewhere.example/app" },
                "image": { "docker-manifest-digest": digest.to_string() },
                "type": kind,
            },
            "optional": null,
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_signature_counts_for_its_digest_and_its_key() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let ecdsa =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let edwards = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let edwards = Ed25519KeyPair::from_pkcs8(edwards.as_ref()).unwrap();
        let of_ecdsa = pem("PUBLIC KEY", &info(P256, ecdsa.public_key().as_ref()));
        let of_edwards = pem("PUBLIC KEY", &info(EDWARDS, edwards.public_key().as_ref()));
        let keys = [of_ecdsa, of_edwards].map(|text| VerifyKey::from_pem(text.as_bytes()).unwrap());
        let [of_ecdsa, of_edwards] = &keys;
        let (this, other) = (digest_of(b"this"), digest_of(b"other"));
        let sign = |payload: Vec<u8>| Signature {
            signature: ecdsa.sign(&random, &payload).unwrap().as_ref().to_vec(),
            payload,
        };
        let fine = sign(payload(&this, TYPE));
        let by_edwards = Signature {
            signature: edwards.sign(&payload(&this, TYPE)).as_ref().to_vec(),
            payload: payload(&this, TYPE),
        };
        let broken = Signature {
            payload: payload(&this, TYPE),
            ..sign(payload(&other, TYPE))
        };
        let rows: &[(&str, &[&Signature], &[&VerifyKey], bool)] = &[
            ("fine", &[&fine], &[of_ecdsa], true),
            ("Ed25519", &[&by_edwards], &[of_edwards], true),
            ("another key", &[&fine], &[of_edwards], false),
            ("one of the keys", &[&fine], &[of_edwards, of_ecdsa], true),
            ("one of the signatures", &[&broken, &fine], &[of_ecdsa], true),
            (
                "another digest",
                &[&sign(payload(&other, TYPE))],
                &[of_ecdsa],
                false,
            ),
            (
                "another type",
                &[&sign(payload(&this, "note"))],
                &[of_ecdsa],
                false,
            ),
            ("a payload of another signature", &[&broken], &[of_ecdsa], false),
            ("no JSON", &[&sign(b"{".to_vec())], &[of_ecdsa], false),
            ("no signature", &[], &[of_ecdsa], false),
            ("no key", &[&fine], &[], false),
        ];
        for (what, signatures, keys, expected) in rows {
            let signatures: Vec<Signature> = signatures.iter().map(|one| (*one).clone()).collect();
            let keys: Vec<VerifyKey> = keys.iter().map(|key| (*key).clone()).collect();
            assert_eq!(is_signed(&this, &signatures, &keys), *expected, "{what}");
        }
    }

    #[test]
    fn a_key_is_read_strictly() {
        let point = [&[4][..], &[7; 64]].concat();
        let fine = info(P256, &point);
        let rows = [
            (pem("PUBLIC KEY", &fine), None),
            (pem("PRIVATE KEY", &fine), Some(VerifyKeyError::Private)),
            (
                pem("ENCRYPTED SIGSTORE PRIVATE KEY", &fine),
                Some(VerifyKeyError::Private),
            ),
            (pem("CERTIFICATE", &fine), Some(VerifyKeyError::NotAPublicKey)),
            (
                pem("PUBLIC KEY", &fine[..40]),
                Some(VerifyKeyError::NotAPublicKey),
            ),
            (
                pem("PUBLIC KEY", &[&fine[..], &[0]].concat()),
                Some(VerifyKeyError::NotAPublicKey),
            ),
            (
                pem("PUBLIC KEY", &info(P256, &point[..33])),
                Some(VerifyKeyError::Kind),
            ),
            (
                pem("PUBLIC KEY", &info(&[6, 1, 1], &point)),
                Some(VerifyKeyError::Kind),
            ),
            (
                pem("PUBLIC KEY", &info(RSA, &[0x30, 3, 2, 1, 3])),
                Some(VerifyKeyError::Kind),
            ),
            (
                pem("PUBLIC KEY", &fine).repeat(2),
                Some(VerifyKeyError::NotAPublicKey),
            ),
            ("no key".to_owned(), Some(VerifyKeyError::NotAPublicKey)),
            (String::new(), Some(VerifyKeyError::NotAPublicKey)),
        ];
        for (text, expected) in rows {
            assert_eq!(VerifyKey::from_pem(text.as_bytes()).err(), expected, "{text}");
        }
    }
}
