//! Entries, addresses and names as the model sees them: small tables, in which everything that matters about a row
//! is written down by hand.

/// An address, and what it counts as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) text: &'static str,
    /// Itself and the IPv4 addresses that it embeds.
    pub(crate) readings: &'static [&'static str],
    pub(crate) loopback: bool,
    /// Link-local, or a metadata service.
    pub(crate) link: bool,
    /// Link-local for the guard against rebinding, which a metadata service elsewhere is not.
    pub(crate) local_link: bool,
    pub(crate) multicast: bool,
    pub(crate) unspecified: bool,
}

const fn plain(text: &'static str, readings: &'static [&'static str]) -> Target {
    Target {
        text,
        readings,
        loopback: false,
        link: false,
        local_link: false,
        multicast: false,
        unspecified: false,
    }
}

const fn loopback(text: &'static str, readings: &'static [&'static str]) -> Target {
    Target {
        loopback: true,
        ..plain(text, readings)
    }
}

const fn link(text: &'static str, readings: &'static [&'static str]) -> Target {
    Target {
        link: true,
        local_link: true,
        ..plain(text, readings)
    }
}

pub(crate) const TARGETS: [Target; 18] = [
    plain("10.0.0.5", &["10.0.0.5"]),
    plain("10.0.0.6", &["10.0.0.6"]),
    plain("192.0.2.1", &["192.0.2.1"]),
    plain("2001:db8::1", &["2001:db8::1"]),
    plain("64:ff9b::10.0.0.5", &["64:ff9b::10.0.0.5", "10.0.0.5"]),
    plain("2002:a00:6::1", &["2002:a00:6::1", "10.0.0.6"]),
    loopback("127.0.0.1", &["127.0.0.1"]),
    loopback("127.9.9.9", &["127.9.9.9"]),
    loopback("::1", &["::1"]),
    loopback("0.0.0.7", &["0.0.0.7"]),
    loopback("2002:7f00:1::1", &["2002:7f00:1::1", "127.0.0.1"]),
    link("169.254.169.254", &["169.254.169.254"]),
    link("fe80::1", &["fe80::1"]),
    link(
        "64:ff9b::169.254.169.254",
        &["64:ff9b::169.254.169.254", "169.254.169.254"],
    ),
    Target {
        local_link: false,
        ..link("100.100.100.200", &["100.100.100.200"])
    },
    Target {
        multicast: true,
        ..plain("224.0.0.251", &["224.0.0.251"])
    },
    Target {
        multicast: true,
        ..plain("ff02::fb", &["ff02::fb"])
    },
    Target {
        unspecified: true,
        ..loopback("0.0.0.0", &["0.0.0.0"])
    },
];

pub(crate) const NAMES: [&str; 7] = [
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "other.example",
    "localhost",
    "x.localhost",
    "back.spin.internal",
];

/// Names whose addresses the operator's list may have learned.
pub(crate) const LEARNERS: [&str; 3] = ["a.test", "b.a.test", "other.example"];

/// The host of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MHost {
    Any,
    Name(&'static str),
    Below(&'static str),
    /// An address, or with fewer bits a network.
    Net(&'static str, u32),
}

pub(crate) const HOSTS: [MHost; 17] = [
    MHost::Any,
    MHost::Name("a.test"),
    MHost::Name("b.a.test"),
    MHost::Name("other.example"),
    MHost::Name("localhost"),
    MHost::Below("a.test"),
    MHost::Below("test"),
    MHost::Below("localhost"),
    MHost::Net("10.0.0.5", 32),
    MHost::Net("10.0.0.4", 30),
    MHost::Net("10.0.0.0", 8),
    MHost::Net("0.0.0.0", 0),
    MHost::Net("127.0.0.0", 8),
    MHost::Net("::1", 128),
    MHost::Net("::", 0),
    MHost::Net("64:ff9b::", 96),
    MHost::Net("169.254.169.254", 32),
];

pub(crate) const PORTS: [u16; 8] = [0, 1, 80, 443, 1023, 1024, 5432, 65535];
pub(crate) const RANGES: [(u16, u16); 6] = [
    (1, 65535),
    (80, 80),
    (80, 443),
    (443, 5432),
    (1, 1023),
    (1024, 65535),
];
pub(crate) const SCHEMES: [&str; 5] = ["*", "tcp", "udp", "http", "redis"];

/// An entry: `{schemes}://host:{ranges}`.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) schemes: Vec<&'static str>,
    pub(crate) host: MHost,
    pub(crate) ranges: Vec<(u16, u16)>,
}

impl Written {
    pub(crate) fn text(&self) -> String {
        let schemes = self.schemes.join(",");
        let host = match self.host {
            MHost::Any => "*".to_owned(),
            MHost::Name(name) => name.to_owned(),
            MHost::Below(name) => format!("*.{name}"),
            MHost::Net(ip, length) if ip.contains(':') => format!("[{ip}]/{length}"),
            MHost::Net(ip, length) => format!("{ip}/{length}"),
        };
        let ranges: Vec<_> = self.ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
        format!("{{{schemes}}}://{host}:{{{}}}", ranges.join(","))
    }

    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&port))
    }
}
