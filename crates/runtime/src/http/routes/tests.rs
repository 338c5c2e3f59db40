use super::*;

/// A path, and where it leads: the route, what it names, and the rest.
type Row = (&'static str, Option<(&'static str, &'static str, &'static str)>);

/// Routes, and what Spin 4 makes of paths with them: found by running its router, the crate `routefinder` in version
/// 0.5.4.
const AS_IN_SPIN: &[(&str, &[Row])] = &[
    (
        "/ /... /a/... /a/:x /a/:x.txt /a/b /a/b/... /:x/c",
        &[
            ("/", Some(("/", "", ""))),
            ("//", Some(("/", "", ""))),
            ("/z", Some(("/...", "", "/z"))),
            ("/z/z", Some(("/...", "", "/z/z"))),
            ("/z/c", Some(("/:x/c", "x=z", ""))),
            ("/a", Some(("/a/...", "", ""))),
            ("/ab", Some(("/...", "", "/ab"))),
            ("/abc", Some(("/...", "", "/abc"))),
            ("/a/", Some(("/a/...", "", "/"))),
            ("/a/b", Some(("/a/b", "", ""))),
            ("/a/b/", Some(("/a/b", "", ""))),
            ("/a//b", Some(("/a/...", "", "//b"))),
            ("//a/b", Some(("/a/b", "", ""))),
            ("/a/b//", Some(("/a/b", "", ""))),
            ("/a/b/c", Some(("/a/b/...", "", "/c"))),
            ("/a/c", Some(("/a/:x", "x=c", ""))),
            ("/a/c.txt", Some(("/a/:x.txt", "x=c", ""))),
            ("/a/.txt", Some(("/a/:x.txt", "x=", ""))),
            ("/a/c.d.txt", Some(("/a/:x", "x=c.d.txt", ""))),
            ("/a/c/d", Some(("/a/...", "", "/c/d"))),
            ("/A/b", Some(("/...", "", "/A/b"))),
            ("/%61/b", Some(("/...", "", "/%61/b"))),
            ("/a/b//c", Some(("/a/b/...", "", "//c"))),
        ],
    ),
    (
        "/a /b/:x /c/d/...",
        &[
            ("/", None),
            ("/ab", None),
            ("/a/b", None),
            ("/b", None),
            ("/b/", None),
            ("/b/x/y", None),
            ("/c", None),
            ("/c/dd", None),
            ("/c/d", Some(("/c/d/...", "", ""))),
            ("/c/d/e", Some(("/c/d/...", "", "/e"))),
            ("//a", Some(("/a", "", ""))),
            ("/a//", Some(("/a", "", ""))),
            ("/b//x", None),
        ],
    ),
    (
        "/:x /:y",
        &[
            ("/1", Some(("/:x", "x=1", ""))),
            ("/1/", Some(("/:x", "x=1", ""))),
            ("//", None),
            ("//1", Some(("/:x", "x=1", ""))),
            ("/1/2", None),
        ],
    ),
    (
        "/:x/:x /:x/...",
        &[
            ("/1/2", Some(("/:x/:x", "x=1 x=2", ""))),
            ("/1", Some(("/:x/...", "x=1", ""))),
            ("/1/2/3", Some(("/:x/...", "x=1", "/2/3"))),
            ("/1//3", Some(("/:x/...", "x=1", "//3"))),
            ("/1/2/", Some(("/:x/:x", "x=1 x=2", ""))),
        ],
    ),
    (
        "/a/:x/b /a/:x/... /a/...",
        &[
            ("/a//b", Some(("/a/:x/b", "x=", ""))),
            ("/a/1/b", Some(("/a/:x/b", "x=1", ""))),
            ("/a/1/c", Some(("/a/:x/...", "x=1", "/c"))),
            ("/a/1", Some(("/a/:x/...", "x=1", ""))),
            ("/a", Some(("/a/...", "", ""))),
            ("/a//", Some(("/a/...", "", "/"))),
            ("/a//c", Some(("/a/:x/...", "x=", "/c"))),
            ("/a/1//b", Some(("/a/:x/...", "x=1", "//b"))),
        ],
    ),
    (
        "/t/...",
        &[
            ("/t", Some(("/t/...", "", ""))),
            ("/t/", Some(("/t/...", "", "/"))),
            ("/t/a", Some(("/t/...", "", "/a"))),
            ("/t/a/", Some(("/t/...", "", "/a/"))),
            ("/t//a", Some(("/t/...", "", "//a"))),
            ("/t///", Some(("/t/...", "", "/"))),
            ("/t/a//", Some(("/t/...", "", "/a/"))),
            ("/t/a//b", Some(("/t/...", "", "/a//b"))),
            ("/tt", None),
            ("//t/a", Some(("/t/...", "", "/a"))),
        ],
    ),
    (
        "/:f.txt /:f.tar.gz /:f.:kind /:f",
        &[
            ("/n.txt", Some(("/:f.txt", "f=n", ""))),
            ("/n.tar.gz", Some(("/:f.tar.gz", "f=n", ""))),
            ("/n.png", Some(("/:f.:kind", "f=n kind=png", ""))),
            ("/n", Some(("/:f", "f=n", ""))),
            ("/.txt", Some(("/:f.txt", "f=", ""))),
            ("/n.", Some(("/:f", "f=n.", ""))),
            ("/a.b.c", Some(("/:f.:kind", "f=a kind=b.c", ""))),
            ("/a.b.txt", Some(("/:f.:kind", "f=a kind=b.txt", ""))),
        ],
    ),
    (
        "/v1.:minor /v1.0 /v1",
        &[
            ("/v1", Some(("/v1", "", ""))),
            ("/v1.0", Some(("/v1.0", "", ""))),
            ("/v1.7", Some(("/v1.:minor", "minor=7", ""))),
            ("/v1.", None),
            ("/v2", None),
        ],
    ),
    (
        "/users/:id/edit /users/:id /users/me /users/...",
        &[
            ("/users/1/edit", Some(("/users/:id/edit", "id=1", ""))),
            ("/users/1", Some(("/users/:id", "id=1", ""))),
            ("/users/me", Some(("/users/me", "", ""))),
            ("/users/me/edit", Some(("/users/:id/edit", "id=me", ""))),
            ("/users", Some(("/users/...", "", ""))),
            ("/users/1/cart", Some(("/users/...", "", "/1/cart"))),
            ("/users//edit", Some(("/users/:id/edit", "id=", ""))),
        ],
    ),
];

