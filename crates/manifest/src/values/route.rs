//! Routes of HTTP triggers, in Spin's forms.
//!
//! | written | matches |
//! | --- | --- |
//! | `/a/b` | exactly this path; one trailing `/` makes no difference |
//! | `/:name`, `/a/:name/b` | one segment, whatever it is, under that name |
//! | `/:name.txt` | one segment that ends in `.txt` |
//! | `/...`, `/a/...` | `/a` and everything below it |
//! | `{ private = true }` | nothing from outside: the component is reached by service chaining only |
//!
//! As with Spin a leading `/` may be left out, `/*` is another spelling of `/...`, a name may occur twice, and of
//! several routes that match the same requests [one answers](serving).

use std::collections::HashMap;
use std::fmt;

use outport_policy::text;

/// The requests that reach a component.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Route {
    /// A path pattern.
    Path(PathRoute),
    /// `{ private = true }`
    Private,
}

/// A path pattern, with the text that it was written as.
#[derive(Debug, Clone)]
pub struct PathRoute {
    text: String,
    segments: Vec<Segment>,
    tail: Tail,
}

/// One step of a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// `a`
    Exact(String),
    /// `:name`, or `:name.txt`
    Named {
        /// The name without the colon.
        name: String,
        /// The text behind it, from the dot on; mostly nothing.
        suffix: String,
    },
}

/// The continuation that may follow the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tail {
    /// Nothing.
    End,
    /// Anything: the pattern ends in `/...`.
    Rest,
}

/// The part of a route that decides which requests match it: the segments without the names that they give to what they
/// match, and the tail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteForm<'r> {
    segments: Vec<SegmentForm<'r>>,
    tail: Tail,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum SegmentForm<'r> {
    Exact(&'r str),
    Named(&'r str),
}

/// Of the routes of each form, the number of the one that answers. As with Spin that is the first; where others are
/// written like it, the last of these.
pub fn serving<'r>(routes: impl IntoIterator<Item = &'r PathRoute>) -> HashMap<RouteForm<'r>, usize> {
    let mut serving = HashMap::new();
    for (number, route) in routes.into_iter().enumerate() {
        let (first, answers) = serving.entry(route.form()).or_insert((route, number));
        if first.as_str() == route.as_str() {
            *answers = number;
        }
    }
    let numbers = serving.into_iter().map(|(form, (_, number))| (form, number));
    numbers.collect()
}

impl PathRoute {
    /// Reads a path pattern.
    ///
    /// # Errors
    /// The part of `text` that makes it none.
    pub fn parse(text: &str) -> Result<Self, RouteError> {
        if text.is_empty() {
            return Err(RouteError::Empty);
        }
        if let Some(odd) = text
            .chars()
            .find(|c| matches!(c, '?' | '#') || c.is_whitespace() || c.is_control())
        {
            return Err(RouteError::Character(odd));
        }
        if text.contains("//") {
            return Err(RouteError::EmptySegment);
        }
        let path = text.strip_prefix('/').unwrap_or(text);
        let path = path.strip_suffix('/').unwrap_or(path);
        let (path, tail) = match path
            .rsplit_once('/')
            .map_or(("", path), |(before, last)| (before, last))
        {
            (before, "..." | "*") => (before, Tail::Rest),
            _ => (path, Tail::End),
        };
        let written = path.split('/').filter(|_| !path.is_empty());
        let segments = written.map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            segments,
            tail,
        })
    }

    /// The pattern as it was written (Spin's `spin-raw-component-route`).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The segments before the tail.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The continuation that may follow the segments.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// The pattern in the language of the crate `routefinder`, which Spin matches routes with: `/a/:name/*`.
    pub fn pattern(&self) -> String {
        let text = self.to_string();
        match text.strip_suffix("...") {
            Some(start) if self.tail == Tail::Rest => format!("{start}*"),
            _ => text,
        }
    }

    /// The part that decides which requests match: equal for two routes of which the same requests match both, whatever
    /// their segments are called. [One of them](serving) answers.
    pub fn form(&self) -> RouteForm<'_> {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Exact(text) => SegmentForm::Exact(text),
            Segment::Named { suffix, .. } => SegmentForm::Named(suffix),
        });
        RouteForm {
            segments: segments.collect(),
            tail: self.tail,
        }
    }
}

/// Routes are the same if they match the same and name their segments the same, however they were written.
impl PartialEq for PathRoute {
    fn eq(&self, other: &Self) -> bool {
        self.segments == other.segments && self.tail == other.tail
    }
}

impl Eq for PathRoute {}

impl std::hash::Hash for PathRoute {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.segments.hash(state);
        self.tail.hash(state);
    }
}

impl fmt::Display for PathRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Exact(text) => write!(f, "/{text}")?,
                Segment::Named { name, suffix } => write!(f, "/:{name}{suffix}")?,
            }
        }
        match (self.tail, self.segments.is_empty()) {
            (Tail::Rest, _) => f.write_str("/..."),
            (Tail::End, true) => f.write_str("/"),
            (Tail::End, false) => Ok(()),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Private => f.write_str("private"),
        }
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, RouteError> {
        match text {
            "" => Err(RouteError::EmptySegment),
            "..." | "*" => Err(RouteError::RestNotLast),
            "." | ".." => Err(RouteError::DotSegment(text.to_owned())),
            _ if text.split('.').any(|piece| piece == ":") => Err(RouteError::Unnamed),
            _ if text.split('.').any(|piece| piece.starts_with('*')) => {
                Err(RouteError::NamedRest(text.to_owned()))
            }
            _ => Ok(match text.strip_prefix(':') {
                Some(rest) => {
                    let (name, suffix) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
                    Self::Named {
                        name: name.to_owned(),
                        suffix: suffix.to_owned(),
                    }
                }
                None => Self::Exact(text.to_owned()),
            }),
        }
    }
}

