//! All components of an app that answer HTTP, behind their routes: from a request to a response.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use outport_manifest::PathRoute;
use wasmtime_wasi_http::WasiBody;

use super::authority::authority;
use super::headers::{Described, RouteHeaders};
use super::places::{DEEPEST_CALL, NoPlace, Places};
use super::responder::{NoResponse, RequestBody, Responder};
use super::routes::RouteTable;
use crate::excerpt::Excerpt;

/// What a server serves.
pub struct Site {
    routes: RouteTable<Page>,
    /// Who answers other components of the app, by name in lower case, with or without a route.
    pub(super) callees: HashMap<String, Page>,
    /// One for each instance that may live at a time.
    places: Places,
    told_of_depth: Once,
    broken_responses: AtomicU64,
}

/// A route and who answers it.
pub struct SiteEntry {
    /// Which paths.
    pub route: PathRoute,
    /// The route as the manifest has it, without the app's base path.
    pub written: String,
    /// Who answers.
    pub responder: Responder,
}

impl SiteEntry {
    fn into_page(self) -> (PathRoute, Page) {
        let headers = RouteHeaders::of(&self.route, &self.written);
        (
            self.route,
            Page {
                headers,
                responder: self.responder,
            },
        )
    }
}

pub(super) struct Page {
    pub(super) headers: RouteHeaders,
    pub(super) responder: Responder,
}

impl Site {
    /// A site of these entries, in which at most `instances` run at a time, half of them for calls of components.
    pub fn new(entries: impl IntoIterator<Item = SiteEntry>, instances: u32) -> Site {
        Site {
            routes: RouteTable::new(entries.into_iter().map(SiteEntry::into_page)),
            callees: HashMap::new(),
            places: Places::new(instances),
            told_of_depth: Once::new(),
            broken_responses: AtomicU64::new(0),
        }
    }

    /// Waits until no instance runs any more.
    pub(super) async fn quiet(&self) {
        self.places.quiet().await;
    }

    /// Tells what went wrong so often that it was only counted so far.
    pub(super) fn sum_up(&self) {
        let routed = self.routes.iter().map(|(_, page)| page);
        for page in routed.chain(self.callees.values()) {
            page.responder.sum_up();
        }
    }

    /// Answers a request that `depth` calls led to: none to a visitor's.
    pub(super) async fn answer<B: RequestBody>(
        &self,
        request: Request<B>,
        client: SocketAddr,
        depth: u32,
    ) -> Response<WasiBody> {
        match self.try_answer(request, client, depth).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn try_answer<B: RequestBody>(
        &self,
        mut request: Request<B>,
        client: SocketAddr,
        depth: u32,
    ) -> Result<Response<WasiBody>, Refusal> {
        let page = self.describe(&mut request, client)?;
        self.respond(page, request, depth).await
    }

    pub(super) async fn respond<B: RequestBody>(
        &self,
        page: &Page,
        request: Request<B>,
        depth: u32,
    ) -> Result<Response<WasiBody>, Refusal> {
        let place = self.places.take(depth).await.map_err(|none| match none {
            NoPlace::Full => Refusal::NoPlace,
            NoPlace::TooDeep => self.too_deep(page),
        })?;
        let answer = page.responder.respond(request, place).await;
        answer.map(without_false_length).map_err(|none| match none {
            NoResponse::Ended => Refusal::GuestFailed,
            NoResponse::TooSlow => Refusal::GuestTooSlow,
            NoResponse::NoMemory => Refusal::NoMemory,
        })
    }

    /// Finds the page for a request, and puts into its headers what the guest learns of the way.
    fn describe<B>(&self, request: &mut Request<B>, client: SocketAddr) -> Result<&Page, Refusal> {
        let authority = authority(request)?;
        let uri = request.uri().clone();
        let routed = self.routes.route(uri.path()).ok_or(Refusal::NoRoute)?;
        let described = Described {
            authority: authority.as_str(),
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()),
            rest: routed.rest,
            named: &routed.named,
            client,
        };
        routed.target.headers.put_into(request.headers_mut(), &described);
        Ok(routed.target)
    }

    /// Tells of a response that ended before it was whole: whenever there are twice as many, since visitors choose how
    /// many there are.
    pub(super) fn note_broken_response(&self, error: &hyper::Error) {
        let number = self.broken_responses.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_power_of_two() {
            let cause = error.source().map(|cause| Excerpt::of(format_args!(": {cause}")));
            let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
            tracing::warn!("a response of a component broke off, {number} so far{cause}");
        }
    }

    fn too_deep(&self, page: &Page) -> Refusal {
        let component = page.responder.prepared().name();
        self.told_of_depth.call_once(|| {
            tracing::warn!(
                "component `{component}` was not called: calls are nested {DEEPEST_CALL} deep at most; look for \
                 components that call each other in a circle (this is said once)"
            );
        });
        Refusal::TooDeep
    }
}

/// Takes back the length of a body that no response of that status has (RFC 9110, section 8.6). A proxy in front that
/// believed it would take the next visitor's response for that body.
fn without_false_length(mut answer: Response<WasiBody>) -> Response<WasiBody> {
    if answer.status() == StatusCode::NO_CONTENT {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    answer
}

/// A response that is not the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoHost,
    ManyHosts,
    BadHost,
    NoRoute,
    NoPlace,
    NoMemory,
    TooDeep,
    GuestFailed,
    GuestTooSlow,
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<WasiBody> {
        let (status, text) = match self {
            Refusal::NoHost => (StatusCode::BAD_REQUEST, "the request names no host\n"),
            Refusal::ManyHosts => (StatusCode::BAD_REQUEST, "the request names several hosts\n"),
            Refusal::BadHost => (StatusCode::BAD_REQUEST, "the request names a host that is none\n"),
            Refusal::NoRoute => (StatusCode::NOT_FOUND, "no component answers this path\n"),
            Refusal::NoPlace => (StatusCode::SERVICE_UNAVAILABLE, "too many requests are running\n"),
            Refusal::NoMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "there is no memory for another request\n",
            ),
            Refusal::TooDeep => (
                StatusCode::LOOP_DETECTED,
                "calls inside the app are nested too deep\n",
            ),
            Refusal::GuestFailed => (StatusCode::INTERNAL_SERVER_ERROR, "the component failed\n"),
            Refusal::GuestTooSlow => (
                StatusCode::GATEWAY_TIMEOUT,
                "the component gave no response in time\n",
            ),
        };
        let body = Full::new(Bytes::from_static(text.as_bytes()));
        let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_has_no_body_has_no_length_of_one() {
        for (status, kept) in [(200, true), (204, false), (304, true), (404, true)] {
            let mut answer = Refusal::NoRoute.into_response();
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
            let answer = without_false_length(answer);
            assert_eq!(answer.headers().contains_key(CONTENT_LENGTH), kept, "{status}");
        }
    }
}
