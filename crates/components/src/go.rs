//! Modules that Go makes for preview 1, and the memory that the adapter needs in them.
//!
//! The adapter keeps its state in the module's memory. It takes it from the module's allocator, if that is exported, and
//! else by growing the memory. Go exports none, and takes everything behind its own data for its heap, whoever grew it: the
//! two would write over each other.
//!
//! Where its data end, Go reads from a field of its `moduledata` when it starts (`end`, in `runtime/symtab.go`). So a room
//! is put there, of which Go knows nothing, and an allocator that gives it out:
//!
//! ```text
//! before   │ data, bss │ heap ──────────▶
//!                      └ end
//! after    │ data, bss │ room │ heap ───▶
//!                             └ end
//! ```
//!
//! What `moduledata` looks like is the same from Go 1.21, the first for preview 1, to 1.27: it begins with the address of
//! the table of functions, which begins with a magic number. What does not look so is refused.

use std::ops::Range;

use wasm_encoder::{
    CodeSection, ConstExpr, Encode, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, TypeSection, ValType,
};
use wasmparser::{BinaryReaderError, DataKind, MemoryType, Operator, Parser, Payload, TypeRef};

use crate::AdaptError;

/// Refuses a module in which there is no place for a room.
pub(crate) fn check(bytes: &[u8]) -> Result<(), AdaptError> {
    let layout = Layout::read(bytes).map_err(AdaptError::of)?;
    layout.end_of_data(bytes).map(drop).ok_or(AdaptError::Go)
}

/// The module with a room for the adapter, and `cabi_realloc` that gives it out.
pub(crate) fn with_room(bytes: &[u8]) -> Result<Vec<u8>, AdaptError> {
    let layout = Layout::read(bytes).map_err(AdaptError::of)?;
    let end = layout.end_of_data(bytes).ok_or(AdaptError::Go)?;
    let room = end.value.next_multiple_of(16)..(end.value.next_multiple_of(16) + ROOM);
    layout.rewrite(bytes, &end, &room).ok_or(AdaptError::Go)
}

/// Bytes of the room: the adapter's state and its stack take 64 KiB each.
const ROOM: u64 = 4 * PAGE;

const PAGE: u64 = 64 * 1024;

/// Places that are looked at: the address of the table of functions is in `moduledata` and next to nowhere else.
const MOST_CANDIDATES: usize = 1000;

/// The parts of the module that matter here.
#[derive(Default)]
struct Layout {
    /// Where each section begins with its head, ends, and where its content begins; by number.
    sections: Vec<(u8, Range<usize>, usize)>,
    types: u32,
    functions: u32,
    globals: u32,
    memories: Vec<MemoryType>,
    /// Address, and place in the file, by address.
    data: Vec<(u64, Range<usize>)>,
}

/// The field of `moduledata` that says where the data end.
struct EndOfData {
    value: u64,
    /// Its eight bytes in the file.
    place: Range<usize>,
}

