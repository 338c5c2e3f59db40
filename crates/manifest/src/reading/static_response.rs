//! The response that a route gives without a component: `static_response`.
//!
//! As with Spin everything may be left out: the status is 200 then, and there are no headers and no body.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Response, StatusCode};

use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;

/// A response that is the same for every request. It is valid as it is: nothing in it contradicts how it is sent.
#[derive(Debug, Clone, Default)]
pub struct StaticResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl StaticResponse {
    /// The response. Its body counts as none where its status has none.
    pub fn response(&self) -> Response<String> {
        let has_body = ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&self.status);
        let mut response = Response::new(if has_body {
            self.body.clone()
        } else {
            String::new()
        });
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

/// Reads `static_response`.
pub(super) fn read_static_response(found: &mut Findings, node: Node<'_>) -> Option<StaticResponse> {
    let mut fields = node.table(found, "`static_response`")?;
    let status = fields.get("status_code").map(|node| read_status(found, node));
    let body = fields.get("body").map(|node| node.string(found));
    let headers = fields.get("headers");
    fields.finish(found);
    let status = status.unwrap_or(Some(StatusCode::OK));
    let body = body.map_or(Some(String::new()), |body| body.map(|body| body.value));
    let headers = headers.map_or(Some(HeaderMap::new()), |node| read_headers(found, node));
    Some(StaticResponse {
        status: status?,
        headers: headers?,
        body: body?,
    })
}

fn read_status(found: &mut Findings, node: Node<'_>) -> Option<StatusCode> {
    let written = node.count(found)?;
    let status = u16::try_from(written.value)
        .ok()
        .filter(|status| FINAL.contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok());
    if status.is_none() {
        let wrong = format!("must be a status from {} to {}", FINAL.start(), FINAL.end());
        report(found, node, wrong);
    }
    status
}

/// The headers, if all are valid.
fn read_headers(found: &mut Findings, node: Node<'_>) -> Option<HeaderMap> {
    let written = node.named(found);
    if written.len() > MOST_HEADERS {
        report(found, node, format!("must have {MOST_HEADERS} headers at most"));
        return None;
    }
    let mut headers = node.is_table().then(HeaderMap::new);
    for (written, node) in written {
        let value = node.string(found);
        let name = HeaderName::try_from(&written.value).ok();
        let wrong = match &name {
            None => Some("is not a valid name of a header"),
            Some(name) if OF_THE_CONNECTION.contains(name) => Some("is for the server to say"),
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            let mistake = Mistake::Value {
                key: written.value.clone(),
                wrong: wrong.to_owned(),
                help: None,
            };
            found.report(&written.span, mistake);
        }
        let value = value.and_then(|value| {
            let valid = HeaderValue::try_from(value.value).ok();
            if valid.is_none() {
                report(found, node, "is not a valid value of a header".to_owned());
            }
            valid
        });
        headers = match (headers, name.filter(|_| wrong.is_none()), value) {
            (Some(mut headers), Some(name), Some(value)) => {
                // Names have no case: two that are written differently are two headers.
                headers.append(name, value);
                Some(headers)
            }
            _ => None,
        };
    }
    headers
}

fn report(found: &mut Findings, node: Node<'_>, wrong: String) {
    let mistake = Mistake::Value {
        key: node.key().to_owned(),
        wrong,
        help: None,
    };
    found.report(&node.span(), mistake);
}

/// Statuses that end an exchange (RFC 9110, section 15).
const FINAL: std::ops::RangeInclusive<u16> = 200..=599;

/// Headers of one response.
const MOST_HEADERS: usize = 1000;

/// Headers that say how a response is sent, which the file cannot know (RFC 9110, section 7.6.1).
const OF_THE_CONNECTION: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
