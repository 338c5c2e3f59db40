//! An HTTP guest that asks the component `back` of its app, and tells its client the answer.
//!
//! `http://back.spin.internal` is no place on a network: Outport calls the other component in the same process.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
    Scheme,
};

struct Front;

wasip2::http::proxy::export!(Front);

impl Guest for Front {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let text = match ask_back(&path) {
            Ok(answer) => format!("The back says: {answer}"),
            Err(error) => format!("The back cannot be asked: {error:?}\n"),
        };
        respond(outparam, &text);
    }
}

fn ask_back(path: &str) -> Result<String, ErrorCode> {
    let request = OutgoingRequest::new(Fields::new());
    request
        .set_scheme(Some(&Scheme::Http))
        .and_then(|()| request.set_authority(Some("back.spin.internal")))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let coming = handle(request, None)?;
    coming.subscribe().block();
    let answer = coming
        .get()
        .expect("the pollable was ready")
        .expect("the answer is taken once")?;

    let body = answer.consume().expect("the body of an answer is taken once");
    let stream = body.stream().expect("the stream of a body is taken once");
    let mut text = Vec::new();
    while let Ok(bytes) = stream.blocking_read(1 << 16) {
        text.extend(bytes);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn respond(outparam: ResponseOutparam, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body of a new response is taken once");
    ResponseOutparam::set(outparam, Ok(response));

    let out = body.write().expect("the stream of a new body is taken once");
    // A client who went away is no concern of this guest: errors end the answer early.
    let _ = out.blocking_write_and_flush(&text.as_bytes()[..text.len().min(4096)]);
    drop(out);
    let _ = OutgoingBody::finish(body, None);
}
