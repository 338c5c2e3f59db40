//! From decisions, in the order in which they were made, to uses.
//!
//! | decision | becomes |
//! | --- | --- |
//! | a look-up, and an answer to it | names of the instance from then on; with an answer a use, a look-up; else it was tried |
//! | a socket connects or sends | a use: of the name by which the instance has the address, or of the address |
//! | a request to a URL | a use, of the URL's scheme, host and port |
//! | the host dials for it | nothing; but where every address was refused, the request was only tried |
//! | a refusal of the author's list alone, or by a quota alone | the same use as if it had been permitted |
//! | any other refusal | told, with its reason; nothing is proposed for it |
//! | everything else | nothing: no entry has to permit it |
//!
//! A look-up that the author's list refused has no port yet, and what came after it never happened: it is told as refused,
//! with the remedy that says so.
//!
//! Texts of a log are read as strictly as an entry is; what cannot be read is passed over, as are kinds of attempts that
//! nobody here knows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use outport_policy::{Address, Endpoint, Host, Name, Scheme, Transport};

use super::lookups::{Answered, Asker, Lookups};
use super::seen::{MOST_USES, Refusal, Seen};
use super::uses::{Target, Times};

/// A decision, as a sink is told it or a log has it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The time, as the log writes it.
    pub at: &'a str,
    /// The process in which it was, by any number that no other one has: instances are numbered anew in each.
    pub process: u64,
    /// The component, or part of one, that asked.
    pub component: &'a str,
    /// The number of the instance.
    pub instance: u64,
    /// The kind of attempt: `tcp.connect`, …
    pub attempt: &'a str,
    /// Address and port, name, or URL.
    pub destination: &'a str,
    /// The name that it was looked up by, where the decision depended on it.
    pub name: Option<&'a str>,
    /// Of an answer, the number of the look-up that it belongs to. Older logs do not have it.
    pub lookup: Option<u64>,
    /// The reason, if it was refused.
    pub refused: Option<Refused<'a>>,
}

/// The reason of a refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The stable code.
    pub reason: &'a str,
    /// The same in words.
    pub detail: &'a str,
    /// What would permit it, as far as this reason goes.
    pub remedy: Option<&'a str>,
    /// The code of another reason that refuses it as well.
    pub also: Option<&'a str>,
}

/// A look-up that found nothing to grant, as an outcome tells it: the name does not exist, or has no address that may be
/// granted. One that failed otherwise leaves everything as it was (DNS-5), and is not told.
#[derive(Clone, Copy, Debug)]
pub struct FailedLookup<'a> {
    /// The process in which it was, as in [`Event`].
    pub process: u64,
    /// The component, or part of one, that asked.
    pub component: &'a str,
    /// The number of the instance.
    pub instance: u64,
    /// The name.
    pub name: &'a str,
    /// The number of the look-up, if it is known.
    pub lookup: Option<u64>,
}

/// Makes uses of decisions.
#[derive(Debug, Default)]
pub struct Collector {
    seen: Seen,
    lookups: Lookups,
    /// Addresses that were dialled for a request, and whether any was permitted.
    dials: HashMap<Dialled, Dials>,
    /// One text for each component, however many decisions it has.
    components: HashMap<Box<str>, Arc<str>>,
}

