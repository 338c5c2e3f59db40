//! Lists in one argument: `a,b,{c,d}` has three items. A comma inside braces belongs to the item.

/// The items of a list, white space around them removed.
pub(crate) fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let separates = move |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    list.split(separates).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn commas_separate_unless_they_are_inside_braces() {
        let cases: &[(&str, &[&str])] = &[
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" a , b ", &["a", "b"]),
            ("{http,https}://a:{80,443},b", &["{http,https}://a:{80,443}", "b"]),
            ("a,,b,", &["a", "", "b", ""]),
            ("", &[""]),
            ("}a,b", &["}a", "b"]),
            ("{a,b", &["{a,b"]),
        ];
        for (list, expected) in cases {
            assert_eq!(items(list).collect::<Vec<_>>(), *expected, "{list}");
        }
    }
}
