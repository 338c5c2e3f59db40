//! The target of an HTTP request, `/path?query`, as the script guests behind HTTP read it.

/// A path and a query.
pub struct RequestTarget {
    path: String,
    query: String,
}

impl RequestTarget {
    /// Takes path and query apart, and decodes the query: `+` is a space, `%3B` a semicolon. What is no escape
    /// stands for itself.
    pub fn new(path_with_query: &str) -> Self {
        let (path, query) = path_with_query.split_once('?').unwrap_or((path_with_query, ""));
        Self {
            path: path.to_owned(),
            query: decode(query),
        }
    }

    /// The path as it came.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows the last slash of the path: an app may serve a guest on any route.
    pub fn last_segment(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The query, decoded.
    pub fn query(&self) -> &str {
        &self.query
    }
}

fn decode(query: &str) -> String {
    let mut decoded = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match rest.get(..2).and_then(hexadecimal) {
                Some(byte) => {
                    rest = &rest[2..];
                    byte
                }
                None => b'%',
            },
            other => *other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(digits[index]).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let cases = [
            ("/", ""),
            ("/?", ""),
            ("/?args", "args"),
            ("/?wait+5%3Bargs", "wait 5;args"),
            ("/?a?b", "a?b"),
            ("/?%", "%"),
            ("/?%4", "%4"),
            ("/?%+1%zz", "% 1%zz"),
            ("/?%C3%A4", "ä"),
        ];
        for (target, query) in cases {
            assert_eq!(RequestTarget::new(target).query(), query, "{target}");
        }
    }

    #[test]
    fn a_guest_finds_its_word_on_any_route() {
        let cases = [
            ("/hello", "hello"),
            ("/a/b/hello?c=/d", "hello"),
            ("/", ""),
            ("", ""),
            ("/a/", ""),
        ];
        for (target, segment) in cases {
            assert_eq!(RequestTarget::new(target).last_segment(), segment, "{target}");
        }
    }
}
