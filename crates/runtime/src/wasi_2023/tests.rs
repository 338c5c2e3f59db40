//! Everything of a snapshot is linked, with its types; the guests' folders have the WIT.

use std::fmt::Write as _;
use std::path::Path;

use wasmtime::component::Component;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, WorldItem};

use crate::engine::{Allocation, Engine};
use crate::linker::{GuestLinker, is_provided};

/// A component that imports all functions of a snapshot, and exports what it may.
fn component_of_everything(guest: &str, version: &str) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../guests")
        .join(guest)
        .join("wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(&wit).expect("it is WIT");
    let world = resolve
        .select_world(&[package], Some("snapshot"))
        .expect("it is there");
    let mut text = String::from("(module\n");
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else {
            panic!("the world imports interfaces");
        };
        let interface = resolve.id_of(*id).expect("it has a name");
        for (name, function) in &resolve.interfaces[*id].functions {
            let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
            writeln!(
                text,
                "(import \"{interface}\" \"{name}\" (func (param {}) (result {})))",
                types(&signature.params),
                types(&signature.results)
            )
            .expect("a string takes all text");
        }
    }
    write!(
        text,
        "(memory (export \"memory\") 1)
        (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export \"wasi:http/incoming-handler@{version}#handle\") (param i32 i32) unreachable)
        (func (export \"wasi:cli/run@{version}#run\") (result i32) unreachable))"
    )
    .expect("a string takes all text");
    let mut module = wat::parse_str(&text).expect("it is a module");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("they fit");
    ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .expect("the module has all of the world")
}

fn types(types: &[WasmType]) -> String {
    let names: Vec<_> = types
        .iter()
        .map(|ty| match ty {
            WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
            WasmType::I64 | WasmType::PointerOrI64 => "i64",
            WasmType::F32 => "f32",
            WasmType::F64 => "f64",
        })
        .collect();
    names.join(" ")
}

#[test]
fn every_function_of_both_snapshots_is_linked() {
    let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
    let linker = GuestLinker::new(&engine);
    for (guest, version) in [
        ("wasi-2023-10", "0.2.0-rc-2023-10-18"),
        ("wasi-2023-11", "0.2.0-rc-2023-11-10"),
    ] {
        let bytes = component_of_everything(guest, version);
        let adapted = outport_components::adapt(&bytes).expect("it is a component");
        let component = Component::new(engine.wasmtime(), &adapted).expect("it is valid");
        let of_types = component.component_type();
        let names: Vec<_> = of_types
            .imports(engine.wasmtime())
            .map(|(name, _)| name)
            .collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert!(is_provided(name), "{name}");
        }
        if let Err(error) = linker.everything_but_the_platform().instantiate_pre(&component) {
            panic!("{version}: {error:?}");
        }
        let exports = of_types.exports(engine.wasmtime());
        let exports: Vec<_> = exports.map(|(name, _)| name.to_owned()).collect();
        assert_eq!(
            exports,
            ["wasi:http/incoming-handler@0.2.0", "wasi:cli/run@0.2.0"]
        );
    }
}
