//! A whole list of entries at once, for an embedder who writes them in code.
//!
//! All of them are read, whatever becomes of the first: who has five to repair is told of five. If one cannot be read
//! there is no list at all, as everywhere.

use std::fmt;

use crate::{Entry, EntryError, Location};

/// The entries of a list that cannot be read; at least one. `Display` has the first 20 of them, on one line, and the number
/// of the others; [`errors`](Self::errors) has all, one by one.
#[derive(Clone, PartialEq, Eq)]
pub struct EntriesError {
    /// Each with its place in the list, from 0.
    errors: Vec<(usize, EntryError)>,
    /// The number of entries in the list.
    of: usize,
}

impl EntriesError {
    /// The entries that cannot be read, in their order: the index of each in what was given, from 0, and what is wrong.
    pub fn errors(&self) -> impl ExactSizeIterator<Item = (usize, &EntryError)> {
        self.errors.iter().map(|(index, error)| (*index, error))
    }
}

/// Reads the entries, or says of all that cannot be read why.
pub(crate) fn read<T: AsRef<str>>(
    texts: impl IntoIterator<Item = T>,
    reword: fn(EntryError) -> EntryError,
) -> Result<Vec<Entry>, EntriesError> {
    let (mut entries, mut errors, mut of) = (Vec::new(), Vec::new(), 0);
    for text in texts {
        match Entry::parse(text.as_ref(), Location::Code) {
            Ok(entry) => entries.push(entry),
            Err(error) => errors.push((of, reword(error))),
        }
        of += 1;
    }
    if errors.is_empty() {
        Ok(entries)
    } else {
        Err(EntriesError { errors, of })
    }
}

impl fmt::Display for EntriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wrong, of) = (self.errors.len(), self.of);
        let entries = if of == 1 { "entry" } else { "entries" };
        write!(f, "{wrong} of {of} {entries} cannot be read")?;
        for (at, (index, error)) in self.errors.iter().take(MOST_SHOWN).enumerate() {
            let separator = if at == 0 { ": " } else { "; " };
            let number = index + 1;
            write!(f, "{separator}the {number}{}, {error}", ordinal(number))?;
        }
        match wrong.saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// As bounded as `Display`, and as silent about users and passwords.
impl fmt::Debug for EntriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.errors.get(..MOST_SHOWN).unwrap_or(&self.errors);
        let mut shows = f.debug_struct("EntriesError");
        shows.field("errors", &shown).field("of", &self.of);
        if shown.len() == self.errors.len() {
            shows.finish()
        } else {
            shows.finish_non_exhaustive()
        }
    }
}

/// Entries of which a message tells. A list may be as long as a file, and whoever mends twenty sees the next ones.
const MOST_SHOWN: usize = 20;

/// The end of a number that counts: 1st, 2nd, 3rd, 4th, 11th.
fn ordinal(number: usize) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// The first of them, as the cause.
impl std::error::Error for EntriesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errors.first().map(|(_, error)| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AllowList, DenyList};

    #[test]
    fn a_list_is_read_as_a_whole_in_its_order() {
        let written = [
            "*://db.example.com:5432",
            " https://api.example.com ",
            "udp://10.0.0.0/8:53",
        ];
        let allow = AllowList::parse(written).unwrap();
        let read: Vec<&str> = allow.entries().iter().map(Entry::text).collect();
        assert_eq!(read, written.map(str::trim));
        assert!(
            allow
                .entries()
                .iter()
                .all(|entry| *entry.location() == Location::Code)
        );
        let none: [&str; 0] = [];
        assert!(AllowList::parse(none).unwrap().is_empty());
        assert!(DenyList::parse(none).unwrap().entries().is_empty());
        assert_eq!(
            DenyList::parse(vec![String::from("*://*:25")])
                .unwrap()
                .entries()
                .len(),
            1
        );
    }

    #[test]
    fn all_mistakes_are_told_with_their_entries_and_what_to_write() {
        let written = [
            "https://a.example",
            "db.example.com:5432",
            "*://b.example:1",
            "tcp://c.example",
            "*://me:hunter2@d.example:1",
        ];
        let error = AllowList::parse(written).unwrap_err();
        let indices: Vec<usize> = error.errors().map(|(index, _)| index).collect();
        assert_eq!(indices, [1, 3, 4]);
        for (index, own) in error.errors() {
            assert_eq!(own.text(), written[index]);
            let single = Entry::parse(written[index], Location::Code).unwrap_err();
            assert_eq!(*own, single);
            assert!(error.to_string().contains(&single.to_string()), "{error}");
        }
        let shown = error.to_string();
        assert!(
            shown.starts_with("3 of 5 entries cannot be read: the 2nd, `db.example.com:5432`"),
            "{shown}"
        );
        assert!(shown.contains("write `*://db.example.com:5432`"), "{shown}");
        assert!(
            shown.contains("; the 4th, `tcp://c.example`") && !shown.contains('\n'),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), error.errors().next().unwrap().1.to_string());
    }

    #[test]
    fn however_many_cannot_be_read_a_message_tells_of_twenty() {
        let wrong = |number: usize| AllowList::parse(vec!["tcp://x.example"; number]).unwrap_err();
        let twenty = wrong(20).to_string();
        assert!(
            twenty.ends_with(&wrong(1).errors().next().unwrap().1.to_string()),
            "{twenty}"
        );
        assert!(twenty.contains("the 20th, `tcp://x.example`"), "{twenty}");
        let error = wrong(100_000);
        assert_eq!(error.errors().len(), 100_000);
        let shown = error.to_string();
        assert!(
            shown.starts_with("100000 of 100000 entries cannot be read: the 1st, ")
                && shown.contains("; the 20th, ")
                && shown.ends_with("; and 99980 more"),
            "{shown}"
        );
        for shown in [shown, format!("{error:?}")] {
            assert!(shown.len() < 10_000, "{}", shown.len());
        }
    }

    // proves: RSN-4
    #[test]
    fn what_is_shown_to_developers_has_no_password_and_no_end_of_a_long_entry() {
        let long = format!("*://{}.example", "x".repeat(100_000));
        for secret in ["*://me:hunter2@d.example:1", "me:hunter2@d.example:1", &long] {
            let error = AllowList::parse([secret]).unwrap_err();
            let (_, own) = error.errors().next().unwrap();
            assert_eq!(own.text(), secret, "who asks for the entry has it");
            for shown in [format!("{error:?}"), format!("{own:?}"), format!("{error:#?}")] {
                assert!(!shown.contains("hunter2") && shown.len() < 2000, "{shown}");
                assert!(
                    shown.contains("EntryError") && shown.contains("problem"),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn what_is_suggested_for_a_deny_list_denies_all_that_may_have_been_meant() {
        let error = DenyList::parse(["loopback", "evil.example"]).unwrap_err();
        let instead: Vec<_> = error.errors().map(|(_, error)| error.instead()).collect();
        assert_eq!(
            instead,
            [Some("*://{127.0.0.0/8,[::1]}:*"), Some("*://evil.example:*")]
        );
        assert_ne!(
            AllowList::parse(["evil.example"])
                .unwrap_err()
                .errors()
                .next()
                .unwrap()
                .1
                .instead(),
            instead[1]
        );
    }

    #[test]
    fn numbers_are_counted_as_people_count() {
        let shown: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111]
            .iter()
            .map(|number| format!("{number}{}", ordinal(*number)))
            .collect();
        assert_eq!(shown.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th");
    }
}
