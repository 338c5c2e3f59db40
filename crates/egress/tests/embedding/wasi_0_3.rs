//! A host for guests of WASI 0.3: the engine has the asynchronous component model, and the linking is the same.

use outport_egress::{Egress, add_wasi_to_linker};
use outport_policy::AllowList;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p3::bindings::Command;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> wasmtime::Result<()> {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = server.local_addr()?;

    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    add_wasi_to_linker(&mut linker)?;

    let allow = AllowList::parse([format!("*://{address}")])?;
    let gate = Egress::builder().build()?.gate("script-guest", allow.into());
    let output = MemoryOutputPipe::new(4096);
    let mut wasi = WasiCtx::builder();
    wasi.stdout(output.clone());
    wasi.args(&[
        "script-guest",
        &format!("tcp.connect {address}"),
        "tcp.connect 192.0.2.1:80",
    ]);

    let mut store = Store::new(&engine, gate.open().with_wasi(wasi.build()));
    let component = Component::from_file(&engine, "../../guests/wasm/script-guest-p3.wasm")?;
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let run = store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await);
    assert!(run.await??.is_ok());

    let said = String::from_utf8(output.contents().to_vec())?;
    assert!(
        said.starts_with(&format!("1 tcp.connect {address} => ok\n")),
        "{said}"
    );
    assert!(
        said.ends_with("2 tcp.connect 192.0.2.1:80 => access-denied\n"),
        "{said}"
    );
    Ok(())
}
