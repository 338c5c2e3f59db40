//! The remedy that would permit a refused attempt (RSN-2), and nothing wider than that (RSN-5).
//!
//! An entry has the port of the attempt. A look-up has none: there it is the port of the entry that names the host
//! already, for another protocol, and else one that the author has to fill in, since only he knows the service.
//!
//! A remedy names a [`Setting`]. What the host calls that is said when it is shown, by its [`RemedyWords`].

use std::borrow::Cow;
use std::fmt;

use crate::{
    Attempt, Denial, Entry, Host, HostPattern, LabelKind, Layer, Location, Name, NeutralWords, Protocol,
    Reason, RemedyWords, Scheme, ServerName, Setting, Transport, text,
};

/// The one change that would permit an attempt, and who can make it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// The author adds this entry to the allow list.
    AddEntry(String),
    /// The author adds `*://HOST:PORT` with the port of the service, which the attempt does not tell.
    AddEntryWithPort(Host),
    /// The author adds this label to the list of its kind.
    AddLabel {
        /// The kind, which says the list.
        kind: LabelKind,
        /// The label.
        label: String,
    },
    /// The same in the list of the component, for an attempt of a part of it that has a list of its own.
    OfComponent(Box<Self>),
    /// The same in the list that the part has of its own.
    OfPart(Box<Self>),
    /// The author lets the dependency inherit this list of its component.
    Inherit(Setting),
    /// The guest looks this name up before it connects.
    Lookup(Name),
    /// The operator changes this setting.
    Lift(Setting),
    /// The operator takes this off the deny list.
    Undeny {
        /// The entry or network as written.
        text: String,
        /// The place where it stands.
        location: Location,
    },
}

impl Remedy {
    pub(crate) fn of(denial: &Denial<'_>, attempt: &Attempt<'_>) -> Option<Self> {
        match Self::of_list(denial, attempt)? {
            remedy @ (Self::AddEntry(_) | Self::AddEntryWithPort(_)) if denial.is_of_whole() => {
                Some(Self::OfComponent(Box::new(remedy)))
            }
            remedy @ (Self::AddEntry(_) | Self::AddEntryWithPort(_)) if denial.is_of_part() => {
                Some(Self::OfPart(Box::new(remedy)))
            }
            remedy => Some(remedy),
        }
    }

    fn of_list(denial: &Denial<'_>, attempt: &Attempt<'_>) -> Option<Self> {
        match (denial.reason().layer(), denial.reason()) {
            (Layer::DenyList, _) => undeny(denial),
            (Layer::RuntimeLimits, Reason::RuntimeLoopbackPort) => {
                port_of(attempt).map(|port| Self::Lift(Setting::LoopbackPort(port)))
            }
            (_, Reason::AllowNotInherited) => Some(Self::Inherit(list_of(attempt))),
            (_, Reason::GrantReplaced | Reason::GrantEvicted) => denial.name().cloned().map(Self::Lookup),
            (Layer::AllowList, _) if denial.setting().is_none() => add_entry(denial, attempt),
            _ => denial.setting().map(Self::Lift),
        }
    }

    /// The sentence for people, in the words of a host.
    pub fn in_words_of<'a>(&'a self, words: &'a dyn RemedyWords) -> impl fmt::Display + 'a {
        InWords(self, words)
    }
}

/// The list of the component that has to grant it.
fn list_of(attempt: &Attempt<'_>) -> Setting {
    match attempt {
        Attempt::Open { kind, .. } => Setting::Labels(*kind),
        _ => Setting::AllowList,
    }
}

fn undeny(denial: &Denial<'_>) -> Option<Remedy> {
    if let Some(entry) = denial.denied_by() {
        return Some(Remedy::Undeny {
            text: entry.text().to_owned(),
            location: entry.location().clone(),
        });
    }
    denial.blocked_by().map(|blocked| Remedy::Undeny {
        text: blocked.to_string(),
        location: blocked.location().clone(),
    })
}

/// The port that the attempt leads to.
fn port_of(attempt: &Attempt<'_>) -> Option<u16> {
    match attempt {
        Attempt::Request { port, .. } => Some(*port),
        _ => attempt.remote().map(|remote| remote.port),
    }
}