/// The paths that Spin gives to `/...`, since its router takes a dot at the beginning of a segment for one behind a
/// name.
const UNLIKE_SPIN: &[(&str, &[Row])] = &[(
    "/... /.well-known/spin /.well-known/...",
    &[
        ("/.well-known/spin", Some(("/.well-known/spin", "", ""))),
        ("/.well-known", Some(("/.well-known/...", "", ""))),
        ("/.well-known/x", Some(("/.well-known/...", "", "/x"))),
        ("/well-known/spin", Some(("/...", "", "/well-known/spin"))),
    ],
)];

fn table(routes: &[&str]) -> RouteTable<String> {
    RouteTable::new(
        routes
            .iter()
            .map(|&route| (PathRoute::parse(route).unwrap(), route.to_owned())),
    )
}

#[test]
fn paths_lead_where_spin_leads_them() {
    for (routes, rows) in AS_IN_SPIN.iter().chain(UNLIKE_SPIN) {
        let routes: Vec<&str> = routes.split(' ').collect();
        let table = table(&routes);
        for (path, expected) in *rows {
            let routed = table.route(path);
            let named = routed.iter().flat_map(|routed| &routed.named);
            let named: Vec<_> = named.map(|(name, value)| format!("{name}={value}")).collect();
            let named = named.join(" ");
            let found = routed.map(|routed| (routed.target.as_str(), named.as_str(), routed.rest));
            assert_eq!(found, *expected, "{path} in {routes:?}");
        }
    }
}

#[test]
fn the_most_specific_route_wins_whatever_the_order() {
    let (routes, rows) = AS_IN_SPIN[0];
    let mut routes: Vec<&str> = routes.split(' ').collect();
    for _ in 0..routes.len() {
        routes.rotate_left(1);
        let table = table(&routes);
        for (path, expected) in rows {
            let target = table.route(path).map(|routed| routed.target.as_str());
            assert_eq!(target, expected.map(|(route, ..)| route), "{path} in {routes:?}");
        }
    }
}

#[test]
fn what_is_no_path_is_no_surprise() {
    let table = table(&["/...", "/:x/...", "/:x.txt", "/"]);
    for path in ["", "*", "a", "a/b", "/é/ü.txt", "/.", "/..", "/é.txt"] {
        let rest = table.route(path).map(|routed| routed.rest);
        assert!(rest.is_some_and(|rest| path.ends_with(rest)), "{path}: {rest:?}");
    }
}
