//! The address string of an MQTT connection, as the one place that it means, and who connects there.
//!
//! `mqtt://HOST[:PORT][?client_id=ID]`, and `mqtts://…` with TLS. Who connects is said beside it, and is checked here too:
//! it is part of what tells one connection from another. What else other clients understand is refused, with the part that it
//! is.
//!
//! | written | is |
//! | --- | --- |
//! | `mqtt://broker`, `mqtt://broker:1883/?client_id=` | the same place, by a client identifier of Outport's own |
//! | `mqtt://broker?client_id=shop%2F1` | the client identifier `shop/1` |
//! | `mqtt://me:secret@broker` | refused: user and password are arguments |
//! | `mqtt://a,b`, `mqtt://broker/path`, `ws://broker`, any other parameter | refused |
//! | a password without a user | refused: MQTT 3.1.1 has no way to say it (3.1.2.9) |
//! | a keep-alive of more than 65,535 seconds | 65,535 seconds, the most that can be said (3.1.2.10) |

use outport_egress::Destination;
use outport_policy::Scheme;

use super::Wanted;
use crate::address::{BadAddress, decoded, destination, host_and_port, of_bounded_length};

/// Where a connection goes, and who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MqttAddress {
    pub(super) destination: Destination,
    pub(super) speaks_tls: bool,
    /// The guest's, if it has one.
    pub(super) client_id: Option<String>,
    /// Empty if there is none, as in what follows.
    pub(super) user: String,
    pub(super) password: String,
    /// Seconds; 0 is none.
    pub(super) keep_alive: u16,
}

impl MqttAddress {
    pub(super) fn parse(wanted: Wanted) -> Result<Self, BadAddress> {
        let (scheme, rest) = of_bounded_length(&wanted.address)?
            .split_once("://")
            .ok_or(BadAddress("a scheme that is missing"))?;
        let speaks_tls = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" => false,
            "mqtts" => true,
            "ws" | "wss" => return Err(BadAddress("a WebSocket")),
            "unix" | "mqtt+unix" => return Err(BadAddress("the path of a socket")),
            _ => return Err(BadAddress("a scheme that is neither mqtt nor mqtts")),
        };
        let scheme = Scheme::parse(scheme).ok_or(BadAddress("a scheme that is neither mqtt nor mqtts"))?;
        if rest.contains('#') {
            return Err(BadAddress("a fragment"));
        }
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, query),
            None => (rest, ""),
        };
        let (authority, path) = match place.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (place, ""),
        };
        if authority.contains('@') {
            return Err(BadAddress("a user, which is an argument of its own"));
        }
        let (host, port) = host_and_port(authority)?;
        if !path.is_empty() {
            return Err(BadAddress("a path"));
        }
        let port = port
            .or(scheme.default_port())
            .ok_or(BadAddress("a port that is missing"))?;
        let destination = destination(scheme, host, port)?;
        let client_id = client_id(query)?;
        if wanted.user.is_empty() && !wanted.password.is_empty() {
            return Err(BadAddress("a password without a user"));
        }
        Ok(Self {
            destination,
            speaks_tls,
            client_id,
            user: said(wanted.user, "a user of more than 65,535 bytes")?,
            password: said(wanted.password, "a password of more than 65,535 bytes")?,
            keep_alive: u16::try_from(wanted.keep_alive).unwrap_or(u16::MAX),
        })
    }

    /// What tells it from every other one. It has the password in it.
    pub(super) fn key(&self) -> String {
        format!("{self:?}")
    }
}

fn client_id(query: &str) -> Result<Option<String>, BadAddress> {
    let mut client_id = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or(BadAddress("a parameter without a value"))?;
        if key != "client_id" {
            return Err(BadAddress("a parameter that is not client_id"));
        }
        // Some would read it as a space.
        if value.contains('+') {
            return Err(BadAddress(
                "a client identifier with a `+` that is not percent-encoded",
            ));
        }
        let value = decoded(value).ok_or(BadAddress("a client identifier that is not percent-encoded"))?;
        let value = said(value, "a client identifier that is too long")?;
        if client_id.replace(value).is_some() {
            return Err(BadAddress("a part that is given twice"));
        }
    }
    Ok(client_id.filter(|client_id| !client_id.is_empty()))
}

