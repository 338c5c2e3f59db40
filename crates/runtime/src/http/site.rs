//! All components of an app that answer HTTP, behind their routes: from a request to a response.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Once;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use outport_manifest::PathRoute;
use wasmtime_wasi_http::WasiBody;

use super::headers::{Described, RouteHeaders};
use super::places::{DEEPEST_CALL, NoPlace, Places};
use super::responder::{NoResponse, RequestBody, Responder};
use super::routes::RouteTable;

/// What a server serves.
pub struct Site {
    routes: RouteTable<Page>,
    /// Who answers other components of the app, by name in lower case, with or without a route.
    pub(super) callees: HashMap<String, Page>,
    /// One for each instance that may live at a time.
    places: Places,
    told_of_depth: Once,
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
        page.responder
            .respond(request, place)
            .await
            .map_err(|none| match none {
                NoResponse::Ended => Refusal::GuestFailed,
                NoResponse::TooSlow => Refusal::GuestTooSlow,
            })
    }

    /// Finds the page for a request, and puts into its headers what the guest learns of the way.
    fn describe<B>(&self, request: &mut Request<B>, client: SocketAddr) -> Result<&Page, Refusal> {
        // <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>: which of them a proxy in front looked at, nobody knows.
        if request.headers().get_all(HOST).iter().count() > 1 {
            return Err(Refusal::ManyHosts);
        }
        let uri = request.uri().clone();
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => request
                .headers()
                .get(HOST)
                .and_then(|host| host.to_str().ok())
                .ok_or(Refusal::NoHost)?,
        }
        .to_owned();
        let routed = self.routes.route(uri.path()).ok_or(Refusal::NoRoute)?;
        let described = Described {
            authority: &authority,
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()),
            rest: routed.rest,
            named: &routed.named,
            client,
        };
        routed.target.headers.put_into(request.headers_mut(), &described);
        Ok(routed.target)
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

/// A response that is not the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoHost,
    ManyHosts,
    NoRoute,
    NoPlace,
    TooDeep,
    GuestFailed,
    GuestTooSlow,
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<WasiBody> {
        let (status, text) = match self {
            Refusal::NoHost => (StatusCode::BAD_REQUEST, "the request names no host\n"),
            Refusal::ManyHosts => (StatusCode::BAD_REQUEST, "the request names several hosts\n"),
            Refusal::NoRoute => (StatusCode::NOT_FOUND, "no component answers this path\n"),
            Refusal::NoPlace => (StatusCode::SERVICE_UNAVAILABLE, "too many requests are running\n"),
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
