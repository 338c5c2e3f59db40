use std::collections::BTreeSet;

use outport_manifest::{GivenVariables, Manifest, ResolvedApp};

use super::*;

fn values(entries: &[String]) -> Values {
    Values {
        name: "my-app".parse().unwrap(),
        route: "/shop/:id/...".to_owned(),
        entries: entries.to_vec(),
    }
}

#[test]
fn each_template_has_a_folder_and_each_folder_a_template() {
    let folders: BTreeSet<_> = FOLDERS.dirs().map(|dir| dir.path().to_str().unwrap()).collect();
    assert_eq!(folders, ALL.iter().map(|one| one.name).collect());
    assert_eq!(FOLDERS.files().count(), 0);
}

#[test]
fn what_is_rendered_has_no_place_left_and_a_manifest_without_a_mistake() {
    for template in &ALL {
        let files = template.render(&values(&template.default_entries()));
        for file in &files {
            assert!(
                !file.text.contains("{{"),
                "{}: {}",
                template.name,
                file.path.display()
            );
            assert!(
                file.text.ends_with('\n') && !file.text.ends_with("\n\n"),
                "{}",
                file.path.display()
            );
            assert!(!file.path.to_string_lossy().contains("tmpl"));
        }
        for name in ["spin.toml", "outport.test.toml", "README.md", ".gitignore"] {
            assert!(!text_of(&files, name).is_empty(), "{}: {name}", template.name);
        }
        let source = SourceFile::new(MANIFEST, manifest(&files));
        let app = ResolvedApp::resolve(Manifest::parse(&source), &GivenVariables::default());
        let (app, notes) = app
            .complete()
            .unwrap_or_else(|wrong| panic!("{}: {wrong:?}", template.name));
        assert!(
            notes
                .iter()
                .all(|note| !note.remark.to_string().contains("my-app")),
            "{notes:?}"
        );
        let (component, _) = app.components().next().unwrap();
        assert_eq!(component.id.value.as_str(), "my-app");
    }
}

#[test]
fn tests_of_the_policy_are_about_what_an_entry_names_and_expect_what_is_so() {
    let rows: [(&[&str], &str); 6] = [
        (&[], "\"https://unlisted.example\" allow.none"),
        (&["*://db.test:5432"], "\"tcp://db.test:5432\" allow"),
        (&["https://api.test"], "\"https://api.test\" allow"),
        (&["*://[2001:db8::1]:5432"], "\"tcp://[2001:db8::1]:5432\" allow"),
        (
            &["*://127.0.0.1:22"],
            "\"tcp://127.0.0.1:22\" runtime.loopback-port",
        ),
        (&["https://*:443"], "\"https://unlisted.example\" allow"),
    ];
    for (entries, expected) in rows {
        let entries: Vec<_> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let files = ALL[0].render(&values(&entries));
        let tests: toml_edit::DocumentMut = policy_tests(&files).parse().unwrap();
        let tests = tests["test"].as_array_of_tables().unwrap();
        let told: Vec<_> = tests
            .iter()
            .map(|test| {
                format!(
                    "{} {}",
                    test["destination"].to_string().trim(),
                    test["expect"].as_str().unwrap()
                )
            })
            .collect();
        assert!(told.iter().any(|told| told == expected), "{entries:?}: {told:?}");
    }
}

#[test]
fn the_server_that_is_asked_is_the_one_that_may_be_reached() {
    let rows: [(&[&str], &str); 5] = [
        (&[], "localhost:5432"),
        (&["*://db.test:5433"], "db.test:5433"),
        (&["https://*.test", "postgres://db.test"], "db.test"),
        (&["*://10.0.0.0/8:5432", "*://[::1]:5432"], "[::1]:5432"),
        (&["*://db.test:{5432,5433}", "*://db.test:*"], "localhost:5432"),
    ];
    for (entries, server) in rows {
        let entries: Vec<_> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let url = values(&entries).database_url();
        assert_eq!(url, format!("postgres://postgres@{server}/postgres"));
    }
}

#[test]
fn what_cargo_refuses_is_reserved() {
    let name = |name: &str| name.parse::<ProjectName>().unwrap();
    let rust = ALL.iter().find(|one| one.name == "postgres-rust").unwrap();
    for reserved in ["fn", "test", "tokio", "deps"] {
        assert!(rust.reserves(&name(reserved)), "{reserved}");
    }
    assert!(!rust.reserves(&name("shop")));
    let python = ALL.iter().find(|one| one.name == "http-python").unwrap();
    assert!(!python.reserves(&name("test")));
}

#[test]
fn a_value_that_looks_like_a_place_is_a_value() {
    let rows = [
        (
            "/{{allowed-outbound-hosts}}",
            "'http://127.0.0.1:3000/{{allowed-outbound-hosts}}'",
        ),
        (
            "/{{project-name}}{{",
            "'http://127.0.0.1:3000/{{project-name}}{{'",
        ),
        ("/it's-$(id);&*", "'http://127.0.0.1:3000/it'\\''s-$(id);&*'"),
        ("/%C3%BC/:id/...", "http://127.0.0.1:3000/%C3%BC/id/"),
    ];
    for (route, url) in rows {
        let values = Values {
            route: route.to_owned(),
            ..values(&[])
        };
        let files = ALL[0].render(&values);
        let manifest: toml_edit::DocumentMut = manifest(&files).parse().unwrap();
        let found = manifest["trigger"]["http"][0]["route"].as_str();
        assert_eq!(found, Some(route));
        let curl = format!("\n$ curl {url}\n");
        let readme = text_of(&files, "README.md");
        assert!(readme.contains(&curl), "{readme}");
    }
}
