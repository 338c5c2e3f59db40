//! The interfaces that Outport provides, by version track.
//!
//! Wasmtime's linker cannot be asked whether it has an interface, hence a [table](tracks); a test holds it against the
//! linker.

mod tracks;

use self::tracks::PROVIDED;

/// True if the linker has the interface, in this version or one that can stand in for it.
pub fn is_provided(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let Some((package, name)) = interface.split_once('/') else {
        return false;
    };
    PROVIDED
        .iter()
        .any(|track| track.package == package && track.covers(version) && track.has(name))
}

/// Interfaces of one package whose versions can stand in for each other.
struct VersionTrack {
    package: &'static str,
    /// One version, or (with a dot at the end) all versions that begin so and are no release candidates. Nothing of Spin's
    /// first interfaces, which have none.
    versions: &'static str,
    interfaces: &'static [&'static str],
}

impl VersionTrack {
    fn covers(&self, version: &str) -> bool {
        if !self.versions.ends_with('.') {
            return version == self.versions;
        }
        // A release candidate is another interface: its functions may differ.
        version.starts_with(self.versions) && !version.contains('-')
    }

    fn has(&self, interface: &str) -> bool {
        self.interfaces.contains(&interface)
    }
}

/// Each provided interface by which hosts are reached, in some version of its track.
#[cfg(test)]
pub(super) fn everything_that_leads_to_hosts() -> Vec<String> {
    let tracks = PROVIDED.iter();
    let names = tracks.flat_map(|track| {
        let version = match track.versions {
            "" => String::new(),
            versions if versions.ends_with('.') => format!("@{versions}0"),
            version => format!("@{version}"),
        };
        track
            .interfaces
            .iter()
            .map(move |name| format!("{}/{name}{version}", track.package))
    });
    names.filter(|name| crate::app::leads_to_hosts(name)).collect()
}

#[cfg(test)]
mod tests {
    use outport_manifest::Service;

    use wasmtime::component::Linker;

    use super::*;
    use crate::app::right_of;
    use crate::engine::{Allocation, Engine};
    use crate::guest::Guest;
    use crate::linker::GuestLinker;

    /// What components are linked to that import everything.
    fn everything() -> Linker<Guest> {
        let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
        let mut linker = GuestLinker::new(&engine).linker;
        outport_platform::add_to_linker(&mut linker).expect("nothing is there twice");
        outport_platform::tls::add_to_linker(&mut linker).expect("nothing is there twice");
        linker
    }

    #[test]
    fn what_is_provided_of_the_platform_is_said_to_be_served() {
        for track in PROVIDED {
            for name in track.interfaces {
                let import = format!("{}/{name}", track.package);
                if let Some(service) = Service::of_import(&import) {
                    assert!(service.is_served(), "{import}");
                }
            }
        }
    }

    #[test]
    fn a_version_is_provided_by_its_track_and_a_candidate_never() {
        let cases = [
            ("wasi:io/poll@0.2.0", true),
            ("wasi:io/poll@0.2.99", true),
            ("wasi:io/poll@0.3.0", false),
            ("wasi:io/poll", false),
            ("wasi:io/poll@0.2.0-rc-2023-10-18", true),
            ("wasi:io/poll@0.2.0-rc-2023-11-10", false),
            ("wasi:io/poll@0.2.0-rc-2023-12-05", false),
            ("wasi:http/types@0.2.0-rc-2023-11-10", true),
            ("wasi:http/types@0.3.0", true),
            ("wasi:http/types@0.3.0-rc-2026-03-15", false),
            ("wasi:http/handler@0.3.0", false),
            ("wasi:sockets/types@0.2.0", false),
            ("wasi:sockets/types@0.3.0", true),
            ("fermyon:spin/key-value@2.0.0", true),
            ("fermyon:spin/redis@2.0.0", true),
            ("spin:redis/redis@3.0.0", true),
            ("fermyon:spin/mqtt@2.0.0", true),
            ("spin:mqtt/mqtt@3.0.0", true),
            ("fermyon:spin/mysql@2.0.0", true),
            ("spin:mysql/mysql@3.0.0", true),
            ("spin:mysql/mysql@4.0.0", false),
            ("fermyon:spin/postgres@2.0.0", true),
            ("spin:postgres/postgres@3.0.0", true),
            ("spin:postgres/postgres@4.0.0", true),
            ("spin:postgres/postgres@4.1.0", true),
            ("spin:postgres/postgres@4.2.0", true),
            ("spin:postgres/postgres@4.3.0", false),
            ("spin:postgres/postgres@5.0.0", false),
            ("spin:redis/inbound-redis@3.0.0", false),
            ("fermyon:spin/llm@2.0.0", true),
            ("fermyon:spin/llm@2.0.20000", true),
            ("fermyon:spin/llm", false),
            ("fermyon:spin/config", true),
            ("fermyon:spin/http", true),
            ("fermyon:spin/http@2.0.0", false),
            ("fermyon:spin/key-value", true),
            ("fermyon:spin/rdbms-types", true),
            ("fermyon:spin/variables", false),
            ("fermyon:spin/inbound-http", false),
            ("fermyon:spin/sqlite@2.0.0", true),
            ("spin:sqlite/sqlite@3.1.0", true),
            ("spin:sqlite/sqlite@3.2.0", false),
            ("fermyon:spin/variables@2.0.0", true),
            ("fermyon:spin/variables@2.0.1", false),
            ("wasi:config/store@0.2.0-rc.1", true),
            ("wasi:config/store@0.2.0-draft-2024-09-27", true),
            ("wasi:config/store@0.2.0-rc.2", false),
            ("wasi:io/poll/deep@0.2.0", false),
        ];
        for (import, provided) in cases {
            assert_eq!(is_provided(import), provided, "{import}");
        }
    }

