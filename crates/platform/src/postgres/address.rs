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

use std::time::Duration;

use outport_egress::Destination;
use outport_policy::Scheme;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode};

use crate::address::{
    BadAddress, Encryption, UrlParts, credentials, destination, host_and_port, of_bounded_length, once,
    port_of,
};

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

/// The parts of an address, each at most once.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    application: Option<String>,
    options: Option<String>,
    encryption: Option<Encryption>,
    channel_binding: Option<ChannelBinding>,
    connect_time: Option<Option<Duration>>,
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

impl Parts {
    fn of_url(scheme: &str, rest: &str) -> Result<Self, BadAddress> {
        if !["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(BadAddress("a scheme that is neither postgres nor postgresql"));
        }
        let url = UrlParts::of(rest)?;
        let mut parts = Self::default();
        (parts.user, parts.password) = url.who.map_or(Ok((None, None)), credentials)?;
        let (host, port) = host_and_port(url.place)?;
        (parts.host, parts.port) = (Some(host.to_owned()), port);
        parts.database = url.database()?;
        for parameter in url.parameters() {
            let (key, value) = parameter?;
            parts.set(key, value)?;
        }
        Ok(parts)
    }

    fn of_pairs(text: &str) -> Result<Self, BadAddress> {
        let mut parts = Self::default();
        let mut rest = text.trim_ascii_start();
        while !rest.is_empty() {
            let (key, value) = rest
                .split_once('=')
                .ok_or(BadAddress("a parameter without a value"))?;
            let (value, after) = value_of_pair(value.trim_ascii_start())?;
            parts.set(key.trim_ascii_end(), value)?;
            rest = after.trim_ascii_start();
        }
        Ok(parts)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), BadAddress> {
        match key {
            "host" => once(&mut self.host, one_host(value)?),
            "port" => once(&mut self.port, port_of(&value)?),
            "user" => once(&mut self.user, value),
            "password" => once(&mut self.password, value),
            "dbname" => once(&mut self.database, value),
            "application_name" => once(&mut self.application, value),
            "options" => once(&mut self.options, value),
            "sslmode" => once(&mut self.encryption, encryption(&value)?),
            "channel_binding" => once(&mut self.channel_binding, channel_binding(&value)?),
            "connect_timeout" => once(&mut self.connect_time, connect_time(&value)?),
            _ => Err(BadAddress(refused(key))),
        }
    }

    fn address(self) -> Result<PostgresAddress, BadAddress> {
        // Both schemes mean the same, so there is one that is judged.
        let scheme = Scheme::parse("postgres").ok_or(BadAddress("a scheme"))?;
        let host = self.host.ok_or(BadAddress("a host that is missing"))?;
        let port = self
            .port
            .or(scheme.default_port())
            .ok_or(BadAddress("a port that is missing"))?;
        let texts = [
            &self.user,
            &self.password,
            &self.database,
            &self.application,
            &self.options,
        ];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(BadAddress("a NUL byte"));
        }
        Ok(PostgresAddress {
            destination: destination(scheme, &host, port)?,
            encryption: self.encryption.unwrap_or(Encryption::IfOffered),
            connect_time: self.connect_time.flatten(),
            user: self
                .user
                .filter(|user| !user.is_empty())
                .ok_or(BadAddress("a user that is missing"))?,
            password: self.password,
            database: self.database.filter(|database| !database.is_empty()),
            application: self.application,
            options: self.options,
            channel_binding: self.channel_binding.unwrap_or(ChannelBinding::Prefer),
        })
    }
}

/// The value that a text begins with, plain or quoted, and what follows it.
fn value_of_pair(text: &str) -> Result<(String, &str), BadAddress> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(text) => (Quoted::Yes, text),
        None => (Quoted::No, text),
    };
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (character, quoted) {
            ('\\', _) => {
                let (_, escaped) = characters.next().ok_or(BadAddress("a backslash at the end"))?;
                value.push(escaped);
            }
            ('\'', Quoted::Yes) => {
                let rest = &text[at + 1..];
                if rest.starts_with(|next: char| !next.is_ascii_whitespace()) {
                    return Err(BadAddress("text behind a quoted value"));
                }
                return Ok((value, rest));
            }
            (white, Quoted::No) if white.is_ascii_whitespace() => return Ok((value, &text[at..])),
            _ => value.push(character),
        }
    }
    match quoted {
        Quoted::Yes => Err(BadAddress("a quote that is not closed")),
        Quoted::No => Ok((value, "")),
    }
}

#[derive(Clone, Copy)]
enum Quoted {
    Yes,
    No,
}

fn one_host(host: String) -> Result<String, BadAddress> {
    match host.as_str() {
        "" => Err(BadAddress("a host that is missing")),
        path if path.starts_with(['/', '@']) => Err(BadAddress("the path of a socket")),
        several if several.contains(',') => Err(BadAddress("several hosts")),
        _ => Ok(host),
    }
}

