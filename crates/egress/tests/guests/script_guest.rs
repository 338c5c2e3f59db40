//! Runs the script guest behind a gate, as an embedder would.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use outport_egress::{Egress, Gate, GateCtx, GateCtxView, GateView};
use outport_policy::{AllowList, Entry, Location};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// A version of WASI, with the script guest that was built for it.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    name: &'static str,
    component: fn() -> &'static Component,
}

pub(crate) const P2: Version = Version {
    name: "0.2",
    component: || &SCRIPT_GUEST,
};
pub(crate) const P3: Version = Version {
    name: "0.3",
    component: || &SCRIPT_GUEST_P3,
};
pub(crate) const VERSIONS: [Version; 2] = [P2, P3];

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    Engine::new(&config).unwrap()
});
static SCRIPT_GUEST: LazyLock<Component> = LazyLock::new(|| load("script-guest.wasm"));
static SCRIPT_GUEST_P3: LazyLock<Component> = LazyLock::new(|| load("script-guest-p3.wasm"));

fn load(file: &str) -> Component {
    let path = format!("{}/../../guests/wasm/{file}", env!("CARGO_MANIFEST_DIR"));
    Component::from_file(&ENGINE, path).unwrap()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    gate: GateCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: self.gate.http_hooks(),
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl GateView for State {
    fn gate(&mut self) -> GateCtxView<'_> {
        GateCtxView {
            ctx: &mut self.gate,
            table: &mut self.table,
        }
    }
}

/// The result of every statement, behind a gate of its own.
pub(crate) async fn run_script(
    version: Version,
    egress: &Egress,
    allowed: &[&str],
    statements: &[&str],
) -> Vec<String> {
    run_script_through(version, &gate(egress, allowed), statements).await
}

/// The result of every statement, as a new instance behind `gate`.
pub(crate) async fn run_script_through(version: Version, gate: &Gate, statements: &[&str]) -> Vec<String> {
    ScriptGuest::start(version, gate, statements).rest().await
}

/// The same behind a gate that was opened for it.
pub(crate) async fn run_script_opened(version: Version, gate: GateCtx, statements: &[&str]) -> Vec<String> {
    ScriptGuest::run(version, linker(true), gate, statements)
        .rest()
        .await
}

/// The gate of a component that may reach `allowed`.
pub(crate) fn gate(egress: &Egress, allowed: &[&str]) -> Gate {
    let entries = allowed
        .iter()
        .map(|text| Entry::parse(text, Location::Code).unwrap())
        .collect();
    egress.gate("script-guest", Arc::new(AllowList::compile(entries)))
}

/// The same with a linker that has no gate, and a context that was left as it is by default.
pub(crate) async fn run_script_without_gate(version: Version, statements: &[&str]) -> Vec<String> {
    let egress = Egress::builder().build().unwrap();
    let gate = egress.gate("script-guest", Arc::default()).open();
    ScriptGuest::run(version, linker(false), gate, statements)
        .rest()
        .await
}

/// A script guest at work.
pub(crate) struct ScriptGuest {
    output: mpsc::UnboundedReceiver<Vec<u8>>,
    read: String,
    task: tokio::task::JoinHandle<wasmtime::Result<()>>,
}

impl ScriptGuest {
    pub(crate) fn start(version: Version, gate: &Gate, statements: &[&str]) -> Self {
        Self::run(version, linker(true), gate.open(), statements)
    }

    fn run(version: Version, linker: Linker<State>, gate: GateCtx, statements: &[&str]) -> Self {
        let (written, output) = mpsc::unbounded_channel();
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Output(written))
            .inherit_stderr()
            .arg("script-guest")
            .args(statements);
        let state = State {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            gate,
        };
        let task = tokio::spawn(run(version, linker, state));
        Self {
            output,
            read: String::new(),
            task,
        }
    }

    /// The result of the next statement; nothing when all have run.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let line = loop {
            if let Some((line, rest)) = self.read.split_once('\n') {
                let line = line.to_owned();
                self.read = rest.to_owned();
                break line;
            }
            self.read
                .push_str(std::str::from_utf8(&self.output.recv().await?).unwrap());
        };
        Some(
            line.split_once(" => ")
                .unwrap_or_else(|| panic!("no result in {line:?}"))
                .1
                .to_owned(),
        )
    }

    async fn rest(mut self) -> Vec<String> {
        let mut results = Vec::new();
        while let Some(result) = self.next().await {
            results.push(result);
        }
        self.task.await.unwrap().unwrap();
        results
    }
}

/// Standard output that takes every byte at once, so that nothing is under way when the guest ends.
#[derive(Clone)]
struct Output(mpsc::UnboundedSender<Vec<u8>>);

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.send(bytes.to_vec()).ok();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn linker(gated: bool) -> Linker<State> {
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi::p3::add_to_linker(&mut linker).unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi_http::p3::add_to_linker(&mut linker).unwrap();
    if gated {
        outport_egress::add_to_linker(&mut linker).unwrap();
    }
    linker
}

async fn run(version: Version, linker: Linker<State>, state: State) -> wasmtime::Result<()> {
    let mut store = Store::new(&ENGINE, state);
    let component = (version.component)();
    if version.name == "0.2" {
        let command =
            wasmtime_wasi::p2::bindings::Command::instantiate_async(&mut store, component, &linker).await?;
        command
            .wasi_cli_run()
            .call_run(&mut store)
            .await?
            .map_err(|()| wasmtime::Error::msg("the script guest failed"))
    } else {
        let command =
            wasmtime_wasi::p3::bindings::Command::instantiate_async(&mut store, component, &linker).await?;
        let ended = store
            .run_concurrent(async move |store| command.wasi_cli_run().call_run(store).await)
            .await??;
        ended.map_err(|()| wasmtime::Error::msg("the script guest failed"))
    }
}
