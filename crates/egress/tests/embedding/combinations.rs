//! Ways in which a host may put its linker together, each with everything else as open as it gets: a context that may go
//! anywhere, and hooks of HTTP that would send whatever they are given. Nothing but the gate is in the way of a guest.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Response;
use outport_egress::{Egress, Gate, GateCtx, GateCtxView, GateView, add_to_linker, add_wasi_to_linker};
use outport_policy::AllowList;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Result, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

struct Open {
    gate: GateCtx,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: OpenHooks,
    table: ResourceTable,
}

/// Those of a host that asks nobody. That they were asked to send is all that counts.
struct OpenHooks(Arc<AtomicU32>);

type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for OpenHooks {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Sent,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Sent), Error>> + Send> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::new(std::future::ready(Err(Error::ConnectionRefused)))
    }
}

impl WasiView for Open {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Open {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            hooks: &mut self.hooks,
            table: &mut self.table,
        }
    }
}

impl GateView for Open {
    fn gate(&mut self) -> GateCtxView<'_> {
        GateCtxView {
            ctx: &mut self.gate,
            table: &mut self.table,
        }
    }
}

fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    Engine::new(&config).unwrap()
}

/// What a host links.
type Link = fn(&mut Linker<Open>) -> Result<()>;

/// All that wasmtime has.
fn wasmtimes_own(linker: &mut Linker<Open>) -> Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtimes_http(linker)
}

fn wasmtimes_http(linker: &mut Linker<Open>) -> Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)
}

const GUESTS: [&str; 2] = ["script-guest.wasm", "script-guest-p3.wasm"];

/// What a guest gets in an open store with that linker, and how often the open hooks were asked to send something.
async fn results(
    linker: &Linker<Open>,
    guest: &str,
    gate: &Gate,
    statements: &[String],
) -> (Vec<String>, u32) {
    let (output, sent) = (MemoryOutputPipe::new(1 << 16), Arc::default());
    let mut wasi = WasiCtx::builder();
    wasi.allow_tcp(true)
        .allow_udp(true)
        .inherit_network()
        .allow_ip_name_lookup(true)
        .stdout(output.clone());
    wasi.arg("script-guest").args(statements);
    let state = Open {
        gate: gate.open(),
        wasi: wasi.build(),
        http: WasiHttpCtx::new(),
        hooks: OpenHooks(Arc::clone(&sent)),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(linker.engine(), state);
    let component = Component::from_file(linker.engine(), format!("../../guests/wasm/{guest}")).unwrap();
    if guest.contains("p3") {
        use wasmtime_wasi::p3::bindings::Command;
        let command = Command::instantiate_async(&mut store, &component, linker)
            .await
            .unwrap();
        let run = store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await);
        run.await.unwrap().unwrap().unwrap();
    } else {
        use wasmtime_wasi::p2::bindings::Command;
        let command = Command::instantiate_async(&mut store, &component, linker)
            .await
            .unwrap();
        command
            .wasi_cli_run()
            .call_run(&mut store)
            .await
            .unwrap()
            .unwrap();
    }
    drop(store);
    let said = String::from_utf8(output.contents().to_vec()).unwrap();
    let results = said
        .lines()
        .filter_map(|line| Some(line.split_once(" => ")?.1.to_owned()));
    (results.collect(), sent.load(Ordering::Relaxed))
}

/// One statement for each way out, to a server that is there.
fn ways_out(server: &TcpListener) -> Vec<String> {
    let address = server.local_addr().unwrap();
    vec![
        format!("tcp.connect {address}"),
        "udp.create ipv4".to_owned(),
        "dns.lookup localhost".to_owned(),
        format!("http GET http://{address}/"),
    ]
}

const ALL_DENIED: [&str; 4] = [
    "access-denied",
    "access-denied",
    "access-denied",
    "HTTP-request-denied",
];

fn gate_without_a_list() -> Gate {
    Egress::builder().build().unwrap().gate("open", Arc::default())
}

async fn expect_nothing_gets_past(linker: &Linker<Open>, how: &str) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    for guest in GUESTS {
        let (results, sent) = results(linker, guest, &gate_without_a_list(), &ways_out(&server)).await;
        assert_eq!(
            (results.as_slice(), sent),
            (ALL_DENIED.map(str::to_owned).as_slice(), 0),
            "{guest}, {how}"
        );
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "nobody came: {how}");
}

#[tokio::test]
async fn without_the_gate_all_of_it_is_open() {
    // What the others show is shown by this alone: that there is something to be shut.
    let mut linker = Linker::new(&engine());
    wasmtimes_own(&mut linker).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    for guest in GUESTS {
        let (results, sent) = results(&linker, guest, &gate_without_a_list(), &ways_out(&server)).await;
        assert_eq!(results[..2], ["ok", "ok"], "{guest}");
        assert!(results[2].contains("127.0.0.1"), "{guest}: {}", results[2]);
        assert_eq!(sent, 1, "{guest}");
    }
}

