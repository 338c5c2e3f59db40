//! An HTTP guest that other components of its app ask. It tells them what path they asked for.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Back;

wasip2::http::proxy::export!(Back);

impl Guest for Back {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the body of a new response is taken once");
        ResponseOutparam::set(outparam, Ok(response));

        let out = body.write().expect("the stream of a new body is taken once");
        let text = format!("you asked me for {path}\n");
        // A caller who went away is no concern of this guest: errors end the answer early.
        let _ = out.blocking_write_and_flush(&text.as_bytes()[..text.len().min(4096)]);
        drop(out);
        let _ = OutgoingBody::finish(body, None);
    }
}
