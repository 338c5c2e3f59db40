//! The subject of a check: a component's entries, and what its code imports and exports.

use std::collections::HashSet;

use outport_manifest::{Component, Located, SourceFile};
use outport_policy::{Entry, Location};

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
    /// Its grants beside hosts.
    pub granted: Vec<Granted>,
}

/// A grant of a component's manifest that Outport does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// As the manifest calls it.
    pub key: &'static str,
    /// Its first label.
    pub label: String,
    /// The place of the grant.
    pub location: Location,
    /// Packages and interfaces of theirs that need it, without versions.
    interfaces: &'static [&'static str],
}

impl Granted {
    /// The stores, databases and models of a component.
    pub fn of(component: &Component, source: &SourceFile) -> Vec<Self> {
        let all: [(_, &[Located<String>], &'static [&'static str]); 3] = [
            (
                "key_value_stores",
                &component.key_value_stores,
                &["fermyon:spin/key-value", "spin:key-value", "wasi:keyvalue"],
            ),
            (
                "sqlite_databases",
                &component.sqlite_databases,
                &["fermyon:spin/sqlite", "spin:sqlite"],
            ),
            (
                "ai_models",
                &component.ai_models,
                &["fermyon:spin/llm", "spin:llm"],
            ),
        ];
        let granted = all.into_iter().filter_map(|(key, labels, interfaces)| {
            let first = labels.first()?;
            Some(Self {
                key,
                label: first.value.clone(),
                location: source.location(&first.span),
                interfaces,
            })
        });
        granted.collect()
    }

    /// The import that needs it and is not provided, if there is one.
    pub(crate) fn unserved<'i>(&self, code: &'i Interfaces) -> Option<&'i str> {
        let needs = |import: &&String| {
            let name = without_version(import);
            let package = name.split('/').next().unwrap_or(name);
            self.interfaces.contains(&name) || self.interfaces.contains(&package)
        };
        code.trapped.iter().find(needs).map(String::as_str)
    }
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
}

/// A way to start a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A request.
    Http,
    /// The start of the app.
    Command,
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
        self.imports
            .iter()
            .any(|import| openers.contains(&without_version(import)))
    }

    /// True if sockets are imported as a C library brings them, whole: TCP, UDP and look-ups, with files and terminals.
    /// The imports do not tell then whether the code calls any.
    pub fn brings_whole_libc(&self) -> bool {
        let imports = |wanted: &str| self.imports.iter().any(|own| without_version(own) == wanted);
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
        ];
        self.imports
            .iter()
            .any(|import| senders.contains(&without_version(import)))
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
