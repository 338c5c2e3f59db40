//! A file that is looked at again and again: it has changed when two looks in a row find the same and something new.

use std::io;

/// The state of the file as it was seen last.
pub(super) struct Debounce {
    loaded: Option<String>,
    /// Something else than what was loaded, seen in the last look.
    last: Option<String>,
    /// Looks in a row that found no file.
    missing: u32,
    /// That it is gone was said.
    told_gone: bool,
}

/// The result of a look.
#[derive(Debug)]
pub(super) enum Seen {
    Nothing,
    Change,
    Gone(io::Error),
    /// The file says what it said before it was gone.
    Back,
}

impl Debounce {
    pub(super) fn new(loaded: Option<String>) -> Self {
        Self {
            loaded,
            last: None,
            missing: 0,
            told_gone: false,
        }
    }

    pub(super) fn look(&mut self, found: io::Result<String>) -> Seen {
        let text = match found {
            Ok(text) => text,
            Err(error) => {
                self.last = None;
                self.missing = self.missing.saturating_add(1);
                return match self.missing {
                    MISSED_LOOKS => {
                        self.told_gone = true;
                        Seen::Gone(error)
                    }
                    _ => Seen::Nothing,
                };
            }
        };
        self.missing = 0;
        if self.loaded.as_ref() == Some(&text) {
            self.last = None;
            return if std::mem::take(&mut self.told_gone) {
                Seen::Back
            } else {
                Seen::Nothing
            };
        }
        let again = self.last.as_ref() == Some(&text);
        self.last = Some(text);
        if again { Seen::Change } else { Seen::Nothing }
    }

    pub(super) fn loaded(&mut self, text: Option<String>) {
        self.loaded = text;
        self.last = None;
        self.told_gone = false;
    }
}

/// Looks without a file before that is said: editors take a file away for a moment.
const MISSED_LOOKS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_was_seen_twice() {
        let gone = || Err(io::Error::from(io::ErrorKind::NotFound));
        let text = |text: &str| Ok(text.to_owned());
        let mut debounce = Debounce::new(Some("a".into()));
        let looks: [(io::Result<String>, &str); 17] = [
            (text("a"), "Nothing"),
            (text(""), "Nothing"),
            (text("b"), "Nothing"),
            (text("a"), "Nothing"),
            (text("b"), "Nothing"),
            (text("b"), "Change"),
            (text("b"), "Change"),
            (gone(), "Nothing"),
            (text("b"), "Nothing"),
            (gone(), "Nothing"),
            (gone(), "Nothing"),
            (gone(), "Nothing"),
            (gone(), "Gone"),
            (gone(), "Nothing"),
            (text(""), "Nothing"),
            (text("a"), "Back"),
            (text("a"), "Nothing"),
        ];
        for (number, (found, expected)) in looks.into_iter().enumerate() {
            let seen = format!("{:?}", debounce.look(found));
            assert!(seen.starts_with(expected), "look {number}: {seen}");
        }
        debounce.loaded(Some("b".into()));
        assert!(matches!(debounce.look(text("b")), Seen::Nothing));
    }
}
