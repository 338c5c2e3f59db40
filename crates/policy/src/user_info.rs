//! Users and passwords in URLs, which no message shows: what was mistaken for an entry is often copied from the
//! settings of a client.

use std::borrow::Cow;
use std::ops::Range;

/// The text with `*` in place of each byte that stands between the `://` of a URL and its `@`, or before the `@` where
/// the scheme was left out and a colon stands between the two, unless that is the name of an interface and its version
/// (`wasi:http/types@0.2.0`), or a reference and its digest (`ghcr.io/me/app:1.0@sha256:…`). A URL ends at white space or a quotation mark. Places in the text stay what they are.
pub fn without_user_info(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    let mut start = 0;
    for word in text.split(ends_a_word) {
        for user_info in user_infos(word) {
            let range = start + user_info.start..start + user_info.end;
            let covered = "*".repeat(range.len());
            shown.to_mut().replace_range(range, &covered);
        }
        start += word.len() + 1;
    }
    shown
}

/// True for a character that ends a word, each one byte long.
fn ends_a_word(c: char) -> bool {
    c.is_ascii_whitespace() || c == '"' || c == '\''
}

/// The places of user and password in a word; it may hold several URLs, or one without its scheme.
fn user_infos(word: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (index, part) in word.split("://").enumerate() {
        let has_scheme = index > 0;
        // The last one: a password may hold others.
        if let Some(at) = part.rfind('@') {
            let has_password = part[..at].find(':').is_some_and(|colon| colon + 1 < at);
            if has_scheme || (has_password && !is_versioned_name(&part[..at], &part[at + 1..])) {
                found.push(start..start + at);
            }
        }
        start += part.len() + "://".len();
    }
    found
}

/// `wasi:http/types` and `0.2.0`, or `ghcr.io/me/app:1.0` and `sha256:…`, which nobody writes for a user, a password and
/// a host.
fn is_versioned_name(name: &str, version: &str) -> bool {
    // What a sentence puts around a name.
    let name = name.trim_start_matches(['`', '(', '[', '{', '<']);
    let version = version.trim_end_matches(['`', ')', ']', '}', '>', ',', '.', ';', ':', '=', '?', '!']);
    if let Some((algorithm, digits)) = version.split_once(':') {
        let of_a_reference = |c: char| c.is_ascii_alphanumeric() || "./:-_[]".contains(c);
        return matches!(algorithm, "sha256" | "sha512")
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            && name.chars().all(of_a_reference);
    }
    let of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '/' | '-');
    let core = version.split(['-', '+']).next().unwrap_or(version);
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // With fewer numbers than a version has, the name of an interface tells that it is one.
    let enough = if name.contains('/') { 1..=3 } else { 3..=3 };
    name.chars().all(of_a_name) && enough.contains(&numbers.len()) && numbers.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_covered_and_nothing_else() {
        for (text, shown) in [
            ("", ""),
            ("a@b", "a@b"),
            ("u:pw@db:5432", "****@db:5432"),
            ("npm:@scope/x", "npm:@scope/x"),
            ("wasi:http/types@0.2.0", "wasi:http/types@0.2.0"),
            ("`wasi:http/types@0.2.0`", "`wasi:http/types@0.2.0`"),
            (
                "(`wasi:http/types@0.2.0-rc.1`),",
                "(`wasi:http/types@0.2.0-rc.1`),",
            ),
            ("wasi:http/types@0.2: no", "wasi:http/types@0.2: no"),
            (
                "`127.0.0.1:5417/Me/shop:1.0@sha256:00ff`",
                "`127.0.0.1:5417/Me/shop:1.0@sha256:00ff`",
            ),
            ("u:pw@sha256:xy", "****@sha256:xy"),
            ("u:p!w@sha256:00", "*****@sha256:00"),
            ("u:pw@sha1:00", "****@sha1:00"),
            ("u:p/w@1.2.3.4", "*****@1.2.3.4"),
            ("`u:pw@1.2`", "*****@1.2`"),
            ("U:pw@1.2.3", "****@1.2.3"),
            ("u:pw@1.2", "****@1.2"),
            ("u:pw@a.b.c", "****@a.b.c"),
            ("u:pw@1..3", "****@1..3"),
            (
                "\"a:b@1.0.0-rc-1\" = 'u:p@10.0.0.1'",
                "\"a:b@1.0.0-rc-1\" = '***@10.0.0.1'",
            ),
            ("https://a.example/?q", "https://a.example/?q"),
            ("postgres://u:pw@db:5432/x", "postgres://****@db:5432/x"),
            ("https://token@db", "https://*****@db"),
            (
                "a = [\"x://u:p@h\", 'y://ü@h'] # a@b",
                "a = [\"x://***@h\", 'y://**@h'] # a@b",
            ),
            ("x://u:p/w@q@h", "x://*******@h"),
            ("x://u:p@a,y://u:p@b", "x://***@a,y://***@b"),
            ("://://@", "://://@"),
        ] {
            assert_eq!(without_user_info(text), shown, "{text}");
        }
    }
}
