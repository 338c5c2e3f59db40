//! How a client shows who it is, until the server lets it in.
//!
//! ```text
//! the client's answer ──▶ OK, or an error
//!                     ├─▶ another way is wanted (once): answered in that way
//!                     └─▶ the cache does not know the user: the password itself, through TLS or for the server's key
//! ```
//!
//! | way | the password |
//! | --- | --- |
//! | `mysql_native_password` | never leaves: a hash of it with the nonce does |
//! | `caching_sha2_password` | likewise, but where the server does not know its hash |
//! | any other, `mysql_clear_password` among them | nothing is answered |

use mysql_common::io::ParseBuf;
use mysql_common::packets::AuthPlugin;
use mysql_common::scramble::{scramble_native, scramble_sha256};

use super::greeting::{self, ERROR, Nonce, Said};
use super::packets::{Ended, Packets, Stream};
use super::public_key;

/// A way that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plugin {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
}

/// Whether others can read what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Plain,
    Secured,
}

/// The server has not let the client in.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLetIn {
    #[error("{0}")]
    Said(Said),
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("the server wants a way to authenticate that is not supported: `{0}`")]
    Plugin(String),
    #[error("the server has no public key that the password could be encrypted with")]
    NoKey,
}

impl Plugin {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match AuthPlugin::from_bytes(name) {
            AuthPlugin::MysqlNativePassword => Some(Self::Native),
            AuthPlugin::CachingSha2Password => Some(Self::CachingSha2),
            _ => None,
        }
    }

    /// The same for the codec.
    pub(super) fn name(self) -> AuthPlugin<'static> {
        match self {
            Self::Native => AuthPlugin::MysqlNativePassword,
            Self::CachingSha2 => AuthPlugin::CachingSha2Password,
        }
    }

    /// What shows that the client knows the password; nothing for an empty one.
    pub(super) fn answer(self, password: &str, nonce: &Nonce) -> Vec<u8> {
        let password = password.as_bytes();
        match self {
            Self::Native => scramble_native(nonce, password).map(Vec::from),
            Self::CachingSha2 => scramble_sha256(nonce, password).map(Vec::from),
        }
        .unwrap_or_default()
    }
}

/// Waits for the server's consent, after the answer to `nonce` in the way of `plugin` was sent. Gives the way and the nonce
/// that it was given by.
pub(super) async fn consent<S: Stream>(
    packets: &mut Packets<S>,
    channel: Channel,
    password: &str,
    (mut plugin, mut nonce): (Plugin, Nonce),
) -> Result<(Plugin, Nonce), NotLetIn> {
    for _ in 0..MOST_PACKETS {
        let packet = packets.read(LONGEST_PACKET).await?;
        match (packet.split_first(), plugin) {
            (Some((&OK, _)), _) => return Ok((plugin, nonce)),
            (Some((&ERROR, _)), _) => return Err(NotLetIn::Said(Said::parse(&packet))),
            (Some((&SWITCH, [])), _) => return Err(NotLetIn::Plugin("mysql_old_password".to_owned())),
            (Some((&SWITCH, rest)), _) => {
                let mut rest = ParseBuf(rest);
                let name = rest.eat_null_str();
                plugin = Plugin::named(name).ok_or_else(|| NotLetIn::Plugin(shown(name)))?;
                nonce = greeting::nonce(rest.0).ok_or(Ended::NotUnderstood)?;
                packets.reply(&plugin.answer(password, &nonce)).await?;
            }
            (Some((&MORE, [KNOWN])), Plugin::CachingSha2) => {}
            (Some((&MORE, [UNKNOWN])), Plugin::CachingSha2) => {
                let password = match channel {
                    Channel::Secured => [password.as_bytes(), b"\0"].concat(),
                    Channel::Plain => for_its_key(packets, password, &nonce).await?,
                };
                packets.reply(&password).await?;
            }
            _ => return Err(Ended::NotUnderstood.into()),
        }
    }
    Err(Ended::NotUnderstood.into())
}

async fn for_its_key<S: Stream>(
    packets: &mut Packets<S>,
    password: &str,
    nonce: &Nonce,
) -> Result<Vec<u8>, NotLetIn> {
    packets.reply(&[KEY]).await?;
    let packet = packets.read(LONGEST_PACKET).await?;
    match packet.split_first() {
        Some((&MORE, pem)) => public_key::encrypted(password, nonce, pem).ok_or(NotLetIn::NoKey),
        Some((&ERROR, _)) => Err(NotLetIn::Said(Said::parse(&packet))),
        _ => Err(NotLetIn::NoKey),
    }
}

/// A name that the server has made up.
fn shown(name: &[u8]) -> String {
    let name = name.get(..64).unwrap_or(name);
    let shown = |byte: &u8| {
        if byte.is_ascii_graphic() {
            char::from(*byte)
        } else {
            '?'
        }
    };
    name.iter().map(shown).collect()
}

/// Bytes of a packet before the client is let in.
pub(super) const LONGEST_PACKET: usize = 64 << 10;

/// Packets of the server, of which three are usual.
const MOST_PACKETS: usize = 8;

/// First bytes of packets.
pub(super) const OK: u8 = 0x00;
const MORE: u8 = 0x01;
const SWITCH: u8 = 0xfe;

/// What the server says of its cache, and what it is asked for.
const KNOWN: u8 = 3;
const UNKNOWN: u8 = 4;
const KEY: u8 = 2;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_password_itself_goes_through_tls_alone() {
        let nonce = *b"abcdefghijklmnopqrst";
        for (channel, plugin, expected) in [
            (
                Channel::Secured,
                Plugin::CachingSha2,
                &b"\x07\0\0\x01secret\0"[..],
            ),
            (Channel::Plain, Plugin::CachingSha2, b"\x01\0\0\x01\x02"),
            // One that was to know nothing but a hash has no right to ask.
            (Channel::Secured, Plugin::Native, b""),
            (Channel::Plain, Plugin::Native, b""),
        ] {
            let (own, mut server) = tokio::io::duplex(1 << 10);
            server.write_all(b"\x02\0\0\0\x01\x04").await.unwrap();
            let mut packets = Packets::over(own, 1 << 10);
            let asking = tokio::spawn(async move {
                let _ = consent(&mut packets, channel, "secret", (plugin, nonce)).await;
            });
            let mut sent = vec![0; expected.len()];
            server.read_exact(&mut sent).await.unwrap();
            assert_eq!(sent, expected, "{channel:?} {plugin:?}");
            // It says no more, and then nothing comes any more.
            server.shutdown().await.unwrap();
            asking.await.unwrap();
            server.read_to_end(&mut sent).await.unwrap();
            assert_eq!(sent, expected, "{channel:?} {plugin:?}");
        }
    }
}
