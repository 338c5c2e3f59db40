//! TLS on a guest's own connections: `wasi:tls@0.2.0-draft` for the streams of WASI 0.2, and `wasi:tls@0.3.0-draft` for
//! those of 0.3.
//!
//! ```text
//! guest ─ server name, streams of a socket ─▶ wasmtime-wasi-tls ─▶ Provider ─▶ gate: StreamTls
//!                                                                              judges the name, agrees on TLS
//! guest ◀─ streams of cleartext ───────────── wasmtime-wasi-tls ◀─ SecuredStream
//! ```
//!
//! The interfaces are those of wasmtime. What is here gives them the gate: which names may be given, who is trusted, whose
//! time it takes, how many there may be. Errors are the interfaces' own, with words.
//!
//! | | bound |
//! | --- | --- |
//! | a handshake | 10 s |
//! | TLS connections of an instance | two for each TCP connection that it has open |
//! | what the host holds for one | charged to the instance: about 200 KiB |
//!
//! An embedder keeps a [`context`] in the store's data, gives it out by [`WasiTlsView`], and calls
//! [`add_to_linker`].

use std::pin::Pin;
use std::task::{Context, Poll};

use outport_egress::{GateCtx, SecuredStream, StreamTls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime::component::Linker;
use wasmtime_wasi_tls::p2::LinkOptions;
use wasmtime_wasi_tls::{Error, TlsProvider, TlsStream, TlsTransport, WasiTlsCtxBuilder};
pub use wasmtime_wasi_tls::{WasiTlsCtx, WasiTlsCtxView, WasiTlsView};

/// The context of an instance behind `gate`.
pub fn context(gate: &GateCtx) -> WasiTlsCtx {
    let provider = Provider(gate.stream_tls());
    WasiTlsCtxBuilder::new().provider(Box::new(provider)).build()
}

/// Adds the interfaces.
///
/// # Errors
///
/// What the linker reports, as when it has one of them already.
pub fn add_to_linker<T: WasiTlsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut options = LinkOptions::default();
    options.tls(true);
    wasmtime_wasi_tls::p2::add_to_linker(linker, &options)?;
    wasmtime_wasi_tls::p3::add_to_linker(linker)
}

/// What a guest is told that inherits no way out, and so no TLS either.
pub const NOT_PERMITTED: &str = "it is not permitted to speak TLS with this server";

struct Provider(StreamTls);

impl TlsProvider for Provider {
    fn connect(&self, server_name: String, transport: Box<dyn TlsTransport>) -> Connecting {
        // Judged right here, while the guest calls.
        let handshake = self.0.authorize(&server_name);
        Box::pin(async move {
            let secured = handshake.map_err(Error::msg)?.connect(transport).await;
            let secured = Secured(secured.map_err(Error::msg)?);
            Ok(Box::new(secured) as Box<dyn TlsStream>)
        })
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn TlsStream>, Error>> + Send>>;

/// The stream under the name that the interfaces want.
struct Secured(SecuredStream<Box<dyn TlsTransport>>);

impl TlsStream for Secured {}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
