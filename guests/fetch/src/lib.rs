//! An HTTP guest that fetches what its client names, `GET /?http://127.0.0.1:8000/`, and passes the answer on.
//!
//! Whether it may is not its business: it sends the request, and is told `HTTP-request-denied` if the app's
//! `spin.toml` has no entry for the place. Why, the operator's terminal says.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, OutgoingBody, OutgoingRequest,
    OutgoingResponse, ResponseOutparam, Scheme,
};

const USAGE: &[u8] = b"Say what to fetch: curl '127.0.0.1:3000/?http://127.0.0.1:8000/'\n";

struct Fetch;

wasip2::http::proxy::export!(Fetch);

impl Guest for Fetch {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let Some((_, url)) = target.split_once('?') else {
            return respond(outparam, 200, Text(USAGE));
        };
        match fetch(url) {
            Ok(answer) => respond(outparam, answer.status(), Passed(answer)),
            Err(Failure::NotAUrl) => respond(outparam, 400, Text(b"not a URL of http or https\n")),
            Err(Failure::Error(error)) => {
                let status = match error {
                    ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => 403,
                    _ => 502,
                };
                let text = format!("{url}: {error:?}\n");
                respond(outparam, status, Text(text.as_bytes()));
            }
        }
    }
}

enum Failure {
    NotAUrl,
    Error(ErrorCode),
}

impl From<ErrorCode> for Failure {
    fn from(error: ErrorCode) -> Failure {
        Failure::Error(error)
    }
}

fn fetch(url: &str) -> Result<IncomingResponse, Failure> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err(Failure::NotAUrl),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };

    let request = OutgoingRequest::new(Fields::new());
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .map_err(|()| Failure::NotAUrl)?;
    let coming = handle(request, None)?;
    coming.subscribe().block();
    let answer = coming
        .get()
        .expect("the pollable was ready")
        .expect("the answer is taken once");
    Ok(answer?)
}

/// Where the body of an answer comes from.
trait Source {
    fn send(self, body: &OutgoingBody);
}

struct Text<'t>(&'t [u8]);

struct Passed(IncomingResponse);

impl Source for Text<'_> {
    fn send(self, body: &OutgoingBody) {
        let out = body.write().expect("the stream of a new body is taken once");
        // A client who went away is no concern of this guest: errors end the answer early.
        let _ = out.blocking_write_and_flush(self.0);
    }
}

impl Source for Passed {
    /// As it comes: the body is never held in one piece.
    fn send(self, body: &OutgoingBody) {
        let incoming = self.0.consume().expect("the body of an answer is taken once");
        let from = incoming.stream().expect("the stream of a body is taken once");
        let out = body.write().expect("the stream of a new body is taken once");
        while let Ok(1..) = out.blocking_splice(&from, 1 << 16) {}
        drop((from, out));
        IncomingBody::finish(incoming);
    }
}

fn respond(outparam: ResponseOutparam, status: u16, source: impl Source) {
    let response = OutgoingResponse::new(Fields::new());
    response
        .set_status_code(status)
        .expect("the status is one of an answer");
    let body = response.body().expect("the body of a new response is taken once");
    ResponseOutparam::set(outparam, Ok(response));
    source.send(&body);
    let _ = OutgoingBody::finish(body, None);
}