/// The component, the protocol, and the host and port of the URL.
type Dialled = (Arc<str>, String, Host, u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dials {
    AllRefused,
    SomePermitted,
}

impl Collector {
    /// Takes a decision.
    pub fn decision(&mut self, event: &Event<'_>) {
        let Some(component) = self.component(event.component) else {
            self.seen.lose(1);
            return;
        };
        let asker = Asker {
            process: event.process,
            component,
            instance: event.instance,
        };
        match event.refused {
            None => {
                self.seen.permit();
                self.wanted(&asker, event);
            }
            Some(refused) if is_of_the_author(event, &refused) => self.wanted(&asker, event),
            Some(refused) => {
                // There were too many at a time, of what is permitted.
                if is_of_a_quota(&refused) {
                    self.wanted(&asker, event);
                }
                self.refused(&asker, event, &refused);
            }
        }
    }

    /// Takes a look-up that found nothing: what the name granted has ended.
    pub fn failed_lookup(&mut self, failed: &FailedLookup<'_>) {
        let Some(component) = self.component(failed.component) else {
            return;
        };
        if let Ok(name) = Name::parse(failed.name) {
            let asker = Asker {
                process: failed.process,
                component,
                instance: failed.instance,
            };
            self.lookups.has_none(&asker, &name, failed.lookup);
        }
    }

    /// So many lines are missing here.
    pub fn lost(&mut self, lines: u64) {
        self.seen.lose(lines);
    }

    /// All that was seen.
    pub fn finish(mut self) -> Seen {
        let dials = std::mem::take(&mut self.dials);
        self.seen.take_back(|list, target| match target {
            Target::Request { scheme, host, port } => {
                let dialled = (Arc::clone(list), scheme_family(scheme), host.clone(), *port);
                dials.get(&dialled) != Some(&Dials::AllRefused)
            }
            _ => true,
        });
        self.seen.forget(self.lookups.missed());
        self.seen
    }

    /// What the author's list has to permit.
    fn wanted(&mut self, asker: &Asker, event: &Event<'_>) {
        match event.attempt {
            "dns.lookup" => {
                if let Ok(name) = Name::parse(event.destination) {
                    self.lookups.begin(asker, &name);
                    self.seen.ask(&asker.component, &name, event.at);
                    self.tried(asker, Target::Lookup { name }, event);
                }
            }
            "dns.answer" => self.answered(asker, event),
            "tcp.connect" => self.socket(asker, event, Transport::Tcp),
            "udp.connect" | "udp.send" => self.socket(asker, event, Transport::Udp),
            dial if dial.ends_with(".dial") => self.dialled(asker, event, Dials::SomePermitted),
            request if request.ends_with(".request") || request.ends_with(".connect") => {
                self.request(asker, event)
            }
            _ => {}
        }
    }

    fn answered(&mut self, asker: &Asker, event: &Event<'_>) {
        let name = event.name.and_then(|name| Name::parse(name).ok());
        let address = event.destination.parse().map(Address::new);
        let (Some(name), Ok(address)) = (name, address) else {
            return;
        };
        // As an entry it means the app, which only requests reach (AL-7).
        if name.is_the_app_itself() || name.is_service_chaining() {
            return;
        }
        let answered = self.lookups.answered(asker, &name, event.lookup, address);
        self.seen.answer(&asker.component, &name);
        let target = Target::Lookup { name };
        // What was overtaken was permitted all the same, and was counted with what overtook it if that had an answer.
        let is_new = answered == Answered::Overtaken && !self.seen.has(&asker.component, &target);
        if answered == Answered::First || is_new {
            self.note(asker, target, event);
        }
    }

    fn socket(&mut self, asker: &Asker, event: &Event<'_>, transport: Transport) {
        let Ok(remote) = event.destination.parse::<SocketAddr>() else {
            return;
        };
        let remote = Endpoint::from(remote);
        let mut names = self.lookups.names_of(asker, remote.address);
        // The gate says which name it was where that decided.
        if let Some(name) = event.name.and_then(|name| Name::parse(name).ok()) {
            names.retain(|other| *other != name);
            names.insert(0, name);
        }
        if names.is_empty() {
            self.lookups.has_no_name(asker);
        }
        let mut names = names.into_iter();
        let host = names.next().map_or(Host::Address(remote.address), Host::Name);
        let target = Target::Socket {
            transport,
            host,
            port: remote.port,
        };
        let names: Vec<Name> = names.collect();
        for list in lists_of(&asker.component) {
            if let Some(noted) = self.seen.note(&list, target.clone(), event.at) {
                noted.by(&asker.component);
                noted.reached(remote.address);
                noted.also(names.iter().cloned());
            }
        }
    }

    fn request(&mut self, asker: &Asker, event: &Event<'_>) {
        let Some((scheme, rest)) = event.destination.split_once("://") else {
            return;
        };
        let (Some(scheme), Some((host, port))) = (Scheme::parse(scheme), host_and_port(rest)) else {
            return;
        };
        self.note(asker, Target::Request { scheme, host, port }, event);
    }

    /// Notes that an address of a request was permitted or refused.
    fn dialled(&mut self, asker: &Asker, event: &Event<'_>, dials: Dials) {
        let Ok(remote) = event.destination.parse::<SocketAddr>() else {
            return;
        };
        let remote = Endpoint::from(remote);
        let name = event.name.and_then(|name| Name::parse(name).ok());
        let host = name.map_or(Host::Address(remote.address), Host::Name);
        let family = event.attempt.trim_end_matches(".dial").to_owned();
        for list in lists_of(&asker.component) {
            let dialled = (list, family.clone(), host.clone(), remote.port);
            if self.dials.len() >= MOST_USES && !self.dials.contains_key(&dialled) {
                return;
            }
            let known = self.dials.entry(dialled).or_insert(dials);
            if dials == Dials::SomePermitted {
                *known = dials;
            }
        }
    }

    fn refused(&mut self, asker: &Asker, event: &Event<'_>, refused: &Refused<'_>) {
        if event.attempt.ends_with(".dial") && !is_of_a_quota(refused) {
            self.dialled(asker, event, Dials::AllRefused);
        }
        // Nothing is wrong with such: with an empty list a socket is not even bound, and the next decision says where to.
        if is_harmless(event.attempt) && is_a_miss(refused.reason) {
            return;
        }
        let short = |text: &str| text.chars().take(LONGEST_TEXT).collect::<String>();
        self.seen.refuse(Refusal {
            component: Arc::clone(&asker.component),
            attempt: short(event.attempt),
            destination: match event.name {
                Some(name) => short(&format!("{} ({name})", event.destination)),
                None => short(event.destination),
            },
            reason: short(refused.reason),
            detail: short(refused.detail),
            remedy: refused.remedy.map(short),
            times: Times::once(event.at),
        });
    }

    fn tried(&mut self, asker: &Asker, target: Target, event: &Event<'_>) {
        for list in lists_of(&asker.component) {
            self.seen.tried(&list, target.clone(), event.at);
        }
    }

    fn note(&mut self, asker: &Asker, target: Target, event: &Event<'_>) {
        for list in lists_of(&asker.component) {
            if let Some(noted) = self.seen.note(&list, target.clone(), event.at) {
                noted.by(&asker.component);
            }
        }
    }

    /// The component by one text. None where there are more of them than any app has, as a log may claim.
    fn component(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some(known) = self.components.get(name) {
            return Some(Arc::clone(known));
        }
        if self.components.len() >= MOST_COMPONENTS || name.len() > LONGEST_TEXT {
            return None;
        }
        let text: Arc<str> = name.into();
        self.components.insert(name.into(), Arc::clone(&text));
        Some(text)
    }
}

/// The lists that have to permit what it asks: its own, and of a part also that of its component.
fn lists_of(asker: &Arc<str>) -> impl Iterator<Item = Arc<str>> {
    let whole = asker.split_once('/').map(|(component, _)| Arc::from(component));
    std::iter::once(Arc::clone(asker)).chain(whole)
}

/// True if nothing but the author's list refuses it, and an entry would permit it whose port is known.
fn is_of_the_author(event: &Event<'_>, refused: &Refused<'_>) -> bool {
    is_a_miss(refused.reason)
        && refused.also.is_none()
        && event.attempt != "dns.lookup"
        && event.attempt != "dns.answer"
        && !is_harmless(event.attempt)
}

/// True if nothing but a quota refuses it.
fn is_of_a_quota(refused: &Refused<'_>) -> bool {
    refused.reason.starts_with("quota.") && refused.also.is_none()
}

fn is_a_miss(reason: &str) -> bool {
    [
        "allow.none",
        "allow.no-match",
        "allow.scheme",
        "allow.port",
        "allow.name-not-looked-up",
    ]
    .contains(&reason)
}

fn is_harmless(attempt: &str) -> bool {
    attempt.ends_with(".bind") || attempt.ends_with(".create") || attempt == "udp.receive"
}

/// The protocol of a URL as the audit log names its dials.
fn scheme_family(scheme: &Scheme) -> String {
    let target = Target::Request {
        scheme: scheme.clone(),
        host: Host::Address(std::net::Ipv4Addr::UNSPECIFIED.into()),
        port: 0,
    };
    target.what().to_owned()
}

/// What stands behind the scheme of a destination.
fn host_and_port(text: &str) -> Option<(Host, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    Some((Host::parse(host).ok()?, port))
}

/// Components and parts in a log.
const MOST_COMPONENTS: usize = 4_096;

/// Bytes of a text that is kept of a log. A remedy has at most 1,000 characters.
const LONGEST_TEXT: usize = 1_024;
