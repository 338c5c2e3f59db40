//! The names of a component's imports and exports, mapped to those of what is provided.
//!
//! Where an interface of an older version is equal to a provided one in every type and function, its name is all that has
//! to change: [`renamed`] says which are. Only the outermost sections of imports and exports are written anew; all else is
//! copied as it is, since names inside of a component are its own.
//!
//! A component may import both, the older version and the newer one. Two imports of one name there cannot be, so the older
//! one becomes a patch version that nobody else has: the linker gives it the same interface, as to any version of a track.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::sections::{self, Item, Side};
use crate::{AdaptError, origin};

/// The name of what is provided, without its patch version, for an interface of a version that nobody provides and that
/// one equals, or has all of: `0.3` for `wasi:http/types` of `0.3.0-rc-2026-03-15`. Spin's first interfaces have no version.
///
/// An interface that is renamed may use resources of one that is not, and the other way round: to the host a resource is
/// the same in every version.
fn renamed(package: &str, interface: &str, version: Option<&str>) -> Option<&'static str> {
    let Some(version) = version else {
        return ((package, interface) == ("fermyon:spin", "llm")).then_some("2.0");
    };
    let package = package.strip_prefix("wasi:")?;
    let packages = ["cli", "clocks", "filesystem", "http", "random", "sockets"];
    match version {
        "0.2.0-rc-2023-10-18" if is_equal_in_october_2023(package, interface) => Some("0.2"),
        "0.2.0-rc-2023-11-10" if is_equal_in_november_2023(package, interface) => Some("0.2"),
        "0.3.0-rc-2026-03-15" if packages.contains(&package) => Some("0.3"),
        _ => None,
    }
}

fn is_equal_in_october_2023(package: &str, interface: &str) -> bool {
    match package {
        "cli" => is_of_cli(interface),
        "clocks" => interface == "wall-clock",
        "filesystem" => interface == "preopens",
        // What is exported. Its types are the runtime's business.
        "http" => interface == "incoming-handler",
        "random" => RANDOM.contains(&interface),
        "sockets" => ["instance-network", "network"].contains(&interface),
        _ => false,
    }
}

fn is_equal_in_november_2023(package: &str, interface: &str) -> bool {
    match package {
        "cli" => is_of_cli(interface),
        "clocks" => ["monotonic-clock", "wall-clock"].contains(&interface),
        "filesystem" => ["preopens", "types"].contains(&interface),
        "http" => ["incoming-handler", "outgoing-handler"].contains(&interface),
        "io" => ["error", "poll", "streams"].contains(&interface),
        "random" => RANDOM.contains(&interface),
        // Those of sockets have `ipv6-only` beside what there is today, and the runtime has it too.
        "sockets" => SOCKETS.contains(&interface),
        _ => false,
    }
}

fn is_of_cli(interface: &str) -> bool {
    ["environment", "exit", "run", "stderr", "stdin", "stdout"].contains(&interface)
        || interface.starts_with("terminal-")
}

const RANDOM: [&str; 3] = ["insecure", "insecure-seed", "random"];

const SOCKETS: [&str; 7] = [
    "instance-network",
    "ip-name-lookup",
    "network",
    "tcp",
    "tcp-create-socket",
    "udp",
    "udp-create-socket",
];

/// The component with mapped names; `bytes` themselves where no name changes.
pub(crate) fn map(bytes: &[u8]) -> Result<Cow<'_, [u8]>, AdaptError> {
    let sections = sections::read(bytes, |_| Ok(())).map_err(AdaptError::invalid)?;
    let of = |side: Side| {
        let all = sections.iter().filter(move |section| section.side == side);
        all.flat_map(|section| section.items.iter().map(|item| item.name))
    };
    origin::check_versions(of(Side::Import).chain(of(Side::Export)))?;
    let (imports, exports) = (new_names(of(Side::Import)), new_names(of(Side::Export)));
    let new_name = |side: Side, item: &Item<'_>| {
        let names = match side {
            Side::Import => &imports,
            Side::Export => &exports,
            Side::ModuleImport | Side::ModuleExport => return None,
        };
        names.get(item.name).map(|name| (String::new(), name.clone()))
    };
    Ok(match sections::rename(bytes, &sections, new_name) {
        Some(mapped) => Cow::Owned(mapped),
        None => Cow::Borrowed(bytes),
    })
}