    /// Whoever adds an interface decides here whether a dependency may use it without inheriting anything.
    #[test]
    fn every_interface_gives_a_right_that_is_inherited_or_none_at_all() {
        let harmless = [
            "wasi:io/",
            "wasi:clocks/",
            "wasi:random/",
            // Types, and what can be done with what somebody else opened.
            "wasi:filesystem/types",
            "wasi:sockets/network",
            "wasi:sockets/instance-network",
            "wasi:sockets/tcp",
            "wasi:sockets/udp",
            "wasi:http/types",
            "wasi:cli/types",
            "fermyon:spin/http-types",
            "fermyon:spin/rdbms-types",
            "fermyon:spin/redis-types",
            // The component's own output and end.
            "wasi:cli/exit",
            "wasi:cli/std",
            "wasi:cli/terminal-",
        ];
        for track in PROVIDED {
            for interface in track.interfaces {
                let name = format!("{}/{interface}", track.package);
                let is_harmless = harmless.iter().any(|harmless| {
                    name == *harmless || (harmless.ends_with(['/', '-', 'd']) && name.starts_with(harmless))
                });
                assert_ne!(is_harmless, right_of(&name).is_some(), "{name}");
            }
        }
    }

    /// The linker refuses to define an interface as a function exactly if it has it already.
    #[test]
    fn everything_in_the_table_is_in_the_linker() {
        let mut linker = everything();
        for track in PROVIDED {
            let patch = match track.versions {
                "0.2." => "12",
                "0.3." | "2.0." => "0",
                _ => "",
            };
            for interface in track.interfaces {
                // `wasi:cli/types` and its like hold types alone, which leave nothing in a linker.
                if *interface == "types" && track.versions == "0.3." && track.package != "wasi:http" {
                    continue;
                }
                // The linker has the last version of them, which stands in for those before it.
                let versions = match (track.package, track.versions) {
                    ("spin:postgres", "4.0.0" | "4.1.0") => "4.2.0",
                    (_, versions) => versions,
                };
                let name = match versions {
                    "" => format!("{}/{interface}", track.package),
                    _ => format!("{}/{interface}@{versions}{patch}", track.package),
                };
                let defined = linker.root().func_new(&name, |_, _, _, _| Ok(()));
                assert!(defined.is_err(), "{name} is not in the linker");
            }
        }
    }

    #[test]
    fn a_later_version_of_the_postgres_interface_stands_in_for_those_before_it() {
        let linker = everything();
        for (version, there) in [
            ("4.0.0", true),
            ("4.1.0", true),
            ("4.2.0", true),
            ("5.0.0", false),
        ] {
            let text = format!(
                "(component (import \"spin:postgres/postgres@{version}\" (instance
                    (export \"connection\" (type (sub resource))))))"
            );
            let component = {
                let binary = wat::parse_str(&text).expect(version);
                wasmtime::component::Component::new(linker.engine(), binary).expect(version)
            };
            assert_eq!(linker.instantiate_pre(&component).is_ok(), there, "{version}");
        }
    }
}
