//! The places where a file writes the values of a key, in text that could not be read whole.
//!
//! A value may be secret: the default of a variable whose declaration says so, a token. Where a mistake is in its table,
//! what was read may not know that any more: a misspelt `secret`, a second declaration of the same name, a table that is
//! never closed. So values are looked for in the text itself, and none of them is quoted. Better one too many: no mistake
//! is easier to see with the value.

use std::ops::Range;

/// The values behind each `key =` of `text`, without their quotes. One that is never closed ends with its line, or
/// if it has three quotes, with the text.
pub(crate) fn values_of(key: &str, text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut covered = 0;
    text.match_indices(key).filter_map(move |(at, key)| {
        let is_part_of_a_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if is_part_of_a_word {
            return None;
        }
        let behind = text[at + key.len()..].trim_start_matches(['"', '\'']);
        let value = behind
            .trim_start_matches(BLANK)
            .strip_prefix('=')?
            .trim_start_matches(BLANK);
        value_in(text, value, &mut covered)
    })
}

/// Where the values stand of keys that sound like those of a secret, however they are misspelt: nothing is known of a key
/// with a mistake in it.
pub(crate) fn values_of_secrets(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut covered = 0;
    text.match_indices('=').filter_map(move |(at, _)| {
        let before = text[..at].trim_end_matches(|c| BLANK.contains(&c) || matches!(c, '"' | '\''));
        let is_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let key = &before[before.trim_end_matches(is_of_a_word).len()..];
        let key = key.to_ascii_lowercase();
        if !SECRET.iter().any(|part| key.contains(part)) {
            return None;
        }
        let value = text[at + 1..].trim_start_matches(BLANK);
        value_in(text, value, &mut covered)
    })
}

/// The place of a value that begins the rest of `text`. One without quotes that is a part of another such one, up to
/// `covered`, is found already: a file may be nothing but such parts, each as long as all that follow.
fn value_in(text: &str, value: &str, covered: &mut usize) -> Option<Range<usize>> {
    let start = text.len() - value.len();
    let is_quoted = value.starts_with(['"', '\'']);
    if !is_quoted && start < *covered {
        return None;
    }
    let (quotes, length) = extent(value);
    let start = start + quotes;
    if !is_quoted {
        *covered = start + length;
    }
    Some(start..start + length)
}

/// Where the strings stand that are URLs, whatever their keys are called: a misspelt one says nothing of what is behind it.
pub(crate) fn values_with_urls(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('=').filter_map(|(at, _)| {
        let value = text[at + 1..].trim_start_matches(BLANK);
        if !value.starts_with(['"', '\'']) {
            return None;
        }
        let (quotes, length) = extent(value);
        let start = text.len() - value.len() + quotes;
        let is_url = text[start..start + length].contains("://");
        is_url.then_some(start..start + length)
    })
}

/// Parts of the names of such keys.
const SECRET: [&str; 4] = ["auth", "pas", "secret", "tok"];

/// The length of the quotes before a value, and of the value in them.
fn extent(value: &str) -> (usize, usize) {
    for quotes in ["\"\"\"", "'''"] {
        if let Some(inside) = value.strip_prefix(quotes) {
            return (quotes.len(), inside.find(quotes).unwrap_or(inside.len()));
        }
    }
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => (1, closed_by(quote, &value[1..])),
        _ => (0, value.find([',', '}', '#', '\n']).unwrap_or(value.len())),
    }
}

/// The bytes before the quote that closes a string, or those of the line where none does.
fn closed_by(quote: char, inside: &str) -> usize {
    let mut escaped = false;
    let end = inside.char_indices().find(|(_, c)| {
        let closes = *c == '\n' || (*c == quote && !escaped);
        escaped = *c == '\\' && quote == '"' && !escaped;
        closes
    });
    end.map_or(inside.len(), |(at, _)| at)
}

const BLANK: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_behind_each_key_is_found_however_broken_the_rest_is() {
        let rows: [(&str, &[&str]); 14] = [
            (r#"a = { default = "x y", secret = true"#, &["x y"]),
            (r#"default="x""#, &["x"]),
            (r#""default" = 'x'"#, &["x"]),
            (r#"a.default	=	"x" # default = "y""#, &["x", "y"]),
            (r#"default = "a\"b", z = "c""#, &[r#"a\"b"#]),
            (r#"default = 'a\', z = 'c'"#, &[r"a\"]),
            ("default = \"never\nnext = \"x\"", &["never"]),
            ("default = \"\"\"a\nb\"\"\"\nc", &["a\nb"]),
            ("default = '''a\nb", &["a\nb"]),
            ("a = { default = 12345, secret = true }", &["12345"]),
            ("default = ", &[""]),
            ("default", &[]),
            ("my_default = \"x\"\nthe-default = \"y\"", &[]),
            ("default = \"schlüssel\" }", &["schlüssel"]),
        ];
        for (text, expected) in rows {
            let found: Vec<&str> = values_of("default", text).map(|span| &text[span]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_sounds_like_a_secret_is_found_however_its_key_is_written() {
        for text in [
            "token = \"hunter2\"",
            "authtoken=\"hunter2\"",
            "\"auth_token \" = 'hunter2'",
            "x = { url = \"http://a\", Token = \"hunter2\" }",
            "pasword = hunter2",
            "tokn = \"\"\"hunter2\"\"\"",
        ] {
            let found: Vec<&str> = values_of_secrets(text).map(|value| &text[value]).collect();
            assert_eq!(found, ["hunter2"], "{text}");
        }
        assert_eq!(
            values_of_secrets("path = \"token\"\nurl = \"http://tok\"").count(),
            0
        );
    }

    #[test]
    fn a_text_of_nothing_but_keys_is_looked_through_once() {
        let began = std::time::Instant::now();
        for part in [
            "token=",
            "token= ",
            "url=",
            "=",
            "=\"",
            "token='\"",
            "token=\"\"\"",
        ] {
            let text = part.repeat(200_000);
            let found = values_of_secrets(&text).count() + values_of("url", &text).count();
            assert!(found + values_with_urls(&text).count() <= 200_000, "{part}");
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(20));
    }

    #[test]
    fn urls_are_found_behind_every_key_and_not_in_lists() {
        let rows: [(&str, &[&str]); 7] = [
            (
                r#"source = { ulr = "https://a/?b=c", digest = "sha256:x" }"#,
                &["https://a/?b=c"],
            ),
            (r#"'u rl'='https://me:secret@a'"#, &["https://me:secret@a"]),
            (
                r#"source = "https://a" # b = "http://c""#,
                &["https://a", "http://c"],
            ),
            ("ulr = \"https://never\nnext = \"x\"", &["https://never"]),
            (r#"allowed_outbound_hosts = ["https://a"]"#, &[]),
            (r#"source = "app.wasm""#, &[]),
            ("url = https://a", &[]),
        ];
        for (text, expected) in rows {
            let found: Vec<_> = values_with_urls(text).map(|url| &text[url]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
