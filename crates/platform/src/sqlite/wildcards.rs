//! `LIKE` and `GLOB`, which look up now and then whether they are to end. SQLite's own take seconds for one long text, and a
//! statement may have thousands of them in a row.

use super::interruption::must_end;

/// A piece of a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    One(char),
    AnyOne,
    Any,
    /// One of these characters, or none of them.
    Among {
        ranges: Vec<(char, char)>,
        is_inverted: bool,
    },
    /// Nothing is like it.
    Never,
}

/// A pattern that texts are held against.
pub(super) struct Wildcards {
    pieces: Vec<Piece>,
    minds_case: bool,
}

/// It was interrupted.
#[derive(Debug)]
pub(super) struct Interrupted;

impl Wildcards {
    /// Of `LIKE`, whose wildcards are `%` and `_`.
    pub(super) fn like(pattern: &str, escape: Option<char>) -> Self {
        let mut pieces = Vec::new();
        let mut left = pattern.chars();
        while let Some(next) = left.next() {
            pieces.push(match next {
                _ if Some(next) == escape => left.next().map_or(Piece::Never, Piece::One),
                '%' => Piece::Any,
                '_' => Piece::AnyOne,
                next => Piece::One(next),
            });
        }
        Self {
            pieces,
            minds_case: false,
        }
    }

    /// Of `GLOB`, whose wildcards are `*`, `?` and `[…]`.
    pub(super) fn glob(pattern: &str) -> Self {
        let mut pieces = Vec::new();
        let mut left = pattern.chars().peekable();
        while let Some(next) = left.next() {
            pieces.push(match next {
                '*' => Piece::Any,
                '?' => Piece::AnyOne,
                '[' => among(&mut left),
                next => Piece::One(next),
            });
        }
        Self {
            pieces,
            minds_case: true,
        }
    }

    /// Whether all of `text` is like the pattern.
    pub(super) fn fit(&self, text: &str) -> Result<bool, Interrupted> {
        let (mut piece, mut at) = (0, 0);
        // Where the last wildcard for any text is, and how far it has reached.
        let mut last: Option<(usize, usize)> = None;
        let mut steps: u32 = 0;
        loop {
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(STEPS) && must_end() {
                return Err(Interrupted);
            }
            let next = text[at..].chars().next();
            match (self.pieces.get(piece), next) {
                (Some(Piece::Any), _) => {
                    piece += 1;
                    last = Some((piece, at));
                    continue;
                }
                (Some(wanted), Some(next)) if self.fits(wanted, next) => {
                    piece += 1;
                    at += next.len_utf8();
                    continue;
                }
                (None, None) => return Ok(true),
                // What is wanted would not be found in a shorter rest either.
                (Some(_), None) => return Ok(false),
                _ => {}
            }
            let Some((behind, reached)) = last else {
                return Ok(false);
            };
            let Some(skipped) = text[reached..].chars().next() else {
                return Ok(false);
            };
            let reached = reached + skipped.len_utf8();
            last = Some((behind, reached));
            (piece, at) = (behind, reached);
        }
    }

    fn fits(&self, wanted: &Piece, next: char) -> bool {
        match wanted {
            Piece::One(wanted) if self.minds_case => *wanted == next,
            Piece::One(wanted) => wanted.eq_ignore_ascii_case(&next),
            Piece::AnyOne => true,
            Piece::Among { ranges, is_inverted } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&next)) != *is_inverted
            }
            Piece::Any | Piece::Never => false,
        }
    }
}

/// Characters between brackets, as SQLite reads them.
fn among(left: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Piece {
    let is_inverted = left.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    if left.next_if_eq(&']').is_some() {
        ranges.push((']', ']'));
    }
    let mut before = None;
    loop {
        match (left.next(), left.peek(), before) {
            (None, ..) => return Piece::Never,
            (Some(']'), ..) => return Piece::Among { ranges, is_inverted },
            (Some('-'), Some(&to), Some(from)) if to != ']' => {
                left.next();
                ranges.push((from, to));
                before = None;
            }
            (Some(one), ..) => {
                ranges.push((one, one));
                before = Some(one);
            }
        }
    }
}

/// Steps between two looks: some hundred microseconds.
const STEPS: u32 = 65_536;
