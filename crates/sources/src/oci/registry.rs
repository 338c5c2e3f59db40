//! A registry that is asked over HTTP, as the distribution specification of the OCI has it.
//!
//! ```text
//! host ─► https://HOST/v2/           http where the host is this machine, or the operator says so, and it speaks HTTP there
//! 401 ─► the challenge is answered once ([`challenge`]); a second 401 is an error
//! manifest ─► at most 4 MiB, its digest verified, then read
//! blob ─► streamed into the cache, its digest and size verified
//! ```
//!
//! What is written to a registry is in [`upload`].

mod challenge;
mod error;
pub(super) mod upload;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outport_manifest::Digest;
use outport_policy::text;
use serde::Deserialize;
use tokio::sync::OnceCell;

pub use self::error::RegistryError;
use super::credentials::Credentials;
use super::layout::Layout;
use super::manifest::{ACCEPTED, Descriptor, Manifest};
use super::reference::{RegistryHost, Repository, Tag};
use super::tree::digest_of;
use crate::cache::{Cache, CachedFile, Claim, FillError};
use crate::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use crate::http::{FetchError, FetchErrorKind, Fetcher, Reach, Request, Response, StatusCode, Url};
use crate::progress::Progress;

/// A registry.
#[derive(Debug)]
pub struct Registry<'f> {
    fetcher: &'f Fetcher,
    host: RegistryHost,
    options: RegistryOptions,
    /// Scheme and host.
    base: OnceCell<String>,
    /// What a request for a scope has to say of who asks.
    authorized: Mutex<HashMap<String, HeaderValue>>,
}

/// How a registry is asked.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// What it is told about who asks; by default what Docker's file has for it, looked up when it wants to know.
    pub credentials: Option<Credentials>,
    /// Plain HTTP will do although it is another machine. Credentials are never sent that way.
    pub plain_http: bool,
    /// Where its requests may lead, by who named it; by default where those of the client do.
    pub reach: Option<Reach>,
    /// What has its artifacts in its place: nothing is asked of it then.
    pub layout: Option<Layout>,
}

/// A manifest whose digest is verified.
#[derive(Debug, Clone)]
pub struct FetchedManifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What they say.
    pub manifest: Manifest,
    /// Where it is from: requests for what it names lead to this.
    pub reach: Reach,
}

/// The name that a manifest has in its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// What the registry calls so.
    Tag(Tag),
    /// The one with this digest.
    Digest(Digest),
}

/// The rights that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Pull,
    Push,
}

impl<'f> Registry<'f> {
    /// A registry. Nothing is asked yet.
    pub fn new(fetcher: &'f Fetcher, host: RegistryHost, options: RegistryOptions) -> Self {
        Self {
            fetcher,
            host,
            options,
            base: OnceCell::new(),
            authorized: Mutex::default(),
        }
    }

