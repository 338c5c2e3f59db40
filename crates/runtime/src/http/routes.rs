//! Which component answers a path.
//!
//! Routes are tried from the most to the least specific, whatever their order in the manifest: at the first
//! segment where two differ, exact text comes before a name with a suffix (`:file.txt`), that before a plain name,
//! and all of them before the rest of the path (`...`); of two that agree so far the longer one comes first.
//!
//! Paths are compared as they were sent, without decoding. Repeated slashes, and one at the end, make no
//! difference to which route matches; the guest sees the path as it came.

use std::cmp::Ordering;

use outport_manifest::{PathRoute, Segment, Tail};

/// Routes, each with what it leads to.
#[derive(Debug)]
pub struct RouteTable<T> {
    routes: Vec<(PathRoute, T)>,
}

/// What a path led to.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed<'r, 'p, T> {
    /// What the route leads to.
    pub target: &'r T,
    /// The named segments, in the order of the route.
    pub named: Vec<(&'r str, &'p str)>,
    /// What the rest of the path (`...`) stands for, with its leading slash; empty where there is none.
    pub rest: &'p str,
}

impl<T> RouteTable<T> {
    /// A table of these routes.
    pub fn new(routes: impl IntoIterator<Item = (PathRoute, T)>) -> RouteTable<T> {
        let mut routes: Vec<_> = routes.into_iter().collect();
        routes.sort_by(|(a, _), (b, _)| specificity(a, b));
        RouteTable { routes }
    }

    /// The route that answers `path`, if any does.
    pub fn route<'r, 'p>(&'r self, path: &'p str) -> Option<Routed<'r, 'p, T>> {
        self.routes.iter().find_map(|(route, target)| {
            let (named, rest) = matched(route, path)?;
            Some(Routed { target, named, rest })
        })
    }

    /// The routes, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = (&PathRoute, &T)> {
        self.routes.iter().map(|(route, target)| (route, target))
    }
}

/// The named segments of `path` and its rest, if `route` matches it.
fn matched<'r, 'p>(route: &'r PathRoute, path: &'p str) -> Option<(Vec<(&'r str, &'p str)>, &'p str)> {
    let mut named = Vec::new();
    let mut left = path;
    for segment in route.segments() {
        let (first, rest) = split_first(left);
        match segment {
            Segment::Exact(text) if first == text => {}
            Segment::Named { name, suffix } => {
                named.push((
                    name.as_str(),
                    first
                        .strip_suffix(suffix.as_str())
                        .filter(|value| !value.is_empty())?,
                ));
            }
            Segment::Exact(_) => return None,
        }
        left = rest;
    }
    match route.tail() {
        Tail::Rest => Some((named, left)),
        Tail::End => left.bytes().all(|byte| byte == b'/').then_some((named, "")),
    }
}

/// The first segment of a path, and the path behind it, which is empty or begins with a slash.
fn split_first(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_at(path.find('/').unwrap_or(path.len()))
}

/// `Less` is more specific.
fn specificity(a: &PathRoute, b: &PathRoute) -> Ordering {
    a.segments()
        .iter()
        .zip(b.segments())
        .map(|(a, b)| vagueness(a).cmp(&vagueness(b)))
        .chain([
            b.segments().len().cmp(&a.segments().len()),
            vagueness_of_tail(a).cmp(&vagueness_of_tail(b)),
        ])
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn vagueness(segment: &Segment) -> u8 {
    match segment {
        Segment::Exact(_) => 0,
        Segment::Named { suffix, .. } if !suffix.is_empty() => 1,
        Segment::Named { .. } => 2,
    }
}

fn vagueness_of_tail(route: &PathRoute) -> u8 {
    match route.tail() {
        Tail::End => 0,
        Tail::Rest => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[&str]) -> RouteTable<String> {
        RouteTable::new(
            routes
                .iter()
                .map(|&route| (PathRoute::parse(route).unwrap(), route.to_owned())),
        )
    }

    #[test]
    fn the_most_specific_route_wins_whatever_the_order() {
        let mut routes = [
            "/...",
            "/a/...",
            "/a/:x",
            "/a/:x.txt",
            "/a/b",
            "/a/b/...",
            "/:x/c",
            "/",
        ];
        // (path, route)
        let cases = [
            ("/", "/"),
            ("//", "/"),
            ("/z", "/..."),
            ("/z/z", "/..."),
            ("/z/c", "/:x/c"),
            ("/a", "/a/..."),
            ("/ab", "/..."),
            ("/abc", "/..."),
            ("/a/", "/a/..."),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b"),
            ("/a//b", "/a/b"),
            ("/a/b/c", "/a/b/..."),
            ("/a/c", "/a/:x"),
            ("/a/c.txt", "/a/:x.txt"),
            ("/a/.txt", "/a/:x"),
            ("/a/c/d", "/a/..."),
            ("/A/b", "/..."),
            ("/%61/b", "/..."),
        ];
        for _ in 0..routes.len() {
            routes.rotate_left(1);
            let table = table(&routes);
            for (path, route) in cases {
                let routed = table
                    .route(path)
                    .unwrap_or_else(|| panic!("{path} leads nowhere"));
                assert_eq!(routed.target, route, "{path}");
            }
        }
    }

    #[test]
    fn a_path_without_a_route_leads_nowhere() {
        let table = table(&["/a", "/b/:x", "/c/d/..."]);
        for path in ["/", "/ab", "/a/b", "/b", "/b/", "/b/x/y", "/c", "/c/dd", ""] {
            assert_eq!(table.route(path), None, "{path}");
        }
    }

    #[test]
    fn names_and_the_rest_are_taken_from_the_path_as_it_came() {
        // (route, path, named, rest)
        type Case = (
            &'static str,
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static str,
        );
        let cases: &[Case] = &[
            ("/...", "/", &[], "/"),
            ("/...", "/a/b", &[], "/a/b"),
            ("/t/...", "/t", &[], ""),
            ("/t/...", "/t/", &[], "/"),
            ("/t/...", "/t/a", &[], "/a"),
            ("/t/...", "/t/a/", &[], "/a/"),
            ("/u/:id", "/u/4%202", &[("id", "4%202")], ""),
            ("/u/:id/...", "/u/42/x/y", &[("id", "42")], "/x/y"),
            ("/:a/:b", "/1/2", &[("a", "1"), ("b", "2")], ""),
            ("/:f.txt", "/n.txt", &[("f", "n")], ""),
        ];
        for (route, path, named, rest) in cases {
            let table = table(&[route]);
            let routed = table
                .route(path)
                .unwrap_or_else(|| panic!("{path} leads nowhere"));
            assert_eq!((&*routed.named, routed.rest), (*named, *rest), "{route} {path}");
        }
    }
}
