//! The smallest HTTP guest: answers `Hello` to every request. Benchmarks run it on Outport and on other
//! runtimes side by side, so it does nothing else.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(_request: IncomingRequest, outparam: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the body of a new response is taken once");
        ResponseOutparam::set(outparam, Ok(response));

        let out = body.write().expect("the stream of a new body is taken once");
        // A client who went away is no concern of this guest: errors end the answer early.
        let _ = out.blocking_write_and_flush(b"Hello\n");
        drop(out);
        let _ = OutgoingBody::finish(body, None);
    }
}
