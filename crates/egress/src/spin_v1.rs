//! Outgoing requests of Spin's first interfaces, which have no version: `fermyon:spin/http`.
//!
//! ```text
//! send-request(REQUEST) ── written as `http` has it ──▶ GateHooks::send_request, as on WASI ──▶ the whole ANSWER
//! ```
//!
//! | what | here |
//! | --- | --- |
//! | a URL that begins with `/` | it is for the app itself (AL-10), as in Spin |
//! | a URL that cannot be read | `invalid-url`, and told as a request to no host |
//! | headers of the connection (`host`, `connection`, …), and `content-length` | left out: the host writes its own |
//! | a header that is none | `runtime-error`, as in Spin |
//! | an answer that says to go elsewhere | is the answer; going there is a new request of the guest |
//! | an answer of more than 128 MiB | `runtime-error`; see [`MOST_IN_AN_ANSWER`] |
//! | a header of the answer that is not UTF-8, or one of the connection | left out |
//!
//! The answer is in memory as a whole, at the account of the instance.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use outport_policy::Reason;
use wasmtime::component::{Linker, LinkerInstance};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, WasiBody, WasiHttpHooks};

use self::bindings::fermyon::spin::http::{self as spin_http, Host};
use self::bindings::fermyon::spin::http_types::{self, Method};
pub use self::bindings::fermyon::spin::http_types::{HttpError, Request, Response};
use crate::ctx::{GateCtx, GateCtxView, GateView, Gated};
use crate::http::THE_APP;
use crate::shut::ShutGate;

/// Lets guests send requests by `fermyon:spin/http`. It takes no function's place, so it may be called at any time.
///
/// # Errors
///
/// What the linker reports.
pub fn add_http_to_linker<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    http_types::add_to_linker::<T, Gated>(linker, T::gate)?;
    spin_http::add_to_linker::<T, Gated>(linker, T::gate)
}

/// Defines all of `fermyon:spin/http`, behind the gate of `view`.
pub(crate) fn define_http<T: GateView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: fn(&mut T) -> GateCtxView<'_>,
) -> wasmtime::Result<()> {
    spin_http::add_to_linker_instance::<T, Gated>(instance, view)
}

/// Tells that a dependency which inherits nothing wanted to send `request`.
pub fn refuse(shut: &ShutGate, instance: &GateCtx, request: &Request) {
    let url = url_of(&request.uri).unwrap_or_default();
    let authority = url.authority().map_or("", |authority| authority.as_str());
    shut.refuse_request(
        instance,
        method_of(request.method).as_str(),
        url.scheme_str(),
        authority,
    );
}

impl http_types::Host for GateCtxView<'_> {}

impl Host for GateCtxView<'_> {
    async fn send_request(&mut self, request: Request) -> wasmtime::Result<Result<Response, HttpError>> {
        let request = match self.written(request) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error)),
        };
        let sent = Box::new(std::future::ready(Ok(())));
        let answer = self.ctx.http_hooks().send_request(request, None, sent);
        Ok(match Box::into_pin(answer).await {
            Ok((answer, _)) => whole(answer).await,
            Err(error) => Err(told(&error)),
        })
    }
}

/// Bytes of the headers of a request: as many as wasmtime-wasi-http permits guests of WASI.
const MOST_IN_HEADERS: usize = 128 * 1024;

/// Bytes that a header counts for beside its name and value.
const BESIDE_A_HEADER: usize = 32;

impl GateCtxView<'_> {
    fn written(&self, request: Request) -> Result<http::Request<WasiBody>, HttpError> {
        let Some(url) = url_of(&request.uri) else {
            self.ctx.enforcer.refuse("http.request", "", Reason::HttpHost);
            return Err(HttpError::InvalidUrl);
        };
        let mut headers = HeaderMap::new();
        let mut room = MOST_IN_HEADERS;
        for (name, value) in request.headers {
            let name = HeaderName::try_from(name).map_err(|_| HttpError::RuntimeError)?;
            let value = HeaderValue::try_from(value).map_err(|_| HttpError::RuntimeError)?;
            if name != CONTENT_LENGTH && !is_of_the_connection(&name) {
                let size = name.as_str().len() + value.len() + BESIDE_A_HEADER;
                room = room.checked_sub(size).ok_or(HttpError::RuntimeError)?;
                let added = headers.try_append(name, value);
                added.map_err(|_| HttpError::RuntimeError)?;
            }
        }
        let body = Full::new(Bytes::from(request.body.unwrap_or_default()));
        if !body.is_end_stream() {
            headers.insert(CONTENT_LENGTH, body.size_hint().lower().into());
        }
        let mut written = http::Request::new(body.map_err(|never| match never {}).boxed_unsync());
        *written.method_mut() = method_of(request.method);
        *written.uri_mut() = url;
        *written.headers_mut() = headers;
        Ok(written)
    }
}

