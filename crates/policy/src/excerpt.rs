//! Text of others in messages, as much of it as somebody reads.

use std::borrow::Cow;

/// Characters of a text that a message quotes at most.
const MOST: usize = 120;

/// The beginning of `text`, of at most 120 characters, and `…` where something is cut off; all of it if it is no longer
/// than that. A message stays readable and small this way, however long what it speaks of is.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_behind_120_characters() {
        for letter in ["a", "ß", "🙂"] {
            assert_eq!(excerpt(&letter.repeat(120)), letter.repeat(120));
            assert_eq!(excerpt(&letter.repeat(121)), letter.repeat(120) + "…");
        }
        assert_eq!(excerpt(""), "");
    }
}
