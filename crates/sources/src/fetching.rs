//! From what a manifest asks for to files on this machine.
//!
//! ```text
//! URL with digest ──────────────────────────────────────────────┐
//! package ─► outport.lock has it ─────────► version and digest ─┼─► cache has it ───────────────────────► file
//!            it has not ─► registry ─► pin ─┘ (written down)    └─► server, verified ─► cache ─────────► file
//! ```
//!
//! Everything is fetched at the same time, a few things at once, and everything that fails is told.

use futures::StreamExt;
use outport_manifest::{Digest, PackageRequest, Remote};
use outport_policy::text;
use tokio::sync::OnceCell;

use crate::cache::{Cache, CacheError, CachedFile, Claim, FillError, Found};
use crate::http::{FetchError, Fetcher, Request, Url, wait_before_retry};
use crate::lock::{LockFile, Pin};
use crate::packages::{PackageError, Registries};
use crate::progress::Progress;

/// Whoever fetches code.
pub struct Sources<'s> {
    fetcher: &'s Fetcher,
    cache: &'s Cache,
    progress: &'s dyn Progress,
    registries: OnceCell<Registries>,
}

/// The reason why code is not on this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It could not be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A package does not come from its registry.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// With `--offline` it would have to be in the cache.
    #[error("it is not in the cache, and with `--offline` nothing is fetched")]
    NotInCache {
        /// The digest that it has.
        digest: Digest,
        /// The file in which it is looked for first, if there is a cache.
        place: Option<std::path::PathBuf>,
    },
    /// Something else is in the cache in its place.
    #[error("`{}` in the cache was changed, and with `--offline` nothing is fetched", text::path(.0))]
    Damaged(std::path::PathBuf),
    /// With `--locked` it would have to be in the lock file.
    #[error("`{}` is not in `outport.lock`, which `--locked` keeps as it is", text::quote(.0))]
    NotLocked(String),
}

impl SourceError {
    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NotInCache {
                place: Some(place), ..
            } => format!(
                "start once without `--offline`, or put it at `{}`",
                text::path(place)
            ),
            Self::NotInCache { place: None, .. } => "name a cache with `--cache-dir`".to_owned(),
            Self::Damaged(path) => {
                format!("start once without `--offline`, or remove `{}`", text::path(path))
            }
            Self::NotLocked(_) => {
                "start once without `--locked`, and keep `outport.lock` with the app".to_owned()
            }
            Self::Package(error) => return error.advice(),
            _ => return None,
        })
    }
}

impl From<FillError> for SourceError {
    fn from(error: FillError) -> Self {
        match error {
            FillError::Fetch(error) => error.into(),
            FillError::Cache(error) => error.into(),
        }
    }
}

/// What becomes of packages that the lock file lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// They are added.
    Add,
    /// They are refused.
    Keep,
}

impl<'s> Sources<'s> {
    /// Whoever fetches by these means, and tells how far it is.
    pub fn new(fetcher: &'s Fetcher, cache: &'s Cache, progress: &'s dyn Progress) -> Self {
        Self {
            fetcher,
            cache,
            progress,
            registries: OnceCell::new(),
        }
    }

    /// The same with registries other than those of the user's settings.
    #[must_use]
    pub fn with_registries(mut self, registries: Registries) -> Self {
        self.registries = OnceCell::new_with(Some(registries));
        self
    }