fn add_entry(denial: &Denial<'_>, attempt: &Attempt<'_>) -> Option<Remedy> {
    let host = |address| {
        denial
            .name()
            .map_or(Host::Address(address), |name| Host::Name(name.clone()))
    };
    let entry = match attempt {
        Attempt::Lookup { name } if stays_inside(name) => return None,
        Attempt::Lookup { name } => {
            let host = Host::Name((*name).clone());
            match denial.closest().and_then(|entry| only_port(entry, name)) {
                Some(port) => socket_entry(Transport::Tcp, &host, port),
                None => return Some(Remedy::AddEntryWithPort(host)),
            }
        }
        Attempt::Answer { address, .. } => return Some(Remedy::AddEntryWithPort(Host::Address(*address))),
        Attempt::Connect { transport, remote } => {
            socket_entry(*transport, &host(remote.address), remote.port)
        }
        Attempt::Send { remote } | Attempt::Receive { peer: remote } => {
            socket_entry(Transport::Udp, &host(remote.address), remote.port)
        }
        Attempt::Request {
            scheme,
            host: Host::Name(name),
            ..
        } if Protocol::Url(scheme).is_kept_from(name) => return None,
        Attempt::Request {
            scheme, host, port, ..
        } => url_entry(scheme, host, *port),
        // The name is listed already: what the guard wants is an entry for the address itself.
        Attempt::Dial { scheme, remote, .. } if denial.reason() == Reason::DnsRebinding => {
            url_entry(scheme, &Host::Address(remote.address), remote.port)
        }
        Attempt::Dial {
            scheme, host, remote, ..
        } => url_entry(scheme, host, remote.port),
        Attempt::Tls {
            server: Host::Name(name),
            ..
        }
        | Attempt::ClientHello {
            server: ServerName::Host(Host::Name(name)),
            ..
        } if stays_inside(name) => return None,
        Attempt::Tls {
            server,
            remotes: [remote],
        }
        | Attempt::ClientHello {
            server: ServerName::Host(server),
            remote,
        } => format!("tcp://{server}:{}", remote.port),
        // Which of its connections it would be on is not known.
        Attempt::Tls { server, .. } => return Some(Remedy::AddEntryWithPort((*server).clone())),
        Attempt::Open { kind, label } if LabelKind::may_be(label) => {
            return Some(Remedy::AddLabel {
                kind: *kind,
                label: (*label).to_owned(),
            });
        }
        _ => return None,
    };
    Some(Remedy::AddEntry(entry))
}

/// The port of an entry that is for this very name and has just one. One for every name says nothing of the service.
fn only_port(entry: &Entry, name: &Name) -> Option<u16> {
    let is_named = |host: &HostPattern| matches!(host, HostPattern::Name(own) if own == name);
    if entry.is_concealed() || !entry.hosts().iter().any(is_named) {
        return None;
    }
    let mut ports = entry.schemes().iter().map(|scheme| entry.ports_for(scheme));
    let first = ports.next()?;
    match first.ranges() {
        [one] if one.first() == one.last() && ports.all(|ports| ports == first) => Some(one.first()),
        _ => None,
    }
}

/// As an entry the name means the app itself or one of its components, which only requests reach (AL-7).
fn stays_inside(name: &Name) -> bool {
    name.is_service_chaining() || name.is_the_app_itself()
}

fn socket_entry(transport: Transport, host: &Host, port: u16) -> String {
    match transport {
        Transport::Tcp => format!("*://{host}:{port}"),
        Transport::Udp => format!("udp://{host}:{port}"),
    }
}

fn url_entry(scheme: &Scheme, host: &Host, port: u16) -> String {
    let itself = |name| Protocol::Url(scheme).reaches_the_app(name);
    if matches!(host, Host::Name(name) if itself(name)) {
        return "http://self".to_owned();
    }
    if scheme.default_port() == Some(port) {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

/// The sentence in neutral words; see [`in_words_of`](Remedy::in_words_of).
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        InWords(self, &NeutralWords).fmt(f)
    }
}

struct InWords<'a>(&'a Remedy, &'a dyn RemedyWords);

impl InWords<'_> {
    /// What the host calls the setting; what the crates do, if it says nothing.
    fn name(&self, setting: Setting) -> Cow<'static, str> {
        let name = self.1.name(setting);
        if name.trim().is_empty() {
            setting.neutral()
        } else {
            name
        }
    }
}

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(remedy, words) = self;
        let sentence = words.sentence(remedy);
        if let Some(sentence) = sentence.filter(|sentence| !sentence.trim().is_empty()) {
            return f.write_str(&sentence);
        }
        match remedy {
            Remedy::AddEntry(entry) => write!(f, "add \"{entry}\" to {}", self.name(Setting::AllowList)),
            Remedy::AddEntryWithPort(host) => {
                let list = self.name(Setting::AllowList);
                write!(f, "add \"*://{host}:PORT\" to {list}, PORT being the service's")
            }
            Remedy::AddLabel { kind, label } => {
                write!(f, "add \"{label}\" to {}", self.name(Setting::Labels(*kind)))
            }
            Remedy::OfComponent(remedy) => write!(f, "{}, of the component itself", Self(remedy, *words)),
            Remedy::OfPart(remedy) => write!(f, "{}, of the part itself", Self(remedy, *words)),
            Remedy::Inherit(list) => write!(f, "let the dependency inherit {}", self.name(*list)),
            Remedy::Lookup(name) => write!(f, "look up `{name}` again before connecting"),
            Remedy::Lift(setting) => write!(f, "the operator can lift this with {}", self.name(*setting)),
            Remedy::Undeny { text, location } => {
                write!(f, "the operator denies `{}` ({location})", text::excerpt(text))
            }
        }
    }
}
