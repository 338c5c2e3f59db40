//! The subject of a check: a component's entries, and what its code imports and exports.

use std::collections::HashSet;

use outport_manifest::{EventKind, Service};
use outport_policy::{Entry, Label, Location, Scheme};

/// One component, as far as a check has to know it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// The place of its declaration.
    pub location: Location,
    /// Its entries with the variables filled in.
    pub entries: &'a [Entry],
    /// The places of those among them that were made of the items of an older list (`allowed_http_hosts`): nobody wrote
    /// these, and several can be of one item.
    pub converted: HashSet<Location>,
    /// The number of entries beside them that cannot be read.
    pub unread: usize,
    /// The imports and exports of its code, if they could be read.
    pub interfaces: Option<&'a Interfaces>,
    /// The triggers that start it.
    pub triggers: Vec<Trigger>,
    /// True if mistakes hide what else starts it.
    pub triggers_unread: bool,
    /// True if mistakes hide what else it is composed of.
    pub dependencies_unread: bool,
    /// The stores, databases and models that it is granted.
    pub granted: Vec<Label>,
}

/// The interfaces of a component, in full: `wasi:sockets/tcp@0.2.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// Of the imports, those that Outport does not provide.
    pub trapped: Vec<String>,
    /// Of the imports, those of sockets that are not served: what they answer is an error.
    pub refused: Vec<String>,
}

/// A way to start a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A request, for a handler.
    Http,
    /// A request, for a command that is run for it (`executor = { type = "wagi" }`).
    Wagi,
    /// The start of the app.
    Command,
    /// An event of this type.
    Event(EventKind),
}

impl Subject<'_> {
    /// True if one of its triggers hands it events, or may do so.
    pub(crate) fn handles_events(&self) -> bool {
        let hands_over = |trigger: &Trigger| matches!(trigger, Trigger::Event(_));
        self.triggers_unread || self.triggers.iter().any(hands_over)
    }

    /// True if one of its triggers connects to something, in the component's name, or may do so.
    pub(crate) fn listens(&self) -> bool {
        let connects = |trigger: &Trigger| {
            matches!(
                trigger,
                Trigger::Event(EventKind::Redis | EventKind::Mqtt | EventKind::Sqs)
            )
        };
        self.triggers_unread || self.triggers.iter().any(connects)
    }

    /// True if one of its triggers speaks the scheme, in the component's name, or may do so.
    pub(crate) fn listens_by(&self, scheme: &Scheme) -> bool {
        let service = Service::of_scheme(scheme);
        if self.triggers_unread && matches!(service, Some(Service::Redis | Service::Mqtt)) {
            return true;
        }
        self.triggers.iter().any(|trigger| match trigger {
            Trigger::Event(EventKind::Redis) => service == Some(Service::Redis),
            Trigger::Event(EventKind::Mqtt) => service == Some(Service::Mqtt),
            _ => false,
        })
    }
}

impl Interfaces {
    /// True if the code can open sockets or look names up. The other interfaces of `wasi:sockets` name types, and what
    /// can be done with a socket that somebody else has opened.
    pub fn uses_sockets(&self) -> bool {
        let openers = [
            "wasi:sockets/tcp-create-socket",
            "wasi:sockets/udp-create-socket",
            "wasi:sockets/ip-name-lookup",
            // Of WASI 0.3.
            "wasi:sockets/types",
        ];
        self.served()
            .any(|import| openers.contains(&without_version(import)))
    }

    /// The imports without sockets that are refused, which entries permit nothing of.
    fn served(&self) -> impl Iterator<Item = &String> {
        self.imports
            .iter()
            .filter(|import| !self.refused.contains(import))
    }

    /// True if sockets are imported as a C library brings them, whole: TCP, UDP and look-ups, with files and terminals.
    /// The imports do not tell then whether the code calls any.
    pub fn brings_whole_libc(&self) -> bool {
        let imports = |wanted: &str| self.served().any(|own| without_version(own) == wanted);
        let all = |wanted: &[&str]| wanted.iter().all(|wanted| imports(wanted));
        let opens = imports("wasi:sockets/types")
            || all(&["wasi:sockets/tcp-create-socket", "wasi:sockets/udp-create-socket"]);
        let rest = [
            "wasi:sockets/ip-name-lookup",
            "wasi:filesystem/preopens",
            "wasi:cli/terminal-stdout",
        ];
        opens && all(&rest)
    }

