//! One HTTP exchange: the request as this guest reads it, and the answer that it sends.

use std::fmt::{Display, Write as _};
use std::io::{self, BufReader, Read, Write};

use script::RequestTarget;
use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// The most bytes that are sent or received at once.
const CHUNK: usize = 64 * 1024;

/// A request.
pub struct Call {
    request: IncomingRequest,
    target: RequestTarget,
}

impl Call {
    /// Reads the request's target.
    pub fn new(request: IncomingRequest) -> Self {
        let target = RequestTarget::new(&request.path_with_query().unwrap_or_default());
        Self { request, target }
    }

    /// The request's target.
    pub fn target(&self) -> &RequestTarget {
        &self.target
    }

    /// The method and path, then each header, a line each.
    pub fn headers(&self) -> String {
        let mut text = format!("{} {}\n", method_name(&self.request.method()), self.target.path());
        for (name, value) in self.request.headers().entries() {
            let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(&value));
        }
        text
    }

    /// The body as text. What comes after a failure is missing.
    pub fn text_body(self) -> String {
        let mut text = Vec::new();
        self.read_body(|body| {
            let _ = body.read_to_end(&mut text);
        });
        String::from_utf8_lossy(&text).into_owned()
    }

    /// How many bytes the body has.
    pub fn count_body(self) -> u64 {
        let mut count = 0;
        self.read_body(|body| {
            let mut body = BufReader::with_capacity(CHUNK, body);
            count = io::copy(&mut body, &mut io::sink()).unwrap_or_default();
        });
        count
    }

    fn read_body(self, read: impl FnOnce(&mut dyn Read)) {
        let body = self
            .request
            .consume()
            .expect("the body of a request is taken once");
        let mut stream = body.stream().expect("the stream of a body is taken once");
        read(&mut stream);
    }
}

/// An answer.
pub struct Answer {
    status: u16,
    body: Box<dyn Read>,
}

impl Answer {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            status: 200,
            body: Box::new(io::Cursor::new(text.into())),
        }
    }

    /// So many zero bytes.
    pub fn zeroes(length: u64) -> Self {
        Self {
            status: 200,
            body: Box::new(io::repeat(0).take(length)),
        }
    }

    /// What is wrong with the request.
    pub fn mistake(mistake: impl Display) -> Self {
        Self {
            status: 400,
            body: Box::new(io::Cursor::new(format!("http-script-guest: {mistake}\n"))),
        }
    }

    /// Sends the answer. A client who went away is no concern of this guest: errors end the answer early.
    pub fn send(self, outparam: ResponseOutparam) {
        let headers = Fields::new();
        headers
            .append("content-type", b"text/plain; charset=utf-8")
            .expect("the header is well-formed");
        let response = OutgoingResponse::new(headers);
        response
            .set_status_code(self.status)
            .expect("the status is between 100 and 599");
        let body = response.body().expect("the body of a new response is taken once");
        ResponseOutparam::set(outparam, Ok(response));

        let mut out = body.write().expect("the stream of a new body is taken once");
        let sent = io::copy(&mut BufReader::with_capacity(CHUNK, self.body), &mut out);
        let _ = sent.and_then(|_| Write::flush(&mut out));
        drop(out);
        let _ = OutgoingBody::finish(body, None);
    }
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
