//! The parts of an address string in its two forms, each at most once, and what of them is refused.

use std::time::Duration;

use outport_policy::Scheme;
use tokio_postgres::config::ChannelBinding;

use super::PostgresAddress;
use crate::address::{
    BadAddress, Encryption, UrlParts, credentials, destination, host_and_port, once, port_of,
};

/// The parts of an address, each at most once.
#[derive(Default)]
pub(super) struct Parts {
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

impl Parts {
    /// Those of a URL, which is given without its scheme.
    pub(super) fn of_url(scheme: &str, rest: &str) -> Result<Self, BadAddress> {
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

    /// Those of keys and values.
    pub(super) fn of_pairs(text: &str) -> Result<Self, BadAddress> {
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

    /// The address that they make, if nothing is missing.
    pub(super) fn address(self) -> Result<PostgresAddress, BadAddress> {
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
