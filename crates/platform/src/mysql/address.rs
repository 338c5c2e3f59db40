//! The address string of a MySQL connection, as the one place that it means, who connects there, and how.
//!
//! ```text
//! mysql://USER[:PASSWORD]@HOST[:PORT][/DATABASE][?KEY=VALUE[&KEY=VALUE…]]      or mariadb://…, which is the same
//! ```
//!
//! What else clients understand is refused, with the part that it is: some of it leads to places that nobody judged, or to
//! files and users of this machine.
//!
//! | written | is |
//! | --- | --- |
//! | nothing about TLS | none is spoken, as with Spin: servers come with a certificate that nobody can verify |
//! | `ssl-mode`, also `sslmode`, in any case | see [`encryption`] |
//! | `require_ssl` | `true` or `false`, as an `ssl-mode` of `required` or `disabled` |
//! | `verify_ca=true`, `verify_identity=true` | what is done anyway; `false` is refused |
//! | `socket`, `prefer_socket` | refused: a socket of this machine |
//! | `mysql://a,b`, anything else, anything twice | refused |
//! | a user that is missing | refused: to some it is who runs Outport |

use outport_egress::Destination;
use outport_policy::Scheme;

use crate::address::{
    BadAddress, Encryption, UrlParts, credentials, destination, host_and_port, of_bounded_length, once,
};

/// Where a connection goes, and who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MysqlAddress {
    pub(super) destination: Destination,
    pub(super) encryption: Encryption,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: Option<String>,
}

impl MysqlAddress {
    pub(super) fn parse(text: &str) -> Result<Self, BadAddress> {
        let (scheme, rest) = of_bounded_length(text)?
            .split_once("://")
            .ok_or(BadAddress("a scheme that is missing"))?;
        if !["mysql", "mariadb"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(BadAddress("a scheme that is neither mysql nor mariadb"));
        }
        // Both mean the same, so there is one that is judged.
        let scheme = Scheme::parse("mysql").ok_or(BadAddress("a scheme"))?;
        let url = UrlParts::of(rest)?;
        let (user, password) = url.who.map_or(Ok((None, None)), credentials)?;
        let (host, port) = host_and_port(url.place)?;
        let port = port
            .or(scheme.default_port())
            .ok_or(BadAddress("a port that is missing"))?;
        let database = url.database()?;
        let mut how = None;
        for parameter in url.parameters() {
            let (key, value) = parameter?;
            match (&*key.to_ascii_lowercase(), &*value) {
                ("ssl-mode" | "sslmode", mode) => once(&mut how, encryption(mode)?)?,
                ("require_ssl", "true") => once(&mut how, Encryption::Always)?,
                ("require_ssl", "false") => once(&mut how, Encryption::Never)?,
                ("verify_ca" | "verify_identity", "true") => {}
                ("verify_ca" | "verify_identity", "false") => {
                    return Err(BadAddress("a certificate that is not verified"));
                }
                ("socket" | "prefer_socket", _) => return Err(BadAddress("the path of a socket")),
                _ => return Err(BadAddress("a parameter that is not known")),
            }
        }
        let user = user.ok_or(BadAddress("a user that is missing"))?;
        let texts = [Some(&user), password.as_ref(), database.as_ref()];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(BadAddress("a NUL byte"));
        }
        Ok(Self {
            destination: destination(scheme, host, port)?,
            encryption: how.unwrap_or(Encryption::Never),
            user,
            password: password.unwrap_or_default(),
            database,
        })
    }

    /// What tells it from every other one. It has the password in it.
    pub(super) fn key(&self) -> String {
        format!("{self:?}")
    }
}

