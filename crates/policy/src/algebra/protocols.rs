//! Sets of protocols.

use std::collections::BTreeSet;
use std::fmt;

use super::Channel;
use crate::{EntryScheme, Protocol, Scheme, Transport};

/// A set of protocols: some of the two transports, and URL schemes, either some or all but some.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocols {
    transports: BTreeSet<Transport>,
    urls: Urls,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Urls {
    Only(BTreeSet<Scheme>),
    AllBut(BTreeSet<Scheme>),
}

impl Protocols {
    /// No protocol.
    pub fn none() -> Self {
        Self::new([], Urls::NONE)
    }

    /// Every transport and every URL scheme.
    pub fn all() -> Self {
        Self::new([Transport::Tcp, Transport::Udp], Urls::ALL)
    }

    /// Raw sockets, TCP and UDP.
    pub fn sockets() -> Self {
        Self::new([Transport::Tcp, Transport::Udp], Urls::NONE)
    }

    /// Every URL scheme and no socket.
    pub fn urls() -> Self {
        Self::new([], Urls::ALL)
    }

    /// UDP sockets.
    pub fn udp() -> Self {
        Self::new([Transport::Udp], Urls::NONE)
    }

    /// The protocols that an entry of this scheme permits on the allow list: [`EntryScheme::permits`] as a set.
    pub fn permitted_by(scheme: &EntryScheme) -> Self {
        match scheme {
            EntryScheme::Any => Self::all(),
            EntryScheme::Socket(transport) => Self::new([*transport], Urls::NONE),
            EntryScheme::Url(scheme) => Self::new([], Urls::only(scheme)),
        }
    }

    /// The protocols that an entry of this scheme denies on the deny list: [`EntryScheme::denies`] as a set.
    pub fn denied_by(scheme: &EntryScheme) -> Self {
        match scheme {
            EntryScheme::Any => Self::all(),
            EntryScheme::Socket(Transport::Tcp) => Self::new([Transport::Tcp], Urls::ALL),
            EntryScheme::Socket(Transport::Udp) => Self::udp(),
            EntryScheme::Url(scheme) => Self::new([Transport::Tcp], Urls::only(scheme)),
        }
    }

    /// True if the protocol is in the set.
    pub fn contains(&self, protocol: Protocol<'_>) -> bool {
        match protocol {
            Protocol::Socket(transport) => self.transports.contains(&transport),
            Protocol::Url(scheme) => self.urls.contains(scheme),
        }
    }

    /// True if there is none in it.
    pub fn is_empty(&self) -> bool {
        self.transports.is_empty() && self.urls == Urls::NONE
    }

    /// The protocols in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(
            self.transports.union(&other.transports).copied(),
            self.urls.union(&other.urls),
        )
    }

    /// The protocols in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::new(
            self.transports.intersection(&other.transports).copied(),
            self.urls.intersection(&other.urls),
        )
    }

    /// The protocols of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self::new(
            self.transports.difference(&other.transports).copied(),
            self.urls.intersection(&other.urls.complement()),
        )
    }

    /// The protocols one by one: the transports, the schemes that are named in the set or in `known`, and, where
    /// there are still others, `other` as the one that stands for them.
    pub fn channels<'a>(
        &'a self,
        known: &'a [Scheme],
        other: &'a Scheme,
    ) -> impl Iterator<Item = Channel> + 'a {
        let sockets = self
            .transports
            .iter()
            .map(|transport| Channel::Socket(*transport));
        let named: BTreeSet<&Scheme> = match &self.urls {
            Urls::Only(schemes) => schemes.iter().collect(),
            Urls::AllBut(_) => known
                .iter()
                .chain([other])
                .filter(|scheme| self.urls.contains(scheme))
                .collect(),
        };
        sockets.chain(named.into_iter().cloned().map(Channel::Url))
    }

    /// The URL schemes that are named in the set, whether they are in it or left out of it.
    pub(crate) fn named_schemes(&self) -> impl Iterator<Item = &Scheme> {
        let (Urls::Only(schemes) | Urls::AllBut(schemes)) = &self.urls;
        schemes.iter()
    }

    fn new(transports: impl IntoIterator<Item = Transport>, urls: Urls) -> Self {
        Self {
            transports: transports.into_iter().collect(),
            urls,
        }
    }
}

impl Urls {
    const NONE: Self = Self::Only(BTreeSet::new());
    const ALL: Self = Self::AllBut(BTreeSet::new());

