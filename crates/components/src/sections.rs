//! Sections of names, found and written anew.
//!
//! A name stands at the begin of an item of an import or export section. To change some, only these sections are written
//! anew; all other bytes are copied.

use std::ops::Range;

use wasm_encoder::Encode;
use wasmparser::{BinaryReaderError, Chunk, Parser, Payload};

/// A section of imports or exports of the outermost module or component.
pub(crate) struct Section<'b> {
    pub(crate) side: Side,
    /// The section with its head.
    whole: Range<usize>,
    pub(crate) items: Vec<Item<'b>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Of a component, as all that has no other name here.
    Import,
    Export,
    ModuleImport,
    ModuleExport,
}

impl Side {
    /// The number of the section in the binary format.
    fn id(self) -> u8 {
        match self {
            Self::Import => 10,
            Self::Export => 11,
            Self::ModuleImport => 2,
            Self::ModuleExport => 7,
        }
    }
}

pub(crate) struct Item<'b> {
    /// The module of a module's import; nothing for anything else.
    pub(crate) module: &'b str,
    pub(crate) name: &'b str,
    whole: Range<usize>,
}

/// A module and a name, or only a name.
pub(crate) type NewName = (String, String);

/// `bytes` with the names that `rename` gives; none where nothing changes.
pub(crate) fn rename(
    bytes: &[u8],
    sections: &[Section<'_>],
    rename: impl Fn(Side, &Item<'_>) -> Option<NewName>,
) -> Option<Vec<u8>> {
    let mut changed = false;
    let mut renamed = Vec::with_capacity(bytes.len() + 4096);
    let mut copied = 0;
    for section in sections {
        let mut content = Vec::new();
        section.items.len().encode(&mut content);
        for item in &section.items {
            let Some((module, name)) = rename(section.side, item) else {
                content.extend_from_slice(&bytes[item.whole.clone()]);
                continue;
            };
            changed = true;
            match section.side {
                // How the name is written.
                Side::Import | Side::Export => content.push(bytes[item.whole.start]),
                Side::ModuleImport => module.as_str().encode(&mut content),
                Side::ModuleExport => {}
            }
            name.as_str().encode(&mut content);
            content.extend_from_slice(&bytes[end_of(bytes, item.name)..item.whole.end]);
        }
        renamed.extend_from_slice(&bytes[copied..section.whole.start]);
        renamed.push(section.side.id());
        content.as_slice().encode(&mut renamed);
        copied = section.whole.end;
    }
    renamed.extend_from_slice(&bytes[copied..]);
    changed.then_some(renamed)
}

/// The place in `bytes` where `part` of it ends.
fn end_of(bytes: &[u8], part: &str) -> usize {
    part.as_ptr() as usize - bytes.as_ptr() as usize + part.len()
}

/// The sections of names of the outermost module or component, in their order; what else is there is shown to `look`, but
/// for code and what is inside of a component.
pub(crate) fn read<'b>(
    bytes: &'b [u8],
    mut look: impl FnMut(&Payload<'b>) -> Result<(), BinaryReaderError>,
) -> Result<Vec<Section<'b>>, BinaryReaderError> {
    let mut sections = Vec::new();
    let mut parser = Parser::new(0);
    let mut at = 0;
    while let Chunk::Parsed { consumed, payload } = parser.parse(&bytes[at..], true)? {
        let whole = at..at + consumed;
        at += consumed;
        look(&payload)?;
        let (side, end, items) = match payload {
            // What is inside is its own.
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                at = bytes.len().min(unchecked_range.end);
                continue;
            }
            Payload::CodeSectionStart { range, .. } => {
                parser.skip_section();
                at = bytes.len().min(range.end);
                continue;
            }
            Payload::ComponentImportSection(reader) => {
                let (end, items) = (reader.range().end, reader.into_iter_with_offsets());
                let named = items.map(|item| item.map(|(start, import)| (start, "", import.name.name)));
                (Side::Import, end, named.collect::<Result<Vec<_>, _>>()?)
            }
            Payload::ComponentExportSection(reader) => {
                let (end, items) = (reader.range().end, reader.into_iter_with_offsets());
                let named = items.map(|item| item.map(|(start, export)| (start, "", export.name.name)));
                (Side::Export, end, named.collect::<Result<Vec<_>, _>>()?)
            }
            Payload::ImportSection(reader) => {
                let (end, items) = (reader.range().end, reader.into_imports_with_offsets());
                let named = items.map(|item| item.map(|(start, import)| (start, import.module, import.name)));
                (Side::ModuleImport, end, named.collect::<Result<Vec<_>, _>>()?)
            }
            Payload::ExportSection(reader) => {
                let (end, items) = (reader.range().end, reader.into_iter_with_offsets());
                let named = items.map(|item| item.map(|(start, export)| (start, "", export.name)));
                (Side::ModuleExport, end, named.collect::<Result<Vec<_>, _>>()?)
            }
            Payload::End(_) => break,
            _ => continue,
        };
        let ends = items.iter().skip(1).map(|(start, _, _)| *start).chain([end]);
        let items = items.iter().zip(ends).map(|((start, module, name), end)| Item {
            module,
            name,
            whole: *start..end,
        });
        sections.push(Section {
            side,
            whole,
            items: items.collect(),
        });
    }
    Ok(sections)
}