/// A text that MQTT has a way to say (1.5.3).
fn said(text: String, too_long: &'static str) -> Result<String, BadAddress> {
    if text.len() > usize::from(u16::MAX) {
        return Err(BadAddress(too_long));
    }
    if text.contains('\0') {
        return Err(BadAddress("a NUL byte"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(address: &str, user: &str, password: &str, keep_alive: u64) -> Wanted {
        Wanted {
            address: address.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            keep_alive,
        }
    }

    fn shown(address: &MqttAddress) -> String {
        let MqttAddress {
            destination,
            speaks_tls,
            client_id,
            user,
            password,
            keep_alive,
        } = address;
        let client_id = client_id.as_deref().unwrap_or("-");
        format!("{destination} {speaks_tls} {client_id} [{user}] [{password}] {keep_alive}")
    }

    // proves: HI-1
    #[test]
    fn an_address_string_is_one_place_or_refused_with_the_part_that_is_not_understood() {
        let long = format!("mqtt://{}.example", "a".repeat(300));
        let longer = format!("mqtt://broker?client_id={}", "a".repeat(5000));
        let rows = [
            ("mqtt://broker", Ok("mqtt://broker:1883 false - [] [] 0")),
            ("mqtts://broker", Ok("mqtts://broker:8883 true - [] [] 0")),
            (
                "MQTT://Broker.Example.:1884/",
                Ok("mqtt://broker.example:1884 false - [] [] 0"),
            ),
            (
                "mqtt://localhost:1883?client_id=client001",
                Ok("mqtt://localhost:1883 false client001 [] [] 0"),
            ),
            (
                "mqtt://broker/?client_id=a%2Fb%20c",
                Ok("mqtt://broker:1883 false a/b c [] [] 0"),
            ),
            (
                "mqtt://broker?client_id=",
                Ok("mqtt://broker:1883 false - [] [] 0"),
            ),
            ("mqtt://[::1]:1884", Ok("mqtt://[::1]:1884 false - [] [] 0")),
            (
                "mqtt://[::ffff:10.0.0.1]",
                Ok("mqtt://10.0.0.1:1883 false - [] [] 0"),
            ),
            ("broker:1883", Err("a scheme that is missing")),
            ("tcp://broker", Err("a scheme that is neither mqtt nor mqtts")),
            ("ssl://broker", Err("a scheme that is neither mqtt nor mqtts")),
            ("ws://broker", Err("a WebSocket")),
            ("WSS://broker/mqtt", Err("a WebSocket")),
            ("unix:///run/mosquitto.sock", Err("the path of a socket")),
            ("mqtt://%2Frun%2Fmosquitto.sock", Err("a percent-encoded host")),
            (
                "mqtt://me:secret@broker",
                Err("a user, which is an argument of its own"),
            ),
            ("mqtt://broker,other", Err("several hosts")),
            ("mqtt://broker:1883,other:1883", Err("several hosts")),
            ("mqtt://broker/topic", Err("a path")),
            ("mqtt://broker//", Err("a path")),
            ("mqtt://broker#x", Err("a fragment")),
            ("mqtt://broker?client_id=a#x", Err("a fragment")),
            ("mqtt://broker:0", Err("the port 0")),
            (
                "mqtt://broker:65536",
                Err("a port that is not a number up to 65535"),
            ),
            ("mqtt://broker:", Err("a port that is not a number up to 65535")),
            ("mqtt://", Err("a host that is missing")),
            ("mqtt://:1883", Err("a host that is missing")),
            ("mqtt:///?client_id=a", Err("a host that is missing")),
            ("mqtt://[fe80::1%eth0]", Err("a percent-encoded host")),
            (
                "mqtt://broker\\evil",
                Err("a host that is neither a name nor an address"),
            ),
            (
                "mqtt://broker?client_id=a&client_id=b",
                Err("a part that is given twice"),
            ),
            ("mqtt://broker?client_id", Err("a parameter without a value")),
            (
                "mqtt://broker?clean_session=false",
                Err("a parameter that is not client_id"),
            ),
            (
                "mqtt://broker?client_id=a&conn_timeout=5",
                Err("a parameter that is not client_id"),
            ),
            (
                "mqtt://broker?Client_Id=a",
                Err("a parameter that is not client_id"),
            ),
            (
                "mqtt://broker?client_id=a+b",
                Err("a client identifier with a `+` that is not percent-encoded"),
            ),
            (
                "mqtt://broker?client_id=%zz",
                Err("a client identifier that is not percent-encoded"),
            ),
            ("mqtt://broker?client_id=%00", Err("a NUL byte")),
            (&*long, Err("a name that is too long")),
            (&*longer, Err("an address string that is too long")),
            ("", Err("a scheme that is missing")),
        ];
        for (text, expected) in rows {
            let found = MqttAddress::parse(wanted(text, "", "", 0))
                .map(|address| shown(&address))
                .map_err(|BadAddress(part)| part);
            assert_eq!(found.as_deref().map_err(|part| *part), expected, "{text}");
        }
    }

    // proves: HI-1
    #[test]
    fn who_connects_is_what_mqtt_has_a_way_to_say() {
        let (long, longest) = ("a".repeat(65_536), "a".repeat(65_535));
        for (user, password, keep_alive, expected) in [
            (
                "me",
                "secret",
                30,
                Ok("mqtt://broker:1883 false - [me] [secret] 30"),
            ),
            ("me", "", 65_535, Ok("mqtt://broker:1883 false - [me] [] 65535")),
            ("", "", 65_536, Ok("mqtt://broker:1883 false - [] [] 65535")),
            ("", "", u64::MAX, Ok("mqtt://broker:1883 false - [] [] 65535")),
            ("", "secret", 0, Err("a password without a user")),
            ("m\0e", "secret", 0, Err("a NUL byte")),
            ("me", "sec\0ret", 0, Err("a NUL byte")),
            (&*long, "", 0, Err("a user of more than 65,535 bytes")),
            ("me", &*long, 0, Err("a password of more than 65,535 bytes")),
        ] {
            let found = MqttAddress::parse(wanted("mqtt://broker", user, password, keep_alive))
                .map(|address| shown(&address))
                .map_err(|BadAddress(part)| part);
            assert_eq!(found.as_deref().map_err(|part| *part), expected);
        }
        assert!(MqttAddress::parse(wanted("mqtt://broker", &longest, &longest, 0)).is_ok());
    }

    // proves: HI-4
    #[test]
    fn addresses_share_connections_if_they_are_the_same_for_the_broker() {
        let key = |text, user, password, keep_alive| {
            MqttAddress::parse(wanted(text, user, password, keep_alive))
                .ok()
                .unwrap()
                .key()
        };
        assert_eq!(
            key("mqtt://broker", "", "", 0),
            key("MQTT://BROKER:1883/?client_id=", "", "", 0)
        );
        let all = [
            key("mqtt://broker", "", "", 0),
            key("mqtts://broker", "", "", 0),
            key("mqtt://other", "", "", 0),
            key("mqtt://broker:1", "", "", 0),
            key("mqtt://broker?client_id=a", "", "", 0),
            key("mqtt://broker?client_id=b", "", "", 0),
            key("mqtt://broker", "a", "", 0),
            key("mqtt://broker", "a", "b", 0),
            key("mqtt://broker", "a", "c", 0),
            key("mqtt://broker", "", "", 30),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{one}");
        }
    }
}