    /// Fetches code from elsewhere. `lock` says what packages came to before, and is told what they come to now; without
    /// one they come to the highest version that there is.
    pub async fn fetch(
        &self,
        wanted: &[Remote],
        lock: &mut LockFile,
        locking: Locking,
    ) -> Vec<(Remote, Result<CachedFile, SourceError>)> {
        let mut distinct: Vec<&Remote> = Vec::new();
        for remote in wanted {
            if !distinct.contains(&remote) {
                distinct.push(remote);
            }
        }
        let known = lock.clone();
        let known = &known;
        let fetched: Vec<_> = futures::stream::iter(distinct)
            .map(|remote| async move {
                let (pin, file) = self.fetch_one(remote, known, locking).await;
                (remote, pin, file)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let told = fetched.into_iter().map(|(remote, pin, file)| {
            if let (Remote::Package(request), Some(pin)) = (remote, pin) {
                lock.set(request, pin);
            }
            (remote.clone(), file)
        });
        told.collect()
    }

    /// Asks registries for the highest versions that will do, and writes them into `lock`.
    ///
    /// # Errors
    ///
    /// For each package its own.
    pub async fn update(
        &self,
        requests: &[PackageRequest],
        lock: &mut LockFile,
    ) -> Vec<(PackageRequest, Result<(), SourceError>)> {
        let resolved: Vec<_> = futures::stream::iter(requests)
            .map(|request| async move { (request, self.resolve(request).await) })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let told = resolved.into_iter().map(|(request, pin)| {
            let outcome = pin.map(|pin| lock.set(request, pin));
            (request.clone(), outcome)
        });
        told.collect()
    }

    async fn fetch_one(
        &self,
        remote: &Remote,
        lock: &LockFile,
        locking: Locking,
    ) -> (Option<Pin>, Result<CachedFile, SourceError>) {
        match remote {
            Remote::Url { url, digest } => (None, self.fetch_url(url, digest).await),
            Remote::Package(request) => match self.pin(request, lock, locking).await {
                Ok(pin) => {
                    let file = self.fetch_package(request, &pin).await;
                    (Some(pin), file)
                }
                Err(error) => (None, Err(error)),
            },
        }
    }

    async fn pin(
        &self,
        request: &PackageRequest,
        lock: &LockFile,
        locking: Locking,
    ) -> Result<Pin, SourceError> {
        match (lock.find(request), locking) {
            (Some(pin), _) => Ok(pin.clone()),
            (None, Locking::Keep) => Err(SourceError::NotLocked(request.to_string())),
            (None, Locking::Add) => self.resolve(request).await,
        }
    }

    async fn resolve(&self, request: &PackageRequest) -> Result<Pin, SourceError> {
        Ok(self.registries().await?.resolve(request, self.fetcher).await?)
    }

    async fn fetch_package(&self, request: &PackageRequest, pin: &Pin) -> Result<CachedFile, SourceError> {
        // What is in the cache needs no settings of registries.
        if let Found::There(file) = self.cache.find(&pin.digest)? {
            return Ok(file);
        }
        let registries = self.registries().await?;
        let fetched = registries
            .fetch(request, pin, self.fetcher, self.cache, self.progress)
            .await;
        match fetched {
            Err(PackageError::Offline { .. }) => self.in_cache(&pin.digest),
            fetched => Ok(fetched?),
        }
    }

    async fn registries(&self) -> Result<&Registries, PackageError> {
        self.registries.get_or_try_init(Registries::of_the_user).await
    }

    async fn fetch_url(&self, url: &str, digest: &Digest) -> Result<CachedFile, SourceError> {
        if self.fetcher.options().offline {
            return self.in_cache(digest);
        }
        let request = Request::get(url)?;
        let mut vacancy = match self
            .cache
            .claim(digest, &name_of(request.url()), self.progress)
            .await?
        {
            Claim::There(file) => return Ok(file),
            Claim::Vacant(vacancy) => vacancy,
        };
        let mut attempt = 1;
        loop {
            let response = self.fetcher.send(&request).await?;
            let mut response = response
                .success()
                .and_then(|response| response.at_most(self.fetcher.options().max_size))?;
            let name = name_of(response.url());
            match vacancy.fill(&mut response, &name, self.progress).await {
                Err(FillError::Fetch(error))
                    if error.is_transient() && attempt < self.fetcher.options().attempts => {}
                filled => return Ok(filled?),
            }
            tokio::time::sleep(wait_before_retry(attempt)).await;
            attempt += 1;
        }
    }

    fn in_cache(&self, digest: &Digest) -> Result<CachedFile, SourceError> {
        match self.cache.find(digest)? {
            Found::There(file) => Ok(file),
            Found::Damaged(path) => Err(SourceError::Damaged(path)),
            Found::Missing => Err(SourceError::NotInCache {
                digest: digest.clone(),
                place: self.cache.places(digest).into_iter().next(),
            }),
        }
    }
}

/// The last part of the address.
fn name_of(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut segments| segments.next_back());
    let last = last.filter(|last| !last.is_empty()).or(url.host_str());
    text::quote(last.unwrap_or_default()).to_string()
}

/// Transfers at the same time.
const AT_ONCE: usize = 4;

#[cfg(test)]
mod tests;
