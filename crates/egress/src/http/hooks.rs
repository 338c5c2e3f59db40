//! What `wasmtime-wasi-http` asks instead of connecting by itself.

use std::sync::Arc;

use http::Request;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::instance::InstanceGate;

/// The only way out for `wasi:http` requests of an instance.
pub struct GateHooks {
    gate: Arc<InstanceGate>,
}

impl GateHooks {
    pub(crate) fn new(gate: Arc<InstanceGate>) -> GateHooks {
        GateHooks { gate }
    }
}

type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for GateHooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let _ = (&self.gate, request);
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}
