//! The least list that permits uses: one entry for each host and scheme, with exactly the ports that were used.
//!
//! Entries are spelled as remedies spell them (RSN-2): `*://` for TCP sockets, `udp://` for datagrams, the scheme of the URL
//! for requests, without its port where that is the scheme's own, and `http://self` for the app itself. Since `*` permits every
//! scheme, what else goes to the same host and port needs no entry of its own.
//!
//! A look-up that nothing was connected to needs an entry all the same, or it is refused. An entry has a port, and nobody
//! knows which: it gets the discard port (RFC 863), where nobody listens, for TCP alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use outport_policy::{Entry, Host, Location, Name, PortRange, PortSet, Scheme, Transport};

use super::fold::{Fold, Folded, fold};
use super::uses::{Target, Use};

/// An entry of the least list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeastEntry<'u> {
    /// The entry. Its canonical spelling is what is to be written.
    pub entry: Entry,
    /// The uses that need it, the earliest first.
    pub uses: Vec<&'u Use>,
    /// True if it is for a look-up alone, and its port is nobody's.
    pub for_lookup: bool,
    /// What it lets in besides, where it takes the place of several.
    pub folded: Option<Folded>,
}

/// The least list for these uses of one list, in the order of hosts. `fold` says whether entries may be put together that
/// let in more than was used.
pub fn least<'u>(uses: &[&'u Use], asked: Fold) -> Vec<LeastEntry<'u>> {
    let drafts = drafts(uses);
    fold(drafts, asked).into_iter().filter_map(Draft::entry).collect()
}

/// An entry in the making.
#[derive(Clone, Debug)]
pub(super) struct Draft<'u> {
    pub(super) kind: Kind,
    pub(super) host: DraftHost,
    pub(super) ports: BTreeSet<u16>,
    pub(super) uses: Vec<&'u Use>,
    pub(super) folded: Option<Folded>,
}

/// The host of an entry, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DraftHost {
    /// A name or an address.
    One(Host),
    /// A wildcard or a network.
    Pattern(String),
}

/// The scheme of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `*`: TCP sockets, and with them everything else to the same place.
    Any,
    /// `udp`.
    Udp,
    /// That of a URL.
    Url(Scheme),
    /// The app itself.
    App,
    /// `tcp` on the discard port.
    Lookup,
}

fn drafts<'u>(uses: &[&'u Use]) -> Vec<Draft<'u>> {
    let tcp: HashSet<(Host, u16)> = uses.iter().filter_map(|used| of_tcp(used)).collect();
    let sockets: HashSet<Host> = uses
        .iter()
        .filter_map(|used| match &used.target {
            Target::Socket { host, .. } => Some(host.clone()),
            _ => None,
        })
        .collect();
    // Ordered by the spelling of hosts, so that the same uses give the same list.
    let mut drafts: BTreeMap<(String, Kind), Draft<'u>> = BTreeMap::new();
    for used in uses {
        let (kind, host, port) = match &used.target {
            Target::Lookup { name } if sockets.contains(&Host::Name(name.clone())) => continue,
            Target::Lookup { name } => (Kind::Lookup, Host::Name(name.clone()), DISCARD),
            Target::Socket {
                transport,
                host,
                port,
            } => {
                let covered = *transport == Transport::Tcp || tcp.contains(&(host.clone(), *port));
                let kind = if covered { Kind::Any } else { Kind::Udp };
                (kind, host.clone(), *port)
            }
            Target::Request { scheme, host, port } => {
                let kind = match host {
                    Host::Name(name) if is_the_app(scheme, name) => Kind::App,
                    _ if tcp.contains(&(host.clone(), *port)) => Kind::Any,
                    _ => Kind::Url(scheme.clone()),
                };
                (kind, host.clone(), *port)
            }
        };
        // Every spelling of the app itself is one destination (AL-10).
        let key = match kind {
            Kind::App => String::new(),
            _ => host.to_string(),
        };
        let draft = drafts.entry((key, kind.clone())).or_insert_with(|| Draft {
            kind,
            host: DraftHost::One(host),
            ports: BTreeSet::new(),
            uses: Vec::new(),
            folded: None,
        });
        draft.ports.insert(port);
        draft.uses.push(used);
    }
    drafts.into_values().collect()
}

fn of_tcp(used: &Use) -> Option<(Host, u16)> {
    match &used.target {
        Target::Socket {
            transport: Transport::Tcp,
            host,
            port,
        } => Some((host.clone(), *port)),
        _ => None,
    }
}

fn is_the_app(scheme: &Scheme, name: &Name) -> bool {
    *scheme == Scheme::HTTP && name.is_the_app_itself()
}

impl<'u> Draft<'u> {
    /// The entry as it is written.
    pub(super) fn text(&self) -> String {
        let host = match &self.host {
            DraftHost::One(host) => host.to_string(),
            DraftHost::Pattern(pattern) => pattern.clone(),
        };
        let ports = self.ports_text();
        match &self.kind {
            Kind::Any => format!("*://{host}:{ports}"),
            Kind::Udp => format!("udp://{host}:{ports}"),
            Kind::Lookup => format!("tcp://{host}:{ports}"),
            Kind::App => "http://self".to_owned(),
            Kind::Url(scheme) => {
                let only = self.ports.first().filter(|_| self.ports.len() == 1);
                if only.is_some() && scheme.default_port() == only.copied() {
                    format!("{scheme}://{host}")
                } else {
                    format!("{scheme}://{host}:{ports}")
                }
            }
        }
    }

    pub(super) fn ports_text(&self) -> String {
        let ports: PortSet = self
            .ports
            .iter()
            .filter_map(|port| PortRange::one(*port))
            .collect();
        match ports.ranges() {
            [_] => ports.to_string(),
            _ => format!("{{{ports}}}"),
        }
    }

    /// Read as the author's list will be. What cannot be read as an entry cannot be proposed: there is no such thing, but a
    /// log may be anybody's.
    pub(super) fn entry(self) -> Option<LeastEntry<'u>> {
        let entry = Entry::parse(&self.text(), Location::Code).ok()?;
        Some(LeastEntry {
            entry,
            for_lookup: self.kind == Kind::Lookup,
            uses: self.uses,
            folded: self.folded,
        })
    }
}

/// The port of a service that throws everything away, which nobody runs.
const DISCARD: u16 = 9;
