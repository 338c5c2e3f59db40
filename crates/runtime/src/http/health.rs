//! Whether the server is alive, asked as it is of Spin: `/.well-known/spin/health` on the app's own listener.
//!
//! It is answered before every route, whatever the request calls the server by, since a probe may know its address
//! alone. No guest runs for it, and no route ever gets that path: what else is asked of it than `GET` or `HEAD` is answered
//! with 405.

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};

/// The path.
pub(super) const HEALTH_PATH: &str = "/.well-known/spin/health";

/// The response to a request that asks for it.
pub(super) fn answer<B>(request: &Request<B>) -> Option<Response<String>> {
    if request.uri().path() != HEALTH_PATH {
        return None;
    }
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = if matches!(*request.method(), Method::GET | Method::HEAD) {
        Response::new("OK".to_owned())
    } else {
        let mut response = Response::new("ask for it with GET or HEAD\n".to_owned());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        response
    };
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Some(response)
}
