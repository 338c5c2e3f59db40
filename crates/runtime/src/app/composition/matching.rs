//! The match of each export of a dependency with an import of the main component.

use outport_manifest::DependencyName;
use wac_graph::types::{ItemKind, Types, WorldId, are_semver_compatible};

use super::CompositionError;

/// An import and the export that satisfies it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) import: String,
    pub(super) export: String,
}

/// All pairs of one dependency: `name` as its entry is called, `export` as the entry has it.
pub(super) fn pairs(
    types: &Types,
    main: WorldId,
    dependency: WorldId,
    name: &DependencyName,
    export: Option<&str>,
) -> Result<Vec<Pair>, CompositionError> {
    let imports: Vec<&str> = types[main].imports.keys().map(String::as_str).collect();
    let exports: Vec<&str> = types[dependency].exports.keys().map(String::as_str).collect();
    let mut pairs = Vec::new();
    for import in imports_of(name, &imports)? {
        let wanted = export.unwrap_or(import);
        let provided = outport_components::provided_name(wanted);
        let wanted = provided.as_deref().unwrap_or(wanted);
        match export_for(wanted, &exports) {
            Ok(export) => pairs.push(Pair {
                import: import.to_owned(),
                export: export.to_owned(),
            }),
            Err(_) if is_whole_package(name) && holds_types_alone(types, types[main].imports[import]) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(pairs)
}

/// The imports that `name` stands for; at least one.
fn imports_of<'i>(name: &DependencyName, imports: &[&'i str]) -> Result<Vec<&'i str>, CompositionError> {
    let meant: Vec<&str> = imports
        .iter()
        .copied()
        .filter(|import| stands_for(name, import))
        .collect();
    if meant.is_empty() {
        let others = imports.iter().filter(|import| !import.starts_with("wasi:"));
        return Err(CompositionError::NoSuchImport {
            name: name.to_string(),
            imports: others.map(ToString::to_string).collect(),
        });
    }
    if meant.len() > 1 && !is_whole_package(name) {
        return Err(CompositionError::AmbiguousImport {
            name: name.to_string(),
            imports: meant.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(meant)
}

fn is_whole_package(name: &DependencyName) -> bool {
    matches!(name, DependencyName::Package { interface: None, .. })
}

/// True if the import is one of those that a dependency of that name satisfies.
pub(crate) fn stands_for(name: &DependencyName, import: &str) -> bool {
    let (package, interface, version) = match name {
        DependencyName::Plain(plain) => return plain == import,
        DependencyName::Package {
            package,
            interface,
            version,
        } => (package, interface, version),
    };
    let (path, own_version) = match import.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (import, None),
    };
    let Some((own_package, own_interface)) = path.split_once('/') else {
        return false;
    };
    let version_fits = match (version, own_version) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(version), Some(own)) => {
            // A manifest has the names of the file.
            let provided = outport_components::provided_name(&format!("{path}@{version}"));
            let provided = provided.as_deref().and_then(|name| name.split_once('@'));
            are_compatible(provided.map_or(version, |(_, version)| version), own)
        }
    };
    own_package == package
        && version_fits
        && interface
            .as_ref()
            .is_none_or(|interface| interface == own_interface)
}

fn are_compatible(version: &str, other: &str) -> bool {
    version == other || are_semver_compatible(&format!("a:b/c@{version}"), &format!("a:b/c@{other}"))
}

/// The export that is called `wanted`, or so in a compatible version, or so without its version.
fn export_for<'e>(wanted: &str, exports: &[&'e str]) -> Result<&'e str, CompositionError> {
    if let Some(exact) = exports.iter().find(|export| **export == wanted) {
        return Ok(exact);
    }
    let could_be = |export: &&&str| {
        if wanted.contains('@') {
            are_semver_compatible(export, wanted)
        } else {
            export.split_once('@').is_some_and(|(name, _)| name == wanted)
        }
    };
    let found: Vec<&str> = exports.iter().filter(could_be).copied().collect();
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(CompositionError::NoSuchExport {
            export: wanted.to_owned(),
            exports: names(exports),
        }),
        several => Err(CompositionError::AmbiguousExport {
            export: wanted.to_owned(),
            exports: names(several),
        }),
    }
}

/// True if an import is an interface without functions, which nobody needs to implement.
fn holds_types_alone(types: &Types, import: ItemKind) -> bool {
    match import {
        ItemKind::Instance(interface) => types[interface]
            .exports
            .values()
            .all(|item| matches!(item, ItemKind::Type(_))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMPORTS: [&str; 7] = [
        "my:dep/api@1.2.0",
        "my:dep/more@1.2.0",
        "my:dep/api@2.0.0",
        "other:dep/api@0.1.0",
        "run-it",
        "wasi:io/poll@0.2.0",
        "wasi:random/random@0.3.0",
    ];

    #[test]
    fn a_name_stands_for_the_imports_that_spin_would_satisfy_by_it() {
        let candidate = "wasi:random@0.3.0-rc-2026-03-15";
        let rows: [(&str, Result<&[&str], &str>); 13] = [
            (candidate, Ok(&["wasi:random/random@0.3.0"])),
            (
                "wasi:random/random@0.3.0-rc-2026-03-15",
                Ok(&["wasi:random/random@0.3.0"]),
            ),
            ("wasi:io/poll@0.2.0-rc-2023-11-10", Ok(&["wasi:io/poll@0.2.0"])),
            ("my:dep/more", Ok(&["my:dep/more@1.2.0"])),
            ("my:dep/more@1.0.0", Ok(&["my:dep/more@1.2.0"])),
            ("my:dep/api@2.0.0", Ok(&["my:dep/api@2.0.0"])),
            ("my:dep@1.0.0", Ok(&["my:dep/api@1.2.0", "my:dep/more@1.2.0"])),
            ("other:dep", Ok(&["other:dep/api@0.1.0"])),
            ("run-it", Ok(&["run-it"])),
            ("my:dep/api", Err("several imports")),
            ("my:dep/more@2.0.0", Err("nothing called")),
            ("other:dep/api@0.2.0", Err("nothing called")),
            ("my-dep", Err("nothing called")),
        ];
        for (name, expected) in rows {
            let parsed = DependencyName::parse(name).unwrap();
            match (imports_of(&parsed, &IMPORTS), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{name}: {error}"),
                (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn an_import_is_satisfied_by_its_own_name_before_a_compatible_one() {
        let rows: [(&str, &[&str], Result<&str, &str>); 7] = [
            ("a:b/c@1.0.0", &["a:b/c@1.1.0", "a:b/c@1.0.0"], Ok("a:b/c@1.0.0")),
            ("a:b/c@1.0.0", &["a:b/c@1.1.0"], Ok("a:b/c@1.1.0")),
            ("a:b/c", &["a:b/c@1.1.0"], Ok("a:b/c@1.1.0")),
            ("a:b/c", &["a:b/c@1.1.0", "a:b/c@2.0.0"], Err("several exports")),
            ("a:b/c@1.0.0", &["a:b/c@2.0.0"], Err("exports no")),
            ("a:b/c@1.0.0", &[], Err("exports no")),
            ("run", &["run"], Ok("run")),
        ];
        for (wanted, exports, expected) in rows {
            match (export_for(wanted, exports), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{wanted}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{wanted}: {error}"),
                (found, expected) => panic!("{wanted}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
