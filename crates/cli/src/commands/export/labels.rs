//! The labels of the pods that an export is for, as Kubernetes takes them.
//!
//! ```text
//! example.com/tier=web        a prefix, which is a name of DNS, a name, a value
//! app=shop
//! ```

use outport_check::Diagnostic;
use outport_check::export::default_label;
use outport_policy::text;

use crate::failure::Failure;

/// A label of `--pod-label`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as `KEY=VALUE`")?;
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !is_plain(name) || !prefix.is_none_or(is_prefix) {
        return Err(format!("`{}` is no key of a label", text::excerpt(key)));
    }
    if !value.is_empty() && !is_plain(value) {
        return Err(format!("`{}` is no value of a label", text::excerpt(value)));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Those that are given, each key once; else the one that is made of the name of the app.
pub(super) fn selected(given: &[(String, String)], app: &str) -> Result<Vec<(String, String)>, Failure> {
    if given.is_empty() {
        let default = default_label(app).ok_or_else(|| {
            let what = format!(
                "the name of the app, `{}`, cannot be the value of a label: say with `--pod-label KEY=VALUE` which pods \
                 are meant",
                text::excerpt(app)
            );
            Failure::unusable(Diagnostic::error(what))
        })?;
        return Ok(vec![default]);
    }
    for (index, (key, _)) in given.iter().enumerate() {
        if given.iter().take(index).any(|(known, _)| known == key) {
            let what = format!(
                "`--pod-label {}=…` is given twice: a pod has one value",
                text::excerpt(key)
            );
            return Err(Failure::unusable(Diagnostic::error(what)));
        }
    }
    Ok(given.to_vec())
}

/// Letters, digits, and `-_.` between them.
fn is_plain(text: &str) -> bool {
    text.len() <= 63
        && (text.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// A name of DNS in lower case.
fn is_prefix(text: &str) -> bool {
    let is_label = |label: &str| {
        is_plain(label)
            && !label
                .bytes()
                .any(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_kubernetes() {
        let long = "n".repeat(64);
        for (text, expected) in [
            ("app=shop", true),
            ("app=", true),
            ("app.kubernetes.io/name=My_Shop.v2", true),
            ("Tier=web", true),
            ("app", false),
            ("=a", false),
            ("/a=b", false),
            ("a/=b", false),
            ("a/b/c=d", false),
            ("Example.com/a=b", false),
            ("a..b/c=d", false),
            ("a_b/c=d", false),
            ("a b=c", false),
            ("a=b c", false),
            ("a=-b", false),
            (&format!("{long}=a"), false),
            (&format!("a={long}"), false),
            (&format!("{long}/a=b"), false),
        ] {
            assert_eq!(label(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_key_is_given_once_and_what_is_no_value_is_not_made_one() {
        let pair = |text: &str| label(text).unwrap();
        assert!(selected(&[pair("a=b"), pair("c=d")], "Shop 1").is_ok());
        assert!(selected(&[pair("a=b"), pair("a=c")], "shop").is_err());
        assert!(selected(&[], "Shop 1").is_err());
        let own = selected(&[], "My_Shop.v2").unwrap_or_default();
        assert_eq!(own, [pair("app.kubernetes.io/name=My_Shop.v2")]);
    }
}
