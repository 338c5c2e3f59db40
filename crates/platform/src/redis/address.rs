//! The address string of a Redis connection, as the one place that it means and who connects there.
//!
//! `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, and `rediss://…` with TLS. What else other clients understand is
//! refused, with the part that it is: some of it leads to places that nobody judged.
//!
//! | written | is |
//! | --- | --- |
//! | `redis://cache`, `redis://cache:6379/0` | the same place, and the same connections |
//! | `redis://:p%40ss@cache` | the password `p@ss`: it is percent-encoded, the host never is |
//! | `redis://a,b`, `redis://a@b@c` | refused: several hosts, or who knows which |
//! | `unix:///run/redis.sock`, `redis+unix://…` | refused: a socket of this machine |
//! | `redis://cache?protocol=resp3`, `rediss://cache#insecure` | refused: a parameter |

use outport_egress::Destination;
use outport_policy::Scheme;

use crate::address::{BadAddress, credentials, destination, host_and_port, of_bounded_length};

/// Where a connection goes, and who connects.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisAddress {
    pub(crate) destination: Destination,
    pub(super) speaks_tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: i64,
}

impl RedisAddress {
    pub(crate) fn parse(text: &str) -> Result<Self, BadAddress> {
        let (scheme, rest) = of_bounded_length(text)?
            .split_once("://")
            .ok_or(BadAddress("a scheme that is missing"))?;
        let speaks_tls = match scheme.to_ascii_lowercase().as_str() {
            "redis" => false,
            "rediss" => true,
            "unix" | "redis+unix" | "valkey+unix" => return Err(BadAddress("the path of a socket")),
            _ => return Err(BadAddress("a scheme that is neither redis nor rediss")),
        };
        let scheme = Scheme::parse(scheme).ok_or(BadAddress("a scheme that is neither redis nor rediss"))?;
        if rest.contains('?') {
            return Err(BadAddress("a parameter"));
        }
        if rest.contains('#') {
            return Err(BadAddress("a fragment"));
        }
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        let (who, place) = match authority.split_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, authority),
        };
        let (user, password) = who.map_or(Ok((None, None)), credentials)?;
        let (host, port) = host_and_port(place)?;
        let port = port
            .or(scheme.default_port())
            .ok_or(BadAddress("a port that is missing"))?;
        Ok(Self {
            destination: destination(scheme, host, port)?,
            speaks_tls,
            user,
            password,
            database: database(path)?,
        })
    }

    /// What tells it from every other one. It has the password in it.
    pub(super) fn key(&self) -> String {
        let Self {
            destination,
            user,
            password,
            database,
            speaks_tls: _,
        } = self;
        format!("{destination:?} {user:?} {password:?} {database}")
    }
}

