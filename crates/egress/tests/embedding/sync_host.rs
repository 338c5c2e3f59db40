//! A host that is not asynchronous: it waits for the guest outside, with a runtime of its own.

use outport_egress::{Egress, add_wasi_to_linker};
use outport_policy::AllowList;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, bail};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

pub fn main() -> wasmtime::Result<()> {
    let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = server.local_addr()?;

    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    // The asynchronous functions of WASI, and the gate's: `wasmtime_wasi::p2::add_to_linker_async` and `add_to_linker`.
    add_wasi_to_linker(&mut linker)?;

    let allow = AllowList::parse([format!("*://{address}")])?;
    let gate = Egress::builder().build()?.gate("script-guest", allow.into());
    let output = MemoryOutputPipe::new(4096);
    let mut wasi = WasiCtx::builder();
    wasi.stdout(output.clone());
    wasi.args(&["script-guest", &format!("tcp.connect {address}")]);

    let mut store = Store::new(&engine, gate.open().with_wasi(wasi.build()));
    let component = Component::from_file(&engine, "../../guests/wasm/script-guest.wasm")?;
    // Everything that the guest does is inside. One runtime does for all guests of the process.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let command = Command::instantiate_async(&mut store, &component, &linker).await?;
        command.wasi_cli_run().call_run(&mut store).await
    })?;
    if ended.is_err() {
        bail!("the component failed");
    }
    assert_eq!(
        output.contents(),
        format!("1 tcp.connect {address} => ok\n").as_bytes()
    );
    Ok(())
}
