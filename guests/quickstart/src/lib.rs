//! An HTTP guest that opens a raw TCP connection to wherever its client says: `GET /?to=127.0.0.1:3000`.
//!
//! It speaks HTTP/1.1 by hand over that connection (`GET /hello`) and shows the first line that it got.
//! `GET /hello` it answers itself, so that the app can be pointed at itself and nothing else is needed to
//! try it. When the connection is refused, the client sees the WASI error code that the guest got, and
//! nothing more: the reason is for the operator, on the terminal where Outport runs.

mod target;

use std::io::{BufRead, BufReader, Read, Write};

use tcp::Connection;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::sockets::network::ErrorCode;

use crate::target::Target;

const USAGE: &str = "\
This guest opens a raw TCP connection to the place that you name, and shows the first line it gets:

  curl '127.0.0.1:3000/?to=127.0.0.1:3000'    permitted by this app's spin.toml
  curl '127.0.0.1:3000/?to=127.0.0.1:22'      refused, and the operator's terminal says why
";

struct Quickstart;

wasip2::http::proxy::export!(Quickstart);

impl Guest for Quickstart {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let path_with_query = request.path_with_query().unwrap_or_default();
        respond(outparam, &page(&path_with_query));
    }
}

/// What the client is shown: an HTTP status and a text.
struct Page {
    status: u16,
    text: String,
}

impl Page {
    fn new(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

fn page(path_with_query: &str) -> Page {
    let (path, query) = path_with_query.split_once('?').unwrap_or((path_with_query, ""));
    if path == "/hello" {
        return Page::new(200, "Hello from the quickstart guest.\n");
    }
    let Some(to) = query.split('&').find_map(|pair| pair.strip_prefix("to=")) else {
        return Page::new(200, USAGE);
    };
    let Some(target) = Target::parse(to) else {
        return Page::new(
            400,
            format!("`{to}` is not a place to connect to: write HOST:PORT\n"),
        );
    };
    match connect(&target) {
        Ok(connection) => greeting(connection, &target),
        Err(code) => refusal(&target, code),
    }
}

/// Connects to the first address that answers. A name is looked up first, and only what the look-up answered
/// may then be connected to: that is Outport's policy, not this guest's.
fn connect(target: &Target) -> Result<Connection, ErrorCode> {
    let mut last = ErrorCode::NameUnresolvable;
    for address in target.addresses()? {
        match Connection::open(address) {
            Ok(connection) => return Ok(connection),
            Err(code) => last = code,
        }
    }
    Err(last)
}

fn greeting(mut connection: Connection, target: &Target) -> Page {
    match first_line(&mut connection, target) {
        Ok(line) => Page::new(
            200,
            format!("connected to {target}, and the first line it sent was:\n\n  {line}\n"),
        ),
        Err(error) => Page::new(502, format!("connected to {target}, but then: {error}\n")),
    }
}

/// Asks for `/hello` in HTTP/1.1, written by hand, and takes the first line of the answer.
fn first_line(connection: &mut Connection, target: &Target) -> std::io::Result<String> {
    const LONGEST: u64 = 1024;

    let request = format!("GET /hello HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    connection.flush()?;

    let mut line = Vec::new();
    BufReader::new(connection.take(LONGEST)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line)
        .trim_end()
        .escape_debug()
        .to_string())
}

fn refusal(target: &Target, code: ErrorCode) -> Page {
    let explanation = match code {
        ErrorCode::AccessDenied => {
            "The policy does not permit this. The operator's terminal says why, and which line would permit it."
        }
        ErrorCode::ConnectionRefused => "The policy permits this, but nobody listens there.",
        _ => "The policy did not refuse this: the code says what else went wrong.",
    };
    let status = if code == ErrorCode::AccessDenied { 403 } else { 502 };
    Page::new(
        status,
        format!("{}: no connection to {target}.\n{explanation}\n", code.name()),
    )
}

fn respond(outparam: ResponseOutparam, page: &Page) {
    let headers = Fields::new();
    headers
        .append("content-type", b"text/plain; charset=utf-8")
        .expect("the header is well-formed");
    let response = OutgoingResponse::new(headers);
    response
        .set_status_code(page.status)
        .expect("the status is between 100 and 599");
    let body = response.body().expect("the body of a new response is taken once");
    ResponseOutparam::set(outparam, Ok(response));

    let mut out = body.write().expect("the stream of a new body is taken once");
    // A client who went away is no concern of this guest: errors end the answer early.
    let _ = out
        .write_all(page.text.as_bytes())
        .and_then(|()| Write::flush(&mut out));
    drop(out);
    let _ = OutgoingBody::finish(body, None);
}
