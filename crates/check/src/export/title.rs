//! What an exported object is called.
//!
//! Who loads an object replaces the one of the same name, so what is distinct has distinct names. The name of the app stands for
//! itself where it is a label of DNS as it is; where something had to be changed or cut, where it is for one component, or for
//! other packets or pods than without options, a hash of all that is behind it.
//!
//! ```text
//! shop                          shop
//! a_b                           a-b-9d1c0f3a52
//! shop, --component web         shop-60e4b1c7aa
//! shop-60e4b1c7aa               shop-60e4b1c7aa-0b3c55d901      since it looks like the one above
//! ```

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::nftables::Attached;
use super::request::Request;

/// True if an object can be called so: a label of DNS in lower case (RFC 1123), at most 48 bytes.
pub fn is_name(name: &str) -> bool {
    is_label(name) && name.len() <= MOST
}

/// The label of pods that are selected if nobody says which; `None` where the name of the app cannot be the value of a label.
pub fn default_label(app: &str) -> Option<(String, String)> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_value = app.len() <= 63
        && app.bytes().all(inside)
        && app.starts_with(|c: char| c.is_ascii_alphanumeric())
        && app.ends_with(|c: char| c.is_ascii_alphanumeric());
    is_value.then(|| ("app.kubernetes.io/name".to_owned(), app.to_owned()))
}

/// What the objects of a request are called: a label of DNS.
pub(super) fn title(request: &Request<'_>) -> String {
    if let Some(name) = request.name {
        return name.to_owned();
    }
    let mut parts = vec![request.app.to_owned()];
    parts.extend(request.component.map(|id| format!("component {id}")));
    if request.attached != Attached::default() {
        parts.push(format!("attached {:?}", request.attached));
    }
    if request.labels.iter().ne(&default_label(request.app)) {
        let mut labels: Vec<String> = request.labels.iter().map(|label| format!("{label:?}")).collect();
        labels.sort_unstable();
        parts.extend(labels);
    }
    if parts.len() == 1 && is_name(request.app) && !looks_hashed(request.app) {
        return request.app.to_owned();
    }
    format!("{}-{}", reduced(request.app), hash(&parts))
}

/// The same as a label of DNS, which other texts may become as well.
fn reduced(text: &str) -> String {
    let plain = text.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    let name: String = plain.take(MOST).collect();
    match name.trim_matches('-') {
        "" => "app".to_owned(),
        name => name.to_owned(),
    }
}

fn is_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

fn looks_hashed(name: &str) -> bool {
    let last = name.rsplit_once('-').map(|(_, last)| last);
    last.is_some_and(|last| last.len() == DIGITS && last.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn hash(parts: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let bytes = hash.finalize();
    let mut digits = String::new();
    for byte in bytes.iter().take(DIGITS / 2) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Bytes of a name, so that the hash fits behind it: 63 are a label.
const MOST: usize = 48;
/// Digits of a hash.
const DIGITS: usize = 10;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use outport_policy::Operator;

    use super::*;

    fn request<'a>(app: &'a str, operator: &'a Operator) -> Request<'a> {
        Request {
            labels: default_label(app).into_iter().collect(),
            attached: Attached::default(),
            ..Request::new(app, &[], operator)
        }
    }

    #[test]
    fn what_is_distinct_is_called_distinct() {
        let operator = Operator::default();
        let long = "n".repeat(49);
        let longer = "n".repeat(50);
        let mut titles = Vec::new();
        for app in [
            "shop", "a-b", "a_b", "A-b", "a.b", "-a-b", "", "app", "ä", &long, &longer,
        ] {
            titles.push(title(&request(app, &operator)));
        }
        assert_eq!(titles[..2], ["shop", "a-b"]);
        for id in ["web", "back"] {
            titles.push(title(&Request {
                component: Some(id),
                ..request("shop", &operator)
            }));
        }
        for attached in ["user=other", "cgroup=a", "namespace"] {
            titles.push(title(&Request {
                attached: attached.parse().unwrap(),
                ..request("shop", &operator)
            }));
        }
        let own = vec![("app".to_owned(), "shop".to_owned())];
        titles.push(title(&Request {
            labels: own,
            ..request("shop", &operator)
        }));
        // An author who takes the name that another one got.
        let taken = titles[2].clone();
        titles.push(title(&request(&taken, &operator)));
        assert_eq!(
            titles.iter().collect::<HashSet<_>>().len(),
            titles.len(),
            "{titles:?}"
        );
        for title in &titles {
            assert!(is_label(title) && title.len() <= 63, "{title}");
        }
        // Again it is the same.
        assert_eq!(title(&request("a_b", &operator)), titles[2]);
    }

    #[test]
    fn a_name_that_is_given_is_taken_and_a_label_that_cannot_be_is_not_made_up() {
        let operator = Operator::default();
        let named = Request {
            name: Some("mine"),
            component: Some("web"),
            ..request("a_b", &operator)
        };
        assert_eq!(title(&named), "mine");
        for (name, expected) in [
            ("a-b", true),
            ("a_b", false),
            ("-a", false),
            ("A", false),
            ("", false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
        for (app, expected) in [
            ("My_Shop.v2", true),
            ("Shop 1", false),
            ("shop-", false),
            ("", false),
        ] {
            assert_eq!(
                default_label(app).map(|(_, value)| value == app),
                expected.then_some(true),
                "{app}"
            );
        }
    }
}
