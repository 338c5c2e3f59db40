//! Patterns of paths, as `files` and `exclude_files` have them.
//!
//! | in a pattern | stands for |
//! | --- | --- |
//! | `*` | any characters of one step of the path; in `exclude_files` also across steps, as with Spin |
//! | `?` | one such character |
//! | `[abc]`, `[a-z]`, `[!a-z]` | one character that is in the set, or is not |
//! | `**` as a step of its own | any number of steps, none included |

use std::str::Chars;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    steps: Vec<Step>,
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

/// Why a text is no pattern.
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
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Pattern, PatternError> {
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
        Ok(Pattern {
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    /// Whether it stands for one path alone.
    pub(super) fn is_literal(&self) -> bool {
        self.steps.iter().all(Step::is_literal)
    }

    /// The steps at its beginning that stand for themselves, as a path, and how many are left.
    pub(super) fn literal_base(&self) -> (String, usize) {
        let literal = self.steps.iter().take_while(|step| step.is_literal()).count();
        let base: Vec<&str> = self.steps[..literal].iter().map(Step::text).collect();
        (base.join("/"), self.steps.len() - literal)
    }

    /// Whether it stands for `path`, step by step.
    pub(super) fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        matches_steps(&self.steps, &path)
    }

    /// Whether it excludes `path`: step by step, or with a `*` that reaches across steps.
    pub(super) fn excludes(&self, path: &str) -> bool {
        if self.matches(path) {
            return true;
        }
        let mut flat: Vec<Part> = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                flat.push(Part::One('/'));
            }
            match step {
                Step::Any => flat.push(Part::Any),
                Step::Glob { parts, .. } => flat.extend(parts.iter().cloned()),
            }
        }
        matches_parts(&flat, path)
    }
}

impl Step {
    fn is_literal(&self) -> bool {
        match self {
            Step::Any => false,
            Step::Glob { parts, .. } => parts.iter().all(|part| matches!(part, Part::One(_))),
        }
    }

    fn text(&self) -> &str {
        match self {
            Step::Any => "**",
            Step::Glob { text, .. } => text,
        }
    }
}

fn matches_steps(steps: &[Step], path: &[&str]) -> bool {
    match (steps, path) {
        ([], path) => path.is_empty(),
        ([Step::Any, rest @ ..], path) => {
            (0..=path.len()).any(|skipped| matches_steps(rest, &path[skipped..]))
        }
        ([Step::Glob { parts, .. }, rest @ ..], [first, others @ ..]) => {
            matches_parts(parts, first) && matches_steps(rest, others)
        }
        ([Step::Glob { .. }, ..], []) => false,
    }
}

/// Goes back at most to the last `*`, so that the time is bounded by the product of both lengths.
fn matches_parts(parts: &[Part], text: &str) -> bool {
    let (mut part, mut rest) = (0, text.chars());
    let mut last_any: Option<(usize, Chars<'_>)> = None;
    loop {
        match parts.get(part) {
            Some(Part::Any) => {
                part += 1;
                last_any = Some((part, rest.clone()));
                continue;
            }
            Some(one) => {
                let mut after = rest.clone();
                if after.next().is_some_and(|c| one.takes(c)) {
                    (part, rest) = (part + 1, after);
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((after, from)) = &mut last_any else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        (part, rest) = (*after, from.clone());
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Part::One(own) => *own == c,
            Part::AnyOne | Part::Any => true,
            Part::Set { ranges, inverted } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *inverted
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

/// What stands behind a `[`.
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

#[cfg(test)]
mod tests {
    use super::*;

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
                assert!(pattern.matches(path), "{text} {path}");
            }
            for path in others {
                assert!(!pattern.matches(path), "{text} {path}");
            }
        }
    }

    #[test]
    fn an_exclusion_reaches_across_steps() {
        let pattern = Pattern::parse("*.secret").unwrap();
        assert!(pattern.excludes("a.secret"));
        assert!(pattern.excludes("deep/down/a.secret"));
        assert!(!pattern.excludes("a.secret/b"));
        let pattern = Pattern::parse("private/**").unwrap();
        assert!(pattern.excludes("private/a/b"));
        assert!(!pattern.excludes("other/private"));
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

    /// Would take years if each `*` tried everything.
    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::parse(&format!("{}b", "a*".repeat(40))).unwrap();
        assert!(!pattern.matches(&"a".repeat(200)));
    }
}
