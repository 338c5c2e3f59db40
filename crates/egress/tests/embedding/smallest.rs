//! The smallest host: runs a command that reaches what a list permits, and nothing else.

use outport_egress::{Egress, add_wasi_to_linker};
use outport_policy::AllowList;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, bail};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

#[tokio::main]
async fn main() -> wasmtime::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, entries @ ..] = arguments.as_slice() else {
        bail!("write COMPONENT.wasm ENTRY…, an entry being such as `*://db.example.com:5432`");
    };
    run(component, entries, WasiCtx::builder().inherit_stdio()).await
}

pub async fn run(component: &str, entries: &[String], wasi: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
    let gate = Egress::builder()
        .build()?
        .gate(component, AllowList::parse(entries)?.into());
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    add_wasi_to_linker(&mut linker)?;

    let mut store = Store::new(&engine, gate.open().with_wasi(wasi.build()));
    let component = Component::from_file(&engine, component)?;
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let Ok(()) = command.wasi_cli_run().call_run(&mut store).await? else {
        bail!("the component failed");
    };
    Ok(())
}
