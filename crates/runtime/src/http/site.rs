//! All components of an app that answer HTTP, behind their routes: from a request to a response.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use outport_manifest::PathRoute;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::WasiBody;

use super::headers::{Described, RouteHeaders};
use super::responder::{NoResponse, RequestBody, Responder};
use super::routes::RouteTable;

/// What a server serves.
pub struct Site {
    routes: RouteTable<Page>,
    /// Who answers other components of the app, by name in lower case, with or without a route.
    pub(super) callees: HashMap<String, Page>,
    /// One for each instance that may live at a time.
    places: Arc<Semaphore>,
    all_places: u32,
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

/// How long a request waits for a place among the running ones before the visitor gets 503.
const PATIENCE: Duration = Duration::from_secs(10);

impl Site {
    /// A site of these entries, in which at most `instances` run at a time.
    pub fn new(entries: impl IntoIterator<Item = SiteEntry>, instances: u32) -> Site {
        Site {
            routes: RouteTable::new(entries.into_iter().map(SiteEntry::into_page)),
            callees: HashMap::new(),
            places: Arc::new(Semaphore::new(instances as usize)),
            all_places: instances,
        }
    }

    /// Waits until no instance runs any more.
    pub(super) async fn quiet(&self) {
        let _all = self.places.acquire_many(self.all_places).await;
    }

    pub(super) async fn answer<B: RequestBody>(
        &self,
        request: Request<B>,
        client: SocketAddr,
    ) -> Response<WasiBody> {
        match self.try_answer(request, client).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn try_answer<B: RequestBody>(
        &self,
        mut request: Request<B>,
        client: SocketAddr,
    ) -> Result<Response<WasiBody>, Refusal> {
        let page = self.describe(&mut request, client)?;
        self.respond(page, request).await
    }

    pub(super) async fn respond<B: RequestBody>(
        &self,
        page: &Page,
        request: Request<B>,
    ) -> Result<Response<WasiBody>, Refusal> {
        let place = self.place().await?;
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

    async fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Refusal::NoPlace),
        }
    }
}

/// A response that is not the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoHost,
    NoRoute,
    NoPlace,
    GuestFailed,
    GuestTooSlow,
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<WasiBody> {
        let (status, text) = match self {
            Refusal::NoHost => (StatusCode::BAD_REQUEST, "the request names no host\n"),
            Refusal::NoRoute => (StatusCode::NOT_FOUND, "no component answers this path\n"),
            Refusal::NoPlace => (StatusCode::SERVICE_UNAVAILABLE, "too many requests are running\n"),
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
