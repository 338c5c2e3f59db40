//! A host that was there before: its own store, its own `WasiCtx`, its own linker. What the gate adds is marked.

use outport_egress::{Egress, GateCtx, GateCtxView, GateView}; // gate
use outport_policy::AllowList; // gate
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

struct State {
    gate: GateCtx, // gate: before the table
    wasi: WasiCtx,
    table: ResourceTable,
    customer: String,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

// gate: the one view, for sockets, look-ups and HTTP
impl GateView for State {
    fn gate(&mut self) -> GateCtxView<'_> {
        GateCtxView {
            ctx: &mut self.gate,
            table: &mut self.table,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> wasmtime::Result<()> {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = server.local_addr()?;

    let engine = Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    outport_egress::add_to_linker(&mut linker)?; // gate: behind what it takes the place of

    let egress = Egress::builder().build()?; // gate: one for the process
    let allow = AllowList::parse([format!("*://{address}")])?; // gate
    let gate = egress.gate("script-guest", allow.into()); // gate: one for the component

    // A component that does what its arguments say. Its context would let it go anywhere; the gate does not look at that.
    let output = MemoryOutputPipe::new(4096);
    let mut wasi = WasiCtx::builder();
    wasi.inherit_network().allow_tcp(true).stdout(output.clone());
    wasi.args(&[
        "script-guest",
        &format!("tcp.connect {address}"),
        "tcp.connect 127.0.0.1:22",
    ]);

    let state = State {
        gate: gate.open(), // gate: one for the store
        wasi: wasi.build(),
        table: ResourceTable::new(),
        customer: "42".to_owned(),
    };
    let mut store = Store::new(&engine, state);
    let component = Component::from_file(&engine, "../../guests/wasm/script-guest.wasm")?;
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    assert!(command.wasi_cli_run().call_run(&mut store).await?.is_ok());

    let said = String::from_utf8(output.contents().to_vec())?;
    assert!(
        said.starts_with(&format!("1 tcp.connect {address} => ok\n")),
        "{said}"
    );
    assert!(
        said.ends_with("2 tcp.connect 127.0.0.1:22 => access-denied\n"),
        "{said}"
    );
    assert_eq!(egress.metrics().denied["runtime.loopback-port"], 1);
    assert_eq!(store.data().customer, "42");
    Ok(())
}
