//! Asking again: after which answers, and when.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use ring::rand::{SecureRandom, SystemRandom};

use super::Response;

/// True for an answer that may be another one the next moment.
pub(super) fn may_help(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The wait that a server asks for, in seconds; a date is not looked at.
pub(super) fn asked_for(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// The wait after the given attempt, of which the first is 1: twice as long each time, between half and all of it, so
/// that many who failed at once do not come back at once. What a server asks for counts up to ten seconds.
pub(crate) fn wait(attempt: u32, asked: Option<Duration>) -> Duration {
    let full = FIRST * 2_u32.saturating_pow(attempt.saturating_sub(1).min(5));
    let mut byte = [128];
    // Without randomness the waits are alike, which is no reason to fail.
    let _ = SystemRandom::new().fill(&mut byte);
    let jittered = full / 2 + full * u32::from(byte[0]) / 510;
    jittered.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

const FIRST: Duration = Duration::from_millis(300);
const LONGEST_ASKED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_have_a_bound() {
        for (attempt, least, most) in [(1, 150, 300), (2, 300, 600), (3, 600, 1200), (40, 4800, 9600)] {
            let wait = wait(attempt, None).as_millis();
            assert!((least..=most).contains(&wait), "{attempt}: {wait}");
        }
        assert_eq!(wait(1, Some(Duration::from_secs(3600))), LONGEST_ASKED);
        assert_eq!(wait(1, Some(Duration::from_secs(2))), Duration::from_secs(2));
    }
}
