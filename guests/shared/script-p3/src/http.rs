//! Outgoing HTTP of WASI 0.3.

use futures_util::future::join;
use script::{Code, HttpAnswer, HttpRequest};
use wasip3::http::client;
use wasip3::http::types::{Fields, Method, Request, Response, Scheme};
use wasip3::wit_bindgen::{StreamResult, StreamWriter};
use wasip3::{wit_future, wit_stream};

/// The most bytes that are sent or received at once.
const CHUNK: usize = 64 * 1024;

pub(crate) async fn fetch(request: &HttpRequest) -> Result<HttpAnswer, Code> {
    let (body, contents) = wit_stream::new();
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (outgoing, _sent) = Request::new(headers(request)?, Some(contents), no_trailers, None);
    set_parts(&outgoing, request)?;
    let (response, ()) = join(client::send(outgoing), send_zeroes(body, request.body)).await;
    read(response.map_err(|error| Code::of_variant(&error))?).await
}

fn headers(request: &HttpRequest) -> Result<Fields, Code> {
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| Code::of_variant(&error))?;
    }
    Ok(headers)
}

fn set_parts(outgoing: &Request, request: &HttpRequest) -> Result<(), Code> {
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
    parts.into_iter().collect::<Result<(), _>>().map_err(Code::named)
}

/// Sends as long as somebody reads: whoever refuses the request or answers early need not read its body.
async fn send_zeroes(mut body: StreamWriter<u8>, bytes: u64) {
    let mut left = bytes;
    while left > 0 {
        let length = left.min(CHUNK as u64);
        if !body.write_all(vec![0; length as usize]).await.is_empty() {
            return;
        }
        left -= length;
    }
}

async fn read(response: Response) -> Result<HttpAnswer, Code> {
    let mut answer = HttpAnswer {
        status: response.get_status_code(),
        start: Vec::new(),
        length: 0,
    };
    let (consumed, result) = wit_future::new(|| Ok(()));
    drop(consumed);
    let (mut body, trailers) = Response::consume_body(response, result);
    while let (StreamResult::Complete(_), bytes) = body.read(Vec::with_capacity(CHUNK)).await {
        let room = HttpAnswer::KEPT - answer.start.len();
        answer.start.extend(bytes.iter().take(room));
        answer.length += bytes.len() as u64;
    }
    trailers.await.map_err(|error| Code::of_variant(&error))?;
    Ok(answer)
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
