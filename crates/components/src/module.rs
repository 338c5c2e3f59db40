//! Core modules: what is known of one, and the component that is made of it.
//!
//! | a module | by |
//! | --- | --- |
//! | that exports a handler of Spin's first ABI | [renaming](crate::first_abi), and then as the next |
//! | with a world in a `component-type` section | its world, and the reactor adapter for what it has of preview 1; the command adapter if its world exports nothing and it has `_start` |
//! | that exports `_start` | the command adapter |
//! | of preview 1 | the reactor adapter; it exports nothing that can be started |
//!
//! What Go made gets [room](crate::go) for the adapter first.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{BinaryReaderError, KnownCustom, Payload, TypeRef};
use wit_component::ComponentEncoder;

use crate::sections::{self, Section, Side};
use crate::{AdaptError, first_abi, go, origin};

/// The way in which a component is made of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModuleKind {
    /// It has `_start`: a program that runs once.
    Command,
    /// It has handlers of Spin's first ABI.
    FirstAbi,
    /// It is for preview 1, and exports functions that nobody can start.
    Reactor,
    /// It says in a section of its own which world it is for.
    World,
}

/// What is known of a module without looking at its code.
pub(crate) struct Module<'b> {
    bytes: &'b [u8],
    sections: Vec<Section<'b>>,
    has_world: bool,
    /// The version of clang that made it.
    clang: Option<&'b str>,
    is_of_go: bool,
    has_shared_memory: bool,
    has_large_memory: bool,
}

impl<'b> Module<'b> {
    pub(crate) fn read(bytes: &'b [u8]) -> Result<Self, AdaptError> {
        let mut module = Self {
            bytes,
            sections: Vec::new(),
            has_world: false,
            clang: None,
            is_of_go: false,
            has_shared_memory: false,
            has_large_memory: false,
        };
        let sections = sections::read(bytes, |payload| module.look_at(payload)).map_err(AdaptError::of)?;
        Ok(Self { sections, ..module })
    }

