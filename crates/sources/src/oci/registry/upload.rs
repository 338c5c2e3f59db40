//! Giving a registry something: blobs that it does not have yet, then the manifest that names them.
//!
//! A blob of up to [`CHUNK`] bytes goes in one request, a larger one in several. Where to, the registry says; credentials
//! go there only if that is the registry itself.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use outport_manifest::Digest;

use super::super::manifest::{Descriptor, IMAGE_MANIFEST};
use super::super::reference::Repository;
use super::super::tree::digest_of;
use super::{Access, Registry, RegistryError, Version};
use crate::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use crate::http::{Method, Reach, Request, RequestBody, Response, StatusCode, Url};
use crate::progress::Progress;

/// Bytes of one request.
const CHUNK: u64 = 16 << 20;

/// What a blob is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BlobContent<'b> {
    Bytes(&'b [u8]),
    /// A file that does not change meanwhile; that its digest is right is seen by the registry.
    File(&'b Path),
}

impl Registry<'_> {
    /// Gives a blob, unless it is there. Answers whether it was sent.
    pub(crate) async fn push_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        content: BlobContent<'_>,
        progress: &dyn Progress,
    ) -> Result<bool, RegistryError> {
        let path = format!("{repository}/blobs/{}", blob.digest);
        let request = Request::new(Method::HEAD, &self.url(&path).await?)?;
        let there = self.send(request, repository, Access::Push).await?;
        if there.status().is_success() {
            return Ok(false);
        }
        let mut transfer = progress.begin(&format!("{}/{repository}", self.host), Some(blob.size));
        let mut reader = Chunks::open(content)?;
        let started = self.start(repository).await?;
        let (mut location, mut reach) = self.location(&started)?;
        let mut sent = 0;
        while blob.size - sent > CHUNK {
            let bytes = reader.next(CHUNK)?;
            let range = format!("{sent}-{}", sent + bytes.len() as u64 - 1);
            sent += bytes.len() as u64;
            let mut headers = content_headers(bytes.len());
            insert(&mut headers, CONTENT_RANGE, &range);
            let request = Request::new(Method::PATCH, location.as_str())?
                .with_headers(headers)
                .with_upload(RequestBody::Bytes(bytes.into()));
            let response = self.send_there(request.within(reach), repository).await?;
            let response = self
                .expect(response, || format!("upload to `{repository}`"))
                .await?;
            (location, reach) = self.location(&response)?;
            transfer.advance(CHUNK);
        }
        let bytes = reader.next(CHUNK)?;
        let last = bytes.len() as u64;
        if sent + last != blob.size {
            let changed = std::io::Error::other("it changed meanwhile");
            return Err(RegistryError::File(changed));
        }
        location
            .query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        let mut headers = content_headers(bytes.len());
        if sent > 0 && last > 0 {
            insert(
                &mut headers,
                CONTENT_RANGE,
                &format!("{sent}-{}", sent + last - 1),
            );
        }
        let request = Request::new(Method::PUT, location.as_str())?
            .with_headers(headers)
            .with_upload(RequestBody::Bytes(bytes.into()));
        let response = self.send_there(request.within(reach), repository).await?;
        self.expect(response, || format!("upload to `{repository}`"))
            .await?;
        transfer.advance(last);
        Ok(true)
    }

    /// Gives a manifest, and answers its digest.
    pub(crate) async fn push_manifest(
        &self,
        repository: &Repository,
        version: &Version,
        bytes: Vec<u8>,
    ) -> Result<Digest, RegistryError> {
        let digest = digest_of(&bytes);
        let path = format!("{repository}/manifests/{version}");
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(IMAGE_MANIFEST))];
        let request = Request::new(Method::PUT, &self.url(&path).await?)?
            .with_headers(headers.into_iter().collect())
            .with_body(RequestBody::Bytes(bytes.into()));
        let response = self.send(request, repository, Access::Push).await?;
        self.expect(response, || format!("repository `{repository}`"))
            .await?;
        Ok(digest)
    }

    async fn start(&self, repository: &Repository) -> Result<Response, RegistryError> {
        let path = format!("{repository}/blobs/uploads/");
        let headers = [(CONTENT_LENGTH, HeaderValue::from_static("0"))];
        let request =
            Request::new(Method::POST, &self.url(&path).await?)?.with_headers(headers.into_iter().collect());
        let response = self.send(request, repository, Access::Push).await?;
        let response = self
            .expect(response, || format!("place for `{repository}`"))
            .await?;
        if response.status() == StatusCode::ACCEPTED {
            Ok(response)
        } else {
            Err(self.answer("a place to upload to"))
        }
    }

    /// Where to upload to, and where a request for that may lead.
    fn location(&self, response: &Response) -> Result<(Url, Reach), RegistryError> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let url = location.and_then(|location| response.url().join(location).ok());
        let url = url.ok_or_else(|| self.answer("a place to upload to"))?;
        let is_as_safe = url.scheme() == "https" || response.url().scheme() == "http";
        if is_as_safe {
            Ok((url, response.reach()))
        } else {
            Err(self.answer("a place to upload to by https"))
        }
    }

    async fn send_there(&self, request: Request, repository: &Repository) -> Result<Response, RegistryError> {
        let own = Url::parse(&self.url("").await?).ok();
        if own.is_some_and(|own| own.origin() == request.url().origin()) {
            self.send(request, repository, Access::Push).await
        } else {
            Ok(self.fetcher.send(&request).await?)
        }
    }
}

fn content_headers(length: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers
}

fn insert(headers: &mut HeaderMap, name: crate::http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Reads a blob piece by piece.
enum Chunks<'b> {
    Bytes(&'b [u8]),
    File(File),
}

impl<'b> Chunks<'b> {
    fn open(content: BlobContent<'b>) -> std::io::Result<Self> {
        Ok(match content {
            BlobContent::Bytes(bytes) => Self::Bytes(bytes),
            BlobContent::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(0))?;
                Self::File(file)
            }
        })
    }

    fn next(&mut self, most: u64) -> std::io::Result<Vec<u8>> {
        let mut chunk = Vec::new();
        match self {
            Self::Bytes(bytes) => bytes.take(most).read_to_end(&mut chunk)?,
            Self::File(file) => file.take(most).read_to_end(&mut chunk)?,
        };
        Ok(chunk)
    }
}
