//! What `NO_PROXY` names: destinations that are gone to directly.
//!
//! | item | is |
//! | --- | --- |
//! | `example.com`, `.example.com` | that name and all below it |
//! | `*.example.com` | the names below it |
//! | `192.0.2.7`, `2001:db8::7`, `[2001:db8::7]` | that address, and every name that it was judged for |
//! | `192.0.2.0/24`, `2001:db8::/32` | the addresses in it, likewise |
//! | any of these with `:PORT` (an IPv6 address then in brackets) | the same on that port alone |
//! | `*` | everything |
//!
//! Items are separated by commas or white space. Names and addresses are compared in their one form, as everywhere: an
//! item that is an address matches whatever was judged to be it, and in no other spelling does anything get past. What is
//! not understood is an error, as it could have kept something from the proxy, or not.

use std::fmt;

use ipnet::IpNet;
use outport_policy::{Address, Host, HostPattern, Name, PortRange, PortSet, text};

/// The destinations that need no proxy. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions(Vec<Exception>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    All,
    /// The name, and what is below it.
    Domain(Name),
    Below(Name),
    Network(IpNet),
}

/// An item that is none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no name, address or network, with or without a port", text::quote(.0))]
pub struct ExceptionsError(String);

impl Exceptions {
    /// Reads the value of `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// The first item that is not understood.
    pub fn parse(list: &str) -> Result<Self, ExceptionsError> {
        let items = list.split(|c: char| c == ',' || c.is_whitespace());
        let exceptions = items
            .filter(|item| !item.is_empty())
            .map(|item| exception(item).ok_or_else(|| ExceptionsError(item.to_owned())));
        exceptions.collect::<Result<_, _>>().map(Self)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same as patterns of hosts, each with its ports.
    pub fn patterns(&self) -> impl Iterator<Item = (HostPattern, PortSet)> {
        self.0.iter().flat_map(|exception| {
            let hosts = match &exception.what {
                What::All => vec![HostPattern::Any],
                What::Domain(apex) => vec![
                    HostPattern::Name(apex.clone()),
                    HostPattern::Subdomains(apex.clone()),
                ],
                What::Below(apex) => vec![HostPattern::Subdomains(apex.clone())],
                What::Network(net) => vec![HostPattern::Network(*net)],
            };
            let ports: PortSet = match exception.port {
                Some(port) => PortRange::one(port).into_iter().collect(),
                None => PortSet::all(),
            };
            hosts.into_iter().map(move |host| (host, ports.clone()))
        })
    }

    /// True if a destination is among them: by its name, by its address, or by either.
    pub(super) fn hold(&self, name: Option<&Name>, address: Option<Address>, port: u16) -> bool {
        self.0.iter().any(|exception| {
            let here = match &exception.what {
                What::All => true,
                What::Domain(apex) => name.is_some_and(|name| name == apex || is_below(name, apex)),
                What::Below(apex) => name.is_some_and(|name| is_below(name, apex)),
                What::Network(net) => address.is_some_and(|address| net.contains(&address.ip())),
            };
            here && exception.port.is_none_or(|own| own == port)
        })
    }
}

fn is_below(name: &Name, apex: &Name) -> bool {
    name.parents().any(|parent| parent == apex.as_str())
}

fn exception(item: &str) -> Option<Exception> {
    if let Some(what) = what(item) {
        return Some(Exception { what, port: None });
    }
    let (host, port) = item.rsplit_once(':')?;
    // `::1:80` is an address, or none.
    if host.contains(':') && !host.starts_with('[') {
        return None;
    }
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0)?;
    let what = what(host)?;
    Some(Exception {
        what,
        port: Some(port),
    })
}

fn what(host: &str) -> Option<What> {
    if host == "*" {
        return Some(What::All);
    }
    if let Some(apex) = host.strip_prefix("*.") {
        return Name::parse(apex).ok().map(What::Below);
    }
    if let Some((address, _)) = host.split_once('/') {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let net = host.replacen(address, bare.unwrap_or(address), 1);
        // `[2001:db8::/32]`, too.
        let net = net
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(&net);
        return canonical(net.parse().ok()?).map(What::Network);
    }
    match Host::parse(host.strip_prefix('.').unwrap_or(host)).ok()? {
        Host::Name(name) => Some(What::Domain(name)),
        Host::Address(_) if host.starts_with('.') => None,
        Host::Address(address) => Some(What::Network(address.ip().into())),
    }
}

/// The network in the form in which addresses are compared: one of mapped addresses is one of IPv4. One with bits behind
/// its prefix is none, as everywhere: nobody can tell which network was meant.
fn canonical(net: IpNet) -> Option<IpNet> {
    if net != net.trunc() {
        return None;
    }
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => ipnet::Ipv4Net::new(v4, v6.prefix_len() - 96).ok().map(IpNet::V4),
            None => Some(net),
        },
        net => Some(net),
    }
}

