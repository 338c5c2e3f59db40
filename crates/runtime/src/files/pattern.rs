//! Patterns of paths, as `files` and `exclude_files` have them.
//!
//! | in a pattern | stands for |
//! | --- | --- |
//! | `*` | any characters of one step of the path; in `exclude_files` also across steps, as with Spin |
//! | `?` | one such character |
//! | `[abc]`, `[a-z]`, `[!a-z]` | one character that is in the set, or is not |
//! | `**` as a step of its own | any number of steps, none included |
//!
//! Whether a pattern stands for a path takes no more time than the product of both lengths: where something does not
//! fit, only the last `*` (or `**`) is given more, since what comes after it may begin anywhere. An author's patterns
//! and paths may both be long, so the steps are counted, and [refused](Effort) beyond a number.

use std::cell::Cell;
use std::str::Chars;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    steps: Vec<Step>,
    /// All of it as one step, for exclusion.
    across: Vec<Part>,
}

/// The number of comparisons that may still be made.
#[derive(Debug)]
pub(super) struct Effort {
    left: Cell<u64>,
}

impl Effort {
    pub(super) fn of(comparisons: u64) -> Self {
        Self {
            left: Cell::new(comparisons),
        }
    }

    /// True if it was too much. What was answered since then means nothing.
    pub(super) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// True if one more may be made.
    fn spend(&self) -> bool {
        self.left.set(self.left.get().saturating_sub(1));
        !self.is_spent()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// `**`
    Any,
    Glob {
        text: String,
        parts: Vec<Part>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    One(char),
    AnyOne,
    Any,
    Set {
        ranges: Vec<(char, char)>,
        inverted: bool,
    },
}

/// The reason why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A `[` without its `]`.
    #[error("the `[` in the pattern `{}` has no `]`", .text.escape_debug())]
    Unclosed {
        /// The pattern.
        text: String,
    },
    /// A pattern that is absolute or goes up.
    #[error("the pattern `{}` leads out of the directory of the manifest", .text.escape_debug())]
    LeadsOut {
        /// The pattern.
        text: String,
    },
    /// A pattern that is longer than any path.
    #[error("a pattern has more than {LONGEST} bytes, and no path is as long")]
    TooLong,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > LONGEST {
            return Err(PatternError::TooLong);
        }
        let leads_out = text.starts_with('/') || text.split('/').any(|step| step == "..");
        if leads_out {
            return Err(PatternError::LeadsOut {
                text: text.to_owned(),
            });
        }
        let steps = text.split('/').filter(|step| !matches!(*step, "" | "."));
        let steps = steps.map(|step| match step {
            "**" => Ok(Step::Any),
            step => Ok(Step::Glob {
                text: step.to_owned(),
                parts: parts(step).ok_or_else(|| PatternError::Unclosed {
                    text: text.to_owned(),
                })?,
            }),
        });
        let steps: Vec<Step> = steps.collect::<Result<_, _>>()?;
        Ok(Self {
            across: across(&steps),
            steps,
        })
    }

    /// True if it stands for one path alone.
    pub(super) fn is_literal(&self) -> bool {
        self.steps.iter().all(Step::is_literal)
    }

    /// The steps at its beginning that stand for themselves, as a path, and how many are left.
    pub(super) fn literal_base(&self) -> (String, usize) {
        let literal = self.steps.iter().take_while(|step| step.is_literal()).count();
        let base: Vec<&str> = self.steps[..literal].iter().map(Step::text).collect();
        (base.join("/"), self.steps.len() - literal)
    }

    /// True if it stands for `path`, step by step.
    pub(super) fn matches(&self, path: &str, effort: &Effort) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        let skips = |step: &Step| matches!(step, Step::Any);
        let takes = |step: &Step, name: &&str| match step {
            Step::Any => true,
            Step::Glob { parts, .. } => matches_parts(parts, name, effort),
        };
        fits(&self.steps, &path, skips, takes, effort)
    }

    /// True if it excludes `path`: step by step, or with a `*` that reaches across steps.
    pub(super) fn excludes(&self, path: &str, effort: &Effort) -> bool {
        self.matches(path, effort) || matches_parts(&self.across, path, effort)
    }
}

/// All steps in one.
fn across(steps: &[Step]) -> Vec<Part> {
    let mut flat = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if index > 0 {
            flat.push(Part::One('/'));
        }
        match step {
            Step::Any => flat.push(Part::Any),
            Step::Glob { parts, .. } => flat.extend(parts.iter().cloned()),
        }
    }
    flat
}

impl Step {
    fn is_literal(&self) -> bool {
        match self {
            Self::Any => false,
            Self::Glob { parts, .. } => parts.iter().all(|part| matches!(part, Part::One(_))),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Any => "**",
            Self::Glob { text, .. } => text,
        }
    }
}

fn matches_parts(parts: &[Part], text: &str, effort: &Effort) -> bool {
    let text: Vec<char> = text.chars().collect();
    fits(
        parts,
        &text,
        |part| matches!(part, Part::Any),
        |part, c| part.takes(*c, effort),
        effort,
    )
}

