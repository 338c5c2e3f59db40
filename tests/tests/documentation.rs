//! The links of all pages lead somewhere, and the book has all pages.
//!
//! Of a link within the repository the file must be there, and the heading that it names. Headings get their names as code
//! forges and mdbook give them. Where links lead outside is not asked: only that it is by HTTPS, or on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use outport_e2e::guest::workspace;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Where pages are, beside those that lie in the root: folders, and how deep they are looked through.
const FOLDERS: [(&str, usize); 8] = [
    ("", 0),
    (".github", 1),
    ("benches", 1),
    ("crates", 1),
    ("docs", 2),
    ("examples", 2),
    ("guests", 1),
    ("tests", 2),
];

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let pages = pages();
    assert!(pages.len() > 50, "{}", pages.len());
    let mut wrong = Vec::new();
    for (path, page) in &pages {
        for link in &page.links {
            if let Some(problem) = problem(&pages, path, link) {
                wrong.push(format!("{}: {link}: {problem}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_book_has_every_page_once() {
    let pages = pages();
    let summary = &pages[Path::new("docs/SUMMARY.md")];
    let listed: BTreeSet<PathBuf> = summary
        .links
        .iter()
        .map(|link| Path::new("docs").join(link))
        .collect();
    assert_eq!(listed.len(), summary.links.len(), "a page is listed twice");
    let there = pages
        .keys()
        .filter(|path| path.starts_with("docs") && !path.ends_with("SUMMARY.md"));
    assert_eq!(
        listed,
        there.cloned().collect(),
        "docs/SUMMARY.md lists the pages of docs/"
    );
}

/// What is wrong with a link on a page.
fn problem(pages: &BTreeMap<PathBuf, Page>, page: &Path, link: &str) -> Option<&'static str> {
    if link.starts_with("https://")
        || link.starts_with("http://127.0.0.1")
        || link.starts_with("http://localhost")
    {
        return None;
    }
    if link.contains(':') {
        return Some("neither a file nor a page by HTTPS");
    }
    let (file, heading) = link
        .split_once('#')
        .map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() {
        page.to_owned()
    } else {
        match resolved(&page.parent().expect("a file lies in a folder").join(file)) {
            Some(target) => target,
            None => return Some("out of the repository"),
        }
    };
    if !workspace().join(&target).exists() {
        return Some("no such file");
    }
    let heading = heading?;
    match pages.get(&target) {
        Some(page) if page.headings.contains(heading) => None,
        Some(_) => Some("no such heading"),
        // A line of a source: `#L12`.
        None => Some("a heading of what is no page"),
    }
}

/// The path without `.` and `..`; none if it leads out of the repository.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => resolved.push(name),
            Component::ParentDir => resolved.pop().then_some(())?,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

/// What is looked at of a page.
#[derive(Debug, Default, PartialEq)]
struct Page {
    links: Vec<String>,
    headings: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let name = name(&heading.take().expect("a heading begins before it ends"));
                    let before = counts.entry(name.clone()).or_default();
                    let unique = if *before == 0 {
                        name
                    } else {
                        format!("{name}-{before}")
                    };
                    *before += 1;
                    page.headings.insert(unique);
                }
                _ => {}
            }
        }
        page
    }
}

/// By which a link names a heading.
fn name(heading: &str) -> String {
    let shown = heading.trim().chars().flat_map(char::to_lowercase);
    shown
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}

/// All pages, by their paths from the root.
fn pages() -> BTreeMap<PathBuf, Page> {
    let mut pages = BTreeMap::new();
    for (folder, depth) in FOLDERS {
        collect(Path::new(folder), depth, &mut pages);
    }
    pages
}

fn collect(folder: &Path, depth: usize, pages: &mut BTreeMap<PathBuf, Page>) {
    let entries = fs::read_dir(workspace().join(folder))
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("an entry of the folder");
        let (path, kind) = (
            folder.join(entry.file_name()),
            entry.file_type().expect("its kind"),
        );
        if kind.is_dir() && depth > 0 && entry.file_name() != "target" {
            collect(&path, depth - 1, pages);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(entry.path())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            pages.insert(path, Page::read(&text));
        }
    }
}

#[test]
fn a_heading_is_named_as_forges_do() {
    let text = "# What of `spin.toml` counts?\n\n## A, b & c\n\n## Same\n\n## Same\n\n[x](a.md#b) `[y](z)` ![i](i.svg)\n\n```\n# no\n```\n";
    let expected = Page {
        links: vec!["a.md#b".into(), "i.svg".into()],
        headings: ["what-of-spintoml-counts", "a-b--c", "same", "same-1"]
            .map(str::to_owned)
            .into(),
    };
    assert_eq!(Page::read(text), expected);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let pages = BTreeMap::from([(PathBuf::from("README.md"), Page::read("# There"))]);
    for (link, expected) in [
        ("#there", None),
        ("README.md#there", None),
        ("https://example.com/#x", None),
        ("#gone", Some("no such heading")),
        ("gone.md", Some("no such file")),
        ("../README.md", Some("out of the repository")),
        ("/etc/passwd", Some("out of the repository")),
        ("http://example.com", Some("neither a file nor a page by HTTPS")),
        ("Cargo.toml#x", Some("a heading of what is no page")),
    ] {
        assert_eq!(problem(&pages, Path::new("README.md"), link), expected, "{link}");
    }
}
