//! A middleware that does what its place in the chain is asked for, and passes the request on to what is behind it.
//!
//! The first one does what the header `do-1` says, the second `do-2`, and so on; each tells the next how many were
//! before it by the header `passed`.
//!
//! | header | what it does |
//! | --- | --- |
//! | none | passes the request on, and the response back |
//! | `answer` | answers by itself, with status 403 |
//! | anything else | performs the statements first (`guests/script-guest/README.md` has the grammar), and puts the results into the header `did-N` of the response, with ` \| ` between them |
//!
//! Bodies pass through as they come, trailers too.

use script::{Interpreter, Script};
use script_p3::P3;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_future;

use crate::bindings::wasi::http::handler;

mod bindings {
    wit_bindgen::generate!({
        world: "passes-on",
        path: "wit",
        with: {
            "wasi:http/types@0.3.2": wasip3::http::types,
            "wasi:clocks/types@0.3.2": wasip3::clocks::types,
        },
        generate_all,
    });
}

struct Middleware;

wasip3::http::service::export!(Middleware);

impl Guest for Middleware {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let headers = request.get_headers().copy_all();
        let place = number(&headers) + 1;
        let wanted = value(&headers, &format!("do-{place}"));
        if wanted.as_deref() == Some("answer") {
            let (trailers, none) = wit_future::new(|| Ok(None));
            drop(trailers);
            let (response, _sent) = Response::new(Fields::new(), None, none);
            let _ = response.set_status_code(403);
            return Ok(response);
        }
        let results = match wanted {
            Some(script) => Some(perform(&script).await),
            None => None,
        };
        let response = handler::handle(passed_on(request, headers, place)?).await?;
        match results {
            Some(results) => with_header(response, &format!("did-{place}"), &results),
            None => Ok(response),
        }
    }
}

type Headers = Vec<(String, Vec<u8>)>;

/// The number of those that the request has passed.
fn number(headers: &Headers) -> u32 {
    value(headers, "passed")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn value(headers: &Headers, wanted: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(name, _)| name == wanted)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The same request, which has passed one more.
fn passed_on(request: Request, mut headers: Headers, place: u32) -> Result<Request, ErrorCode> {
    headers.retain(|(name, _)| name != "passed");
    headers.push(("passed".to_owned(), place.to_string().into_bytes()));
    let (method, path) = (request.get_method(), request.get_path_with_query());
    let (scheme, authority) = (request.get_scheme(), request.get_authority());
    let (consumed, result) = wit_future::new(|| Ok(()));
    drop(consumed);
    let (body, trailers) = Request::consume_body(request, result);
    let (request, _sent) = Request::new(fields(&headers)?, Some(body), trailers, None);
    let set = request
        .set_method(&method)
        .and_then(|()| request.set_path_with_query(path.as_deref()))
        .and_then(|()| request.set_scheme(scheme.as_ref()))
        .and_then(|()| request.set_authority(authority.as_deref()));
    set.map_err(|()| ErrorCode::InternalError(None))?;
    Ok(request)
}

fn with_header(response: Response, name: &str, value: &str) -> Result<Response, ErrorCode> {
    let mut headers = response.get_headers().copy_all();
    headers.push((name.to_owned(), value.as_bytes().to_vec()));
    let status = response.get_status_code();
    let (consumed, result) = wit_future::new(|| Ok(()));
    drop(consumed);
    let (body, trailers) = Response::consume_body(response, result);
    let (response, _sent) = Response::new(fields(&headers)?, Some(body), trailers);
    response
        .set_status_code(status)
        .map_err(|()| ErrorCode::InternalError(None))?;
    Ok(response)
}

fn fields(headers: &Headers) -> Result<Fields, ErrorCode> {
    Fields::from_list(headers).map_err(|_| ErrorCode::InternalError(None))
}

async fn perform(script: &str) -> String {
    let script = match Script::parse([script]) {
        Ok(script) => script,
        Err(mistake) => return format!("middleware: {mistake}"),
    };
    let mut interpreter = Interpreter::new(P3);
    let mut results = Vec::new();
    for statement in script.statements() {
        results.push(statement.report(&interpreter.perform(statement.action()).await));
    }
    results.join(" | ")
}