fn database(path: &str) -> Result<i64, BadAddress> {
    if path.is_empty() {
        return Ok(0);
    }
    let is_number = path.len() <= 9 && path.bytes().all(|byte| byte.is_ascii_digit());
    match path.parse() {
        Ok(database) if is_number => Ok(database),
        _ => Err(BadAddress("a database that is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: &RedisAddress) -> String {
        let RedisAddress {
            destination,
            speaks_tls,
            user,
            password,
            database,
        } = address;
        format!(
            "{destination} {speaks_tls} {} {} {database}",
            user.as_deref().unwrap_or("-"),
            password.as_deref().unwrap_or("-")
        )
    }

    // proves: HI-1
    #[test]
    fn an_address_string_is_one_place_or_refused_with_the_part_that_is_not_understood() {
        let long = format!("redis://{}.example", "a".repeat(300));
        let longer = format!("redis://{}/0", "a.".repeat(2100));
        let many = format!("redis://{}example", "abcdefghi.".repeat(30));
        let rows = [
            ("redis://cache", Ok("redis://cache:6379 false - - 0")),
            (
                "REDIS://Cache.Example.:7000/5",
                Ok("redis://cache.example:7000 false - - 5"),
            ),
            ("rediss://cache/", Ok("rediss://cache:6379 true - - 0")),
            ("redis://127.0.0.1:6380", Ok("redis://127.0.0.1:6380 false - - 0")),
            ("redis://127.1", Ok("redis://127.0.0.1:6379 false - - 0")),
            ("redis://[::1]:6380/1", Ok("redis://[::1]:6380 false - - 1")),
            (
                "redis://[::ffff:10.0.0.1]",
                Ok("redis://10.0.0.1:6379 false - - 0"),
            ),
            ("redis://:secret@cache", Ok("redis://cache:6379 false - secret 0")),
            (
                "redis://me:p%40s%3as%2F@cache/2",
                Ok("redis://cache:6379 false me p@s:s/ 2"),
            ),
            ("redis://me@cache", Ok("redis://cache:6379 false me - 0")),
            ("cache:6379", Err("a scheme that is missing")),
            ("http://cache", Err("a scheme that is neither redis nor rediss")),
            ("unix:///run/redis.sock", Err("the path of a socket")),
            ("redis+unix:///run/redis.sock", Err("the path of a socket")),
            ("redis://%2Frun%2Fredis.sock", Err("a percent-encoded host")),
            ("redis://c%61che", Err("a percent-encoded host")),
            ("redis://a,b:6379", Err("several hosts")),
            ("redis://a:1,b:2", Err("several hosts")),
            ("redis://me:a@b@cache", Err("more than one `@`")),
            ("redis://cache?protocol=resp3", Err("a parameter")),
            ("redis://cache/0?x", Err("a parameter")),
            ("rediss://cache#insecure", Err("a fragment")),
            ("redis://cache:0", Err("the port 0")),
            (
                "redis://cache:65536",
                Err("a port that is not a number up to 65535"),
            ),
            ("redis://cache:+1", Err("a port that is not a number up to 65535")),
            ("redis://cache:", Err("a port that is not a number up to 65535")),
            ("redis://::1", Err("a host that is missing")),
            ("redis://1::1", Err("a port that is not a number up to 65535")),
            (
                "redis://[::1",
                Err("a host that is neither a name nor an address"),
            ),
            (
                "redis://[cache]",
                Err("a host that is neither a name nor an address"),
            ),
            (
                "redis://[::1]x",
                Err("a host that is neither a name nor an address"),
            ),
            ("redis://[fe80::1%eth0]", Err("a percent-encoded host")),
            ("redis://", Err("a host that is missing")),
            ("redis://:6379", Err("a host that is missing")),
            ("redis:///0", Err("a host that is missing")),
            ("redis://me@/0", Err("a host that is missing")),
            ("redis://a b", Err("a host that is neither a name nor an address")),
            ("redis://cache\\@evil", Err("a user that is not percent-encoded")),
            (
                "redis://me:%zz@cache",
                Err("a password that is not percent-encoded"),
            ),
            (
                "redis://me:%ff@cache",
                Err("a password that is not percent-encoded"),
            ),
            ("redis://cache/x", Err("a database that is not a number")),
            ("redis://cache/-1", Err("a database that is not a number")),
            ("redis://cache/0/1", Err("a database that is not a number")),
            (&*long, Err("a name that is too long")),
            (&*many, Err("a name that is too long")),
            (&*longer, Err("an address string that is too long")),
            ("", Err("a scheme that is missing")),
        ];
        for (text, expected) in rows {
            let found = RedisAddress::parse(text)
                .map(|address| shown(&address))
                .map_err(|BadAddress(part)| part);
            assert_eq!(found.as_deref().map_err(|part| *part), expected, "{text}");
        }
    }

    // proves: HI-4
    #[test]
    fn addresses_share_connections_if_they_are_the_same_for_the_server() {
        let key = |text| RedisAddress::parse(text).ok().unwrap().key();
        assert_eq!(key("redis://cache"), key("REDIS://CACHE:6379/0"));
        let all = [
            "redis://cache",
            "redis://cache.",
            "rediss://cache",
            "redis://cache:1",
            "redis://cache/1",
            "redis://me@cache",
            "redis://:me@cache",
            "redis://me:me@cache",
            "redis://other",
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(key(one), key(other), "{one} {other}");
            }
        }
    }
}
