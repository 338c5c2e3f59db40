//! A list of an old key moves into the list of the key that took its place.

use toml_edit::{Array, DocumentMut, Item, Value};

use super::layout::{Comments, comment, first_line, last_line, prefix, suffix};
use super::{Step, holder_of, is_inline};

/// True if the list was moved. Its comments go with it: into the other list if that has several lines, else above it.
pub(super) fn move_list(
    document: &mut DocumentMut,
    path: &[Step],
    to: &str,
    entries: &[Vec<String>],
) -> bool {
    let inline = is_inline(document, path);
    let Some((table, from)) = holder_of(document, path) else {
        return false;
    };
    if table.get(to).is_some_and(|item| !item.is_array()) {
        return false;
    }
    let Some(mut old) = table.get(from).and_then(Item::as_array).cloned() else {
        return false;
    };
    let layout = table.key(from).map(|key| key.leaf_decor().clone());
    table.remove(from);
    let behind = old.decor().suffix().and_then(|suffix| suffix.as_str());
    let behind = comment(behind.unwrap_or_default()).to_owned();
    if let Some(array) = table.get_mut(to).and_then(Item::as_array_mut) {
        let above = layout.as_ref().and_then(|layout| layout.prefix()?.as_str());
        let one_line = !inline && is_on_one_line(array) && (!array.is_empty() || is_on_one_line(&old));
        let mut comments = if one_line {
            Comments::for_the_list()
        } else {
            Comments::default()
        };
        let end = take_end(array, &mut comments);
        comments.add_lines(above.unwrap_or_default());
        let indent = append(array, &mut comments, &old, entries);
        comments.add_lines(&behind);
        array.set_trailing(comments.before(&end, &indent));
        if one_line
            && !comments.is_empty()
            && let Some(mut key) = table.key_mut(to)
        {
            let decor = key.leaf_decor_mut();
            let before = decor
                .prefix()
                .and_then(|prefix| prefix.as_str())
                .unwrap_or_default();
            decor.set_prefix(with_lines(before, &comments.above()));
        }
        return true;
    }
    let mut array = Array::new();
    let mut comments = Comments::default();
    let indent = append(&mut array, &mut comments, &old, entries);
    let end = take_end(&mut old, &mut Comments::default());
    array.set_trailing(comments.before(&end, &indent));
    array.set_trailing_comma(old.trailing_comma());
    if !behind.is_empty() {
        array.decor_mut().set_prefix(" ");
        array.decor_mut().set_suffix(behind);
    }
    table.insert(to, Item::Value(Value::Array(array)));
    if let (Some(layout), Some(mut key)) = (layout, table.key_mut(to)) {
        *key.leaf_decor_mut() = layout;
    }
    true
}

/// Appends entries to a list, laid out as those that are there.
pub(super) fn append_new(array: &mut Array, entries: &[String]) {
    let new: Array = entries.iter().map(String::as_str).collect();
    let each: Vec<Vec<String>> = entries.iter().map(|entry| vec![entry.clone()]).collect();
    let mut comments = Comments::default();
    let end = take_end(array, &mut comments);
    let indent = append(array, &mut comments, &new, &each);
    array.set_trailing(comments.before(&end, &indent));
}

/// Layout before a key with more lines at its end; what is on the key's own line is its indentation.
fn with_lines(before: &str, lines: &str) -> String {
    let (own, indent) = before.split_at(before.rfind('\n').map_or(0, |end| end + 1));
    let lines = lines.lines().map(|line| format!("{indent}{line}\n"));
    format!("{own}{}{indent}", lines.collect::<String>())
}

fn is_on_one_line(array: &Array) -> bool {
    let ends = |value: &Value| prefix(value).contains('\n') || suffix(value).contains('\n');
    let end = array.trailing().as_str().unwrap_or_default();
    !end.contains('\n') && !array.iter().any(ends)
}

/// Takes out what stands between the last entry and the `]`: the comments, and how the end is laid out without them.
fn take_end(array: &mut Array, comments: &mut Comments) -> String {
    let last = array.len().checked_sub(1).and_then(|last| array.get_mut(last));
    let before_comma = last.map(|last| {
        let own = suffix(last);
        last.decor_mut().set_suffix("");
        own
    });
    let before_comma = before_comma.unwrap_or_default();
    let trailing = array.trailing().as_str().unwrap_or_default();
    for layout in [before_comma.as_str(), trailing] {
        let (behind, lines) = first_line(layout);
        comments.end_line(behind);
        comments.add_lines(lines);
    }
    if trailing.contains('\n') || before_comma.is_empty() {
        last_line(trailing).to_owned()
    } else {
        last_line(&before_comma).to_owned()
    }
}

/// Appends what the items of the old list stand for, and leaves the comments that nothing follows. Entries that are
/// there already are not written again, nor is a comment on the line of an item that leaves none. New entries are laid
/// out as the last one is, or as they were; the answer is their indentation.
fn append(array: &mut Array, comments: &mut Comments, old: &Array, entries: &[Vec<String>]) -> String {
    let template = array.iter().last().map(prefix);
    // An item that stands for nothing leaves its place to the next one.
    let first = template.clone().or_else(|| old.iter().next().map(prefix));
    let first = last_line(first.as_deref().unwrap_or_default()).to_owned();
    let indent = first.trim_start_matches('\n').to_owned();
    // The line of the `[` is about the list.
    let (mut something_is_left, mut begins) = (true, template.is_some());
    for (item, entries) in old.iter().zip(entries) {
        let (own, behind) = (prefix(item), suffix(item));
        line_ends(comments, &own, something_is_left, std::mem::take(&mut begins));
        something_is_left &= !own.contains('\n');
        for entry in entries {
            if array.iter().any(|own| own.as_str() == Some(entry)) {
                continue;
            }
            something_is_left = true;
            let layout = template.as_ref().unwrap_or(&own);
            let layout = match layout.contains('\n') {
                true => last_line(layout),
                false if array.is_empty() => first.as_str(),
                false => " ",
            };
            let mut value = Value::from(entry.as_str());
            value.decor_mut().set_prefix(comments.before(layout, &indent));
            array.push_formatted(value);
        }
        line_ends(comments, &behind, something_is_left, false);
        something_is_left &= !behind.contains('\n');
    }
    let behind = old.trailing().as_str().unwrap_or_default();
    line_ends(comments, behind, something_is_left, begins);
    indent
}

/// Keeps the comments of this layout: the one that ends a line only if something is left on that line.
fn line_ends(comments: &mut Comments, layout: &str, something_is_left: bool, on_its_own: bool) {
    let (behind, lines) = first_line(layout);
    match something_is_left {
        true if on_its_own => comments.add_lines(behind),
        true => comments.end_line(behind),
        false => {}
    }
    comments.add_lines(lines);
}