/// As it may stand in `NO_PROXY`.
impl fmt::Display for Exceptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, exception) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { ", " };
            f.write_str(gap)?;
            match &exception.what {
                What::All => f.write_str("*")?,
                What::Domain(name) => write!(f, "{name}")?,
                What::Below(name) => write!(f, "*.{name}")?,
                What::Network(net) if net.prefix_len() != net.max_prefix_len() => match net {
                    IpNet::V6(net) if exception.port.is_some() => write!(f, "[{net}]")?,
                    net => write!(f, "{net}")?,
                },
                What::Network(net) => match net.addr() {
                    std::net::IpAddr::V6(ip) if exception.port.is_some() => write!(f, "[{ip}]")?,
                    ip => write!(f, "{ip}")?,
                },
            }
            if let Some(port) = exception.port {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Places<'a> = &'a [(&'a str, u16)];

    fn holds(list: &str, host: &str, port: u16) -> bool {
        let (name, address) = match host.split_once('=') {
            Some((name, address)) => (Some(name), Some(address)),
            None if host.parse::<std::net::IpAddr>().is_ok() => (None, Some(host)),
            None => (Some(host), None),
        };
        let name = name.map(|text| Name::parse(text).unwrap());
        let address = address.map(|text| Address::new(text.parse().unwrap()));
        Exceptions::parse(list)
            .unwrap()
            .hold(name.as_ref(), address, port)
    }

    // proves: PX-3
    #[test]
    fn every_form_names_what_it_says_and_nothing_else() {
        // (NO_PROXY, in it, not in it)
        let rows: [(&str, Places<'_>, Places<'_>); 12] = [
            ("", &[], &[("example.com", 80), ("10.0.0.1", 80)]),
            (
                "example.com",
                &[
                    ("example.com", 80),
                    ("www.Example.com.", 443),
                    ("a.b.example.com", 1),
                ],
                &[("notexample.com", 80), ("example.com.evil.test", 80), ("com", 80)],
            ),
            (
                ".example.com",
                &[("example.com", 80), ("a.example.com", 80)],
                &[("anexample.com", 80)],
            ),
            ("*.example.com", &[("a.example.com", 80)], &[("example.com", 80)]),
            (
                "example.com:8080",
                &[("a.example.com", 8080)],
                &[("example.com", 80)],
            ),
            (
                "10.0.0.5",
                &[
                    ("10.0.0.5", 80),
                    ("::ffff:10.0.0.5", 80),
                    ("db.test=10.0.0.5", 80),
                ],
                &[("10.0.0.6", 80), ("64:ff9b::a00:5", 80), ("db.test", 80)],
            ),
            ("0x0a000005", &[("10.0.0.5", 80)], &[]),
            (
                "10.0.0.0/8",
                &[("10.9.9.9", 80), ("a.test=10.9.9.9", 80)],
                &[("11.0.0.1", 80)],
            ),
            ("10.0.0.0/8:80", &[("10.9.9.9", 80)], &[("10.9.9.9", 81)]),
            ("::ffff:10.0.0.0/104", &[("10.9.9.9", 80)], &[("11.0.0.1", 80)]),
            (
                "[2001:db8::1]:80, [2001:db8:1::]/48 ,2001:db8:2::/48\tfd00::1",
                &[
                    ("2001:db8::1", 80),
                    ("2001:db8:1::9", 1),
                    ("2001:db8:2::9", 1),
                    ("fd00::1", 9),
                ],
                &[("2001:db8::1", 81), ("2001:db8:3::9", 1)],
            ),
            ("*", &[("example.com", 80), ("10.0.0.1", 1)], &[]),
        ];
        for (list, inside, outside) in rows {
            for (host, port) in inside {
                assert!(holds(list, host, *port), "`{list}` has {host}:{port}");
            }
            for (host, port) in outside {
                assert!(!holds(list, host, *port), "`{list}` has not {host}:{port}");
            }
            let read = Exceptions::parse(list).unwrap();
            assert_eq!(Exceptions::parse(&read.to_string()), Ok(read), "{list}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for wrong in [
            "<local>",
            "http://example.com",
            "10.0.0.0/33",
            "10.1.2.3/8",
            ".10.0.0.1",
            "a..b",
            "example.com:0",
            "example.com:x",
            "example.com:",
            "*example.com",
            "ex*mple.com",
            "fe80::1%eth0",
            "user@example.com",
        ] {
            let error = Exceptions::parse(&format!("good.example, {wrong}"));
            assert_eq!(error, Err(ExceptionsError(wrong.to_owned())), "{wrong}");
        }
    }
}
