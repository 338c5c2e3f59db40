//! The public key of a server, and a password that only it can read.
//!
//! A server whose cache does not know a user wants the password itself. Where there is no TLS it gives a key to encrypt it
//! with: RSA, with OAEP, after the password was mixed with the nonce. The codec's own reader of keys panics at what is
//! none, so the key is read here, and only one that its arithmetic can work with gets that far.

use std::ops::{Add, Shl};

use mysql_common::crypto::rsa::{GetRandom, Pkcs1OaepPadding, PublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::greeting::Nonce;

/// `password`, for whoever has the private key to the public one in `pem`. None, if that is not such a key, or it is too
/// short for the password.
pub(super) fn encrypted(password: &str, nonce: &Nonce, pem: &[u8]) -> Option<Vec<u8>> {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    let (modulus, exponent) = numbers(&key)?;
    let mut mixed = password.as_bytes().to_vec();
    mixed.push(0);
    for (byte, mask) in mixed.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
    if mixed.len() + OVERHEAD > modulus.len() {
        return None;
    }
    let key = PublicKey::new(number(modulus), number(exponent));
    Some(key.encrypt_block(mixed, Pkcs1OaepPadding::new(GetRandom)))
}

/// Modulus and exponent, if they have a usual size.
fn numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut key = Der(key);
    let mut info = Der(key.value(SEQUENCE)?);
    let algorithm = info.value(SEQUENCE)?;
    let Some((0, bits)) = info.value(BIT_STRING)?.split_first() else {
        return None;
    };
    let mut bits = Der(bits);
    let mut numbers = Der(bits.value(SEQUENCE)?);
    let (modulus, exponent) = (numbers.number()?, numbers.number()?);
    let ended = [key, info, bits, numbers].iter().all(|rest| rest.0.is_empty());
    let is_usual = LENGTHS.contains(&modulus.len())
        // All bits of its bytes, so that its length is what the codec takes it for; and odd, as every such number is.
        && modulus.first()? & 0x80 != 0
        && modulus.last()? & 1 == 1
        && exponent.len() <= 4
        && exponent.last()? & 1 == 1;
    (ended && is_usual && algorithm == RSA).then_some((modulus, exponent))
}

/// The number that big-endian bytes stand for, of the type that the codec computes with.
fn number<N: From<u8> + Add<Output = N> + Shl<u32, Output = N>>(bytes: &[u8]) -> N {
    let mut number = N::from(0);
    for byte in bytes {
        number = (number << 8_u32) + N::from(*byte);
    }
    number
}

/// The rest of an encoding.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of what comes next, if it is of that kind.
    fn value(&mut self, kind: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if length >= 0x80 {
            let (bytes, after) = rest.split_at_checked(length & 0x7f)?;
            if bytes.is_empty() || bytes.len() > 4 {
                return None;
            }
            length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = after;
        }
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*found == kind).then_some(value)
    }

    /// A positive number without zeros before it.
    fn number(&mut self) -> Option<&'a [u8]> {
        match self.value(INTEGER)? {
            [0, number @ ..] if number.first()? & 0x80 != 0 => Some(number),
            [first, ..] if first & 0x80 != 0 || *first == 0 => None,
            number => Some(number),
        }
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// `rsaEncryption`, with nothing besides.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

/// Bytes of a modulus: 1,024 to 8,192 bits.
const LENGTHS: std::ops::RangeInclusive<usize> = 128..=1024;

/// Bytes of OAEP with SHA-1.
const OVERHEAD: usize = 42;
