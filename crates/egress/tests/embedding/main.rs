//! The programs of `docs/embedding.md`, each a file as it stands there, and what holds them to it. They are run from the
//! folder of this crate.

#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]
#![allow(unreachable_pub, reason = "each program is written as one that stands alone")]

mod combinations;
mod existing_host;
mod operator;
mod own_interface;
mod own_sink;
mod page;
mod quotas;
#[expect(dead_code, reason = "the test is no program, and calls what that calls")]
mod smallest;
mod sync_host;
mod wasi_0_3;

use std::net::TcpListener;
use std::sync::Arc;

use outport_egress::Egress;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

#[tokio::test]
async fn the_smallest_host_runs_a_component_with_a_list() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let output = MemoryOutputPipe::new(4096);
    let mut wasi = WasiCtx::builder();
    wasi.stdout(output.clone());
    wasi.args(&[
        "script-guest",
        &format!("tcp.connect {address}"),
        "tcp.connect 127.0.0.1:80",
        "dns.lookup example.com",
    ]);
    let script_guest = "../../guests/wasm/script-guest.wasm";
    smallest::run(script_guest, &[format!("*://{address}")], &mut wasi)
        .await
        .unwrap();
    let said = String::from_utf8(output.contents().to_vec()).unwrap();
    let results: Vec<&str> = said
        .lines()
        .filter_map(|line| Some(line.split_once(" => ")?.1))
        .collect();
    assert_eq!(results, ["ok", "access-denied", "access-denied"]);

    let entries = [
        "db.example.com:5432".to_owned(),
        "*://ok.example:1".to_owned(),
        "tcp://x.example".to_owned(),
    ];
    let error = smallest::run(script_guest, &entries, &mut WasiCtx::builder())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("2 of 3 entries cannot be read")
            && error.contains("write `*://db.example.com:5432`"),
        "{error}"
    );
}

#[test]
fn the_other_programs_run() {
    existing_host::main().unwrap();
    wasi_0_3::main().unwrap();
    operator::main().unwrap();
    own_sink::main().unwrap();
    quotas::main().unwrap();
    own_interface::main().unwrap();
    sync_host::main().unwrap();
}

/// Should this fail, the page is wrong where it says what comes of functions that block.
#[tokio::test]
async fn functions_of_wasi_that_block_panic_under_the_runtime_that_polls_the_guest() {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    outport_egress::add_to_linker(&mut linker).unwrap();
    let mut wasi = WasiCtx::builder();
    wasi.stdout(MemoryOutputPipe::new(4096));
    wasi.args(&["script-guest", "dns.lookup localhost"]);
    let gate = Egress::builder().build().unwrap().gate("shop", Arc::default());
    let mut store = Store::new(&engine, gate.open().with_wasi(wasi.build()));
    let component = Component::from_file(&engine, "../../guests/wasm/script-guest.wasm").unwrap();
    let run = tokio::spawn(async move {
        let command = Command::instantiate_async(&mut store, &component, &linker)
            .await
            .unwrap();
        command.wasi_cli_run().call_run(&mut store).await
    });
    let panic = run.await.unwrap_err().into_panic();
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap();
    assert!(
        said.contains("Cannot start a runtime from within a runtime"),
        "{said}"
    );
}
