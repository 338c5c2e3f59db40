//! A key of the tests' own, and what a server does with it: RSA, OAEP with SHA-1 (RFC 8017, 7.1.2), and the nonce.

use std::ops::{Add, Shl};

use mysql_common::crypto::rsa::{Padding, PublicKey};

/// The public part, as a server gives it out.
pub(super) const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDe6gnR8pY5KeAKWI9hRQk57THl\n\
    ygQuUiMr6UfltarfYGyF56CdISFCbufWQwzLJgiowpkdjFdZrnd8slckqGeRkW+D\n\
    76NTDcvElLojDzEUC2Tjk4ny8bBqZ3OLl6nl1f99rJJ6nqG1lIonY6c+62UkyeB4\n\
    z1TTJmZ3ieKaadncsQIDAQAB\n\
    -----END PUBLIC KEY-----\n";

const MODULUS: &str = "deea09d1f2963929e00a588f61450939ed31e5ca042e52232be947e5b5aadf606c85e7a09d2121426ee7d6430ccb26\
    08a8c2991d8c5759ae777cb25724a86791916f83efa3530dcbc494ba230f31140b64e39389f2f1b06a67738b97a9e5d5ff7dac927a9ea1b5948a\
    2763a73eeb6524c9e078cf54d326667789e29a69d9dcb1";

const PRIVATE: &str = "6273b96c9998d19c760ffbb72fbdbeea6fa1571d1725a22f58888ab1a0bfdc32891bc7067fff8ee1f97bb97d199c6b\
    aaed662d1c08ccd7961fbdda4274b5502ffe2bc9d31484ed8f4deb6433f11fa4ecf454fdb3bcdb4fcb9fe46f754cdc3fa5f7b6c63c979d12fc7b\
    ea7b4ca881e2904d24eec0c95a028e0898e50e43ff3f41";

/// The password that was encrypted.
pub(super) fn decrypted(encrypted: &[u8], nonce: &[u8; 20]) -> Option<String> {
    // What the codec does with the exponent that is public, it does with the one that is private.
    let key = PublicKey::new(number(MODULUS), number(PRIVATE));
    let block = key.encrypt_block(encrypted, AsItIs);
    let (seed, data) = block.get(1..)?.split_at_checked(20)?;
    let seed = xor(seed, &mask(data, 20));
    let data = xor(data, &mask(&seed, data.len()));
    let message = data.strip_prefix(&sha1(b"")[..])?;
    let start = message.iter().position(|byte| *byte != 0)?;
    let message = message[start..].strip_prefix(&[1])?;
    let nonce: Vec<u8> = nonce.iter().copied().cycle().take(message.len()).collect();
    String::from_utf8(xor(message, &nonce))
        .ok()?
        .strip_suffix('\0')
        .map(str::to_owned)
}

struct AsItIs;

impl Padding for AsItIs {
    fn pub_pad(&mut self, input: impl AsRef<[u8]>, _: usize) -> Vec<u8> {
        input.as_ref().to_vec()
    }
}

fn number<N: From<u8> + Add<Output = N> + Shl<u32, Output = N>>(digits: &str) -> N {
    digits.chars().fold(N::from(0), |number, digit| {
        let digit = u8::try_from(digit.to_digit(16).unwrap()).unwrap();
        (number << 4_u32) + N::from(digit)
    })
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

fn mask(seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0..u32::try_from(length.div_ceil(20)).unwrap())
        .flat_map(|counter| sha1(&[seed, &counter.to_be_bytes()].concat()));
    blocks.take(length).collect()
}

/// RFC 3174.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state = [
        0x6745_2301_u32,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).div_ceil(64) * 64 - 8, 0);
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words: Vec<u32> = block
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
            .collect();
        for at in 16..80 {
            let word = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words.push(word.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mixed, constant) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(*word)
                .wrapping_add(constant);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (state, new) in state.iter_mut().zip([a, b, c, d, e]) {
            *state = state.wrapping_add(new);
        }
    }
    let mut bytes = [0; 20];
    for (bytes, word) in bytes.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

#[test]
fn a_password_is_read_by_whoever_has_the_private_key() {
    let nonce = *b"abcdefghijklmnopqrst";
    for password in ["secret", "", "grüße, and longer than the nonce is"] {
        let encrypted = super::public_key::encrypted(password, &nonce, PEM.as_bytes()).unwrap();
        assert_eq!(decrypted(&encrypted, &nonce).as_deref(), Some(password));
    }
    assert_eq!(sha1(b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
}

#[test]
fn what_is_no_usual_key_is_none_and_no_panic() {
    let nonce = *b"abcdefghijklmnopqrst";
    let encrypted = |pem: &str| super::public_key::encrypted("secret", &nonce, pem.as_bytes());
    assert!(super::public_key::encrypted(&"a".repeat(100), &nonce, PEM.as_bytes()).is_none());
    for pem in [
        "",
        "secret",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
        // A modulus of 0.
        "-----BEGIN PUBLIC KEY-----\nMBowDQYJKoZIhvcNAQEBBQADCQAwBgIBAAIBAw==\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(encrypted(pem).is_none(), "{pem}");
    }
    // Every character of it changed.
    for at in 27..PEM.len() - 26 {
        for other in ["A", "/", "=", "\n"] {
            let mut changed = PEM.to_owned();
            changed.replace_range(at..=at, other);
            let _ = encrypted(&changed);
        }
    }
}
