//! The pages: from a request to a response.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;

use super::{CONNECTIONS, Subjects};
use crate::connections::{Answers, Progress};
use crate::registry::TextForm;

impl Answers for Arc<Subjects> {
    type Body = Full<Bytes>;

    const LISTENER: &'static str = "the admin listener";

    const CONNECTIONS: usize = CONNECTIONS;

    fn answer(&self, request: &Request<Incoming>, _: &Arc<Progress>) -> Response<Full<Bytes>> {
        answer(request, self)
    }
}

/// Answers a request, of whose body nothing is read.
fn answer<B>(request: &Request<B>, subjects: &Subjects) -> Response<Full<Bytes>> {
    let page = match refused(request, subjects) {
        Some(refused) => refused,
        None => page(request.uri().path(), request.headers(), subjects),
    };
    page.into_response(request.method())
}

struct Page {
    status: StatusCode,
    content_type: &'static str,
    text: String,
}

/// The answer to what is no request for a page.
fn refused<B>(request: &Request<B>, subjects: &Subjects) -> Option<Page> {
    if !is_for_this_listener(request, subjects) {
        return Some(Page::text(
            StatusCode::MISDIRECTED_REQUEST,
            "this listener is not known by that name: ask for it by its address, or name it with `--admin-host`\n",
        ));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    (!reads).then(|| {
        Page::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "there is nothing to do here but to read\n",
        )
    })
}

fn is_for_this_listener<B>(request: &Request<B>, subjects: &Subjects) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(|host| subjects.names.include(host)),
        // Tools of old that know no such header are no browsers.
        (None, None) => request.version() < Version::HTTP_11,
        _ => false,
    };
    let target = request.uri().authority();
    named && target.is_none_or(|target| subjects.names.include(target.as_str()))
}

fn page(path: &str, headers: &HeaderMap, subjects: &Subjects) -> Page {
    match path {
        "/" => Page::text(StatusCode::OK, INDEX),
        "/metrics" => {
            let accept = headers.get_all(ACCEPT).iter();
            let form = TextForm::of(accept.filter_map(|value| value.to_str().ok()));
            Page {
                status: StatusCode::OK,
                content_type: form.content_type(),
                text: subjects.registry.collect().to_text(form),
            }
        }
        "/healthz" => Page::text(StatusCode::OK, "ok\n"),
        "/readyz" => match subjects.readiness.missing().as_slice() {
            [] => Page::text(StatusCode::OK, "ready\n"),
            missing => {
                let missing = missing.iter().map(|what| format!("not ready: {what}\n"));
                Page::text(StatusCode::SERVICE_UNAVAILABLE, missing.collect::<String>())
            }
        },
        "/policy" => match subjects.policy.get().and_then(|policy| policy()) {
            Some(policy) => Page {
                status: StatusCode::OK,
                content_type: "application/json",
                text: policy,
            },
            None => Page::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the policy of the components is not in force now\n",
            ),
        },
        _ => Page::text(StatusCode::NOT_FOUND, format!("there is no such page\n\n{INDEX}")),
    }
}

impl Page {
    fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            text: text.into(),
        }
    }

    fn into_response(self, method: &Method) -> Response<Full<Bytes>> {
        let length = HeaderValue::from(self.text.len());
        let body = if *method == Method::HEAD {
            Bytes::new()
        } else {
            Bytes::from(self.text)
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, length);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

const INDEX: &str = "\
/metrics  the counts, for Prometheus
/healthz  200: the process answers
/readyz   200, or 503 with what is missing
/policy   the effective policy, as JSON
";
