//! Lists of the form `name=value,name=value`, as headers and attributes are written.

use percent_encoding::percent_decode_str;

/// Reads a list; values are percent-encoded where they have to be.
///
/// # Errors
///
/// The reason in words, which shows no value.
pub(super) fn pairs(list: &str) -> Result<Vec<(String, String)>, String> {
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.enumerate().map(|(at, item)| pair(at + 1, item)).collect()
}

fn pair(number: usize, item: &str) -> Result<(String, String), String> {
    let (name, value) = item
        .split_once('=')
        .ok_or_else(|| format!("item {number} is not `name=value`"))?;
    let name = name.trim();
    if name.is_empty() {
        return Err(format!("item {number} has no name before its `=`"));
    }
    if !is_encoded(value) {
        return Err(format!(
            "the value of item {number} has a `%` without two hexadecimal digits after it; write `%25` for the sign itself"
        ));
    }
    let value = percent_decode_str(value.trim()).decode_utf8();
    let value = value.map_err(|_| format!("the value of item {number} is not UTF-8 text"))?;
    Ok((name.to_owned(), value.into_owned()))
}

/// True if each `%` begins a byte (RFC 3986, section 2.1).
fn is_encoded(value: &str) -> bool {
    let mut after_signs = value.split('%').skip(1);
    after_signs.all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
