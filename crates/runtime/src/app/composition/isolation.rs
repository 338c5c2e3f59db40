//! The imports that a dependency does not get, and how it is kept from them.
//!
//! A component's rights reach its code by a few interfaces; all others only name types, or do nothing outside of the
//! instance. [`right_of`] says which is which, and a test holds it against everything that Outport provides.
//!
//! An import by which a right comes that is not inherited is renamed: the dependency gets an interface of the same
//! type that the composed component imports under the name of [`Isolated`]. Nobody else is given it, and the
//! dependency is given nothing else. What is behind the name is the business of [the linker](crate::linker).
//!
//! A part that inherits only some hosts gets, in the same way, the interfaces by which hosts are reached: behind these
//! names they lead through a gate of the part's own.
//!
//! The interface is a copy that knows itself by the new name. Without that the composer would take it for the real
//! one, and merge the two. For the same reason a copy that uses types of another interface uses those of that one's copy.

use outport_manifest::{Inheritance, InheritedKey};
use wac_graph::types::{InterfaceId, ItemKind, WorldId};
use wac_graph::{CompositionGraph, NodeId};

use super::CompositionError;
use crate::linker::is_provided;
use crate::wasi_2023;

/// The name of an import that a part has for itself: `isolated-d0-wasi:cli/environment@0.2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isolated<'n> {
    /// What is behind it.
    pub(crate) right: Right,
    /// The number of the part.
    pub(crate) part: usize,
    /// The import as the part knows it.
    pub(crate) import: &'n str,
}

/// What a part finds behind an import of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Refusals: it does not inherit the right.
    Refused,
    /// The interface, behind a gate of the part's own: it inherits a part of the right.
    Narrowed,
}

impl Right {
    const ALL: [(&'static str, Self); 2] = [("isolated-d", Self::Refused), ("narrowed-d", Self::Narrowed)];
}

impl<'n> Isolated<'n> {
    /// True if a file must not import this, in whatever version and spelling: what is composed would take it for an import
    /// of its own making, or merge the two.
    pub(super) fn is_reserved(import: &str) -> bool {
        Right::ALL.iter().any(|(prefix, _)| import.starts_with(prefix))
    }

    /// The meaning of `name`, if it is such a name.
    pub(crate) fn parse(name: &'n str) -> Option<Self> {
        let by_prefix = |(prefix, right): &(&str, Right)| Some((*right, name.strip_prefix(prefix)?));
        let (right, rest) = Right::ALL.iter().find_map(by_prefix)?;
        let (number, import) = rest.split_once('-')?;
        Some(Isolated {
            right,
            part: number.parse().ok()?,
            import,
        })
    }

    fn name(&self) -> String {
        let all = Right::ALL.iter();
        let prefix = all
            .filter(|(_, right)| *right == self.right)
            .map(|(prefix, _)| *prefix);
        format!("{}{}-{}", prefix.collect::<String>(), self.part, self.import)
    }
}

/// The key that an interface's rights come from; none if it gives no right.
pub(crate) fn right_of(import: &str) -> Option<InheritedKey> {
    let interface = import.split('@').next().unwrap_or(import);
    RIGHTS
        .iter()
        .find(|(_, interfaces)| interfaces.contains(&interface))
        .map(|(key, _)| *key)
}

/// Interfaces by which something outside of the instance is reached.
const RIGHTS: [(InheritedKey, &[&str]); 7] = [
    (
        InheritedKey::AllowedOutboundHosts,
        &[
            "wasi:sockets/tcp-create-socket",
            "wasi:sockets/udp-create-socket",
            "wasi:sockets/ip-name-lookup",
            // WASI 0.3 makes sockets where their types are.
            "wasi:sockets/types",
            "wasi:http/outgoing-handler",
            "wasi:http/client",
            "wasi:tls/types",
            "wasi:tls/client",
            "fermyon:spin/http",
            "fermyon:spin/mqtt",
            "fermyon:spin/mysql",
            "fermyon:spin/postgres",
            "fermyon:spin/redis",
            "spin:mqtt/mqtt",
            "spin:mysql/mysql",
            "spin:postgres/postgres",
            "spin:redis/redis",
        ],
    ),
    (InheritedKey::Files, &["wasi:filesystem/preopens"]),
    (InheritedKey::Environment, &["wasi:cli/environment"]),
    (
        InheritedKey::Variables,
        &[
            "fermyon:spin/config",
            "fermyon:spin/variables",
            "spin:variables/variables",
            "wasi:config/store",
        ],
    ),
    (
        InheritedKey::KeyValueStores,
        &[
            "fermyon:spin/key-value",
            "spin:key-value/key-value",
            "wasi:keyvalue/store",
            // What they do they do with a store that somebody opened, and their types are those of the one above.
            "wasi:keyvalue/batch",
            "wasi:keyvalue/atomics",
        ],
    ),
    (InheritedKey::AiModels, &["fermyon:spin/llm"]),
    (
        InheritedKey::SqliteDatabases,
        &["fermyon:spin/sqlite", "spin:sqlite/sqlite"],
    ),
];

/// An interface that a dependency gets in the place of a real one.
struct InterfaceCopy {
    of: InterfaceId,
    interface: InterfaceId,
    /// The import as the dependency knows it.
    import: String,
    /// The import as the composed component knows it.
    name: String,
}

/// What a part inherits, and whether of the hosts it has only some.
pub(super) struct Share<'i> {
    pub(super) inherits: &'i Inheritance,
    pub(super) narrowed: bool,
}

/// True if an import is one that is narrowed where a part reaches only some hosts.
#[cfg(test)]
pub(crate) fn leads_to_hosts(import: &str) -> bool {
    right_of(import) == Some(InheritedKey::AllowedOutboundHosts) && reaches(import)
}

impl Share<'_> {
    /// What has to be behind an import, if not what is there for all.
    fn of(&self, import: &str) -> Option<Right> {
        let key = right_of(import)?;
        if !self.inherits.includes(key) {
            return Some(Right::Refused);
        }
        let narrowed = self.narrowed && key == InheritedKey::AllowedOutboundHosts && reaches(import);
        narrowed.then_some(Right::Narrowed)
    }
}