impl Layout {
    fn read(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut layout = Self::default();
        let mut before = 8;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                layout.sections.push((id, before..range.end, range.start));
                before = range.end;
            }
            match payload {
                Payload::TypeSection(types) => layout.types = types.count(),
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) => layout.functions += 1,
                            TypeRef::Global(_) => layout.globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(functions) => layout.functions += functions.count(),
                Payload::GlobalSection(globals) => layout.globals += globals.count(),
                Payload::MemorySection(memories) => {
                    layout.memories = memories.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::DataSection(segments) => {
                    for segment in segments {
                        let segment = segment?;
                        if let DataKind::Active { offset_expr, .. } = segment.kind
                            && let Operator::I32Const { value } = offset_expr.get_operators_reader().read()?
                        {
                            let place = segment.range.end - segment.data.len()..segment.range.end;
                            layout.data.push((u64::from(value.cast_unsigned()), place));
                        }
                    }
                }
                _ => {}
            }
        }
        layout.data.retain(|(_, place)| !place.is_empty());
        layout.data.sort_by_key(|(address, _)| *address);
        Ok(layout)
    }

    /// `end` of `moduledata`, where there is exactly one that looks like it.
    fn end_of_data(&self, bytes: &[u8]) -> Option<EndOfData> {
        // So that looking for a word is looking at a few segments.
        let is_apart = |pair: &[(u64, Range<usize>)]| pair[0].0 + pair[0].1.len() as u64 <= pair[1].0;
        if !self.data.windows(2).all(is_apart) {
            return None;
        }
        let functions = self.addresses_of(bytes, &FUNCTION_TABLE, 8).next()?;
        let mut found = None;
        for address in self
            .addresses_of(bytes, &functions.to_le_bytes(), 8)
            .take(MOST_CANDIDATES)
        {
            let field = |number: u64| self.word(bytes, address + 8 * number);
            let fields: Option<Vec<u64>> = (NOPTRDATA..=END)
                .map(|number| field(number).map(|(word, _)| word))
                .collect();
            let Some(fields) = fields else { continue };
            // Of `covctrs` and `ecovctrs`, which are before `end`, too.
            if !fields.is_sorted() || fields.last().is_none_or(|end| *end > u64::from(u32::MAX / 2)) {
                continue;
            }
            let (value, place) = field(END)?;
            if found.replace(EndOfData { value, place: place? }).is_some() {
                return None;
            }
        }
        found
    }

    /// The aligned addresses at which the data have these bytes, in one piece.
    fn addresses_of<'a>(
        &'a self,
        bytes: &'a [u8],
        wanted: &'a [u8; 8],
        align: u64,
    ) -> impl Iterator<Item = u64> + 'a {
        self.data.iter().flat_map(move |(address, place)| {
            let data = &bytes[place.clone()];
            let first = address.next_multiple_of(align) - address;
            let places = (first..)
                .step_by(8)
                .take_while(move |at| at + 8 <= data.len() as u64);
            places
                .filter(move |at| data[*at as usize..][..8] == *wanted)
                .map(move |at| address + at)
        })
    }

    /// The word at an address, and its place in the file where it is in one piece. What no data are for is zero.
    fn word(&self, bytes: &[u8], address: u64) -> Option<(u64, Option<Range<usize>>)> {
        let mut word = [0; 8];
        let mut whole = None;
        // Of Go's segments none overlaps another.
        let from = self
            .data
            .partition_point(|(start, place)| start + place.len() as u64 <= address);
        for (start, place) in self
            .data
            .get(from..)?
            .iter()
            .take_while(|(start, _)| *start < address + 8)
        {
            for (number, byte) in word.iter_mut().enumerate() {
                let at = (address + number as u64)
                    .checked_sub(*start)
                    .map(|at| at as usize);
                if let Some(at) = at.filter(|at| *at < place.len()) {
                    *byte = bytes[place.start + at];
                }
            }
            let at = address.checked_sub(*start).map(|at| place.start + at as usize);
            whole = whole.or(at.filter(|at| at + 8 <= place.end).map(|at| at..at + 8));
        }
        Some((u64::from_le_bytes(word), whole))
    }

    fn rewrite(&self, bytes: &[u8], end: &EndOfData, room: &Range<u64>) -> Option<Vec<u8>> {
        let [memory] = self.memories.as_slice() else {
            return None;
        };
        let pages = memory.initial.max(room.end.div_ceil(PAGE) + 1);
        let mut patched = bytes.to_vec();
        patched[end.place.clone()].copy_from_slice(&room.end.to_le_bytes());
        let mut module = bytes[..8].to_vec();
        let mut extended = 0;
        for (id, whole, content) in &self.sections {
            let addition = match id {
                1 => addition(&realloc_type()),
                3 => addition(FunctionSection::new().function(self.types)),
                6 => addition(GlobalSection::new().global(
                    GlobalType {
                        val_type: ValType::I32,
                        mutable: true,
                        shared: false,
                    },
                    &ConstExpr::i32_const(i32::try_from(room.start).ok()?),
                )),
                7 => addition(ExportSection::new().export(REALLOC, ExportKind::Func, self.functions)),
                10 => addition(CodeSection::new().function(&realloc(self.globals, room.end)?)),
                5 => {
                    let mut memories = wasm_encoder::MemorySection::new();
                    memories.memory(wasm_encoder::MemoryType {
                        minimum: pages,
                        maximum: memory.maximum.map(|most| most.max(pages)),
                        memory64: false,
                        shared: false,
                        page_size_log2: None,
                    });
                    module.push(5);
                    memories.encode(&mut module);
                    continue;
                }
                _ => {
                    module.extend_from_slice(&patched[whole.clone()]);
                    continue;
                }
            };
            extended += 1;
            extend(&patched[*content..whole.end], *id, &addition, &mut module)?;
        }
        (extended == 5).then_some(module)
    }
}

/// The bytes of the only item of a section.
fn addition(section: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    let mut rest = bytes.as_slice();
    // The length, and the number of items.
    for _ in 0..2 {
        let length = rest.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        rest = &rest[length..];
    }
    rest.to_vec()
}

/// Writes a section with one item more.
fn extend(content: &[u8], id: u8, item: &[u8], to: &mut Vec<u8>) -> Option<()> {
    let mut reader = wasmparser::BinaryReader::new(content, 0);
    let count = reader.read_var_u32().ok()?;
    let mut extended = Vec::with_capacity(content.len() + item.len() + 5);
    count.checked_add(1)?.encode(&mut extended);
    extended.extend_from_slice(&content[reader.original_position()..]);
    extended.extend_from_slice(item);
    to.push(id);
    extended.as_slice().encode(to);
    Some(())
}

