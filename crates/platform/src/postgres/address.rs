//! The address string of a PostgreSQL connection, as the one place that it means, who connects there, and how.
//!
//! Two forms, which say the same:
//!
//! ```text
//! postgres://USER[:PASSWORD]@HOST[:PORT][/DATABASE][?KEY=VALUE[&KEY=VALUE…]]      or postgresql://…
//! host=HOST [port=PORT] user=USER [password=PASSWORD] [dbname=DATABASE] [KEY=VALUE…]      values may be quoted: 'a b'
//! ```
//!
//! What else libpq and its like understand is refused, with the part that it is: some of it leads to places that nobody
//! judged, or to files and users of this machine.
//!
//! | written | is |
//! | --- | --- |
//! | `sslmode` | how it is encrypted, see [`Encryption`] |
//! | `channel_binding` | `disable`, `prefer` or `require` |
//! | `application_name`, `options` | given to the server as they are |
//! | `connect_timeout` | seconds, where they are fewer than those that a connection may take anyway; 0 is none |
//! | `host=a,b`, `host=/run/postgresql`, `hostaddr=10.0.0.1` | refused |
//! | a host that is missing, or a user | refused: it would be this machine, or who runs Outport |
//! | `target_session_attrs`, `keepalives`, `sslrootcert`, anything else, anything twice | refused |

mod parts;

use std::time::Duration;

use outport_egress::Destination;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode};

use self::parts::Parts;
use crate::address::{BadAddress, Encryption, of_bounded_length};

/// Where a connection goes, and who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PostgresAddress {
    pub(super) destination: Destination,
    pub(super) encryption: Encryption,
    pub(super) connect_time: Option<Duration>,
    user: String,
    password: Option<String>,
    database: Option<String>,
    application: Option<String>,
    options: Option<String>,
    channel_binding: ChannelBinding,
}

impl PostgresAddress {
    pub(super) fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = of_bounded_length(text)?;
        let parts = match text.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Parts::of_url(scheme, rest)?
            }
            _ => Parts::of_pairs(text)?,
        };
        parts.address()
    }

    /// The password, if it has one.
    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// What tells it from every other one. It has the password in it.
    pub(super) fn key(&self) -> String {
        format!("{self:?}")
    }

    /// Who connects, for the client library. It has neither host nor port.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new();
        config.user(&self.user).channel_binding(self.channel_binding);
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(database) = &self.database {
            config.dbname(database);
        }
        if let Some(application) = &self.application {
            config.application_name(application);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        config.ssl_mode(SslMode::Disable);
        config
    }
}

#[cfg(test)]
mod tests;