/// True if an interface of the network leads to hosts. TLS is spoken on connections that are there, and what nobody
/// provides, or what only answers errors, leads nowhere.
fn reaches(import: &str) -> bool {
    is_provided(import) && !import.starts_with("wasi:tls/") && !wasi_2023::refuses(import)
}

/// Renames the imports of `part` that it does not share with the others. Answers the new names.
pub(super) fn isolate(
    graph: &mut CompositionGraph,
    world: WorldId,
    part: NodeId,
    number: usize,
    share: &Share<'_>,
) -> Result<Vec<String>, CompositionError> {
    let imports: Vec<(String, ItemKind, Right)> = graph.types()[world]
        .imports
        .iter()
        .filter_map(|(name, kind)| Some((name.clone(), *kind, share.of(name)?)))
        .collect();
    let mut copies: Vec<InterfaceCopy> = Vec::new();
    for (import, kind, right) in imports {
        let ItemKind::Instance(interface) = kind else {
            return Err(CompositionError::NotIsolated { import });
        };
        if right == Right::Narrowed && !crate::linker::is_narrowed(&import) {
            return Err(CompositionError::CannotNarrow { import });
        }
        let name = Isolated {
            right,
            part: number,
            import: &import,
        }
        .name();
        let mut copy = graph.types()[interface].clone();
        copy.id = Some(name.clone());
        // An interface comes after those whose types it uses. Where one of them is a copy, these are the copy's types:
        // those of the real one are others, and nobody gives the dependency any of them.
        for used in copy.uses.values_mut() {
            if let Some(earlier) = copies.iter().find(|earlier| earlier.of == used.interface) {
                used.interface = earlier.interface;
            }
        }
        copies.push(InterfaceCopy {
            of: interface,
            interface: graph.types_mut().add_interface(copy),
            import,
            name,
        });
    }
    for copy in &copies {
        let node = graph
            .import(&copy.name, ItemKind::Instance(copy.interface))
            .map_err(CompositionError::wac)?;
        graph
            .set_instantiation_argument(part, &copy.import, node)
            .map_err(CompositionError::wac)?;
    }
    let names = copies.into_iter().map(|copy| copy.name).collect();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_isolated_import_says_whose_and_which() {
        let isolated = Isolated {
            right: Right::Refused,
            part: 12,
            import: "wasi:cli/environment@0.2.0",
        };
        let name = isolated.name();
        assert_eq!(name, "isolated-d12-wasi:cli/environment@0.2.0");
        assert_eq!(Isolated::parse(&name), Some(isolated));
        let narrowed = Isolated {
            right: Right::Narrowed,
            part: 3,
            import: "wasi:http/client@0.3.0",
        };
        assert_eq!(narrowed.name(), "narrowed-d3-wasi:http/client@0.3.0");
        assert_eq!(Isolated::parse(&narrowed.name()), Some(narrowed));
        for other in [
            "wasi:cli/environment@0.2.0",
            "isolated-wasi:cli/run",
            "isolated-dx-wasi:a/b",
            "isolated-d1",
        ] {
            assert_eq!(Isolated::parse(other), None, "{other}");
        }
    }

    #[test]
    fn an_interface_gives_its_right_in_every_version() {
        let rows = [
            (
                "wasi:sockets/tcp-create-socket@0.2.3",
                Some(InheritedKey::AllowedOutboundHosts),
            ),
            (
                "wasi:http/outgoing-handler@0.2.0-rc-2023-10-18",
                Some(InheritedKey::AllowedOutboundHosts),
            ),
            ("wasi:http/client@0.3.0", Some(InheritedKey::AllowedOutboundHosts)),
            ("wasi:filesystem/preopens@0.3.0", Some(InheritedKey::Files)),
            ("wasi:cli/environment@0.2.9", Some(InheritedKey::Environment)),
            ("wasi:config/store@0.2.0-draft", Some(InheritedKey::Variables)),
            ("fermyon:spin/key-value@2.0.0", Some(InheritedKey::KeyValueStores)),
            ("fermyon:spin/key-value", Some(InheritedKey::KeyValueStores)),
            ("fermyon:spin/config", Some(InheritedKey::Variables)),
            ("fermyon:spin/http", Some(InheritedKey::AllowedOutboundHosts)),
            ("fermyon:spin/http-types", None),
            (
                "wasi:keyvalue/batch@0.2.0-draft2",
                Some(InheritedKey::KeyValueStores),
            ),
            ("wasi:http/types@0.2.0", None),
            ("wasi:cli/stdout@0.2.0", None),
        ];
        for (import, key) in rows {
            assert_eq!(right_of(import), key, "{import}");
        }
    }
}
