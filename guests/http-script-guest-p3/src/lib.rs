//! The script guest behind HTTP on WASI 0.3. It answers as `http-script-guest` does; the table is there.

use script::{Interpreter, RequestTarget, Script};
use script_p3::P3;
use wasip3::cli::environment::get_environment;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::wit_bindgen::{StreamReader, StreamResult, spawn_local};
use wasip3::{wit_future, wit_stream};

/// The most bytes that are sent or received at once.
const CHUNK: usize = 64 * 1024;

struct HttpScriptGuest;

wasip3::http::service::export!(HttpScriptGuest);

impl Guest for HttpScriptGuest {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = RequestTarget::new(&request.get_path_with_query().unwrap_or_default());
        match target.last_segment() {
            "hello" => text(200, "hello\n".to_owned()),
            "headers" => text(200, headers(&request, &target)),
            "env" => text(
                200,
                lines(
                    get_environment()
                        .into_iter()
                        .map(|(name, value)| format!("{name}={value}")),
                ),
            ),
            "count" => text(200, format!("{}\n", count(body(request)).await)),
            "zeroes" => match target.query().parse() {
                Ok(length) => zeroes(length),
                Err(_) => mistake("the query of `zeroes` is how many bytes to send"),
            },
            _ => run_script(request, &target).await,
        }
    }
}

async fn run_script(request: Request, target: &RequestTarget) -> Result<Response, ErrorCode> {
    let body = String::from_utf8_lossy(&body(request).collect().await).into_owned();
    let script = if body.trim().is_empty() {
        target.query()
    } else {
        &body
    };
    let script = match Script::parse([script]) {
        Ok(script) => script,
        Err(problem) => return mistake(&problem.to_string()),
    };
    let mut interpreter = Interpreter::new(P3);
    let mut results = Vec::new();
    for statement in script.statements() {
        results.push(statement.report(&interpreter.perform(statement.action()).await));
    }
    text(200, lines(results))
}

/// The method and path, then each header, a line each.
fn headers(request: &Request, target: &RequestTarget) -> String {
    let first = format!("{} {}", method_name(&request.get_method()), target.path());
    let headers = request.get_headers().copy_all();
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    lines(std::iter::once(first).chain(headers))
}

fn body(request: Request) -> StreamReader<u8> {
    let (consumed, result) = wit_future::new(|| Ok(()));
    drop(consumed);
    let (body, _trailers) = Request::consume_body(request, result);
    body
}

async fn count(mut body: StreamReader<u8>) -> u64 {
    let mut count = 0;
    while let (StreamResult::Complete(length), _) = body.read(Vec::with_capacity(CHUNK)).await {
        count += length as u64;
    }
    count
}

fn text(status: u16, text: String) -> Result<Response, ErrorCode> {
    respond(status, std::iter::once(text.into_bytes()))
}

fn mistake(mistake: &str) -> Result<Response, ErrorCode> {
    text(400, format!("http-script-guest: {mistake}\n"))
}

fn zeroes(length: u64) -> Result<Response, ErrorCode> {
    let chunk = CHUNK as u64;
    respond(
        200,
        (0..length.div_ceil(chunk)).map(move |n| vec![0; (length - n * chunk).min(chunk) as usize]),
    )
}

/// An answer whose chunks are sent after it was given, as long as somebody reads them.
fn respond(status: u16, chunks: impl Iterator<Item = Vec<u8>> + 'static) -> Result<Response, ErrorCode> {
    let headers = Fields::new();
    headers
        .append("content-type", b"text/plain; charset=utf-8")
        .expect("the header is well-formed");
    let (mut body, contents) = wit_stream::new();
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (response, _sent) = Response::new(headers, Some(contents), no_trailers);
    response
        .set_status_code(status)
        .expect("the status is between 100 and 599");
    spawn_local(async move {
        for chunk in chunks {
            if !body.write_all(chunk).await.is_empty() {
                return;
            }
        }
    });
    Ok(response)
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

fn method_name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(other) => other,
    }
}
