//! An answer, of which no more is taken than was agreed on.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

use super::place::Place;
use super::{FetchError, FetchErrorKind, FetchOptions, Reach};

/// An answer, whose body has not been read.
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
    url: Url,
    reach: Reach,
    stall_timeout: Duration,
    max_size: u64,
    read: u64,
}

impl Response {
    /// The answer to a request that may lead to `reach`.
    pub(super) fn new(
        inner: reqwest::Response,
        url: Url,
        (reach, by_proxy): (Reach, bool),
        options: &FetchOptions,
    ) -> Self {
        let place = match inner.remote_addr().filter(|_| !by_proxy) {
            Some(peer) => Place::of_address(peer.ip()),
            None => Place::of_url(&url).unwrap_or(Place::Outside),
        };
        Self {
            inner,
            url,
            reach: reach.after(place),
            stall_timeout: options.stall_timeout,
            max_size: options.max_size,
            read: 0,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The address that answered, after all redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The bytes that its body will have, by the server's word.
    pub fn length(&self) -> Option<u64> {
        self.inner.content_length()
    }

    /// Where a request may lead to what this answer names.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The same answer if its status says success.
    ///
    /// # Errors
    ///
    /// Any other status.
    pub fn success(self) -> Result<Self, FetchError> {
        if self.status().is_success() {
            Ok(self)
        } else {
            let status = self.status();
            Err(self.fail(FetchErrorKind::Status { status }))
        }
    }

    /// The same answer with another bound on its body, in bytes.
    ///
    /// # Errors
    ///
    /// The server already says that there will be more.
    pub fn at_most(mut self, bytes: u64) -> Result<Self, FetchError> {
        self.max_size = bytes;
        match self.length() {
            Some(length) if length > bytes => Err(self.fail(FetchErrorKind::TooLarge(bytes))),
            _ => Ok(self),
        }
    }

    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    ///
    /// The server stopped, broke off or sent too much.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let next = tokio::time::timeout(self.stall_timeout, self.inner.chunk()).await;
        let chunk = match next {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(self.fail(FetchErrorKind::of(error))),
            Err(_) => return Err(self.fail(FetchErrorKind::Stopped(self.stall_timeout))),
        };
        self.read += chunk.as_ref().map_or(0, Bytes::len) as u64;
        if self.read > self.max_size {
            return Err(self.fail(FetchErrorKind::TooLarge(self.max_size)));
        }
        Ok(chunk)
    }

    /// The whole body, of at most so many bytes.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Response::chunk).
    pub async fn bytes(self, max: u64) -> Result<Vec<u8>, FetchError> {
        let mut response = self.at_most(max)?;
        let mut all = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    pub(crate) fn fail(&self, kind: FetchErrorKind) -> FetchError {
        FetchError::new(&self.url, kind)
    }
}
