//! Spin's `block_networks`: networks that no guest reaches, whatever port or scheme (DL-7).

use std::fmt;

use ipnet::IpNet;

use crate::special_purpose::{is_private, private_networks};
use crate::{Address, HostPattern, Location};

/// One item of `block_networks`, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedNetwork {
    networks: Networks,
    location: Location,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Networks {
    One(IpNet),
    Private,
}

impl BlockedNetwork {
    /// Reads `private`, an address, or a network such as `10.0.0.0/8` or `2001:db8::/32`, with or without brackets.
    ///
    /// # Errors
    ///
    /// See [`BlockedNetworkError`]. Bits behind the prefix are refused, not cut off.
    pub fn parse(text: &str, location: Location) -> Result<Self, BlockedNetworkError> {
        let trimmed = text.trim();
        let networks = if trimmed == "private" {
            Networks::Private
        } else {
            Networks::One(parse_network(trimmed).map_err(|problem| BlockedNetworkError {
                text: text.to_owned(),
                problem,
            })?)
        };
        Ok(Self { networks, location })
    }

    /// The place where it was written.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The network; `None` for `private`.
    pub fn network(&self) -> Option<IpNet> {
        match self.networks {
            Networks::One(net) => Some(net),
            Networks::Private => None,
        }
    }

    /// The networks that it stands for.
    pub(crate) fn networks(&self) -> Vec<IpNet> {
        match self.networks {
            Networks::One(net) => vec![net],
            Networks::Private => private_networks(),
        }
    }

    /// True if the address, or an IPv4 address that it embeds, is blocked.
    pub fn blocks(&self, address: Address) -> bool {
        match self.networks {
            Networks::One(net) => address.readings().any(|reading| net.contains(&reading.ip())),
            Networks::Private => is_private(address),
        }
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(ip) = text.parse() {
        return Ok(Address::new(ip).ip().into());
    }
    match HostPattern::parse(text) {
        Ok(HostPattern::Network(net)) => Ok(net),
        Ok(HostPattern::Address(address)) => Ok(address.ip().into()),
        Ok(_) => {
            Err("a network is written `10.0.0.0/8` or `2001:db8::/32`; names belong in entries".to_owned())
        }
        Err(problem) => Err(problem.to_string()),
    }
}

/// The reason why an item of `block_networks` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a network to block: {problem}", crate::text::excerpt(text))]
pub struct BlockedNetworkError {
    text: String,
    problem: String,
}

impl fmt::Display for BlockedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.networks {
            Networks::One(net) => net.fmt(f),
            Networks::Private => f.write_str("private"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: DL-7
    #[test]
    fn networks_are_read_and_nothing_is_cut_off() {
        for (text, shown) in [
            ("private", "private"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.5", "10.0.0.5/32"),
            ("::1", "::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("[2001:db8::]/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(
                BlockedNetwork::parse(text, Location::Code).unwrap().to_string(),
                shown,
                "{text}"
            );
        }
        for text in [
            "",
            "privat",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "example.com",
            "*",
            "127.1",
        ] {
            assert!(BlockedNetwork::parse(text, Location::Code).is_err(), "{text}");
        }
    }

    // proves: DL-7, HL-7
    #[test]
    fn a_blocked_network_covers_what_embeds_it() {
        let blocked = BlockedNetwork::parse("10.0.0.0/8", Location::Code).unwrap();
        for (address, expected) in [
            ("10.0.0.5", true),
            ("::ffff:10.0.0.5", true),
            ("64:ff9b::10.0.0.5", true),
            ("2002:a00:5::1", true),
            ("11.0.0.0", false),
            ("64:ff9b::11.0.0.0", false),
        ] {
            assert_eq!(
                blocked.blocks(Address::new(address.parse().unwrap())),
                expected,
                "{address}"
            );
        }
    }
}