fn encryption(text: &str) -> Result<Encryption, BadAddress> {
    match text {
        "disable" => Ok(Encryption::Never),
        "prefer" => Ok(Encryption::IfOffered),
        "require" | "verify-ca" | "verify-full" => Ok(Encryption::Always),
        _ => Err(BadAddress("an `sslmode` that is not known")),
    }
}

fn channel_binding(text: &str) -> Result<ChannelBinding, BadAddress> {
    match text {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => Err(BadAddress("a `channel_binding` that is not known")),
    }
}

/// How long a connection may take, if that is said.
fn connect_time(text: &str) -> Result<Option<Duration>, BadAddress> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(seconds) if is_number => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(BadAddress("a `connect_timeout` that is not a number of seconds")),
    }
}

/// What a parameter is that leads elsewhere, or to something of this machine.
fn refused(key: &str) -> &'static str {
    match key {
        "hostaddr" => "`hostaddr`",
        "target_session_attrs" => "`target_session_attrs`",
        "load_balance_hosts" => "`load_balance_hosts`",
        "keepalives"
        | "keepalives_idle"
        | "keepalives_interval"
        | "keepalives_retries"
        | "keepalives_count"
        | "tcp_user_timeout" => "an option of the socket",
        "sslrootcert" | "sslcert" | "sslkey" | "sslcrl" | "sslcrldir" | "sslpassword" | "passfile"
        | "service" | "servicefile" => "a file of this machine",
        _ => "a parameter that is not known",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: &PostgresAddress) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
        let PostgresAddress {
            destination,
            encryption,
            connect_time,
            user,
            password,
            database,
            application,
            options,
            channel_binding,
        } = address;
        let mut shown = format!(
            "{destination} {encryption:?} {user} {} {}",
            or_none(password),
            or_none(database)
        );
        for (name, value) in [("app", application), ("options", options)] {
            if let Some(value) = value {
                shown += &format!(" {name}={value}");
            }
        }
        if let Some(time) = connect_time {
            shown += &format!(" {time:?}");
        }
        if *channel_binding != ChannelBinding::Prefer {
            shown += &format!(" {channel_binding:?}");
        }
        shown
    }

    // proves: HI-1
    #[test]
    fn an_address_string_is_one_place_or_refused_with_the_part_that_is_not_understood() {
        let long = format!("postgres://me@{}.example", "a".repeat(300));
        let many = format!("host={}example user=me", "abcdefghi.".repeat(30));
        let longer = format!("host=a user=me password={}", "x".repeat(5000));
        let (unknown, host) = (
            "a parameter that is not known",
            "a host that is neither a name nor an address",
        );
        let port = "a port that is not a number up to 65535";
        let rows = [
            ("postgres://me@db", Ok("postgres://db:5432 IfOffered me - -")),
            ("POSTGRESQL://me@Db./", Ok("postgres://db:5432 IfOffered me - -")),
            (
                "postgresql://me:p%40s%3as%2F@10.0.0.5:6000/my%20db?sslmode=disable",
                Ok("postgres://10.0.0.5:6000 Never me p@s:s/ my db"),
            ),
            (
                "postgres://me@[::1]:6000/x?application_name=a%26b&options=-c%20search_path%3Da&connect_timeout=3",
                Ok("postgres://[::1]:6000 IfOffered me - x app=a&b options=-c search_path=a 3s"),
            ),
            (
                "postgres://me:x@db/x?sslmode=require&channel_binding=require",
                Ok("postgres://db:5432 Always me x x Require"),
            ),
            (
                "postgres://db/x?user=me&password=y",
                Ok("postgres://db:5432 IfOffered me y x"),
            ),
            ("host=db user=me", Ok("postgres://db:5432 IfOffered me - -")),
            (
                "  host = db\tport=6000 user='me \\'n\\\\' password=a\\ b  dbname='' sslmode = verify-full ",
                Ok("postgres://db:6000 Always me 'n\\ a b -"),
            ),
            (
                "host=::1 user=me sslmode=verify-ca",
                Ok("postgres://[::1]:5432 Always me - -"),
            ),
            (
                "user=me password=a://b host=db",
                Ok("postgres://db:5432 IfOffered me a://b -"),
            ),
            (
                "host=db user=me connect_timeout=0",
                Ok("postgres://db:5432 IfOffered me - -"),
            ),
            ("", Err("a host that is missing")),
            ("db", Err("a parameter without a value")),
            ("user=me", Err("a host that is missing")),
            ("host= user=me", Err(host)),
            ("host='' user=me", Err("a host that is missing")),
            ("postgres://me@", Err("a host that is missing")),
            ("postgres:///x", Err("a host that is missing")),
            ("postgres://db/x", Err("a user that is missing")),
            ("postgres://:secret@db/x", Err("a user that is missing")),
            ("host=db", Err("a user that is missing")),
            (
                "mysql://me@db",
                Err("a scheme that is neither postgres nor postgresql"),
            ),
            ("postgres://me@a,b/x", Err("several hosts")),
            ("postgres://me@a:1,b:2/x", Err("several hosts")),
            ("host=a,b user=me", Err("several hosts")),
            ("host=a host=b user=me", Err("a part that is given twice")),
            ("postgres://me@db/x?host=other", Err("a part that is given twice")),
            ("postgres://me@db:1/x?port=2", Err("a part that is given twice")),
            ("postgres://me@db/x?user=other", Err("a part that is given twice")),
            ("host=db user=me port=1,2", Err(port)),
            ("host=db hostaddr=10.0.0.1 user=me", Err("`hostaddr`")),
            ("postgres://me@db?hostaddr=10.0.0.1", Err("`hostaddr`")),
            ("host=/run/postgresql user=me", Err("the path of a socket")),
            ("host='@abstract' user=me", Err("the path of a socket")),
            (
                "postgres://me@%2Frun%2Fpostgresql/x",
                Err("a percent-encoded host"),
            ),
            ("postgres://me@d%62/x", Err("a percent-encoded host")),
            ("host=d%62 user=me", Err(host)),
            (
                "postgres://me@db?target_session_attrs=any",
                Err("`target_session_attrs`"),
            ),
            (
                "postgres://me@db?load_balance_hosts=random",
                Err("`load_balance_hosts`"),
            ),
            ("host=db user=me keepalives=1", Err("an option of the socket")),
            (
                "host=db user=me tcp_user_timeout=1",
                Err("an option of the socket"),
            ),
            (
                "host=db user=me sslrootcert=/etc/passwd",
                Err("a file of this machine"),
            ),
            ("host=db user=me service=x", Err("a file of this machine")),
            ("host=db user=me HOSTADDR=10.0.0.1", Err(unknown)),
            ("host=db user=me sslnegotiation=direct", Err(unknown)),
            ("postgres://me@db?x=y", Err(unknown)),
            ("postgres://me@db?ho%73t=y", Err(unknown)),
            ("postgres://me@db?sslmode", Err("a parameter without a value")),
            (
                "host=db user=me sslmode=allow",
                Err("an `sslmode` that is not known"),
            ),
            (
                "host=db user=me channel_binding=x",
                Err("a `channel_binding` that is not known"),
            ),
            (
                "host=db user=me connect_timeout=-1",
                Err("a `connect_timeout` that is not a number of seconds"),
            ),
            ("postgres://me@db#x", Err("a fragment")),
            ("postgres://me:a@b@db", Err("more than one `@`")),
            ("postgres://me@db:0", Err("the port 0")),
            ("host=db port=0 user=me", Err("the port 0")),
            ("host=db port=+1 user=me", Err(port)),
            ("postgres://me@db:65536", Err(port)),
            ("host=db:5432 user=me", Err(host)),
            ("host='a b' user=me", Err(host)),
            ("host=db\\@evil user=me", Err(host)),
            (
                "postgres://me@db/a/b",
                Err("a database that is not percent-encoded"),
            ),
            (
                "postgres://me:%zz@db",
                Err("a password that is not percent-encoded"),
            ),
            ("postgres://me:%00@db", Err("a NUL byte")),
            ("host='db user=me", Err("a quote that is not closed")),
            ("host='db'user=me", Err("text behind a quoted value")),
            ("host=db user=me\\", Err("a backslash at the end")),
            (&*long, Err("a name that is too long")),
            (&*many, Err("a name that is too long")),
            (&*longer, Err("an address string that is too long")),
        ];
        for (text, expected) in rows {
            let found = PostgresAddress::parse(text)
                .map(|address| shown(&address))
                .map_err(|BadAddress(part)| part);
            assert_eq!(found.as_deref().map_err(|part| *part), expected, "{text}");
        }
    }

    // proves: HI-4
    #[test]
    fn addresses_share_connections_if_they_are_the_same_for_the_server() {
        let key = |text| PostgresAddress::parse(text).ok().unwrap().key();
        assert_eq!(key("postgres://me@db"), key("host=DB port=5432 user=me"));
        let all = [
            "postgres://me@db",
            "postgres://me@db.",
            "postgres://me@db:1",
            "postgres://me@db/x",
            "postgres://me:x@db",
            "postgres://you@db",
            "postgres://me@db?sslmode=disable",
            "postgres://me@db?sslmode=require",
            "postgres://me@db?options=x",
            "postgres://me@db?application_name=x",
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                // A dot at the end makes a name whole, and means the same host.
                let same = one.trim_end_matches('.') == other.trim_end_matches('.');
                assert!(same || key(one) != key(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn the_client_library_is_told_neither_host_nor_port() {
        let address = PostgresAddress::parse("postgres://me:x@db:6000/y").ok().unwrap();
        let config = address.config();
        assert!(config.get_hosts().is_empty() && config.get_hostaddrs().is_empty());
        assert!(config.get_ports().is_empty());
        assert_eq!(config.get_user(), Some("me"));
    }
}
