//! Times as somebody writes them: a point in time, or how long ago it was.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use outport_records::why::Host;
use outport_records::{Destination, Timestamp};

use crate::numbers::Time;

/// A moment: what has no fraction of a second means all of that second, and a day all of it, from midnight in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::at(text, SystemTime::now().into())
    }
}

impl Moment {
    fn at(text: &str, now: Timestamp) -> Result<Self, String> {
        if let Ok(from) = text.parse::<Timestamp>() {
            let is_exact = text.contains('.');
            let until = if is_exact {
                from
            } else {
                from.after(LAST_OF_SECOND)
            };
            return Ok(Self { from, until });
        }
        if let Ok(from) = format!("{text}T00:00:00Z").parse::<Timestamp>() {
            let until = from.after(LAST_OF_DAY);
            return Ok(Self { from, until });
        }
        let ago = ago(text).ok_or(
            "write a time such as `2026-03-01T09:30:00Z` or `2026-03-01T10:30:00.125+01:00`, a day such as `2026-03-01`, or how long ago: `10m`, `2h`, `7d`",
        )?;
        let from = now.before(ago);
        Ok(Self { from, until: from })
    }
}

const LAST_OF_SECOND: Duration = Duration::from_millis(999);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const LAST_OF_DAY: Duration = Duration::from_millis(24 * 60 * 60 * 1000 - 1);

/// How long ago: as the times of options are written, which know no days, and days and weeks.
fn ago(text: &str) -> Option<Duration> {
    let days = |number: &str, days: u32| {
        number
            .parse::<u32>()
            .ok()?
            .checked_mul(days)
            .map(|days| DAY.saturating_mul(days))
    };
    match (text.strip_suffix('d'), text.strip_suffix('w')) {
        (Some(number), _) => days(number, 1),
        (None, Some(number)) => days(number, 7),
        (None, None) => text.parse::<Time>().ok().and_then(|Time(ago)| ago),
    }
}

/// The host and the port that somebody wrote, as the log has them: names in lower case and in ASCII, addresses of IPv4 as such.
fn host_and_port(text: &str, what: &str) -> Result<(Host, Option<u16>), String> {
    let (host, port) = Host::written(text);
    let host = match host {
        Host::Address(address) => Host::Address(address),
        Host::Name(name) => {
            let name = outport_policy::Name::parse(&name)
                .map_err(|error| format!("{what} is neither an address nor a name: {error}"))?;
            Host::Name(name.as_str().to_owned())
        }
    };
    Ok((host, port))
}

/// A destination that somebody wrote: an address or a name, `*.` before it for every name below.
pub(super) fn destination(text: &str) -> Result<Destination, String> {
    // As destinations of requests stand in the log.
    let text = text.split_once("://").map_or(text, |(_, authority)| authority);
    let (below, rest) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    match host_and_port(rest, "the destination")? {
        (Host::Address(address), port) if below.is_empty() => Ok(Destination::of(address.to_string(), port)),
        (Host::Address(_), _) => Err("`*.` stands before names only".to_owned()),
        (Host::Name(name), port) => Ok(Destination::of(format!("{below}{name}"), port)),
    }
}

/// An address or a name, at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    pub(super) moment: Moment,
}

impl FromStr for About {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, time) = text
            .rsplit_once('@')
            .ok_or("write the time behind it: `10.0.0.5:5432@2026-03-01T09:30:00Z`")?;
        // As destinations of requests stand in the log.
        let host = host.split_once("://").map_or(host, |(_, authority)| authority);
        if host.is_empty() {
            return Err("write an address or a name before the `@`".into());
        }
        let (host, port) = host_and_port(host, "what is before the `@`")?;
        Ok(Self {
            host,
            port,
            moment: time.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_point_in_time_or_so_long_ago() {
        let now: Timestamp = "2026-03-01T10:00:00.500Z".parse().unwrap();
        let rows = [
            (
                "2026-03-01T09:30:00Z",
                Some(("2026-03-01T09:30:00Z", "2026-03-01T09:30:00.999Z")),
            ),
            (
                "2026-03-01T09:30:00.125Z",
                Some(("2026-03-01T09:30:00.125Z", "2026-03-01T09:30:00.125Z")),
            ),
            (
                "2026-03-01T10:30:00+01:00",
                Some(("2026-03-01T09:30:00Z", "2026-03-01T09:30:00.999Z")),
            ),
            ("10m", Some(("2026-03-01T09:50:00.5Z", "2026-03-01T09:50:00.5Z"))),
            ("2h", Some(("2026-03-01T08:00:00.5Z", "2026-03-01T08:00:00.5Z"))),
            (
                "2026-02-28",
                Some(("2026-02-28T00:00:00Z", "2026-02-28T23:59:59.999Z")),
            ),
            ("7d", Some(("2026-02-22T10:00:00.5Z", "2026-02-22T10:00:00.5Z"))),
            ("1w", Some(("2026-02-22T10:00:00.5Z", "2026-02-22T10:00:00.5Z"))),
            ("4000000000w", None),
            ("-1d", None),
            ("d", None),
            ("2026-02-30", None),
            ("none", None),
            ("10", None),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|(from, until)| Moment {
                from: from.parse().unwrap(),
                until: until.parse().unwrap(),
            });
            assert_eq!(Moment::at(text, now).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_asked_about_is_a_host_at_a_moment() {
        let host = |text: &str| format!("{text}@2026-03-01T09:30:00Z").parse::<About>();
        let rows = [
            ("10.0.0.5", Host::Address("10.0.0.5".parse().unwrap()), None),
            (
                "10.0.0.5:80",
                Host::Address("10.0.0.5".parse().unwrap()),
                Some(80),
            ),
            ("[::1]:80", Host::Address("::1".parse().unwrap()), Some(80)),
            ("::1", Host::Address("::1".parse().unwrap()), None),
            (
                "::ffff:10.0.0.5",
                Host::Address("10.0.0.5".parse().unwrap()),
                None,
            ),
            (
                "DB.example.com.:80",
                Host::Name("db.example.com".into()),
                Some(80),
            ),
            (
                "https://example.com:443",
                Host::Name("example.com".into()),
                Some(443),
            ),
        ];
        for (text, expected, port) in rows {
            let about = host(text).unwrap();
            assert_eq!((about.host, about.port), (expected, port), "{text}");
        }
        for text in ["", "a b", "example.com:99999"] {
            assert!(host(text).is_err(), "{text:?}");
        }
        assert!("10.0.0.5:80".parse::<About>().is_err());
    }

    #[test]
    fn a_destination_is_as_the_log_has_it_or_refused() {
        let is = |host: &str, port| Ok(Destination::of(host.to_owned(), port));
        let rows = [
            ("DB.Example.com.", is("db.example.com", None)),
            ("*.Example.com.:5432", is("*.example.com", Some(5432))),
            ("b\u{fc}cher.example:443", is("xn--bcher-kva.example", Some(443))),
            ("https://a.test:443", is("a.test", Some(443))),
            ("[::ffff:10.0.0.5]:80", is("10.0.0.5", Some(80))),
            ("::1", is("::1", None)),
            ("[0:0::1]:53", is("::1", Some(53))),
        ];
        for (text, expected) in rows {
            assert_eq!(destination(text), expected, "{text}");
        }
        for text in [
            "",
            "*",
            "*.",
            "*.10.0.0.5",
            "a b",
            "a.test:99999",
            "10.0.0.0/8",
            "a..b",
        ] {
            assert!(destination(text).is_err(), "{text}");
        }
    }
}
