//! A queue, as a manifest names it, and the requests that are made of its server.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Full;
use outport_egress::{Destination, Dialer};
use outport_policy::{Host, Scheme};
use serde_json::{Value, json};
use url::Url;

use super::access::{Access, Credentials};
use super::subscription::Subscription;
use crate::listening::{NotListening, without_secrets};
use crate::operator_server::{ServerError, ServerRequest, destination, host_header};

/// A queue, and how it is listened to.
#[derive(Debug)]
pub struct Queue {
    /// As the manifest has it.
    url: String,
    /// The server, and what is asked of it goes to its `/`.
    pub(super) destination: Destination,
    endpoint: String,
    path: String,
    host: HeaderValue,
    region: String,
    credentials: Option<Credentials>,
    pub(super) options: QueueOptions,
}

/// How a queue is listened to, as a manifest says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// Messages that are fetched at once, at most 10. Default: 10.
    pub max_messages: u8,
    /// The time that an empty queue is waited at before it is asked again. Default: 2 seconds.
    pub idle_wait: Duration,
    /// Attributes of the system's that a component is told.
    pub system_attributes: Vec<String>,
    /// Attributes of messages that a component is told; `All` are all.
    pub message_attributes: Vec<String>,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            max_messages: 10,
            idle_wait: Duration::from_secs(2),
            system_attributes: Vec::new(),
            message_attributes: Vec::new(),
        }
    }
}

/// Why a queue cannot be listened to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Its URL is none of a server.
    #[error("the URL of the queue {0}")]
    Url(ServerError),
    /// Nobody may learn the operator's credentials but AWS.
    #[error("the queue is not at AWS, and requests for it would be signed with the operator's credentials")]
    Elsewhere,
    /// It would be asked in clear text.
    #[error("the queue is at AWS, and its URL is not one of `https`")]
    ClearText,
    /// Nothing says in which region it is.
    #[error("nothing says in which region the queue is")]
    NoRegion,
}

impl QueueError {
    /// What the operator can do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Elsewhere => Some(
                "for a server of your own set `endpoint` below `[trigger.sqs]` in the file of `--runtime-config-file`, \
                 or `AWS_ENDPOINT_URL`",
            ),
            Self::NoRegion => Some(
                "set `region` below `[trigger.sqs]` in the file of `--runtime-config-file`, or `AWS_REGION`",
            ),
            Self::ClearText => Some("write `https://`"),
            Self::Url(_) => None,
        }
    }
}

impl Queue {
    /// The queue at `url`, for who has `access`. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// It cannot be listened to.
    pub fn new(url: &str, options: QueueOptions, access: &Access) -> Result<Self, QueueError> {
        let parsed = Url::parse(url).map_err(|error| QueueError::Url(ServerError::Url(error)))?;
        let named = destination(&parsed).map_err(QueueError::Url)?;
        let region = region_of(named.host());
        let server = match &access.endpoint {
            Some(endpoint) => endpoint.url.clone(),
            None if !is_at_aws(named.host()) => return Err(QueueError::Elsewhere),
            None if *named.scheme() != Scheme::HTTPS => return Err(QueueError::ClearText),
            None => parsed,
        };
        let destination = destination(&server).map_err(QueueError::Url)?;
        let host = host_header(&server, &destination).map_err(QueueError::Url)?;
        let path = match &access.endpoint {
            Some(endpoint) => format!("{}/", endpoint.url.path().trim_end_matches('/')),
            None => "/".to_owned(),
        };
        let authority = host.to_str().unwrap_or_default();
        Ok(Self {
            url: url.to_owned(),
            endpoint: format!("{}://{authority}{path}", server.scheme()),
            destination,
            path,
            host,
            region: region.or(access.region.clone()).ok_or(QueueError::NoRegion)?,
            credentials: access.credentials.clone(),
            options,
        })
    }

    /// Where it connects to.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Connects by `dialer`.
    ///
    /// # Errors
    ///
    /// It may not be connected to, cannot be, or does not let its client in.
    pub async fn subscribe(self: &Arc<Self>, dialer: &Dialer) -> Result<Subscription, NotListening> {
        Subscription::begin(self.clone(), dialer.clone()).await
    }

