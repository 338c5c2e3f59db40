//! Pages of lists, and what a registry says of an error.

use super::*;

#[test]
fn the_next_page_is_asked_of_the_same_registry() {
    let rows = [
        (
            "</v2/a/tags/list?last=x&n=5>; rel=\"next\"",
            Some("n=1000&last=x"),
        ),
        (
            "<http://evil.example/other?last=a%26b>; rel=next",
            Some("n=1000&last=a%26b"),
        ),
        ("</v2/a/tags/list?n=5>; rel=\"next\"", None),
        ("no link", None),
    ];
    for (link, expected) in rows {
        let headers = [(LINK, HeaderValue::from_str(link).unwrap())]
            .into_iter()
            .collect();
        assert_eq!(next_page(&headers).as_deref(), expected, "{link}");
    }
}
