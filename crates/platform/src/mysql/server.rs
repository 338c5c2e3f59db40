//! A connection that a server has let in: how it comes about, is set back, and ends.
//!
//! ```text
//! greeting ──▶ TLS, where the address wants it and the server has it ──▶ who it is ──▶ consent
//! ```

use std::time::Duration;

use mysql_common::constants::{CapabilityFlags, Command};
use mysql_common::packets::{ComChangeUser, ComChangeUserMoreData, HandshakeResponse, SslRequest};
use mysql_common::proto::MySerialize;
use outport_egress::{ConnectionHandle, Dialer, HostConnection, IntroductionFailure, Pooled};
use tokio::time::timeout;

use super::address::MysqlAddress;
use super::authentication::{Channel, LONGEST_PACKET, NotLetIn, OK, Plugin, consent};
use super::greeting::{ERROR, Greeting, Nonce, Said};
use super::packets::{Ended, Packets};
use crate::address::Encryption;
use crate::not_opened::{NotOpened, silent};

/// A connection that a server has let in.
pub(crate) struct Server {
    pub(super) packets: Packets,
    pub(super) handle: ConnectionHandle,
    pub(super) at: At,
    /// A statement was sent.
    pub(super) is_used: bool,
    address: MysqlAddress,
    channel: Channel,
    /// How it was let in, which is how it is let in again.
    way: (Plugin, Nonce),
}

/// The moment of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// All that was asked is answered.
    Rest,
    /// Rows are to come.
    Rows,
    /// Nobody knows: an answer was not understood, or not waited for.
    Unknown,
}

impl Pooled for Server {
    fn connection(&self) -> &ConnectionHandle {
        &self.handle
    }
}

impl Server {
    /// Over a new connection, as `address` says.
    pub(super) async fn over(
        dialer: &Dialer,
        connection: HostConnection,
        address: MysqlAddress,
    ) -> Result<Self, NotOpened> {
        let introduced = timeout(INTRODUCTION_TIME, Self::introduced(dialer, connection, address));
        introduced.await.unwrap_or_else(|_| Err(silent()))
    }

    async fn introduced(
        dialer: &Dialer,
        connection: HostConnection,
        address: MysqlAddress,
    ) -> Result<Self, NotOpened> {
        let handle = connection.handle();
        let mut packets = Packets::over(connection, MOST_BEFORE_CONSENT);
        let greeting = packets.read(LONGEST_PACKET).await?;
        if greeting.first() == Some(&ERROR) {
            return Err(IntroductionFailure::said(Said::parse(&greeting).to_string()).into());
        }
        let greeting = Greeting::parse(&greeting).ok_or(Ended::NotUnderstood)?;
        let has_tls = greeting.capabilities.contains(CapabilityFlags::CLIENT_SSL);
        let capabilities = CAPABILITIES & greeting.capabilities;
        let (mut packets, channel) = match (address.encryption, has_tls) {
            (Encryption::Never, _) | (Encryption::IfOffered, false) => (packets.boxed(), Channel::Plain),
            (Encryption::Always, false) => {
                let why = "the server has no TLS, which `ssl-mode` demands";
                return Err(IntroductionFailure::no_tls(why).into());
            }
            (Encryption::IfOffered | Encryption::Always, true) => {
                let capabilities = capabilities | CapabilityFlags::CLIENT_SSL;
                let request = SslRequest::new(capabilities, LARGEST_ANSWER, COLLATION);
                packets.reply(&serialized(&request)).await?;
                let (connection, numbering) = packets.interrupted()?;
                let secured = dialer.secure(connection, address.destination.host()).await;
                let secured = secured.map_err(|error| {
                    IntroductionFailure::tls(&error, "; `ssl-mode=disabled` does without")
                })?;
                (Packets::continued(secured, numbering).boxed(), Channel::Secured)
            }
        };
        // Where the server would like another way it asks for one that the user has, and that may be known.
        let plugin = Plugin::named(&greeting.plugin).unwrap_or(Plugin::Native);
        let way = (plugin, greeting.nonce);
        let response = who(&address, capabilities, channel, way);
        packets.reply(&response).await?;
        let way = consent(&mut packets, channel, &address.password, way).await?;
        Ok(Self {
            packets,
            handle,
            at: At::Rest,
            is_used: false,
            address,
            channel,
            way,
        })
    }