#[tokio::test]
async fn behind_the_gate_nothing_is_open_whatever_was_linked_before() {
    let linked: [(&str, Link); 5] = [
        ("all of wasmtime's", wasmtimes_own),
        ("WASI without HTTP", |linker| {
            wasmtime_wasi::p2::add_to_linker_async(linker)?;
            wasmtime_wasi::p3::add_to_linker(linker)
        }),
        ("the gate twice", |linker| {
            wasmtimes_own(linker)?;
            add_to_linker(linker)
        }),
        ("shadowing allowed before", |linker| {
            linker.allow_shadowing(true);
            wasmtimes_own(linker)
        }),
        ("HTTP of a proxy, and the rest once more", |linker| {
            linker.allow_shadowing(true);
            wasmtime_wasi_http::p2::add_to_linker_async(linker)?;
            wasmtimes_own(linker)
        }),
    ];
    for (how, link) in linked {
        let mut linker = Linker::new(&engine());
        link(&mut linker).unwrap();
        add_to_linker(&mut linker).unwrap();
        expect_nothing_gets_past(&linker, how).await;
    }
    let mut linker = Linker::new(&engine());
    add_wasi_to_linker(&mut linker).unwrap();
    expect_nothing_gets_past(&linker, "all at once").await;
}

#[tokio::test]
async fn what_is_permitted_goes_by_the_gate_and_not_by_the_hooks_of_the_host() {
    let mut linker = Linker::new(&engine());
    wasmtimes_own(&mut linker).unwrap();
    add_to_linker(&mut linker).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in server.incoming() {
            use std::io::{Read, Write};
            let mut client = client.unwrap();
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
    for guest in GUESTS {
        let gate = Egress::builder().build().unwrap();
        let allow = AllowList::parse([format!("http://{address}")]).unwrap();
        let gate = gate.gate("open", allow.into());
        let statements = [
            format!("http GET http://{address}/"),
            format!("tcp.connect {address}"),
        ];
        let (results, sent) = results(&linker, guest, &gate, &statements).await;
        assert_eq!(
            (results.as_slice(), sent),
            (["204".to_owned(), "access-denied".to_owned()].as_slice(), 0),
            "{guest}"
        );
    }
}

#[test]
fn the_other_order_is_an_error() {
    let rows: [(&str, Link); 6] = [
        ("WASI 0.2", |linker| {
            wasmtime_wasi::p2::add_to_linker_async(linker)
        }),
        ("WASI 0.2, synchronously", |linker| {
            wasmtime_wasi::p2::add_to_linker_sync(linker)
        }),
        ("WASI 0.3", |linker| wasmtime_wasi::p3::add_to_linker(linker)),
        ("HTTP of 0.2", |linker| {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
        }),
        ("HTTP of 0.3", |linker| {
            wasmtime_wasi_http::p3::add_to_linker(linker)
        }),
        ("all at once", add_wasi_to_linker),
    ];
    for (what, link) in rows {
        for shadowing in [false, true] {
            let mut linker = Linker::new(&engine());
            // Whoever allowed it before the gate has to allow it once more behind it.
            linker.allow_shadowing(shadowing);
            add_to_linker(&mut linker).unwrap();
            if what == "all at once" {
                wasmtimes_http(&mut linker).unwrap_err();
            }
            let error = link(&mut linker).unwrap_err();
            assert!(error.to_string().contains("defined twice"), "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn who_allows_shadowing_and_links_once_more_still_has_what_the_context_and_the_hooks_say() {
    // The one order that nobody is told of. A context as it is by default denies, and so do the gate's hooks.
    let engine = engine();
    let mut linker = Linker::new(&engine);
    add_wasi_to_linker(&mut linker).unwrap();
    linker.allow_shadowing(true);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = MemoryOutputPipe::new(4096);
    let mut wasi = WasiCtx::builder();
    wasi.stdout(output.clone())
        .arg("script-guest")
        .args(&ways_out(&server));
    let mut store = Store::new(&engine, gate_without_a_list().open().with_wasi(wasi.build()));
    let component = Component::from_file(&engine, "../../guests/wasm/script-guest.wasm").unwrap();
    let command = wasmtime_wasi::p2::bindings::Command::instantiate_async(&mut store, &component, &linker);
    let command = command.await.unwrap();
    command
        .wasi_cli_run()
        .call_run(&mut store)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8(output.contents().to_vec()).unwrap();
    let results: Vec<&str> = said
        .lines()
        .filter_map(|line| Some(line.split_once(" => ")?.1))
        .collect();
    assert_eq!(
        (results[0], results[3]),
        ("access-denied", "HTTP-request-denied"),
        "{said}"
    );
    assert_ne!(results[2], "127.0.0.1", "{said}");
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "nobody came");
}

#[test]
fn an_engine_without_concurrency_has_wasi_0_2_behind_the_gate() {
    let mut config = Config::new();
    config.concurrency_support(false);
    let mut linker = Linker::<Open>::new(&Engine::new(&config).unwrap());
    add_wasi_to_linker(&mut linker).unwrap();
    let component = Component::from_file(linker.engine(), "../../guests/wasm/script-guest.wasm").unwrap();
    linker.instantiate_pre(&component).unwrap();
}
