//! The first packet of a server, and what is said of an error.

use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;

/// The greeting of a server, as far as it matters.
pub(super) struct Greeting {
    pub(super) capabilities: CapabilityFlags,
    /// What the password is mixed with.
    pub(super) nonce: Nonce,
    /// How the server would like the client to show who it is.
    pub(super) plugin: Vec<u8>,
}

/// Twenty bytes that are new for each authentication.
pub(super) type Nonce = [u8; 20];

/// An error that the server has told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERROR {code} ({state}): {message}")]
pub(super) struct Said {
    pub(super) code: u16,
    state: String,
    message: String,
}

impl Greeting {
    /// None, if it is not one of a server that is new enough: MySQL 5.5 of 2010.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let mut rest = ParseBuf(packet);
        if rest.checked_eat_u8()? != VERSION {
            return None;
        }
        rest.eat_null_str();
        let _id_of_connection = rest.checked_eat_u32_le()?;
        let first = rest.checked_eat(8)?;
        rest.checked_eat_u8()?;
        let low = rest.checked_eat_u16_le()?;
        let _collation = rest.checked_eat_u8()?;
        let _status = rest.checked_eat_u16_le()?;
        let high = rest.checked_eat_u16_le()?;
        let _length_of_nonce = rest.checked_eat_u8()?;
        rest.checked_eat(10)?;
        let second = rest.checked_eat(13)?;
        let capabilities = u32::from(high) << 16 | u32::from(low);
        let capabilities = CapabilityFlags::from_bits_truncate(capabilities);
        Some(Self {
            capabilities: Some(capabilities).filter(|all| all.contains(NEEDED))?,
            nonce: nonce(&[first, second].concat())?,
            plugin: rest.eat_null_str().to_vec(),
        })
    }
}

/// The nonce that a packet has, with or without a NUL at its end.
pub(super) fn nonce(bytes: &[u8]) -> Option<Nonce> {
    bytes.strip_suffix(&[0]).unwrap_or(bytes).try_into().ok()
}

impl Said {
    /// What a packet says that begins with [`ERROR`].
    pub(super) fn parse(packet: &[u8]) -> Self {
        let mut rest = ParseBuf(packet.get(1..).unwrap_or_default());
        let code = rest.checked_eat_u16_le().unwrap_or_default();
        // Before the client is let in there may be no state.
        let state = match rest.0 {
            [b'#', state @ ..] if state.len() >= 5 => {
                rest.0 = &state[5..];
                text(&state[..5])
            }
            _ => "HY000".to_owned(),
        };
        let message = rest.0.get(..LONGEST_MESSAGE).unwrap_or(rest.0);
        Self {
            code,
            state,
            message: text(message),
        }
    }
}

/// Text of the server, which may be anything.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first byte of an error.
pub(super) const ERROR: u8 = 0xff;

const VERSION: u8 = 10;

/// What is not done without.
const NEEDED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// Bytes of a message that are shown; servers have 512.
const LONGEST_MESSAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(version: u8, capabilities: u32, rest: &[u8]) -> Vec<u8> {
        let capabilities = capabilities.to_le_bytes();
        let mut bytes = vec![version];
        bytes.extend(b"8.4.0\0\x01\0\0\0abcdefgh\0");
        bytes.extend(&capabilities[..2]);
        bytes.extend(b"\x2d\x02\0");
        bytes.extend(&capabilities[2..]);
        bytes.push(0x80);
        bytes.extend([0; 10]);
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn a_greeting_is_read_or_is_none() {
        let all = u32::MAX;
        let found = Greeting::parse(&greeting(10, all, b"ijklmnopqrst\0caching_sha2_password\0")).unwrap();
        assert_eq!(found.nonce, *b"abcdefghijklmnopqrst");
        assert_eq!(found.plugin, b"caching_sha2_password");
        let whole = greeting(10, all, b"ijklmnopqrst\0mysql_native_password");
        assert_eq!(Greeting::parse(&whole).unwrap().plugin, b"mysql_native_password");
        // Anything shorter is none, but for the name, which may be missing.
        for length in 0..whole.len() - b"mysql_native_password".len() {
            assert!(Greeting::parse(&whole[..length]).is_none(), "{length}");
        }
        for bytes in [
            greeting(9, all, b"ijklmnopqrst\0x\0"),
            greeting(10, 0, b"ijklmnopqrst\0x\0"),
            greeting(10, all, b"ijklmnopqrstux\0"),
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            vec![10; 1000],
        ] {
            assert!(Greeting::parse(&bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn an_error_is_shown_whatever_it_is() {
        for (packet, expected) in [
            (
                &b"\xff\x15\x04#28000Access denied"[..],
                "ERROR 1045 (28000): Access denied",
            ),
            (
                b"\xff\x10\x04Too many connections",
                "ERROR 1040 (HY000): Too many connections",
            ),
            (b"\xff\x01\0#\xff", "ERROR 1 (HY000): #\u{fffd}"),
            (b"\xff", "ERROR 0 (HY000): "),
            (b"", "ERROR 0 (HY000): "),
        ] {
            assert_eq!(Said::parse(packet).to_string(), expected);
        }
        let long = [&b"\xff\x01\0#00000"[..], &[b'a'; 10_000]].concat();
        assert_eq!(
            Said::parse(&long).to_string().len(),
            4096 + "ERROR 1 (00000): ".len()
        );
    }
}