    fn only(scheme: &Scheme) -> Self {
        Self::Only(BTreeSet::from([scheme.clone()]))
    }

    fn contains(&self, scheme: &Scheme) -> bool {
        match self {
            Self::Only(schemes) => schemes.contains(scheme),
            Self::AllBut(schemes) => !schemes.contains(scheme),
        }
    }

    fn complement(&self) -> Self {
        match self {
            Self::Only(schemes) => Self::AllBut(schemes.clone()),
            Self::AllBut(schemes) => Self::Only(schemes.clone()),
        }
    }

    fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(a & b),
            (Self::Only(some), Self::AllBut(out)) | (Self::AllBut(out), Self::Only(some)) => {
                Self::Only(some - out)
            }
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(a | b),
        }
    }

    fn union(&self, other: &Self) -> Self {
        self.complement().intersection(&other.complement()).complement()
    }
}

/// For people: `TCP sockets, https`, `everything`, `UDP sockets, every URL but http`.
impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::all() {
            return f.write_str("every protocol");
        }
        let mut parts: Vec<String> = self
            .transports
            .iter()
            .map(|transport| match transport {
                Transport::Tcp => "TCP sockets".to_owned(),
                Transport::Udp => "UDP sockets".to_owned(),
            })
            .collect();
        match &self.urls {
            Urls::Only(schemes) => parts.extend(schemes.iter().map(Scheme::to_string)),
            Urls::AllBut(out) if out.is_empty() => parts.push("every URL".to_owned()),
            Urls::AllBut(out) => {
                let out: Vec<&str> = out.iter().map(Scheme::as_str).collect();
                parts.push(format!("every URL but {}", out.join(", ")));
            }
        }
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(text: &str) -> EntryScheme {
        match text {
            "*" => EntryScheme::Any,
            "tcp" => EntryScheme::Socket(Transport::Tcp),
            "udp" => EntryScheme::Socket(Transport::Udp),
            url => EntryScheme::Url(Scheme::parse(url).unwrap()),
        }
    }

    const SCHEMES: [&str; 6] = ["*", "tcp", "udp", "http", "https", "redis"];

    fn protocols() -> Vec<Channel> {
        ["http", "https", "redis", "unheard"]
            .map(|url| Channel::Url(Scheme::parse(url).unwrap()))
            .into_iter()
            .chain([Transport::Tcp, Transport::Udp].map(Channel::Socket))
            .collect()
    }

    // proves: VAL-5, AL-3, DL-2
    #[test]
    fn the_sets_are_what_schemes_permit_and_deny() {
        for own in SCHEMES.map(scheme) {
            for channel in protocols() {
                let protocol = channel.protocol();
                assert_eq!(
                    Protocols::permitted_by(&own).contains(protocol),
                    own.permits(protocol),
                    "{own} {protocol}"
                );
                assert_eq!(
                    Protocols::denied_by(&own).contains(protocol),
                    own.denies(protocol),
                    "{own} {protocol}"
                );
            }
        }
    }

    #[test]
    fn set_operations_agree_with_membership() {
        let sets: Vec<Protocols> = SCHEMES
            .map(scheme)
            .iter()
            .flat_map(|own| [Protocols::permitted_by(own), Protocols::denied_by(own)])
            .collect();
        let sets: Vec<Protocols> = sets
            .iter()
            .flat_map(|a| sets.iter().map(move |b| a.difference(b)))
            .collect();
        for (a, b) in sets.iter().flat_map(|a| sets.iter().map(move |b| (a, b))) {
            for channel in protocols() {
                let has = |set: &Protocols| set.contains(channel.protocol());
                assert_eq!(has(&a.union(b)), has(a) || has(b));
                assert_eq!(has(&a.intersection(b)), has(a) && has(b));
                assert_eq!(has(&a.difference(b)), has(a) && !has(b));
            }
            assert_eq!(a.difference(b).is_empty(), a.intersection(b) == *a, "{a} and {b}");
        }
    }

    #[test]
    fn a_set_is_shown_in_words() {
        for (set, words) in [
            (Protocols::all(), "every protocol"),
            (Protocols::sockets(), "TCP sockets, UDP sockets"),
            (Protocols::denied_by(&scheme("https")), "TCP sockets, https"),
            (
                Protocols::all().difference(&Protocols::denied_by(&scheme("https"))),
                "UDP sockets, every URL but https",
            ),
            (Protocols::urls(), "every URL"),
        ] {
            assert_eq!(set.to_string(), words);
        }
    }
}
