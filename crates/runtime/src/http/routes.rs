//! The component that answers a path, as in Spin.
//!
//! Of the routes that match, the one answers that is the most specific: at the first piece where two differ, exact text
//! comes before a name, and that before the rest of the path (`...`). Where one has ended a dot behind a name
//! (`:name.txt`) is more specific than its end, and a further segment or the rest is less. Of two that are alike the
//! first one answers.
//!
//! Paths are compared as they were sent, without decoding. Slashes at the beginning and at the end make no difference
//! to which route matches. Two slashes in between have an empty segment between them: `/a//b` is not `/a/b`, and
//! `/a/:x/b` matches it with an empty `x`.

use outport_manifest::{PathRoute, Segment, Tail};

/// Routes, each with what it leads to.
#[derive(Debug)]
pub struct RouteTable<T> {
    routes: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    route: PathRoute,
    segments: Vec<Vec<Piece>>,
    target: T,
}

/// A part of a segment. Dots end names: `/:name.:kind`.
#[derive(Debug)]
enum Piece {
    Exact(String),
    Named(String),
}

/// The result of routing a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed<'r, 'p, T> {
    /// The target that the route leads to.
    pub target: &'r T,
    /// The named pieces, in the order of the route. A name may occur twice.
    pub named: Vec<(&'r str, &'p str)>,
    /// The rest of the path, which `...` stands for, with its leading slash, and one at the end if the path has any;
    /// empty where there is none.
    pub rest: &'p str,
}

impl<T> RouteTable<T> {
    /// A table of these routes.
    pub fn new(routes: impl IntoIterator<Item = (PathRoute, T)>) -> Self {
        let mut routes: Vec<_> = routes
            .into_iter()
            .map(|(route, target)| Entry {
                segments: route.segments().iter().map(pieces).collect(),
                route,
                target,
            })
            .collect();
        // Stable: of two that are alike the first stays first.
        routes.sort_by_cached_key(vagueness);
        Self { routes }
    }

    /// The route that answers `path`, if any does.
    pub fn route<'r, 'p>(&'r self, path: &'p str) -> Option<Routed<'r, 'p, T>> {
        self.routes.iter().find_map(|entry| {
            let (named, rest) = entry.matched(path)?;
            let target = &entry.target;
            Some(Routed { target, named, rest })
        })
    }

    /// The routes, the most specific first, with what they lead to.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&PathRoute, &mut T)> {
        let routes = self.routes.iter_mut();
        routes.map(|entry| (&entry.route, &mut entry.target))
    }

    /// The routes, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = (&PathRoute, &T)> {
        self.routes.iter().map(|entry| (&entry.route, &entry.target))
    }
}

/// The segments that a route named, and the rest of the path.
type Matched<'r, 'p> = (Vec<(&'r str, &'p str)>, &'p str);

impl<T> Entry<T> {
    fn matched<'r, 'p>(&'r self, path: &'p str) -> Option<Matched<'r, 'p>> {
        let mut left = path.trim_matches('/');
        let mut named = Vec::new();
        for (number, segment) in self.segments.iter().enumerate() {
            if number > 0 {
                left = left.strip_prefix('/')?;
            }
            left = matched_segment(segment, left, &mut named)?;
        }
        match self.route.tail() {
            Tail::End => left.is_empty().then_some((named, "")),
            Tail::Rest if self.segments.is_empty() || left.is_empty() => Some((named, rest(path, left))),
            Tail::Rest => Some((named, rest(path, left.strip_prefix('/')?))),
        }
    }
}

/// The part that is left of a path behind one segment.
fn matched_segment<'r, 'p>(
    segment: &'r [Piece],
    path: &'p str,
    named: &mut Vec<(&'r str, &'p str)>,
) -> Option<&'p str> {
    let (mut first, behind) = path.split_at(path.find('/').unwrap_or(path.len()));
    for (number, piece) in segment.iter().enumerate() {
        match piece {
            Piece::Exact(text) => first = first.strip_prefix(text.as_str())?,
            // A name may stand for nothing, but not at the end of the path.
            Piece::Named(_) if first.is_empty() && behind.is_empty() => return None,
            Piece::Named(name) => {
                let end = if number + 1 == segment.len() {
                    first.len()
                } else {
                    first.find('.')?
                };
                let (value, after) = first.split_at(end);
                named.push((name, value));
                first = after;
            }
        }
    }
    first.is_empty().then_some(behind)
}

/// The part of a path that `...` stands for, of which `left` is left.
fn rest<'p>(path: &'p str, left: &str) -> &'p str {
    let trimmed = path.trim_end_matches('/');
    let end = path.len().min(trimmed.len() + 1);
    let begin = if left.is_empty() {
        trimmed.len()
    } else {
        trimmed.len().saturating_sub(left.len() + 1)
    };
    path.get(begin..end).unwrap_or_default()
}

fn pieces(segment: &Segment) -> Vec<Piece> {
    let text = match segment {
        Segment::Exact(text) => text.clone(),
        Segment::Named { name, suffix } => format!(":{name}{suffix}"),
    };
    let mut pieces = Vec::new();
    let mut exact = String::new();
    for (number, part) in text.split('.').enumerate() {
        if number > 0 {
            exact.push('.');
        }
        match part.strip_prefix(':') {
            Some(name) => {
                if !exact.is_empty() {
                    pieces.push(Piece::Exact(std::mem::take(&mut exact)));
                }
                pieces.push(Piece::Named(name.to_owned()));
            }
            None => exact.push_str(part),
        }
    }
    if !exact.is_empty() {
        pieces.push(Piece::Exact(exact));
    }
    pieces
}

/// The vagueness of each piece of a route, one after the other: what is less is more specific.
fn vagueness<T>(entry: &Entry<T>) -> Vec<u8> {
    let mut all = Vec::new();
    for segment in &entry.segments {
        if !all.is_empty() {
            all.push(SLASH);
        }
        for piece in segment {
            match piece {
                Piece::Exact(text) => {
                    // The dot behind a name stands for itself, others belong to the text before them.
                    if text.starts_with('.') && all.last() == Some(&NAMED) {
                        all.push(DOT);
                    }
                    let parts = text.split('.').filter(|part| !part.is_empty());
                    all.extend(parts.map(|_| EXACT));
                }
                Piece::Named(_) => all.push(NAMED),
            }
        }
    }
    if entry.route.tail() == Tail::Rest {
        if !all.is_empty() {
            all.push(SLASH);
        }
        all.push(REST);
    }
    all.push(END);
    all
}

const EXACT: u8 = 0;
const NAMED: u8 = 1;
const DOT: u8 = 2;
const END: u8 = 3;
const REST: u8 = 4;
const SLASH: u8 = 5;

#[cfg(test)]
mod tests;
