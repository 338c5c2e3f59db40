//! The imports that a dependency does not get, and how it is kept from them.
//!
//! A component's rights reach its code by a few interfaces; all others only name types, or do nothing outside of the
//! instance. [`right_of`] says which is which, and a test holds it against everything that Outport provides.
//!
//! An import by which a right comes that is not inherited is renamed: the dependency gets an interface of the same
//! type that the composed component imports under the name of [`Isolated`]. Nobody else is given it, and the
//! dependency is given nothing else. What is behind the name is the business of [the linker](crate::linker).
//!
//! The interface is a copy that knows itself by the new name. Without that the composer would take it for the real
//! one, and merge the two. For the same reason a copy that uses types of another interface uses those of that one's copy.

use outport_manifest::{Inheritance, InheritedKey};
use wac_graph::types::{InterfaceId, ItemKind, WorldId};
use wac_graph::{CompositionGraph, NodeId};

use super::CompositionError;

/// The name of an import that a dependency does not inherit: `isolated-d0-wasi:cli/environment@0.2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isolated<'n> {
    /// The number of the dependency.
    pub(crate) dependency: usize,
    /// The import as the dependency knows it.
    pub(crate) import: &'n str,
}

impl<'n> Isolated<'n> {
    /// The meaning of `name`, if it is such a name.
    pub(crate) fn parse(name: &'n str) -> Option<Self> {
        let (number, import) = name.strip_prefix(PREFIX)?.split_once('-')?;
        Some(Isolated {
            dependency: number.parse().ok()?,
            import,
        })
    }

    fn name(&self) -> String {
        format!("{PREFIX}{}-{}", self.dependency, self.import)
    }
}

const PREFIX: &str = "isolated-d";

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

/// Renames the imports of `dependency` whose rights it does not inherit. Answers the new names.
pub(super) fn isolate(
    graph: &mut CompositionGraph,
    world: WorldId,
    dependency: NodeId,
    number: usize,
    inherits: &Inheritance,
) -> Result<Vec<String>, CompositionError> {
    let imports: Vec<(String, ItemKind)> = graph.types()[world]
        .imports
        .iter()
        .filter(|(name, _)| right_of(name).is_some_and(|key| !inherits.includes(key)))
        .map(|(name, kind)| (name.clone(), *kind))
        .collect();
    let mut copies: Vec<InterfaceCopy> = Vec::new();
    for (import, kind) in imports {
        let ItemKind::Instance(interface) = kind else {
            return Err(CompositionError::NotIsolated { import });
        };
        let name = Isolated {
            dependency: number,
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
            .set_instantiation_argument(dependency, &copy.import, node)
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
            dependency: 12,
            import: "wasi:cli/environment@0.2.0",
        };
        let name = isolated.name();
        assert_eq!(name, "isolated-d12-wasi:cli/environment@0.2.0");
        assert_eq!(Isolated::parse(&name), Some(isolated));
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