/// The reason why a text is not a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// `""`
    #[error("it is empty; write `/` for the root or `/...` for everything")]
    Empty,
    /// `/a?b`, `/a b`
    #[error("`{}` cannot stand in a route", .0.escape_default())]
    Character(char),
    /// `/a//b`
    #[error("there is nothing between two slashes")]
    EmptySegment,
    /// `/.../a`
    #[error("`...` can only stand at the end")]
    RestNotLast,
    /// `/*rest`
    #[error("`{}` gives the rest of the path a name, which it cannot have: write `...`", text::quote(.0))]
    NamedRest(String),
    /// `/a/../b`
    #[error("a request path never holds `{0}`")]
    DotSegment(String),
    /// `/:`
    #[error("`:` needs a name after it, such as `:id`")]
    Unnamed,
    /// `{ private = false }`
    #[error("`private` can only be `true`; write a path to make it public")]
    NotPrivate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_read_in_all_of_spins_forms() {
        // (written, canonical spelling)
        let rows = [
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("a", "/a"),
            ("/a/b", "/a/b"),
            ("/:name", "/:name"),
            ("/:name/x", "/:name/x"),
            ("/a/:name/x/...", "/a/:name/x/..."),
            ("/...", "/..."),
            ("/*", "/..."),
            ("...", "/..."),
            ("/a/...", "/a/..."),
            ("/a/.../", "/a/..."),
            ("/.well-known/spin", "/.well-known/spin"),
            ("/größe", "/größe"),
            ("/a....", "/a...."),
            ("/:name.txt", "/:name.txt"),
            ("/:name/to/:name", "/:name/to/:name"),
        ];
        for (text, canonical) in rows {
            let route = PathRoute::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(route.to_string(), canonical, "{text:?}");
            assert_eq!(PathRoute::parse(canonical).unwrap(), route, "{text:?}");
            assert_eq!(route.as_str(), text);
        }
    }

    #[test]
    fn what_is_not_a_route_says_why() {
        use RouteError::*;
        let rows = [
            ("", Empty),
            ("/a?b", Character('?')),
            ("/a b", Character(' ')),
            ("/a\u{1b}", Character('\u{1b}')),
            ("/a//b", EmptySegment),
            ("//", EmptySegment),
            ("/.../a", RestNotLast),
            ("/*/a", RestNotLast),
            ("/*rest", NamedRest("*rest".into())),
            ("/a.*/b", NamedRest("a.*".into())),
            ("/:.txt", Unnamed),
            ("/a/../b", DotSegment("..".into())),
            ("/:", Unnamed),
        ];
        for (text, wrong) in rows {
            assert_eq!(PathRoute::parse(text), Err(wrong), "{text:?}");
        }
    }

    #[test]
    fn two_routes_match_the_same_whatever_their_segments_are_called() {
        let rows = [
            ("/a", "/a/", true),
            ("/:x/b", "/:y/b", true),
            ("/a/...", "/a/*", true),
            ("/a", "/a/...", false),
            ("/a", "/:a", false),
            ("/a", "/a/b", false),
            ("/:x.txt", "/:y.txt", true),
            ("/:x.txt", "/:x.png", false),
        ];
        for (a, b, same) in rows {
            let [a, b] = [a, b].map(|text| PathRoute::parse(text).unwrap());
            assert_eq!(a.form() == b.form(), same, "{a} {b}");
        }
    }

    #[test]
    fn of_routes_that_match_the_same_the_first_answers_or_the_last_that_is_written_like_it() {
        let rows: [(&[&str], usize); 6] = [
            (&["/:x"], 0),
            (&["/:x", "/:y"], 0),
            (&["/:x", "/:x"], 1),
            (&["/:x", "/:y", "/:x"], 2),
            (&["/:x", "/:y", "/:y"], 0),
            (&["/a", "/a/"], 0),
        ];
        for (texts, answers) in rows {
            let routes: Vec<_> = texts.iter().map(|text| PathRoute::parse(text).unwrap()).collect();
            assert_eq!(serving(&routes)[&routes[0].form()], answers, "{texts:?}");
        }
    }

    #[test]
    fn every_route_is_a_pattern_that_the_router_takes() {
        let rows = [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/a/", true),
            ("/:name/x", "/anything/x", true),
            ("/:name/x", "/x", false),
            ("/...", "/", true),
            ("/a/...", "/a/b/c", true),
            ("/a/...", "/a", true),
            ("/a/...", "/b", false),
            ("/:name.txt", "/notes.txt", true),
            ("/:name.txt", "/notes.png", false),
        ];
        for (route, path, matches) in rows {
            let pattern = PathRoute::parse(route).unwrap().pattern();
            let router = routefinder::RouteSpec::try_from(pattern.as_str()).expect(route);
            assert_eq!(router.matches(path).is_some(), matches, "{route} {path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn matching_a_route_never_panics(route in "[/a.:*]{0,12}", path in "[/a.b]{0,12}") {
            if let Ok(route) = PathRoute::parse(&route) {
                let spec = routefinder::RouteSpec::try_from(route.pattern().as_str()).expect("a route is a pattern");
                let _ = spec.matches(&path);
            }
        }
    }
}
