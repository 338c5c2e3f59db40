//! The known word that was meant: the "did you mean" of unknown keys, options, components, variables and codes.
//!
//! This is the one rule of all of them. It stands here since manifests have most of such words; the command line asks it
//! through [`nearest`], also whether what its parser suggests is likely. The policy needs no words and knows nothing of it.

/// The word of `known` that is nearest to `written`, if one is near enough to be a slip of the pen: at most one
/// edit for words of up to four letters, two for longer ones, three from ten letters on.
///
/// An edit inserts, removes or replaces a letter or swaps two neighbours; upper and lower case, and `-` and `_`,
/// count as the same letter.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let tolerance = match written.chars().count() {
        0..=4 => 1,
        5..=9 => 2,
        _ => 3,
    };
    known
        .into_iter()
        .map(|word| (edits(written, word, tolerance), word))
        .filter(|(edits, _)| *edits <= tolerance)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, word)| word)
}

/// For a word that is none of the known: the one that was probably meant, and the first of all.
///
/// Only so many are looked at, since a file may be full of such words and of known ones.
pub(crate) fn candidates<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> (Option<String>, Vec<String>) {
    let known: Vec<&str> = known.into_iter().take(MOST_COMPARED).collect();
    let meant = nearest(written, known.iter().copied()).map(str::to_owned);
    let listed = known.iter().take(MOST_LISTED + 1);
    (meant, listed.map(|word| (*word).to_owned()).collect())
}

/// Known words that a message lists. One more is kept, so that the message can say that there are others.
pub(crate) const MOST_LISTED: usize = 20;

/// Known words that an unknown one is compared with.
const MOST_COMPARED: usize = 500;

/// The number of edits between two words (optimal string alignment distance), or more than `tolerance` without
/// counting where the lengths alone tell: a word of a file may be very long.
fn edits(a: &str, b: &str, tolerance: usize) -> usize {
    if a.chars().count().abs_diff(b.chars().count()) > tolerance {
        return tolerance + 1;
    }
    strsim::osa_distance(&folded(a), &folded(b))
}

fn folded(word: &str) -> String {
    word.replace('-', "_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_word_and_anything_else_finds_none() {
        let known = ["source", "files", "environment", "allowed_outbound_hosts", "url"];
        let rows = [
            ("sorce", Some("source")),
            ("osurce", Some("source")),
            ("Source", Some("source")),
            ("allowed-outbound-hosts", Some("allowed_outbound_hosts")),
            ("alowed_outbond_host", Some("allowed_outbound_hosts")),
            ("enviroment", Some("environment")),
            ("ur", Some("url")),
            ("u", None),
            ("sink", None),
            ("", None),
            ("description", None),
            // Another word for each rule: one edit of four letters, two of five, three of ten; no more.
            ("ulr", Some("url")),
            ("fles", Some("files")),
            ("fls", None),
            ("flies", Some("files")),
            ("suorec", Some("source")),
            ("surocex", None),
        ];
        for (written, meant) in rows {
            assert_eq!(nearest(written, known), meant, "{written:?}");
        }
    }
}