    /// Its host.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// All tags of a repository, in the order in which it lists them. What is not a tag is left out.
    ///
    /// # Errors
    ///
    /// It does not answer, refuses, or lists more than 50,000 names, on more than 1,000 pages or for more than 2 minutes.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut query = format!("n={TAGS_OF_A_PAGE}");
        let mut listed = 0;
        let start = Instant::now();
        for _ in 0..MOST_PAGES {
            if start.elapsed() > LONGEST_LISTING {
                return Err(self.answer("a list of tags that ends within 2 minutes"));
            }
            let path = format!("{repository}/tags/list?{query}");
            let response = self.get(repository, &path, None).await?;
            let response = self
                .expect(response, || format!("repository `{repository}`"))
                .await?;
            let next = next_page(response.headers());
            let bytes = response.bytes(LONGEST_MANIFEST).await?;
            let page: Page = serde_json::from_slice(&bytes).map_err(|_| self.answer("a list of tags"))?;
            let names = page.tags.unwrap_or_default();
            let is_end = names.is_empty();
            tags.extend(names.iter().filter_map(|tag| tag.parse().ok()));
            listed += names.len();
            if listed > MOST_TAGS {
                return Err(self.answer("a list of 50,000 tags at most"));
            }
            match next.filter(|next| !is_end && *next != query) {
                Some(next) => query = next,
                None => return Ok(tags),
            }
        }
        Err(self.answer("a list of tags on 1,000 pages at most"))
    }

    /// A manifest, whose digest is verified.
    ///
    /// # Errors
    ///
    /// It is not there, or is not what its digest says, or is of a kind that is not served.
    pub async fn manifest(
        &self,
        repository: &Repository,
        version: &Version,
    ) -> Result<FetchedManifest, RegistryError> {
        if let Some(layout) = &self.options.layout {
            return layout.manifest(&self.host, repository, version);
        }
        let path = format!("{repository}/manifests/{version}");
        let response = self.get(repository, &path, Some(ACCEPTED)).await?;
        let named = || match version {
            Version::Tag(tag) => format!("`{repository}:{tag}`"),
            Version::Digest(digest) => format!("`{repository}@{digest}`"),
        };
        let response = self.expect(response, named).await?;
        let header = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let content_type = header(CONTENT_TYPE.as_str());
        let claimed = header("docker-content-digest");
        let claimed = claimed.and_then(|claimed| super::manifest::strict_digest(&claimed));
        let reach = response.reach();
        let bytes = response.bytes(LONGEST_MANIFEST).await?;
        let digest = digest_of(&bytes);
        let expected = match version {
            Version::Digest(digest) => Some(digest.clone()),
            Version::Tag(_) => claimed,
        };
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(RegistryError::Digest {
                host: self.host.clone(),
                expected,
                found: digest,
            });
        }
        let manifest = Manifest::parse(&bytes, content_type.as_deref())?;
        Ok(FetchedManifest {
            digest,
            bytes,
            manifest,
            reach,
        })
    }

    /// A blob, in the cache.
    ///
    /// # Errors
    ///
    /// It is not there, is not what its descriptor says, or cannot be kept.
    pub async fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<CachedFile, RegistryError> {
        if let Some(layout) = &self.options.layout {
            return layout.blob(blob);
        }
        let name = format!("{}/{repository}", self.host);
        let file = match cache.claim(&blob.digest, &name, progress).await? {
            Claim::There(file) => file,
            Claim::Vacant(mut vacancy) => {
                let mut response = self.get_blob(repository, blob).await?;
                let filled = vacancy.fill(&mut response, &name, progress).await;
                filled.map_err(|error| match error {
                    FillError::Fetch(error) => self.blob_error(error, blob),
                    error => error.into(),
                })?
            }
        };
        if std::fs::metadata(&file.path)?.len() == blob.size {
            Ok(file)
        } else {
            Err(self.size_error(blob))
        }
    }

    /// A small blob.
    ///
    /// # Errors
    ///
    /// It is not there, is not what its descriptor says, or has more bytes than `most`.
    pub async fn small_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        most: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        if blob.size > most {
            return Err(self.answer("a small blob"));
        }
        if let Some(layout) = &self.options.layout {
            return layout.small_blob(blob);
        }
        let response = self.get_blob(repository, blob).await?;
        let bytes = response.bytes(blob.size).await;
        let bytes = bytes.map_err(|error| self.blob_error(error, blob))?;
        let found = digest_of(&bytes);
        if found != blob.digest {
            return Err(RegistryError::Digest {
                host: self.host.clone(),
                expected: blob.digest.clone(),
                found,
            });
        }
        Ok(bytes)
    }

    async fn get_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Response, RegistryError> {
        let path = format!("{repository}/blobs/{}", blob.digest);
        let response = self.get(repository, &path, None).await?;
        let named = || format!("blob {} in `{repository}`", blob.digest);
        let response = self.expect(response, named).await?;
        // Of what the operator would not have at all the bound is said.
        let most = blob.size.min(self.fetcher.options().max_size);
        let response = response.at_most(most);
        response.map_err(|error| self.blob_error(error, blob))
    }

    fn blob_error(&self, error: FetchError, blob: &Descriptor) -> RegistryError {
        match error.kind() {
            FetchErrorKind::TooLarge(most) if *most == blob.size => self.size_error(blob),
            _ => error.into(),
        }
    }

    fn size_error(&self, blob: &Descriptor) -> RegistryError {
        RegistryError::Size {
            host: self.host.clone(),
            digest: blob.digest.clone(),
            size: blob.size,
        }
    }

    fn answer(&self, what: &'static str) -> RegistryError {
        let host = self.host.clone();
        RegistryError::Answer { host, what }
    }

    async fn get(
        &self,
        repository: &Repository,
        path: &str,
        accept: Option<&'static str>,
    ) -> Result<Response, RegistryError> {
        let mut request = Request::get(&self.url(path).await?)?;
        if let Some(accept) = accept {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))];
            request = request.with_headers(headers.into_iter().collect());
        }
        self.send(request, repository, Access::Pull).await
    }

    /// The answer if it is one.
    async fn expect(
        &self,
        response: Response,
        what: impl FnOnce() -> String,
    ) -> Result<Response, RegistryError> {
        let status = response.status();
        let host = self.host.clone();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::NOT_FOUND {
            return Err(RegistryError::Missing { host, what: what() });
        }
        let said = said(response).await;
        Err(RegistryError::Status { host, status, said })
    }

    async fn url(&self, path: &str) -> Result<String, RegistryError> {
        let base = self.base.get_or_try_init(|| self.find_base()).await?;
        Ok(format!("{base}/v2/{path}"))
    }

    /// Where nobody listens in, or the operator does not mind, a registry may speak HTTP; what speaks TLS there does not
    /// understand the question.
    async fn find_base(&self) -> Result<String, RegistryError> {
        let secure = format!("https://{}", self.host);
        if !self.host.is_loopback() && !self.options.plain_http {
            return Ok(secure);
        }
        let plain = format!("http://{}", self.host);
        let request = self.named(Request::get(&format!("{plain}/v2/"))?);
        match self.fetcher.send(&request).await {
            Ok(response) if response.status() == StatusCode::BAD_REQUEST => Ok(secure),
            Ok(_) => Ok(plain),
            Err(error) if matches!(error.kind(), FetchErrorKind::Broken(_)) => Ok(secure),
            Err(error) => Err(error.into()),
        }
    }

    /// A request to the registry itself.
    fn named(&self, request: Request) -> Request {
        match self.options.reach {
            Some(reach) => request.within(reach),
            None => request,
        }
    }

    /// Sends a request, and answers the challenge if there is one.
    async fn send(
        &self,
        request: Request,
        repository: &Repository,
        access: Access,
    ) -> Result<Response, RegistryError> {
        let request = self.named(request);
        let scope = scope(repository, access);
        let known = self
            .authorized
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&scope)
            .cloned();
        let response = self.fetcher.send(&authorized(&request, known.as_ref())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.permitted(response, repository, known.is_some());
        }
        let answer = self.answer_challenge(&response, &scope).await?;
        let Some(answer) = answer else {
            return Err(self.denied(repository, false));
        };
        let response = self.fetcher.send(&authorized(&request, Some(&answer))).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let with_credentials = self.credentials().await? != Credentials::None;
            return Err(self.denied(repository, with_credentials));
        }
        self.authorized
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(scope, answer);
        self.permitted(response, repository, true)
    }

    fn permitted(
        &self,
        response: Response,
        repository: &Repository,
        with_credentials: bool,
    ) -> Result<Response, RegistryError> {
        if response.status() == StatusCode::FORBIDDEN {
            Err(self.denied(repository, with_credentials))
        } else {
            Ok(response)
        }
    }

    fn denied(&self, repository: &Repository, with_credentials: bool) -> RegistryError {
        RegistryError::Denied {
            host: self.host.clone(),
            repository: repository.clone(),
            with_credentials,
        }
    }

    async fn credentials(&self) -> Result<Credentials, RegistryError> {
        if let Some(given) = &self.options.credentials {
            return Ok(given.clone());
        }
        let host = self.host.clone();
        let found = tokio::task::spawn_blocking(move || Credentials::find(&host)).await;
        Ok(found.map_err(std::io::Error::other)??)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

fn scope(repository: &Repository, access: Access) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    format!("repository:{repository}:{actions}")
}

