//! The topics that a trigger listens to (MQTT 3.1.1, 4.7).
//!
//! | filter | topics |
//! | --- | --- |
//! | `a/b` | `a/b` |
//! | `a/+` | `a/b` and `a/`, not `a` or `a/b/c` |
//! | `a/#` | `a`, `a/b`, `a/b/c` |
//! | `#`, `+/b` | none that begins with `$` |
//! | `$share/workers/a/#` | those of `a/#`, of which each goes to one of the group |

use crate::listening::NotAnAddress;

/// A filter as it is sent to a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFilter(String);

impl TopicFilter {
    /// The filter that `text` is.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let wrong = |what| Err(NotAnAddress(what));
        if text.is_empty() {
            return wrong("no topic");
        }
        if text.len() > usize::from(u16::MAX) {
            return wrong("a topic of more than 65,535 bytes");
        }
        if text.contains('\0') {
            return wrong("a topic with a NUL byte");
        }
        let group = shared(text).map(|(group, _)| group);
        if group.is_some_and(|group| group.is_empty() || group.contains(['+', '#'])) {
            return wrong("a shared topic whose group has no name");
        }
        if text.starts_with("$share/") && shared(text).is_none_or(|(_, filter)| filter.is_empty()) {
            return wrong("a shared topic without a topic: `$share/GROUP/TOPIC`");
        }
        let filter = shared(text).map_or(text, |(_, filter)| filter);
        let levels = filter.split('/').count();
        for (at, level) in filter.split('/').enumerate() {
            match level {
                "#" if at + 1 < levels => return wrong("a `#` that is not the last level of its topic"),
                "#" | "+" => {}
                level if level.contains(['#', '+']) => {
                    return wrong("a wildcard beside other characters of its level");
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `topic` is one of them.
    pub(super) fn matches(&self, topic: &str) -> bool {
        let filter = shared(&self.0).map_or(&*self.0, |(_, filter)| filter);
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        let (mut wanted, mut levels) = (filter.split('/'), topic.split('/'));
        loop {
            match (wanted.next(), levels.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(_)) => {}
                (Some(wanted), Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
    }
}

/// The group and the filter of a shared subscription.
fn shared(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("$share/")?.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_one_or_refused() {
        let long = "a".repeat(65_536);
        for (text, refused) in [
            ("a", None),
            ("/", None),
            ("a/+/b", None),
            ("+", None),
            ("+/+", None),
            ("a/#", None),
            ("#", None),
            ("ü/+", None),
            ("$SYS/#", None),
            ("$share/workers/a/#", None),
            ("$shared/a", None),
            ("", Some("no topic")),
            ("a\0", Some("a topic with a NUL byte")),
            (&long, Some("a topic of more than 65,535 bytes")),
            ("a/#/b", Some("a `#` that is not the last level of its topic")),
            ("#/a", Some("a `#` that is not the last level of its topic")),
            ("a#", Some("a wildcard beside other characters of its level")),
            ("a/b+", Some("a wildcard beside other characters of its level")),
            ("++", Some("a wildcard beside other characters of its level")),
            (
                "$share/a",
                Some("a shared topic without a topic: `$share/GROUP/TOPIC`"),
            ),
            (
                "$share/a/",
                Some("a shared topic without a topic: `$share/GROUP/TOPIC`"),
            ),
            ("$share//a", Some("a shared topic whose group has no name")),
            ("$share/+/a", Some("a shared topic whose group has no name")),
        ] {
            assert_eq!(
                TopicFilter::parse(text).err().map(NotAnAddress::part),
                refused,
                "{text}"
            );
        }
    }

    #[test]
    fn a_filter_has_the_topics_that_a_broker_would_send() {
        for (filter, topic, matches) in [
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
            ("a/b", "a/b/", false),
            ("a/+", "a/b", true),
            ("a/+", "a/", true),
            ("a/+", "a", false),
            ("a/+", "a/b/c", false),
            ("+/b", "/b", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "ü", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("$share/workers/a/+", "a/b", true),
            ("$share/workers/a/+", "b/b", false),
        ] {
            let filter = TopicFilter::parse(filter).unwrap();
            assert_eq!(filter.matches(topic), matches, "{filter:?} {topic}");
        }
    }
}
