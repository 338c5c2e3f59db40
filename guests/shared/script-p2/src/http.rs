//! Outgoing HTTP of WASI 0.2.

use std::io;

use script::{Code, HttpAnswer, HttpRequest};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

/// The most bytes that are sent or received at once.
const CHUNK: usize = 64 * 1024;

pub(crate) fn fetch(request: &HttpRequest) -> Result<HttpAnswer, Code> {
    let outgoing = outgoing_request(request)?;
    let body = outgoing.body().expect("the body of a new request is taken once");
    let response = handle(outgoing, None).map_err(|error| Code::of_variant(&error))?;
    // Whoever refuses the request or answers early need not read its body: the answer is what counts.
    let _ = send_zeroes(&body, request.body);
    let _ = OutgoingBody::finish(body, None);
    read(await_response(&response)?)
}

fn outgoing_request(request: &HttpRequest) -> Result<OutgoingRequest, Code> {
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| Code::of_variant(&error))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let parts = [
        outgoing
            .set_method(&method(&request.method))
            .map_err(|()| "invalid-method"),
        outgoing
            .set_scheme(request.scheme.as_deref().map(scheme).as_ref())
            .map_err(|()| "invalid-scheme"),
        outgoing
            .set_authority(request.authority.as_deref())
            .map_err(|()| "invalid-authority"),
        outgoing
            .set_path_with_query(request.path.as_deref())
            .map_err(|()| "invalid-path"),
    ];
    parts
        .into_iter()
        .collect::<Result<(), _>>()
        .map_err(Code::named)?;
    Ok(outgoing)
}

fn send_zeroes(body: &OutgoingBody, bytes: u64) -> io::Result<()> {
    let mut out = body.write().expect("the stream of a new body is taken once");
    let zeroes = io::Read::take(io::repeat(0), bytes);
    io::copy(&mut io::BufReader::with_capacity(CHUNK, zeroes), &mut out)?;
    io::Write::flush(&mut out)
}

fn await_response(response: &FutureIncomingResponse) -> Result<IncomingResponse, Code> {
    response.subscribe().block();
    let result = response
        .get()
        .expect("the pollable was ready")
        .expect("the response is taken once");
    result.map_err(|error| Code::of_variant(&error))
}

fn read(response: IncomingResponse) -> Result<HttpAnswer, Code> {
    let body = response
        .consume()
        .expect("the body of a new response is taken once");
    let stream = body.stream().expect("the stream of a new body is taken once");
    let mut answer = HttpAnswer {
        status: response.status(),
        start: Vec::new(),
        length: 0,
    };
    loop {
        match stream.blocking_read(CHUNK as u64) {
            Ok(bytes) => {
                let room = HttpAnswer::KEPT - answer.start.len();
                answer.start.extend(bytes.iter().take(room));
                answer.length += bytes.len() as u64;
            }
            Err(StreamError::Closed) => return Ok(answer),
            Err(StreamError::LastOperationFailed(_)) => return Err(Code::named("HTTP-response-incomplete")),
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn scheme(name: &str) -> Scheme {
    match name {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    }
}