fn authorized(request: &Request, value: Option<&HeaderValue>) -> Request {
    let headers = value.map(|value| (AUTHORIZATION, value.clone()));
    request.clone().with_headers(headers.into_iter().collect())
}

/// What a registry says about an error: the first of its list.
async fn said(response: Response) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(bytes) = response.bytes(LONGEST_ERROR).await else {
        return String::new();
    };
    let first = serde_json::from_slice(&bytes)
        .ok()
        .and_then(|errors: Errors| errors.errors.into_iter().next());
    first.map_or_else(String::new, |One { code, message }| {
        format!(": {} {}", text::quote(&code), text::quote(&message))
    })
}

/// The query of the next page, of which only the values are taken from the link.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let target = link.strip_prefix('<')?.split_once('>')?.0;
    let base = Url::parse("http://registry.invalid").ok()?;
    let url = base.join(target).ok()?;
    let last = url.query_pairs().find(|(key, _)| key == "last")?.1.into_owned();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("n", &TAGS_OF_A_PAGE.to_string());
    query.append_pair("last", &last);
    Some(query.finish())
}

/// Bytes of the longest manifest, as registries have it, and of the longest page of tags.
const LONGEST_MANIFEST: u64 = 4 << 20;

/// Bytes of the longest error that is read.
const LONGEST_ERROR: u64 = 64 << 10;

const TAGS_OF_A_PAGE: usize = 1_000;

/// Names of a list, whether they are tags or not.
const MOST_TAGS: usize = 50_000;

/// Some registries have fewer on a page than they are asked for.
const MOST_PAGES: usize = 1_000;

const LONGEST_LISTING: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests;