/// True if all of `pattern` stands for all of `text`, where what `skips` stands for any number of things.
///
/// INVARIANT: what stands before the last one that skips has its place, and any later place would leave less to the
/// rest. So going back to that one is enough, and the time is bounded by the product of both lengths.
fn fits<P, T>(
    pattern: &[P],
    text: &[T],
    skips: impl Fn(&P) -> bool,
    takes: impl Fn(&P, &T) -> bool,
    effort: &Effort,
) -> bool {
    let (mut next, mut at) = (0, 0);
    // Behind the last one that skips, and how far it reaches.
    let mut last = None;
    while at < text.len() {
        if !effort.spend() {
            return false;
        }
        match pattern.get(next) {
            Some(one) if skips(one) => {
                next += 1;
                last = Some((next, at));
            }
            Some(one) if takes(one, &text[at]) => (next, at) = (next + 1, at + 1),
            _ => {
                let Some((behind, reach)) = last else { return false };
                last = Some((behind, reach + 1));
                (next, at) = (behind, reach + 1);
            }
        }
    }
    pattern[next..].iter().all(skips)
}

impl Part {
    fn takes(&self, c: char, effort: &Effort) -> bool {
        match self {
            Self::One(own) => *own == c,
            Self::AnyOne | Self::Any => true,
            Self::Set { ranges, inverted } => {
                let mut ranges = ranges.iter();
                ranges.any(|(from, to)| effort.spend() && (*from..=*to).contains(&c)) != *inverted
            }
        }
    }
}

/// The parts of a step; nothing if a `[` has no `]`.
fn parts(step: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = step.chars();
    while let Some(c) = rest.next() {
        parts.push(match c {
            '*' => Part::Any,
            '?' => Part::AnyOne,
            '[' => set(&mut rest)?,
            c => Part::One(c),
        });
    }
    Some(parts)
}

/// The set behind a `[`.
fn set(rest: &mut Chars<'_>) -> Option<Part> {
    let inverted = rest.as_str().starts_with('!');
    if inverted {
        rest.next();
    }
    // A `]` that comes first stands for itself.
    let text = rest.as_str();
    let first = text.chars().next()?.len_utf8();
    let end = first + text[first..].find(']')?;
    let inside: Vec<char> = text[..end].chars().collect();
    *rest = text[end + 1..].chars();
    let mut ranges = Vec::new();
    let mut left = inside.as_slice();
    loop {
        left = match left {
            [from, '-', to, others @ ..] => {
                ranges.push((*from, *to));
                others
            }
            [one, others @ ..] => {
                ranges.push((*one, *one));
                others
            }
            [] => return Some(Part::Set { ranges, inverted }),
        };
    }
}

