//! What can be told of a file without running or compiling it.

use std::collections::BTreeMap;

use wasmparser::{KnownCustom, Parser, Payload};

use crate::sections::{self, Side};
use crate::{AdaptError, Kind, identify, is_module};

/// What a file holds, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// What it is.
    pub kind: Kind,
    /// Who made it and what is inside, each once; at most [`MOST_PRODUCERS`].
    pub producers: Vec<Producer>,
    /// The names of the modules that a module imports from, and how much of each; none of a component.
    pub module_imports: BTreeMap<String, usize>,
    /// What the component imports that it is or that is made of it.
    pub imports: Vec<Interface>,
    /// What the component exports that it is or that is made of it.
    pub exports: Vec<Interface>,
}

/// A language, an SDK or a tool that a file names as its origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Producer {
    /// `language`, `sdk` or `processed-by`.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its version, as it is written; may be empty.
    pub version: String,
}

/// An import or export.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// Its name in the file; of a module, in the component that is made of it.
    pub name: String,
    /// Its name after it was mapped, if that is another one.
    pub mapped: Option<String>,
}

/// Producers that are told of one file.
pub const MOST_PRODUCERS: usize = 64;

impl Description {
    /// Of a file with these `bytes`, of which [`adapt`](crate::adapt) made `component`.
    ///
    /// # Errors
    ///
    /// When one of the two is damaged, or the file is of a kind that cannot run.
    pub fn of(bytes: &[u8], component: &[u8]) -> Result<Self, AdaptError> {
        let is_module = is_module(bytes);
        let own = sections::read(bytes, |_| Ok(())).map_err(AdaptError::invalid)?;
        let made = sections::read(component, |_| Ok(())).map_err(AdaptError::invalid)?;
        let of = |sections: &[sections::Section<'_>], side: Side| -> Vec<String> {
            let all = sections.iter().filter(|section| section.side == side);
            all.flat_map(|section| section.items.iter().map(|item| item.name.to_owned()))
                .collect()
        };
        let interfaces = |side: Side| {
            let mapped = of(&made, side);
            // Mapping leaves the order as it is.
            let names = if is_module { mapped.clone() } else { of(&own, side) };
            let both = names.into_iter().zip(mapped);
            both.map(|(name, mapped)| Interface {
                mapped: (mapped != name).then_some(mapped),
                name,
            })
            .collect()
        };
        let mut module_imports = BTreeMap::new();
        for section in own.iter().filter(|section| section.side == Side::ModuleImport) {
            for item in &section.items {
                *module_imports.entry(item.module.to_owned()).or_default() += 1;
            }
        }
        Ok(Self {
            kind: identify(bytes)?,
            producers: producers(bytes),
            module_imports,
            imports: interfaces(Side::Import),
            exports: interfaces(Side::Export),
        })
    }
}

/// What the file and all that is in it name as their origin. Sections that only inform may be damaged.
pub fn producers(bytes: &[u8]) -> Vec<Producer> {
    let mut producers = Vec::new();
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        let found = match payload {
            Payload::CustomSection(custom) => match custom.as_known() {
                KnownCustom::Producers(fields) => named(fields),
                _ => continue,
            },
            // Spin's SDKs of the first ABI say it by exports without a use.
            Payload::ExportSection(exports) => {
                let exports = exports.into_iter().map_while(Result::ok);
                let mut sdk = exports.filter_map(|export| export.name.strip_prefix("spin-sdk-"));
                let version = sdk.find_map(|what| what.strip_prefix("version-"));
                version
                    .map(|version| Producer::new("sdk", "spin-sdk", &version.replace('-', ".")))
                    .into_iter()
                    .collect()
            }
            _ => continue,
        };
        for producer in found {
            if producers.len() < MOST_PRODUCERS && !producers.contains(&producer) {
                producers.push(producer);
            }
        }
    }
    producers.sort();
    producers
}

fn named(fields: wasmparser::ProducersSectionReader<'_>) -> Vec<Producer> {
    let mut named = Vec::new();
    for field in fields.into_iter().map_while(Result::ok) {
        let values = field.values.into_iter().map_while(Result::ok);
        named.extend(
            values
                .take(MOST_PRODUCERS)
                .map(|value| Producer::new(field.name, value.name, value.version)),
        );
    }
    named
}

impl Producer {
    fn new(field: &str, name: &str, version: &str) -> Self {
        let short = |text: &str| text.chars().take(200).collect();
        Self {
            field: short(field),
            name: short(name),
            version: short(version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt;

    fn described(text: &str) -> Description {
        let bytes = wat::parse_str(text).expect(text);
        let component = adapt(&bytes).expect(text);
        Description::of(&bytes, &component).expect(text)
    }

    #[test]
    fn a_component_names_what_is_mapped_and_who_made_what_is_in_it() {
        let described = described(
            r#"(component
                (import "wasi:clocks/types@0.3.0-rc-2026-03-15" (instance))
                (import "wasi:clocks/types@0.3.0" (instance))
                (core module (@producers (language "Rust" "") (processed-by "rustc" "1.95.0")))
                (core module (@producers (processed-by "rustc" "1.95.0"))))"#,
        );
        assert_eq!(described.kind, Kind::OlderComponent);
        let imports: Vec<_> = described
            .imports
            .iter()
            .map(|import| (&*import.name, import.mapped.as_deref()))
            .collect();
        assert_eq!(
            imports,
            [
                (
                    "wasi:clocks/types@0.3.0-rc-2026-03-15",
                    Some("wasi:clocks/types@0.3.20000")
                ),
                ("wasi:clocks/types@0.3.0", None)
            ]
        );
        let producers: Vec<_> = described
            .producers
            .iter()
            .map(|producer| &*producer.name)
            .collect();
        assert_eq!(producers, ["Rust", "rustc"]);
    }

    #[test]
    fn a_module_names_what_it_imports_and_what_becomes_of_it() {
        let described = described(
            r#"(module
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 1)
                (func (export "spin-sdk-version-2.2.0"))
                (func (export "_start")))"#,
        );
        assert_eq!(
            described.module_imports,
            [("wasi_snapshot_preview1".to_owned(), 1)].into()
        );
        assert!(described.exports[0].name.starts_with("wasi:cli/run@0.2."));
        assert_eq!(described.producers, [Producer::new("sdk", "spin-sdk", "2.2.0")]);
    }
}
