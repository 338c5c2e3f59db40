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
use std::ops::Range;

use wasm_encoder::Encode;
use wasmparser::{BinaryReaderError, Chunk, Parser, Payload};

use crate::AdaptError;

/// The name of what is provided, without its patch version, for an interface of a version that nobody provides and that
/// one equals: `0.3` for `wasi:http/types` of `0.3.0-rc-2026-03-15`.
fn renamed(package: &str, interface: &str, version: &str) -> Option<&'static str> {
    let _ = interface;
    let is_wasi = |names: &[&str]| {
        package
            .strip_prefix("wasi:")
            .is_some_and(|name| names.contains(&name))
    };
    match version {
        "0.3.0-rc-2026-03-15" if is_wasi(&["cli", "clocks", "filesystem", "http", "random", "sockets"]) => {
            Some("0.3")
        }
        _ => None,
    }
}

/// The component with mapped names; `bytes` themselves where no name changes.
pub(crate) fn map(bytes: &[u8]) -> Result<Cow<'_, [u8]>, AdaptError> {
    let sections = sections(bytes).map_err(AdaptError::invalid)?;
    let of = |side: Side| {
        let all = sections.iter().filter(move |section| section.side == side);
        all.flat_map(|section| section.items.iter().map(|item| item.name))
    };
    let (imports, exports) = (new_names(of(Side::Import)), new_names(of(Side::Export)));
    if imports.is_empty() && exports.is_empty() {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut mapped = Vec::with_capacity(bytes.len() + 4096);
    let mut copied = 0;
    for section in &sections {
        let names = match section.side {
            Side::Import => &imports,
            Side::Export => &exports,
        };
        mapped.extend_from_slice(&bytes[copied..section.whole.start]);
        section.write(bytes, names, &mut mapped);
        copied = section.whole.end;
    }
    mapped.extend_from_slice(&bytes[copied..]);
    Ok(Cow::Owned(mapped))
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
    version: &'n str,
}

impl Path<'_> {
    fn track(&self) -> Option<&'static str> {
        renamed(self.package, self.interface, self.version)
    }
}

fn path_of(name: &str) -> Option<Path<'_>> {
    let (path, version) = name.split_once('@')?;
    let (package, interface) = path.split_once('/')?;
    Some(Path {
        package,
        interface,
        version,
    })
}

/// A section of a component's own imports or exports.
struct Section<'b> {
    side: Side,
    /// The section with its head.
    whole: Range<usize>,
    items: Vec<Item<'b>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Import = 10,
    Export = 11,
}

struct Item<'b> {
    name: &'b str,
    /// The item from its first byte on, which says how the name is written.
    whole: Range<usize>,
}

impl Section<'_> {
    fn write(&self, bytes: &[u8], names: &BTreeMap<&str, String>, to: &mut Vec<u8>) {
        let mut content = Vec::new();
        self.items.len().encode(&mut content);
        for item in &self.items {
            let Some(new) = names.get(item.name) else {
                content.extend_from_slice(&bytes[item.whole.clone()]);
                continue;
            };
            content.push(bytes[item.whole.start]);
            new.as_str().encode(&mut content);
            let rest = end_of(bytes, item.name)..item.whole.end;
            content.extend_from_slice(&bytes[rest]);
        }
        to.push(self.side as u8);
        content.as_slice().encode(to);
    }
}

/// The place in `bytes` where `part` of it ends.
fn end_of(bytes: &[u8], part: &str) -> usize {
    part.as_ptr() as usize - bytes.as_ptr() as usize + part.len()
}

/// The sections of the outermost component, in their order.
fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>, BinaryReaderError> {
    let mut sections = Vec::new();
    let mut parser = Parser::new(0);
    let mut at = 0;
    loop {
        let Chunk::Parsed { consumed, payload } = parser.parse(&bytes[at..], true)? else {
            break;
        };
        let whole = at..at + consumed;
        at += consumed;
        match payload {
            // What is inside is its own.
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                at = bytes.len().min(unchecked_range.end);
            }
            Payload::ComponentImportSection(reader) => {
                let end = reader.range().end;
                let items = reader.into_iter_with_offsets();
                let items = items.map(|item| item.map(|(start, import)| (start, import.name.name)));
                sections.push(section(Side::Import, whole, end, items)?);
            }
            Payload::ComponentExportSection(reader) => {
                let end = reader.range().end;
                let items = reader.into_iter_with_offsets();
                let items = items.map(|item| item.map(|(start, export)| (start, export.name.name)));
                sections.push(section(Side::Export, whole, end, items)?);
            }
            Payload::End(_) => break,
            _ => {}
        }
    }
    Ok(sections)
}

fn section<'b>(
    side: Side,
    whole: Range<usize>,
    end: usize,
    items: impl Iterator<Item = Result<(usize, &'b str), BinaryReaderError>>,
) -> Result<Section<'b>, BinaryReaderError> {
    let items: Vec<(usize, &str)> = items.collect::<Result<_, _>>()?;
    let ends = items.iter().skip(1).map(|(start, _)| *start).chain([end]);
    let items = items.iter().zip(ends);
    let items = items.map(|((start, name), end)| Item {
        name,
        whole: *start..end,
    });
    Ok(Section {
        side,
        whole,
        items: items.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
        let sections = sections(component).expect("it is read");
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
    fn what_nobody_renames_stays_as_it_is() {
        for text in [
            "(component)",
            r#"(component (import "wasi:clocks/types@0.3.0-rc-2026-01-06" (instance)))"#,
            r#"(component (import "my:own/types@0.3.0-rc-2026-03-15" (instance)))"#,
        ] {
            let bytes = wat::parse_str(text).unwrap();
            assert!(matches!(map(&bytes), Ok(Cow::Borrowed(_))), "{text}");
        }
    }
}