fn encryption(mode: &str) -> Result<Encryption, BadAddress> {
    match &*mode.to_ascii_lowercase() {
        "disabled" => Ok(Encryption::Never),
        "preferred" => Ok(Encryption::IfOffered),
        "required" | "verify_ca" | "verify_identity" => Ok(Encryption::Always),
        _ => Err(BadAddress("an `ssl-mode` that is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: &MysqlAddress) -> String {
        let MysqlAddress {
            destination,
            encryption,
            user,
            password,
            database,
        } = address;
        let database = database.as_deref().unwrap_or("-");
        format!("{destination} {encryption:?} {user} {password} {database}")
    }

    // proves: HI-1
    #[test]
    fn an_address_string_is_one_place_or_refused_with_the_part_that_is_not_understood() {
        let long = format!("mysql://me@{}.example", "a".repeat(300));
        let longer = format!("mysql://me@db/{}", "a".repeat(4096));
        let no_host = "a host that is neither a name nor an address";
        let no_port = "a port that is not a number up to 65535";
        let rows = [
            (
                "mysql://u:p@127.0.0.1:3306/db",
                Ok("mysql://127.0.0.1:3306 Never u p db"),
            ),
            ("mysql://me@db", Ok("mysql://db:3306 Never me  -")),
            (
                "MySQL://Me@Db.Example.:33/",
                Ok("mysql://db.example:33 Never Me  -"),
            ),
            ("mariadb://me@db", Ok("mysql://db:3306 Never me  -")),
            (
                "mysql://m%40e:p%3a%2F@[::1]/d%20b",
                Ok("mysql://[::1]:3306 Never m@e p:/ d b"),
            ),
            (
                "mysql://me@db?ssl-mode=disabled",
                Ok("mysql://db:3306 Never me  -"),
            ),
            (
                "mysql://me@db?sslMode=VERIFY_CA",
                Ok("mysql://db:3306 Always me  -"),
            ),
            (
                "mysql://me@db/x?SSL-MODE=Preferred",
                Ok("mysql://db:3306 IfOffered me  x"),
            ),
            (
                "mysql://me@db?ssl-mode=verify_identity",
                Ok("mysql://db:3306 Always me  -"),
            ),
            (
                "mysql://me@db?require_ssl=true&verify_ca=true&verify_identity=true",
                Ok("mysql://db:3306 Always me  -"),
            ),
            (
                "mysql://me@db?require_ssl=false",
                Ok("mysql://db:3306 Never me  -"),
            ),
            ("db:3306", Err("a scheme that is missing")),
            (
                "postgres://me@db",
                Err("a scheme that is neither mysql nor mariadb"),
            ),
            ("mysql://db", Err("a user that is missing")),
            ("mysql://:secret@db", Err("a user that is missing")),
            ("mysql://me@", Err("a host that is missing")),
            ("mysql://me@/db", Err("a host that is missing")),
            ("mysql://me@:3306", Err("a host that is missing")),
            ("mysql://me@a,b", Err("several hosts")),
            ("mysql://me@a:1,b:2/db", Err("several hosts")),
            ("mysql://me:x@a@b", Err("more than one `@`")),
            ("mysql://me@%2Frun%2Fmysqld.sock", Err("a percent-encoded host")),
            ("mysql://me@(unix)", Err(no_host)),
            ("mysql://me@a b", Err(no_host)),
            ("mysql://me@db:0", Err("the port 0")),
            ("mysql://me@db:99999", Err(no_port)),
            ("mysql://me@db:", Err(no_port)),
            (
                "mysql://me@db?socket=%2Frun%2Fmysqld.sock",
                Err("the path of a socket"),
            ),
            ("mysql://me@db?prefer_socket=true", Err("the path of a socket")),
            (
                "mysql://me@db?verify_identity=false",
                Err("a certificate that is not verified"),
            ),
            (
                "mysql://me@db?verify_ca=false",
                Err("a certificate that is not verified"),
            ),
            ("mysql://me@db?pool_max=10", Err("a parameter that is not known")),
            ("mysql://me@db?host=other", Err("a parameter that is not known")),
            (
                "mysql://me@db?require_ssl=1",
                Err("a parameter that is not known"),
            ),
            ("mysql://me@db?ssl-mode", Err("a parameter without a value")),
            (
                "mysql://me@db?ssl-mode=on",
                Err("an `ssl-mode` that is not known"),
            ),
            (
                "mysql://me@db?ssl-mode=required&require_ssl=false",
                Err("a part that is given twice"),
            ),
            ("mysql://me@db#insecure", Err("a fragment")),
            ("mysql://me@db/a/b", Err("a database that is not percent-encoded")),
            ("mysql://m%00e@db", Err("a NUL byte")),
            ("mysql://me:%00@db", Err("a NUL byte")),
            ("mysql://me@db/%00", Err("a NUL byte")),
            ("mysql://me:%ff@db", Err("a password that is not percent-encoded")),
            (&*long, Err("a name that is too long")),
            (&*longer, Err("an address string that is too long")),
        ];
        for (text, expected) in rows {
            let found = MysqlAddress::parse(text)
                .map(|address| shown(&address))
                .map_err(|BadAddress(part)| part);
            assert_eq!(found.as_deref().map_err(|part| *part), expected, "{text}");
        }
    }

    // proves: HI-4
    #[test]
    fn addresses_share_connections_if_they_are_the_same_for_the_server() {
        let key = |text| MysqlAddress::parse(text).ok().unwrap().key();
        assert_eq!(
            key("mysql://me@db"),
            key("MARIADB://me:@DB:3306/?ssl-mode=disabled")
        );
        let all = [
            "mysql://me@db",
            "mysql://you@db",
            "mysql://me:pw@db",
            "mysql://me@db/x",
            "mysql://me@db:1",
            "mysql://me@db?require_ssl=true",
            "mysql://me@db?ssl-mode=preferred",
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(key(one), key(other), "{one} {other}");
            }
        }
    }
}