/// Bytes of the longest pattern, as of the longest path on Linux.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn plenty() -> Effort {
        Effort::of(u64::MAX)
    }

    #[test]
    fn a_pattern_stands_for_these_paths_and_not_for_those() {
        // (pattern, paths it stands for, paths it does not stand for)
        let rows: [(&str, &[&str], &[&str]); 10] = [
            ("a.txt", &["a.txt"], &["b.txt", "a.txt/b", "xa.txt", ""]),
            ("./a//b", &["a/b"], &["a", "b"]),
            ("*.png", &["a.png", ".png"], &["a.jpg", "dir/a.png", "a.png.gz"]),
            ("img/*", &["img/a", "img/.a"], &["img", "img/a/b"]),
            ("**/*", &["a", "a/b", "a/b/c"], &[]),
            ("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["z", "a/zz", "b/a/z"]),
            ("?.t", &["a.t", "ä.t"], &[".t", "ab.t"]),
            ("[a-c]x[!0-9]", &["axz", "cx-"], &["dxz", "ax0", "ax"]),
            ("[]]", &["]"], &["[", ""]),
            ("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "a"]),
        ];
        for (text, matching, others) in rows {
            let pattern = Pattern::parse(text).unwrap();
            for path in matching {
                assert!(pattern.matches(path, &plenty()), "{text} {path}");
            }
            for path in others {
                assert!(!pattern.matches(path, &plenty()), "{text} {path}");
            }
        }
    }

    #[test]
    fn an_exclusion_reaches_across_steps() {
        let pattern = Pattern::parse("*.secret").unwrap();
        assert!(pattern.excludes("a.secret", &plenty()));
        assert!(pattern.excludes("deep/down/a.secret", &plenty()));
        assert!(!pattern.excludes("a.secret/b", &plenty()));
        let pattern = Pattern::parse("private/**").unwrap();
        assert!(pattern.excludes("private/a/b", &plenty()));
        assert!(!pattern.excludes("other/private", &plenty()));
    }

    #[test]
    fn what_leads_out_or_is_not_closed_is_no_pattern() {
        for text in ["/etc/passwd", "../x", "a/../../b", ".."] {
            assert!(
                matches!(Pattern::parse(text), Err(PatternError::LeadsOut { .. })),
                "{text}"
            );
        }
        for text in ["[", "[a", "[!", "a[]"] {
            assert!(
                matches!(Pattern::parse(text), Err(PatternError::Unclosed { .. })),
                "{text}"
            );
        }
    }

    /// Each of them would take years if each `*` or `**` tried everything.
    // proves: ISO-7
    #[test]
    fn hostile_patterns_take_no_time() {
        let name = "a".repeat(255);
        let deep = vec!["a"; 2000].join("/");
        let long = vec![name.as_str(); 15].join("/");
        // (pattern, path)
        let rows = [
            ("**/".repeat(16) + "b", deep.clone()),
            ("**/".repeat(1300) + "b", deep.clone()),
            ("**/a/".repeat(600) + "b", deep.clone()),
            ("**/*a*/".repeat(500) + "b", deep.clone()),
            ("a*".repeat(40) + "b", "a".repeat(200)),
            ("*a".repeat(2000) + "*b", long.clone()),
            ("*a*/".repeat(15) + "b", long.clone()),
            ("?*".repeat(2000) + "b", long.clone()),
            ("*[!b]".repeat(800) + "[b]", long.clone()),
            (format!("*[{}]b", "c-d".repeat(1300)), long.clone()),
            ("**/*".repeat(1000) + "b", long),
        ];
        for (text, path) in rows {
            let pattern = Pattern::parse(&text).unwrap();
            let effort = plenty();
            let start = Instant::now();
            assert!(!pattern.excludes(&path, &effort), "{}", &text[..20]);
            assert!(start.elapsed() < Duration::from_secs(20), "{}", &text[..20]);
            let spent = u64::MAX - effort.left.get();
            let most = 4 * (text.len() as u64 + 1) * (path.len() as u64 + 1);
            assert!(spent <= most, "{}: {spent} of {most}", &text[..20]);
        }
    }

    #[test]
    fn who_compares_too_much_is_stopped() {
        let pattern = Pattern::parse(&format!("*{}b", "a".repeat(100))).unwrap();
        let effort = Effort::of(1000);
        assert!(!pattern.matches(&"a".repeat(255), &effort));
        assert!(effort.is_spent());
        let effort = Effort::of(1000);
        assert!(Pattern::parse("*.png").unwrap().matches("a.png", &effort));
        assert!(!effort.is_spent());
        assert_eq!(
            Pattern::parse(&"a".repeat(LONGEST + 1)),
            Err(PatternError::TooLong)
        );
    }

    /// The table's rules, and nothing else: each `*` and `**` tries everything.
    mod naive {
        use super::super::{Part, Step};

        pub(super) fn steps(steps: &[Step], path: &[&str]) -> bool {
            match (steps, path) {
                ([], path) => path.is_empty(),
                ([Step::Any, rest @ ..], path) => {
                    (0..=path.len()).any(|skipped| self::steps(rest, &path[skipped..]))
                }
                ([Step::Glob { parts, .. }, rest @ ..], [first, others @ ..]) => {
                    let first: Vec<char> = first.chars().collect();
                    self::parts(parts, &first) && self::steps(rest, others)
                }
                ([Step::Glob { .. }, ..], []) => false,
            }
        }

        pub(super) fn parts(parts: &[Part], text: &[char]) -> bool {
            match (parts, text) {
                ([], text) => text.is_empty(),
                ([Part::Any, rest @ ..], text) => {
                    (0..=text.len()).any(|skipped| self::parts(rest, &text[skipped..]))
                }
                ([_, ..], []) => false,
                ([one, rest @ ..], [c, others @ ..]) => {
                    let takes = match one {
                        Part::One(own) => own == c,
                        Part::AnyOne | Part::Any => true,
                        Part::Set { ranges, inverted } => {
                            ranges.iter().any(|(from, to)| from <= c && c <= to) != *inverted
                        }
                    };
                    takes && self::parts(rest, others)
                }
            }
        }
    }

    proptest! {
        // proves: ISO-7
        #[test]
        fn a_pattern_stands_for_what_the_naive_model_says(
            text in r"(\*\*|[abä*?]{0,4}|\[[!]?[a-b]\]|)(/(\*\*|[abä*?]{0,4}|\*a\*b)){0,5}",
            path in r"[abä]{0,4}(/[abä]{0,3}){0,5}",
        ) {
            prop_assume!(!text.starts_with('/'));
            let pattern = Pattern::parse(&text).unwrap();
            let steps: Vec<&str> = path.split('/').collect();
            let characters: Vec<char> = path.chars().collect();
            let matches = naive::steps(&pattern.steps, &steps);
            prop_assert_eq!(pattern.matches(&path, &plenty()), matches);
            let excludes = matches || naive::parts(&pattern.across, &characters);
            prop_assert_eq!(pattern.excludes(&path, &plenty()), excludes);
        }
    }
}