fn realloc_type() -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    types
}

/// Gives out the room from its begin on, and takes nothing back: the adapter asks twice. Beyond its end it traps.
fn realloc(next: u32, end: u64) -> Option<Function> {
    let end = i32::try_from(end).ok()?;
    let (old_size, align, size, address) = (1, 2, 3, 4);
    let mut function = Function::new([(1, ValType::I32)]);
    function
        .instructions()
        .local_get(old_size)
        .if_(wasm_encoder::BlockType::Empty)
        .unreachable()
        .end()
        .global_get(next)
        .local_get(align)
        .i32_add()
        .i32_const(1)
        .i32_sub()
        .i32_const(0)
        .local_get(align)
        .i32_sub()
        .i32_and()
        .local_tee(address)
        .i32_const(end)
        .i32_gt_u()
        .if_(wasm_encoder::BlockType::Empty)
        .unreachable()
        .end()
        .local_get(size)
        .i32_const(end)
        .local_get(address)
        .i32_sub()
        .i32_gt_u()
        .if_(wasm_encoder::BlockType::Empty)
        .unreachable()
        .end()
        .local_get(address)
        .local_get(size)
        .i32_add()
        .global_set(next)
        .local_get(address)
        .end();
    Some(function)
}

/// What `pcHeader` begins with since Go 1.20 where instructions have one byte and addresses eight: `runtime/symtab.go`.
const FUNCTION_TABLE: [u8; 8] = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];

/// The number of the word `noptrdata` in `moduledata`.
const NOPTRDATA: u64 = 24;

/// That of `end`.
const END: u64 = 34;

const REALLOC: &str = "cabi_realloc";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, ModuleKind, adapt, identify};

    /// A module as Go makes it: the table of functions at 4096, `moduledata` at 8192, where the data end at `end`.
    fn module(end: u64, more: &str) -> Vec<u8> {
        let bytes = |words: &[u64]| -> String {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            bytes.map(|byte| format!("\\{byte:02x}")).collect()
        };
        let table = bytes(&[u64::from_le_bytes(FUNCTION_TABLE)]);
        let begin = bytes(&[4096, 1, 1]);
        let mut sections = [8192; 11];
        sections[10] = end;
        let sections = bytes(&sections);
        wat::parse_str(format!(
            r#"(module
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 2)
                (global (mut i32) (i32.const 0))
                (func (export "_start"))
                (data (i32.const {fields}) "{sections}")
                (data (i32.const 4096) "{table}")
                (data (i32.const 8192) "{begin}")
                {more}
                (@producers (processed-by "Go cmd/compile" "go1.27.3")))"#,
            fields = 8192 + 8 * NOPTRDATA,
        ))
        .expect("it is a module")
    }

    #[test]
    fn the_heap_of_go_begins_behind_the_room_of_the_adapter() {
        let made = with_room(&module(20_001, "")).unwrap();
        wasmparser::Validator::new().validate_all(&made).unwrap();
        let layout = Layout::read(&made).unwrap();
        let end = layout.end_of_data(&made).unwrap();
        assert_eq!(end.value, 20_016 + ROOM);
        assert_eq!(layout.memories[0].initial, 6);
        let bytes = module(20_001, "");
        let component = adapt(&bytes).unwrap();
        wasmparser::Validator::new().validate_all(&component).unwrap();
    }

    #[test]
    fn a_module_that_does_not_look_like_go_is_refused() {
        let twice = format!("(data (i32.const 30000) \"{}\")", "\\00".repeat(8));
        let second = format!("(data (i32.const 40000) \"\\00\\10{}\")", "\\00".repeat(8 * 36));
        let cases = [
            ("the data end before they begin", module(4096, "")),
            ("beyond all memory", module(1 << 40, "")),
            ("two look like it", module(20_000, &second)),
            (
                "segments over each other",
                module(20_000, "(data (i32.const 8190) \"1234\")"),
            ),
        ];
        for (name, bytes) in cases {
            assert_eq!(with_room(&bytes), Err(AdaptError::Go), "{name}");
        }
        with_room(&module(20_000, &twice)).expect("data that have nothing to do with it");
    }

    #[test]
    fn a_module_of_go_with_an_allocator_of_its_own_is_left_as_it_is() {
        let realloc = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)"#;
        let bytes = module(4096, realloc);
        assert_eq!(identify(&bytes), Ok(Kind::Module(ModuleKind::Command)));
        adapt(&bytes).expect("nobody looks for room");
    }
}