    fn look_at(&mut self, payload: &Payload<'b>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::CustomSection(custom) if custom.name().starts_with("component-type") => {
                self.has_world = true;
            }
            Payload::CustomSection(custom) => {
                // A section that only informs may be damaged.
                if let KnownCustom::Producers(producers) = custom.as_known() {
                    let fields = producers.into_iter().map_while(Result::ok);
                    let values = fields.flat_map(|field| field.values.into_iter().map_while(Result::ok));
                    for value in values {
                        match value.name {
                            "clang" => self.clang = self.clang.or(Some(value.version)),
                            "Go cmd/compile" => self.is_of_go = true,
                            _ => {}
                        }
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    self.look_at_memory(memory?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    if let TypeRef::Memory(memory) = import?.ty {
                        self.look_at_memory(memory);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn look_at_memory(&mut self, memory: wasmparser::MemoryType) {
        self.has_shared_memory |= memory.shared;
        self.has_large_memory |= memory.memory64;
    }

    /// The modules and names of its imports.
    fn imports(&self) -> impl Iterator<Item = (&'b str, &'b str)> {
        let sections = self
            .sections
            .iter()
            .filter(|section| section.side == Side::ModuleImport);
        sections.flat_map(|section| section.items.iter().map(|item| (item.module, item.name)))
    }

    fn exports(&self) -> impl Iterator<Item = &'b str> {
        let sections = self
            .sections
            .iter()
            .filter(|section| section.side == Side::ModuleExport);
        sections.flat_map(|section| section.items.iter().map(|item| item.name))
    }

    fn has_export(&self, name: &str) -> bool {
        self.exports().any(|export| export == name)
    }

    /// What can be made of it.
    pub(crate) fn kind(&self) -> Result<ModuleKind, AdaptError> {
        if self.has_shared_memory || self.imports().any(|import| import == ("wasi", "thread-spawn")) {
            return Err(AdaptError::Threads);
        }
        if self.has_large_memory {
            return Err(AdaptError::LargeMemory);
        }
        origin::check_versions(self.imports().map(|(module, _)| module))?;
        let kind = if self.has_world {
            ModuleKind::World
        } else if first_abi::is_exported(self.exports()) {
            ModuleKind::FirstAbi
        } else if self.has_export("_start") {
            ModuleKind::Command
        } else {
            ModuleKind::Reactor
        };
        if kind != ModuleKind::World {
            let is_known = |module: &str| {
                module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME
                    || (kind == ModuleKind::FirstAbi && first_abi::has(module))
            };
            origin::check_imports(self.imports().filter(|(module, _)| !is_known(module)))?;
        }
        if kind == ModuleKind::Command && !self.has_export("cabi_realloc") {
            origin::check_clang(self.clang)?;
        }
        if self.wants_room(kind) {
            go::check(self.bytes)?;
        }
        Ok(kind)
    }

    /// Whether the adapter would take memory that Go takes as well.
    fn wants_room(&self, kind: ModuleKind) -> bool {
        let is_plain = matches!(kind, ModuleKind::Command | ModuleKind::Reactor);
        is_plain && self.is_of_go && !self.has_export("cabi_realloc")
    }

    /// The module as the encoder takes it.
    pub(crate) fn prepared(&self, kind: ModuleKind) -> Result<Cow<'b, [u8]>, AdaptError> {
        Ok(match kind {
            ModuleKind::FirstAbi => Cow::Owned(first_abi::modernize(self.bytes, &self.sections)?),
            _ if self.wants_room(kind) => Cow::Owned(go::with_room(self.bytes)?),
            _ => Cow::Borrowed(self.bytes),
        })
    }

    pub(crate) fn into_component(self) -> Result<Vec<u8>, AdaptError> {
        let kind = self.kind()?;
        // Says where it is damaged, which the encoder does not.
        crate::validate(self.bytes).map_err(AdaptError::of)?;
        let bytes = self.prepared(kind)?;
        // The encoder is for files that one's own tools made: of others it may demand what is not there.
        catch_unwind(AssertUnwindSafe(|| self.encoded(kind, &bytes))).unwrap_or_else(|_| {
            Err(AdaptError::Module {
                reason: "the encoder of components failed".to_owned(),
            })
        })
    }

    fn encoded(&self, kind: ModuleKind, bytes: &[u8]) -> Result<Vec<u8>, AdaptError> {
        let mut encoder = ComponentEncoder::default()
            .validate(false)
            .module(bytes)
            .map_err(AdaptError::of)?;
        if self
            .imports()
            .any(|(module, _)| module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME)
            || kind == ModuleKind::Command
        {
            let adapter = match kind {
                ModuleKind::Command => WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
                ModuleKind::World if self.is_command_of_a_world()? => WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
                _ => WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
            };
            encoder = encoder
                .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)
                .map_err(AdaptError::of)?;
        }
        encoder.encode().map_err(AdaptError::of)
    }

    /// True if its world exports nothing, and it has a `_start`.
    fn is_command_of_a_world(&self) -> Result<bool, AdaptError> {
        if !self.has_export("_start") {
            return Ok(false);
        }
        let (_, bindgen) = wit_component::metadata::decode(self.bytes).map_err(AdaptError::of)?;
        Ok(bindgen.resolve.worlds[bindgen.world].exports.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, adapt, identify};

    const HTTP: &str = r#"(func (export "handle-http-request")
        (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
        (func (export "canonical_abi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)"#;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(format!("(module {text} (memory (export \"memory\") 1))")).expect(text)
    }

    /// Imports and exports of what is made of a module, which is valid.
    fn adapted(text: &str) -> (Vec<String>, Vec<String>) {
        let component = adapt(&module(text)).expect(text).into_owned();
        wasmparser::Validator::new().validate_all(&component).expect(text);
        let sections = sections::read(&component, |_| Ok(())).expect(text);
        let of = |side| {
            let all = sections.iter().filter(|section| section.side == side);
            all.flat_map(|section| section.items.iter().map(|item| item.name.to_owned()))
                .collect()
        };
        (of(Side::Import), of(Side::Export))
    }

    #[test]
    fn a_module_says_by_its_exports_what_is_made_of_it() {
        let start = r#"(func (export "_start"))"#;
        let both = format!("{start} {HTTP}");
        let cases = [
            (start, ModuleKind::Command),
            ("", ModuleKind::Reactor),
            (r#"(@custom "component-type:x" "")"#, ModuleKind::World),
            (HTTP, ModuleKind::FirstAbi),
            (&both, ModuleKind::FirstAbi),
        ];
        for (text, kind) in cases {
            assert_eq!(identify(&module(text)), Ok(Kind::Module(kind)), "{text}");
        }
    }

    #[test]
    fn a_command_is_run() {
        let text = r#"(func (export "_start"))
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
        let text = text.lines().rev().collect::<String>();
        let (imports, exports) = adapted(&text);
        assert!(
            imports
                .iter()
                .any(|import| import.starts_with("wasi:cli/exit@0.2.")),
            "{imports:?}"
        );
        assert!(exports[0].starts_with("wasi:cli/run@0.2."), "{exports:?}");
    }

    #[test]
    fn a_module_of_the_first_abi_has_the_unversioned_interfaces() {
        let imports = r#"
            (import "wasi-outbound-http" "request" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "spin-config" "get-config" (func (param i32 i32 i32)))
            (import "key-value" "open" (func (param i32 i32 i32)))
            (import "outbound-redis" "publish" (func (param i32 i32 i32 i32 i32 i32 i32)))
            (import "outbound-pg" "query" (func (param i32 i32 i32 i32 i32 i32 i32)))
            (import "outbound-mysql" "execute" (func (param i32 i32 i32 i32 i32 i32 i32)))
            (import "sqlite" "close" (func (param i32)))
            (import "llm" "generate-embeddings" (func (param i32 i32 i32 i32 i32)))"#;
        let (mut imports, exports) = adapted(&format!("{imports} {HTTP}"));
        imports.retain(|import| !import.ends_with("-types"));
        imports.sort();
        let names = [
            "config",
            "http",
            "key-value",
            "llm",
            "mysql",
            "postgres",
            "redis",
            "sqlite",
        ];
        // That of models has the name of the later one, which it equals.
        let mapped = |name: &str| match name {
            "llm" => "fermyon:spin/llm@2.0.0".to_owned(),
            name => format!("fermyon:spin/{name}"),
        };
        assert_eq!(imports, names.map(mapped));
        assert_eq!(exports, ["fermyon:spin/inbound-http"]);
    }

    #[test]
    fn both_handlers_of_the_first_abi_are_exported() {
        let redis = r#"(func (export "handle-redis-message") (param i32 i32) (result i32) unreachable)"#;
        let (_, mut exports) = adapted(&format!("{redis} {HTTP}"));
        exports.sort();
        assert_eq!(
            exports,
            ["fermyon:spin/inbound-http", "fermyon:spin/inbound-redis"]
        );
    }

    #[test]
    fn what_cannot_run_is_refused_with_what_it_is() {
        let cases = [
            (
                r#"(import "gojs" "runtime.wasmExit" (func (param i32)))"#,
                "made by Go, for `GOOS=js`",
            ),
            (r#"(import "wbg" "__wbg_log_1" (func))"#, "wasm-bindgen"),
            (r#"(import "env" "emscripten_memcpy_js" (func))"#, "Emscripten"),
            (
                r#"(import "wasi_unstable" "fd_write" (func))"#,
                "before WASI preview 1",
            ),
            (r#"(import "env" "puts" (func))"#, "imports `puts` of `env`"),
            (
                r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))"#,
                "with threads",
            ),
            (r#"(import "env" "memory" (memory 1 2 shared))"#, "with threads"),
            (r#"(import "env" "memory" (memory i64 1))"#, "64-bit memory"),
            (
                r#"(func (export "_start")) (@producers (processed-by "clang" "15.0.6"))"#,
                "made by clang 15.0.6",
            ),
        ];
        for (text, words) in cases {
            let bytes = wat::parse_str(format!("(module {text})")).expect(text);
            let error = identify(&bytes).expect_err(text);
            assert!(error.to_string().contains(words), "{text}: {error}");
            assert!(error.advice().is_some(), "{text}");
            assert_eq!(adapt(&bytes).expect_err(text), error);
        }
    }

    #[test]
    fn a_new_clang_or_an_allocator_of_the_canonical_abi_is_no_reason() {
        let realloc = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)"#;
        for (version, more) in [
            ("15.0.7", ""),
            ("16.0.0 (https://…)", ""),
            ("vendor", ""),
            ("14.0.0", realloc),
        ] {
            let text =
                format!(r#"(func (export "_start")) {more} (@producers (processed-by "clang" "{version}"))"#);
            assert_eq!(
                identify(&module(&text)),
                Ok(Kind::Module(ModuleKind::Command)),
                "{version}"
            );
        }
    }

    #[test]
    fn a_world_that_lies_is_an_error() {
        for text in [
            r#"(@custom "component-type:x" "")"#,
            r#"(@custom "component-type:x" "\00asm\0d\00\01\00")"#,
            r#"(func (export "handle-http-request")) "#,
        ] {
            let error = adapt(&module(text)).expect_err(text);
            assert!(matches!(error, AdaptError::Module { .. }), "{error}");
        }
    }

    /// A whole module of each kind.
    fn modules() -> Vec<Vec<u8>> {
        let world = {
            let mut resolve = wit_parser::Resolve::default();
            let text = "package a:b; world w { export f: func(); import g: func(); }";
            let package = resolve.push_str("w.wit", text).unwrap();
            let world = resolve.select_world(&[package], None).unwrap();
            let mut bytes = module(r#"(func (export "f"))"#);
            let encoding = wit_component::StringEncoding::UTF8;
            wit_component::embed_component_metadata(&mut bytes, &resolve, world, encoding).unwrap();
            bytes
        };
        let start = r#"(func (export "_start")) (global (mut i32) (i32.const 0)) (data (i32.const 0) "x")"#;
        vec![world, module(start), module(HTTP), module("")]
    }

    #[test]
    fn a_module_that_was_cut_short_is_an_error_or_a_component() {
        for whole in modules() {
            for length in 0..whole.len() {
                let _ = adapt(&whole[..length]);
                let _ = identify(&whole[..length]);
            }
            adapt(&whole).unwrap();
        }
    }

    #[test]
    fn a_module_with_a_section_twice_is_an_error_or_a_component() {
        for whole in modules() {
            let mut places = Vec::new();
            let mut before = 8;
            for payload in wasmparser::Parser::new(0).parse_all(&whole) {
                if let Some((_, range)) = payload.unwrap().as_section() {
                    places.push(before..range.end);
                    before = range.end;
                }
            }
            for place in places {
                let twice = [&whole[..place.end], &whole[place.clone()], &whole[place.end..]].concat();
                let _ = adapt(&twice);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a_module_with_other_bytes_is_an_error_or_a_component(
            number in 0..4_usize,
            changes in proptest::collection::vec((0..4096_usize, proptest::num::u8::ANY), 1..4),
        ) {
            let mut bytes = modules().swap_remove(number);
            for (at, byte) in changes {
                let at = 8 + at % (bytes.len() - 8);
                bytes[at] = byte;
            }
            let _ = adapt(&bytes);
        }
    }

    #[test]
    fn a_hundred_thousand_imports_are_an_answer() {
        let imports: String = (0..100_000)
            .map(|number| format!(r#"(import "wasi_snapshot_preview1" "f{number}" (func))"#))
            .collect();
        let error = adapt(&module(&format!(r#"{imports} (func (export "_start"))"#))).unwrap_err();
        assert!(
            error.to_string().contains("no component can be made"),
            "{error:.300}"
        );
        let mut imports = wasm_encoder::ComponentImportSection::new();
        for number in 0..100_000 {
            let name = format!("wasi:clocks/c{number}@0.3.0-rc-2026-03-15");
            imports.import(name.as_str(), wasm_encoder::ComponentTypeRef::Instance(0));
        }
        let mut types = wasm_encoder::ComponentTypeSection::new();
        types.instance(&wasm_encoder::InstanceType::new());
        let mut component = wasm_encoder::Component::new();
        component.section(&types).section(&imports);
        let component = component.finish();
        assert!(adapt(&component).unwrap().len() < component.len());
    }
}