/// The name that an import or export of this name gets where nothing else has it; none if it stays as it is.
pub(crate) fn provided(name: &str) -> Option<String> {
    let path = path_of(name)?;
    let track = path.track()?;
    Some(format!("{}/{}@{track}.0", path.package, path.interface))
}

/// The component with other names.
pub(crate) fn rename(
    component: &[u8],
    new_name: impl Fn(&str) -> Option<String>,
) -> Result<Vec<u8>, AdaptError> {
    let sections = sections::read(component, |_| Ok(())).map_err(AdaptError::invalid)?;
    let new_name = |side: Side, item: &Item<'_>| match side {
        Side::Import | Side::Export => new_name(item.name).map(|name| (String::new(), name)),
        Side::ModuleImport | Side::ModuleExport => None,
    };
    let renamed = sections::rename(component, &sections, new_name);
    Ok(renamed.unwrap_or_else(|| component.to_vec()))
}

/// The new name of each that changes.
fn new_names<'n>(names: impl Iterator<Item = &'n str>) -> BTreeMap<&'n str, String> {
    let mut taken: BTreeSet<Cow<'n, str>> = names.map(Cow::Borrowed).collect();
    let mut new = BTreeMap::new();
    for name in taken.clone() {
        let Cow::Borrowed(name) = name else { continue };
        let Some(path) = path_of(name) else { continue };
        let Some(track) = path.track() else { continue };
        let versions = [0].into_iter().chain(UNUSED_PATCH..);
        let names = versions.map(|patch| format!("{}/{}@{track}.{patch}", path.package, path.interface));
        if let Some(free) = names.into_iter().find(|free| !taken.contains(free.as_str())) {
            taken.insert(Cow::Owned(free.clone()));
            new.insert(name, free);
        }
    }
    new
}

/// Patch versions from here on are nobody's.
const UNUSED_PATCH: u32 = 20_000;

/// `wasi:http/types@0.2.0`, in parts.
struct Path<'n> {
    package: &'n str,
    interface: &'n str,
    version: Option<&'n str>,
}

impl Path<'_> {
    fn track(&self) -> Option<&'static str> {
        renamed(self.package, self.interface, self.version)
    }
}