/// The URL that a guest wrote; one of a path alone is the app's.
fn url_of(written: &str) -> Option<Uri> {
    if written.starts_with('/') {
        format!("http://{THE_APP}{written}").parse().ok()
    } else {
        written.parse().ok()
    }
}

fn method_of(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Patch => http::Method::PATCH,
        Method::Head => http::Method::HEAD,
        Method::Options => http::Method::OPTIONS,
    }
}

/// Those that guests on WASI neither write nor see.
fn is_of_the_connection(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name)
}

/// What is told of a request that got no answer. The audit log has more.
fn told(error: &Error) -> HttpError {
    match error {
        Error::HttpRequestDenied | Error::DestinationIpProhibited => HttpError::DestinationNotAllowed,
        Error::HttpRequestUriInvalid => HttpError::InvalidUrl,
        Error::ConnectionLimitReached => HttpError::TooManyRequests,
        _ => HttpError::RuntimeError,
    }
}

/// An answer with all of its body.
async fn whole(answer: http::Response<WasiBody>) -> Result<Response, HttpError> {
    let (head, body) = answer.into_parts();
    let as_text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = str::from_utf8(value.as_bytes())
            .ok()
            .filter(|_| !is_of_the_connection(name))?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    Ok(Response {
        status: head.status.as_u16(),
        headers: Some(head.headers.iter().filter_map(as_text).collect()),
        body: Some(all_of(body).await.ok_or(HttpError::RuntimeError)?),
    })
}

/// All bytes of a body, if it ends as it should and they are not too many.
async fn all_of(mut body: WasiBody) -> Option<Vec<u8>> {
    if body.size_hint().lower() > MOST_IN_AN_ANSWER as u64 {
        return None;
    }
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.ok()?.into_data() else {
            continue;
        };
        if bytes.len() > MOST_IN_AN_ANSWER - all.len() {
            return None;
        }
        all.extend_from_slice(&bytes);
    }
    Some(all)
}

/// Bytes of an answer's body: 128 MiB, as in results of other interfaces.
pub const MOST_IN_AN_ANSWER: usize = 128 << 20;

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-http",
        imports: { default: async | trappable },
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_given_whole_or_not_at_all() {
        let body = |length: usize| Full::new(Bytes::from(vec![b'.'; length]));
        let all = all_of(body(5).map_err(|never| match never {}).boxed_unsync()).await;
        assert_eq!(all.as_deref(), Some(&b"....."[..]));
        let large = body(MOST_IN_AN_ANSWER + 1).map_err(|never| match never {});
        assert_eq!(all_of(large.boxed_unsync()).await, None);
        let broken = Full::new(Bytes::from_static(b"."))
            .map_err(|never| match never {})
            .with_trailers(std::future::ready(Some(Err(Error::HttpResponseIncomplete))));
        assert_eq!(all_of(broken.boxed_unsync()).await, None);
    }

    #[test]
    fn a_url_without_a_host_is_for_the_app_and_one_that_is_none_for_nobody() {
        for (written, url) in [
            ("/a?b", Some("http://self/a?b")),
            ("//evil.example/", Some("http://self//evil.example/")),
            ("https://api.example/a#b", Some("https://api.example/a")),
            ("http://api.example", Some("http://api.example/")),
            ("", None),
            ("http://", None),
            ("http://a b/", None),
        ] {
            let found = url_of(written).map(|url| url.to_string());
            assert_eq!(found.as_deref(), url, "{written}");
        }
    }
}
