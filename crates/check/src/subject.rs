//! What is checked: a component's entries, and what its code imports and exports.

use outport_policy::{Entry, Place};

/// One component, as far as a check has to know it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// Where it is declared.
    pub place: Place,
    /// Its entries with the variables filled in.
    pub entries: &'a [Entry],
    /// How many entries were written beside them that cannot be read.
    pub unread: usize,
    /// What its code imports and exports, if that could be read.
    pub interfaces: Option<&'a Interfaces>,
    /// What starts it.
    pub triggers: Vec<Trigger>,
}

/// The interfaces of a component, in full: `wasi:sockets/tcp@0.2.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Of the imports, those that Outport does not provide.
    pub trapped: Vec<String>,
}

/// What starts a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A request.
    Http,
    /// The start of the app.
    Command,
}

impl Interfaces {
    /// Whether the code can open sockets or look names up. The other interfaces of `wasi:sockets` name types, and what
    /// can be done with a socket that somebody else has opened.
    pub fn uses_sockets(&self) -> bool {
        let openers = [
            "wasi:sockets/tcp-create-socket",
            "wasi:sockets/udp-create-socket",
            "wasi:sockets/ip-name-lookup",
            // Of WASI 0.3.
            "wasi:sockets/types",
        ];
        self.imports
            .iter()
            .any(|import| openers.contains(&without_version(import)))
    }

    /// Whether the code can send requests.
    pub fn uses_http(&self) -> bool {
        let senders = [
            "wasi:http/outgoing-handler",
            "wasi:http/client",
            "wasi:http/handler",
        ];
        self.imports
            .iter()
            .any(|import| senders.contains(&without_version(import)))
    }

    /// Whether the code has a function for the trigger.
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
            Self::Http => &["wasi:http/incoming-handler", "wasi:http/handler"],
            Self::Command => &["wasi:cli/run"],
        }
    }

    /// As the manifest calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Command => "command",
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
