//! The W3C Trace Context of a request: `traceparent` and `tracestate`.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use rand::random;

/// A trace, the place in it that something belongs below, and what others add to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The number of the trace, not 0.
    pub trace_id: u128,
    /// The number of the span above, not 0.
    pub parent_id: u64,
    /// True if the span above is recorded.
    pub sampled: bool,
    /// What systems of traces say to themselves: at most 32 members and 512 bytes.
    pub state: Option<HeaderValue>,
}

impl TraceContext {
    /// The context that a request brings; none if its headers have none, or one that is not valid
    /// (W3C Trace Context, section 4.3: then it counts as none).
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(&PARENT).iter();
        let (parent, None) = (parents.next()?, parents.next()) else {
            return None;
        };
        let context = Self::parse(parent.to_str().ok()?)?;
        Some(Self {
            state: state_of(headers),
            ..context
        })
    }

    /// Reads the value of a `traceparent`.
    pub fn parse(parent: &str) -> Option<Self> {
        let mut parts = parent.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let parent_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        // What later versions add at the end is theirs.
        let is_whole = if version == 0 {
            parts.next().is_none()
        } else {
            version != 0xff
        };
        (is_whole && trace_id != 0 && parent_id != 0).then_some(Self {
            trace_id,
            parent_id,
            sampled: flags & SAMPLED != 0,
            state: None,
        })
    }

    /// A context of a trace that begins here, and that nobody records.
    pub fn unsampled() -> Self {
        Self {
            trace_id: random::<u128>() | 1,
            parent_id: random::<u64>() | 1,
            sampled: false,
            state: None,
        }
    }

    /// Writes the context into the headers of a request, in the place of one that is there.
    pub fn put_into(&self, headers: &mut HeaderMap) {
        // Digits and dashes are always a value.
        let Ok(parent) = HeaderValue::from_str(&self.to_string()) else {
            return;
        };
        headers.remove(&STATE);
        // A guest may have written as many headers as there can be: then its server is not told.
        if headers.try_insert(&PARENT, parent).is_ok()
            && let Some(state) = &self.state
        {
            let _ = headers.try_insert(&STATE, state.clone());
        }
    }
}

impl fmt::Display for TraceContext {
    /// As the value of a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.parent_id)
    }
}

/// The members that fit, from all headers in their order: those of the last systems are at the left (section 3.3.1.4). None
/// where there is something that is no text.
fn state_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut state = String::new();
    let mut members = 0;
    for header in headers.get_all(&STATE) {
        let written = header.to_str().ok()?.split(',').map(|member| member.trim());
        for member in written.filter(|member| !member.is_empty()) {
            members += 1;
            if members > MAX_MEMBERS || state.len() + 1 + member.len() > MAX_STATE {
                return HeaderValue::try_from(state)
                    .ok()
                    .filter(|state| !state.is_empty());
            }
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(member);
        }
    }
    HeaderValue::try_from(state)
        .ok()
        .filter(|state| !state.is_empty())
}

/// Reads so many digits, in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.as_bytes().iter().all(is_hex) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

static PARENT: HeaderName = HeaderName::from_static("traceparent");
static STATE: HeaderName = HeaderName::from_static("tracestate");

/// The flag that the span above is recorded.
const SAMPLED: u128 = 1;

/// Bytes of a `tracestate` (W3C Trace Context, section 3.3.1.5: at least so many are passed on).
const MAX_STATE: usize = 512;

/// Members of a `tracestate` (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;

#[cfg(test)]
mod tests;