    /// Has the server make a new session of it, and says whether it is one. That is more than setting it back: the database,
    /// the role and the character set are those of the beginning too.
    pub(super) async fn is_renewed(&mut self) -> bool {
        if self.at != At::Rest {
            return false;
        }
        self.at = At::Unknown;
        let renewed = timeout(RENEWAL_TIME, self.renewed()).await;
        let Ok(Ok(way)) = renewed else {
            return false;
        };
        (self.way, self.at, self.is_used) = (way, At::Rest, false);
        self.packets.shrink();
        true
    }

    async fn renewed(&mut self) -> Result<(Plugin, Nonce), NotLetIn> {
        // MariaDB takes the user's default role for a new session, and without one leaves the role as it is.
        let no_role = [&[Command::COM_QUERY as u8], &b"SET ROLE NONE"[..]].concat();
        self.packets.command(&no_role, MOST_BEFORE_CONSENT).await?;
        match self.packets.read(LONGEST_PACKET).await?.first() {
            // One that knows no roles says so.
            Some(&(OK | ERROR)) => {}
            _ => return Err(Ended::NotUnderstood.into()),
        }
        let (plugin, nonce) = self.way;
        let MysqlAddress {
            user,
            password,
            database,
            ..
        } = &self.address;
        let more = ComChangeUserMoreData::new(COLLATION.into()).with_auth_plugin(Some(plugin.name()));
        let change = ComChangeUser::new()
            .with_user(Some(user.as_bytes()))
            .with_auth_plugin_data(Some(plugin.answer(password, &nonce)))
            .with_database(database.as_ref().map(|database| database.as_bytes()))
            .with_more_data(Some(more));
        self.packets
            .command(&serialized(&change), MOST_BEFORE_CONSENT)
            .await?;
        consent(&mut self.packets, self.channel, password, self.way).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.at == At::Rest {
            self.packets.command_at_once(&[Command::COM_QUIT as u8]);
        }
        self.handle.close();
    }
}

/// Who connects, and to which database.
fn who(
    address: &MysqlAddress,
    mut capabilities: CapabilityFlags,
    channel: Channel,
    (plugin, nonce): (Plugin, Nonce),
) -> Vec<u8> {
    if channel == Channel::Secured {
        capabilities |= CapabilityFlags::CLIENT_SSL;
    }
    serialized(&HandshakeResponse::new(
        Some(plugin.answer(&address.password, &nonce)),
        SERVER_VERSION,
        Some(address.user.as_bytes()),
        address.database.as_ref().map(|database| database.as_bytes()),
        Some(plugin.name()),
        capabilities,
        None,
        LARGEST_ANSWER,
    ))
}

fn serialized(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

impl From<Ended> for NotOpened {
    fn from(why: Ended) -> Self {
        let words = why.to_string();
        let failure = match why {
            Ended::Broken => IntroductionFailure::broken(words),
            Ended::TooLarge | Ended::NotUnderstood => IntroductionFailure::not_understood(words),
        };
        failure.into()
    }
}

impl From<NotLetIn> for NotOpened {
    fn from(why: NotLetIn) -> Self {
        let words = why.to_string();
        let failure = match why {
            NotLetIn::Ended(ended) => return ended.into(),
            NotLetIn::Said(_) => IntroductionFailure::said(words),
            NotLetIn::Plugin(_) | NotLetIn::NoKey => IntroductionFailure::not_understood(words),
        };
        failure.into()
    }
}

/// What the client can do. No files of this machine, no several statements in one, no compression, and nothing by which a
/// server would tell of its session.
const CAPABILITIES: CapabilityFlags = CapabilityFlags::CLIENT_LONG_PASSWORD
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_PROTOCOL_41)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PS_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// A version whose servers know the collation; the codec takes that of an older one otherwise.
const SERVER_VERSION: (u16, u16, u16) = (8, 0, 0);

/// `utf8mb4_general_ci`, which MySQL and MariaDB have alike.
const COLLATION: u8 = 45;

/// Bytes that the client says it takes: 128 MiB.
const LARGEST_ANSWER: u32 = 128 << 20;

/// Bytes of all packets until the server has let the client in.
const MOST_BEFORE_CONSENT: usize = 256 << 10;

/// How long TLS and the server's consent may take.
const INTRODUCTION_TIME: Duration = Duration::from_secs(10);

/// How long making a new session may take.
const RENEWAL_TIME: Duration = Duration::from_secs(5);
