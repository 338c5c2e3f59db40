//! The questions that `wasmtime-wasi-http` asks instead of connecting by itself.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::exchange;
use super::own_body::{Ending, Writer};
use crate::enforcer::Enforcer;
use crate::host_account::charged;
use crate::outgoing::Outgoing;

/// The only way out for the `wasi:http` requests of an instance.
pub struct GateHooks {
    enforcer: Arc<Enforcer>,
    outgoing: Arc<Outgoing>,
    writer: Arc<Writer>,
}

impl GateHooks {
    pub(crate) fn new(enforcer: Arc<Enforcer>, outgoing: Arc<Outgoing>) -> Self {
        Self {
            enforcer,
            outgoing,
            writer: Arc::new(Writer::new()),
        }
    }

    /// Those of a part of the instance, whose bodies end as the instance's.
    pub(crate) fn of_part(&self, enforcer: Arc<Enforcer>, outgoing: Arc<Outgoing>) -> Self {
        Self {
            enforcer,
            outgoing,
            writer: self.writer.clone(),
        }
    }

    pub(crate) fn ending(&self) -> &Ending {
        self.writer.ending()
    }
}

type Transmitted = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for GateHooks {
    /// Never set here: [`exchange`] writes the host that was judged.
    fn set_host_header(&mut self) -> bool {
        false
    }

    /// The size of a piece. The host holds what is written and not sent yet: two pieces of this size for each body.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_PIECE
    }

    /// The same on WASI 0.3.
    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_PIECE
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Transmitted,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Transmitted), Error>> + Send> {
        let (enforcer, outgoing) = (self.enforcer.clone(), self.outgoing.clone());
        // Here, where the guest asks: when it is sent the instance may be at something else.
        let point = enforcer.trace().get();
        let (head, body) = request.into_parts();
        let body = self.writer.body(body, length(&head.headers), enforcer.account());
        let request = Request::from_parts(head, body);
        Box::new(async move {
            // On WASI 0.2 this is a task of its own.
            let sent = exchange::send(&enforcer, &outgoing, &point, request, options.unwrap_or_default());
            let response = charged(enforcer.account(), sent).await?;
            // The connection is driven by a task of its own, so nothing is left to do for the caller.
            let transmitted: Transmitted = Box::new(std::future::ready(Ok(())));
            Ok((response, transmitted))
        })
    }
}

/// The length that a body is said to have. `wasmtime-wasi-http` has refused what is no length.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Bytes of a body that the host takes from the guest at once.
const BODY_PIECE: usize = 64 * 1024;