    /// True if its messages have an order within their groups.
    pub(super) fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// A signed request for `action`.
    pub(super) fn request(&self, action: &str, mut body: Value) -> Result<ServerRequest, NotSigned> {
        body["QueueUrl"] = json!(self.url);
        let body = body.to_string().into_bytes();
        let target = format!("AmazonSQS.{action}");
        let host = self.host.to_str().map_err(|_| NotSigned)?;
        let headers = [
            (HOST.as_str(), host),
            (CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"),
            ("x-amz-target", &target),
        ];
        let credentials = self.credentials.as_ref().ok_or(NotSigned)?;
        let identity = credentials.signing.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sqs")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| NotSigned)?
            .into();
        let signable = SignableRequest::new(
            "POST",
            &*self.endpoint,
            headers.into_iter(),
            SignableBody::Bytes(&body),
        );
        let signed = sign(signable.map_err(|_| NotSigned)?, &parameters).map_err(|_| NotSigned)?;
        let (instructions, _) = signed.into_parts();
        let mut request = Request::post(&*self.path)
            .header(HOST, &self.host)
            .header(USER_AGENT, concat!("outport/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", &*target)
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| NotSigned)?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    /// `said` by the server, without what it may repeat of the credentials.
    pub(super) fn without_secrets<'s>(&'s self, said: &'s str) -> Cow<'s, str> {
        let own = self.credentials.as_ref().map(|own| &own.signing);
        let secrets = [
            own.map(|own| own.secret_access_key()),
            own.and_then(|own| own.session_token()),
            own.map(|own| own.access_key_id()),
        ];
        without_secrets(said, secrets.into_iter().flatten())
    }
}

/// A request that cannot be signed, since there are no credentials, or they cannot be in one.
#[derive(Debug)]
pub(super) struct NotSigned;

/// True if AWS alone can have a certificate for it.
fn is_at_aws(host: &Host) -> bool {
    let name = host.to_string();
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
        && (name.starts_with("sqs.")
            || name.starts_with("sqs-fips.")
            || name.starts_with("queue.")
            || name.contains(".queue."))
}

/// The region that a host of AWS names: `sqs.REGION.amazonaws.com` or, older, `REGION.queue.amazonaws.com`.
fn region_of(host: &Host) -> Option<String> {
    if !is_at_aws(host) {
        return None;
    }
    let name = host.to_string();
    let labels: Vec<&str> = name.split('.').collect();
    match *labels {
        ["sqs" | "sqs-fips", region, ..] if region != "amazonaws" => Some(region.to_owned()),
        [region, "queue", ..] => Some(region.to_owned()),
        ["queue", "amazonaws", "com"] => Some("us-east-1".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use outport_policy::Location;

    use super::super::access::Endpoint;
    use super::*;

    fn access(region: Option<&str>, endpoint: Option<&str>) -> Access {
        Access {
            credentials: Some(Credentials::new("AKID", "secret", None)),
            region: region.map(str::to_owned),
            endpoint: endpoint.map(|url| Endpoint::new(url, Location::Code).unwrap()),
        }
    }

    #[test]
    fn credentials_are_for_aws_and_for_the_operators_endpoint() {
        let aws = "https://sqs.eu-west-1.amazonaws.com/1/q";
        let rows = [
            (
                aws,
                None,
                None,
                Ok(("https://sqs.eu-west-1.amazonaws.com:443", "eu-west-1")),
            ),
            (
                aws,
                Some("us-east-2"),
                None,
                Ok(("https://sqs.eu-west-1.amazonaws.com:443", "eu-west-1")),
            ),
            (
                "https://eu-west-1.queue.amazonaws.com/1/q",
                None,
                None,
                Ok(("https://eu-west-1.queue.amazonaws.com:443", "eu-west-1")),
            ),
            (
                "https://queue.amazonaws.com/1/q",
                None,
                None,
                Ok(("https://queue.amazonaws.com:443", "us-east-1")),
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/q",
                None,
                None,
                Ok(("https://sqs.cn-north-1.amazonaws.com.cn:443", "cn-north-1")),
            ),
            (
                "http://sqs.eu-west-1.amazonaws.com/1/q",
                None,
                None,
                Err(QueueError::ClearText),
            ),
            (
                "https://sqs.eu-west-1.amazonaws.com.evil.example/1/q",
                None,
                None,
                Err(QueueError::Elsewhere),
            ),
            (
                "https://evil-amazonaws.com/1/q",
                None,
                None,
                Err(QueueError::Elsewhere),
            ),
            (
                "https://bucket.s3.amazonaws.com/1/q",
                None,
                None,
                Err(QueueError::Elsewhere),
            ),
            (
                "https://queue.example.com/1/q",
                Some("us-east-2"),
                None,
                Err(QueueError::Elsewhere),
            ),
            (
                "http://127.0.0.1:4566/1/q",
                Some("us-east-2"),
                None,
                Err(QueueError::Elsewhere),
            ),
            (
                "http://localhost:4566/1/q",
                Some("us-east-2"),
                Some("http://127.0.0.1:9324/aws"),
                Ok(("http://127.0.0.1:9324", "us-east-2")),
            ),
            (
                aws,
                None,
                Some("https://proxy.internal"),
                Ok(("https://proxy.internal:443", "eu-west-1")),
            ),
            (
                "http://localhost:4566/1/q",
                None,
                Some("http://127.0.0.1:9324"),
                Err(QueueError::NoRegion),
            ),
            (
                "https://me:secret@sqs.eu-west-1.amazonaws.com/1/q",
                None,
                None,
                Err(QueueError::Url(ServerError::UserInfo)),
            ),
            (
                "redis://cache",
                None,
                None,
                Err(QueueError::Url(ServerError::Scheme)),
            ),
        ];
        for (url, region, endpoint, expected) in rows {
            let queue = Queue::new(url, QueueOptions::default(), &access(region, endpoint));
            let found = queue.map(|queue| (queue.destination.to_string(), queue.region));
            let expected = expected.map(|(at, region)| (at.to_owned(), region.to_owned()));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn a_request_is_signed_for_its_server_and_service() {
        let access = Access {
            credentials: Some(Credentials::new("AKID", "hunter2", Some("session"))),
            ..access(Some("eu-west-1"), Some("http://127.0.0.1:9324/aws/"))
        };
        let queue = Queue::new("http://localhost/1/q", QueueOptions::default(), &access).unwrap();
        let request = queue
            .request("ReceiveMessage", json!({"WaitTimeSeconds": 2}))
            .unwrap();
        assert_eq!(request.uri(), "/aws/");
        let header = |name| request.headers()[name].to_str().unwrap();
        assert_eq!(header("host"), "127.0.0.1:9324");
        assert_eq!(header("x-amz-target"), "AmazonSQS.ReceiveMessage");
        assert_eq!(header("x-amz-security-token"), "session");
        let signature = header("authorization");
        assert!(
            signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"),
            "{signature}"
        );
        assert!(signature.contains("/eu-west-1/sqs/aws4_request"), "{signature}");
        assert!(
            signature.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-"),
            "{signature}"
        );
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