    /// True if the code can send requests.
    pub fn uses_http(&self) -> bool {
        let senders = [
            "wasi:http/outgoing-handler",
            "wasi:http/client",
            "wasi:http/handler",
            "fermyon:spin/http",
        ];
        self.imports
            .iter()
            .any(|import| senders.contains(&without_version(import)))
    }

    /// The first import by which the code can use a service of the platform, and which is provided.
    pub fn uses(&self, service: Service) -> Option<&str> {
        let is_for_it = |import: &&String| Service::of_import(import) == Some(service);
        let mut imports = self.imports.iter().filter(is_for_it);
        imports
            .find(|import| !self.trapped.contains(import))
            .map(String::as_str)
    }

    /// The first import for that service which is not provided.
    pub(crate) fn lacks(&self, service: Service) -> Option<&str> {
        let is_for_it = |import: &&String| Service::of_import(import) == Some(service);
        self.trapped.iter().find(is_for_it).map(String::as_str)
    }

    /// Whether the code can reach the network at all.
    pub fn uses_network(&self) -> bool {
        let by_address = |service: &Service| service.scheme().is_some() && self.uses(*service).is_some();
        self.uses_sockets() || self.uses_http() || Service::ALL.iter().any(by_address)
    }

    /// Whether the platform is imported as an SDK brings it, whole. The imports do not tell then what of it the code uses.
    pub fn brings_whole_platform(&self) -> bool {
        let imports = |service: &&Service| {
            let mut imports = self.imports.iter();
            imports.any(|import| Service::of_import(import) == Some(**service))
        };
        Service::ALL.iter().filter(imports).count() > Service::ALL.len() / 2
    }

    /// True if the code has a function for the trigger.
    pub fn answers(&self, trigger: Trigger) -> bool {
        self.exports
            .iter()
            .any(|export| trigger.exports().contains(&without_version(export)))
    }
}

impl Trigger {
    /// The exports that it can call, without versions.
    pub const fn exports(self) -> &'static [&'static str] {
        match self {
            Self::Http => &[
                "wasi:http/incoming-handler",
                "wasi:http/handler",
                "fermyon:spin/inbound-http",
            ],
            Self::Wagi | Self::Command => &["wasi:cli/run"],
            Self::Event(EventKind::Redis) => &["spin:redis/inbound-redis", "fermyon:spin/inbound-redis"],
            Self::Event(EventKind::Cron) => &["handle-cron-event"],
            Self::Event(EventKind::Mqtt) => &["handle-message"],
            Self::Event(EventKind::Sqs) => &["handle-queue-message"],
        }
    }

    /// As the manifest calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http | Self::Wagi => "http",
            Self::Command => "command",
            Self::Event(kind) => kind.name(),
        }
    }
}

fn without_version(interface: &str) -> &str {
    interface.split('@').next().unwrap_or(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_code_can_do_is_told_by_its_imports() {
        // (import, sockets, HTTP)
        for (import, sockets, http) in [
            ("wasi:sockets/tcp-create-socket@0.2.0", true, false),
            ("wasi:sockets/udp-create-socket@0.2.12", true, false),
            ("wasi:sockets/ip-name-lookup@0.2.0", true, false),
            ("wasi:sockets/types@0.3.0", true, false),
            ("wasi:sockets/ip-name-lookup@0.3.0", true, false),
            ("wasi:sockets/tcp@0.2.0", false, false),
            ("wasi:sockets/network@0.2.0", false, false),
            ("wasi:http/outgoing-handler@0.2.0", false, true),
            ("wasi:http/client@0.3.0", false, true),
            ("wasi:http/handler@0.3.0", false, true),
            ("fermyon:spin/http", false, true),
            ("wasi:http/types@0.2.0", false, false),
            ("wasi:cli/stdout@0.2.0", false, false),
        ] {
            let interfaces = Interfaces {
                imports: vec![import.to_owned()],
                ..Interfaces::default()
            };
            assert_eq!(interfaces.uses_sockets(), sockets, "{import}");
            assert_eq!(interfaces.uses_http(), http, "{import}");
        }
    }
}