fn path_of(name: &str) -> Option<Path<'_>> {
    let (path, version) = match name.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (name, None),
    };
    let (package, interface) = path.split_once('/')?;
    Some(Path {
        package,
        interface,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
        let sections = sections::read(component, |_| Ok(())).expect("it is read");
        let of = |side| {
            let all = sections.iter().filter(|section| section.side == side);
            all.flat_map(|section| section.items.iter().map(|item| item.name.to_owned()))
                .collect()
        };
        (of(Side::Import), of(Side::Export))
    }

    #[test]
    fn a_candidate_equal_to_a_release_is_imported_and_exported_under_its_name() {
        let text = r#"(component
            (import "wasi:clocks/types@0.3.0-rc-2026-03-15" (instance $a))
            (import "wasi:clocks/types@0.2.0" (instance))
            (component (import "wasi:clocks/types@0.3.0-rc-2026-03-15" (instance)))
            (export "wasi:http/handler@0.3.0-rc-2026-03-15" (instance $a)))"#;
        let bytes = wat::parse_str(text).unwrap();
        let mapped = map(&bytes).unwrap();
        let (imports, exports) = names(&mapped);
        assert_eq!(imports, ["wasi:clocks/types@0.3.0", "wasi:clocks/types@0.2.0"]);
        assert_eq!(exports, ["wasi:http/handler@0.3.0"]);
        wasmparser::Validator::new().validate_all(&mapped).unwrap();
        let inner = b"wasi:clocks/types@0.3.0-rc-2026-03-15";
        assert!(mapped.windows(inner.len()).any(|window| window == inner));
    }

    #[test]
    fn of_a_snapshot_of_2023_only_what_equals_the_release_has_its_name() {
        // (interface, whether it equals that of 0.2 in October, in November)
        let rows = [
            ("wasi:cli/environment", true, true),
            ("wasi:cli/terminal-stdin", true, true),
            ("wasi:clocks/wall-clock", true, true),
            ("wasi:clocks/monotonic-clock", false, true),
            ("wasi:filesystem/preopens", true, true),
            ("wasi:filesystem/types", false, true),
            ("wasi:http/incoming-handler", true, true),
            ("wasi:http/outgoing-handler", false, true),
            ("wasi:http/types", false, false),
            ("wasi:io/poll", false, true),
            ("wasi:io/streams", false, true),
            ("wasi:random/random", true, true),
            ("wasi:sockets/network", true, true),
            ("wasi:sockets/tcp", false, true),
            ("wasi:sockets/ip-name-lookup", false, true),
            ("wasi:clocks/timezone", false, false),
            ("my:cli/environment", false, false),
        ];
        for (interface, october, november) in rows {
            let (package, name) = interface.split_once('/').unwrap();
            for (version, equal) in [
                ("0.2.0-rc-2023-10-18", october),
                ("0.2.0-rc-2023-11-10", november),
                ("0.2.0-rc-2023-12-05", false),
            ] {
                let track = equal.then_some("0.2");
                assert_eq!(
                    renamed(package, name, Some(version)),
                    track,
                    "{interface} {version}"
                );
            }
        }
    }

    #[test]
    fn beside_the_release_a_candidate_gets_a_version_that_is_free() {
        let text = r#"(component
            (import "wasi:clocks/types@0.3.0" (instance))
            (import "wasi:clocks/types@0.3.0-rc-2026-03-15" (instance)))"#;
        let mapped = wat::parse_str(text).unwrap();
        let mapped = map(&mapped).unwrap();
        assert_eq!(
            names(&mapped).0,
            ["wasi:clocks/types@0.3.0", "wasi:clocks/types@0.3.20000"]
        );
        wasmparser::Validator::new().validate_all(&mapped).unwrap();
    }

    #[test]
    fn an_interface_without_a_version_gets_that_of_the_one_that_it_equals() {
        let text = r#"(component
            (import "fermyon:spin/llm" (instance))
            (import "fermyon:spin/redis" (instance)))"#;
        let mapped = wat::parse_str(text).unwrap();
        let mapped = map(&mapped).unwrap();
        assert_eq!(names(&mapped).0, ["fermyon:spin/llm@2.0.0", "fermyon:spin/redis"]);
        wasmparser::Validator::new().validate_all(&mapped).unwrap();
    }

    #[test]
    fn what_nobody_renames_stays_as_it_is() {
        for text in [
            "(component)",
            r#"(component (import "wasi:config/store@0.3.0-rc-2027-01-01" (instance)))"#,
            r#"(component (import "my:own/types@0.3.0-rc-2026-03-15" (instance)))"#,
        ] {
            let bytes = wat::parse_str(text).unwrap();
            assert!(matches!(map(&bytes), Ok(Cow::Borrowed(_))), "{text}");
        }
    }

    #[test]
    fn a_candidate_that_differs_is_refused_with_the_sdk_to_rebuild_with() {
        for (version, sdk) in [
            ("0.3.0-rc-2026-01-06", "spin-sdk 6"),
            ("0.3.0-rc-2025-09-16", "spin-sdk 6"),
            ("0.3.0-rc-2027-01-01", "WASI 0.2 or 0.3.0"),
            ("0.2.0-rc-2023-12-05", "WASI 0.2.0"),
        ] {
            let import = format!("(import \"wasi:clocks/types@{version}\" (instance $a))");
            let export = format!("(instance $a) (export \"wasi:http/handler@{version}\" (instance $a))");
            for text in [import, export] {
                let bytes = wat::parse_str(format!("(component {text})")).unwrap();
                let error = map(&bytes).expect_err(version);
                assert!(error.to_string().contains(version), "{error}");
                assert!(
                    error.advice().is_some_and(|advice| advice.contains(sdk)),
                    "{error:?}"
                );
            }
        }
    }
}
