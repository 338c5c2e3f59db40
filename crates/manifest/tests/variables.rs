//! Values for variables, and entries with variables in them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary has no users")]

use std::ffi::OsString;

use outport_manifest::{
    GivenVariables, Manifest, Note, Origin, Problem, Reading, Remark, SourceFile, VariableFileFormat,
    VariableName, Variables,
};
use outport_policy::{Entry, Location};

fn manifest(variables: &str, entries: &str) -> Manifest {
    let text = format!(
        "spin_manifest_version = 2\napplication.name = \"a\"\n[[trigger.http]]\nroute = \"/\"\ncomponent = \"web\"\n\
         [component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [{entries}]\n[variables]\n{variables}\n"
    );
    Manifest::parse(&SourceFile::new("spin.toml", text))
        .complete()
        .expect("a good manifest")
        .0
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn resolve(manifest: &Manifest, given: &GivenVariables) -> Reading<Variables> {
    Variables::resolve(&manifest.variables, given, &manifest.source)
}

fn value(variables: &Variables, name: &str) -> (String, Origin) {
    let value = variables.get(&VariableName::parse(name).unwrap()).expect(name);
    (value.text.expose().to_owned(), value.origin.clone())
}

fn codes(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| format!("{} {}", problem.code(), problem.location))
        .collect()
}

#[test]
fn the_option_beats_the_environment_beats_dotenv_beats_the_file_beats_the_default() {
    let manifest = manifest("a = { default = \"default\" }\nb_2 = { required = true }", "");
    let mut given = GivenVariables::default();
    given.set("b_2", "b");
    assert_eq!(
        value(resolve(&manifest, &given).tentative(), "a"),
        ("default".into(), Origin::Default)
    );

    given.file(
        &SourceFile::new("vars.toml", "a = 'old'"),
        VariableFileFormat::Toml,
    );
    given.file(
        &SourceFile::new("vars.json", r#"{"a": "file"}"#),
        VariableFileFormat::Json,
    );
    let (text, origin) = value(resolve(&manifest, &given).tentative(), "a");
    assert_eq!(
        (text.as_str(), origin.to_string().as_str()),
        ("file", "vars.json:1:1")
    );

    given.dotenv(&SourceFile::new(".env", "A=no\nSPIN_VARIABLE_A=dotenv\n"));
    let (text, origin) = value(resolve(&manifest, &given).tentative(), "a");
    assert_eq!(
        (text.as_str(), origin.to_string().as_str()),
        ("dotenv", "SPIN_VARIABLE_A in `.env`")
    );

    given.environment(environment(&[
        ("SPIN_VARIABLE_A", "env"),
        ("SPIN_VARIABLE_B_2", "env"),
        ("A", "no"),
    ]));
    let origin = Origin::Environment("SPIN_VARIABLE_A".into());
    assert_eq!(
        value(resolve(&manifest, &given).tentative(), "a"),
        ("env".into(), origin)
    );

    given.set("a", "first");
    given.set("a", "option");
    let (variables, _) = resolve(&manifest, &given).complete().unwrap();
    assert_eq!(value(&variables, "a"), ("option".into(), Origin::Argument));
    assert_eq!(value(&variables, "b_2"), ("b".into(), Origin::Argument));
    assert_eq!(variables.iter().count(), 2);
}

#[test]
fn a_name_of_the_environment_that_is_nearly_that_of_a_variable_without_a_value_is_noted() {
    let manifest = manifest(
        "api_url = { default = \"\" }\nport = { required = true }\nset = { default = \"\" }",
        "",
    );
    // (the name, what was meant)
    let rows = [
        ("SPIN_VARIABLE_API_ULR", Some("SPIN_VARIABLE_API_URL")),
        ("SPIN_VARIABLE_api_url", Some("SPIN_VARIABLE_API_URL")),
        ("SPIN_VARIABLE_PROT", Some("SPIN_VARIABLE_PORT")),
        ("SPIN_VARIABLE_SETT", None), // `set` is set
        ("SPIN_VARIABLE_OF_ANOTHER_APP", None),
        ("SPIN_VARIABLE_", None),
        ("API_ULR", None),
    ];
    for (name, meant) in rows {
        for (of_the_environment, location) in [(true, name.to_owned()), (false, ".env:2:1".to_owned())] {
            let mut given = GivenVariables::default();
            given.set("set", "x");
            if of_the_environment {
                given.environment(environment(&[(name, "hunter2")]))
            } else {
                given.dotenv(&SourceFile::new(".env", format!("# mine\n{name}=hunter2\n")))
            }
            let reading = resolve(&manifest, &given);
            let told: Vec<String> = reading.notes().iter().map(Note::to_string).collect();
            let expected: Vec<String> = meant
                .map(|meant| {
                    format!("{location}: `{name}` sets no variable of this app: did you mean `{meant}`?")
                })
                .into_iter()
                .collect();
            assert_eq!(told, expected, "{name}");
        }
    }
}

#[test]
fn all_missing_and_all_unknown_variables_are_reported_together() {
    let manifest = manifest(
        "host = { required = true }\nport = { required = true }\nx = { default = \"\" }",
        "",
    );
    let mut given = GivenVariables::default();
    given.set("hots", "x");
    given.file(
        &SourceFile::new("vars.toml", "x = 'x'\nprot = '1'\n"),
        VariableFileFormat::Toml,
    );
    given.environment(environment(&[("SPIN_VARIABLE_OTHER_APP", "x")]));
    let reading = resolve(&manifest, &given);
    let expected = [
        "variables.unknown --variable",
        "variables.unknown vars.toml:2:9",
        "variables.not-set spin.toml:10:1",
        "variables.not-set spin.toml:11:1",
    ];
    assert_eq!(codes(reading.problems()), expected);
    let helps: Vec<_> = reading.problems().iter().filter_map(Problem::help).collect();
    assert_eq!(helps[0], "did you mean `host`?");
    assert_eq!(helps[2], "pass `--variable host=…` or set `SPIN_VARIABLE_HOST`");
    let secret = self::manifest("s = { required = true, secret = true }", "");
    let reading = resolve(&secret, &GivenVariables::default());
    assert_eq!(
        reading.problems()[0].help().unwrap(),
        "set `SPIN_VARIABLE_S`, or pass `--variable s=@FILE`"
    );
    let unknown = resolve(&manifest, &{
        let mut given = GivenVariables::default();
        given.set("entirely_different", "x");
        given
    });
    assert_eq!(
        unknown.problems()[0].help().unwrap(),
        "the variables are `host`, `port`, `x`"
    );
}

#[test]
fn a_variables_file_with_mistakes_is_reported_without_its_values() {
    let manifest = manifest("token = { required = true, secret = true }", "");
    let rows = [
        (
            VariableFileFormat::Toml,
            "token = 'hunter2\nother = 5\n",
            ["variables.syntax vars:1:17", "variables.wrong-type vars:2:9"].as_slice(),
        ),
        (
            VariableFileFormat::Toml,
            "token = 23232323\n",
            &["variables.wrong-type vars:1:9"],
        ),
        (
            VariableFileFormat::Json,
            "{\"token\":\n hunter2}",
            &["variables.syntax vars:2:2"],
        ),
        (
            VariableFileFormat::Json,
            "{\"token\": 23232323}",
            &["variables.wrong-type vars:1:1"],
        ),
        (
            VariableFileFormat::Json,
            "[\"hunter2\"]",
            &["variables.wrong-type vars:1:1"],
        ),
    ];
    for (format, text, expected) in rows {
        let mut given = GivenVariables::default();
        given.file(&SourceFile::new("vars", text), format);
        let reading = resolve(&manifest, &given);
        let found: Vec<_> = codes(reading.problems())
            .into_iter()
            .filter(|code| !code.contains("not-set"))
            .collect();
        assert_eq!(found, expected, "{text:?}");
        let shown = format!(
            "{reading:?} {given:?} {}",
            reading.clone().complete().unwrap_err()
        );
        assert!(!shown.contains("hunter2") && !shown.contains("2323"), "{shown}");
    }
}

#[cfg(unix)]
#[test]
fn a_value_from_the_environment_that_is_not_text_is_reported() {
    use std::os::unix::ffi::OsStringExt as _;
    let manifest = manifest("a = { default = \"\" }", "");
    let mut given = GivenVariables::default();
    given.environment([("SPIN_VARIABLE_A".into(), OsString::from_vec(vec![0xff]))]);
    assert_eq!(
        codes(resolve(&manifest, &given).problems()),
        ["variables.not-text SPIN_VARIABLE_A"]
    );
}

#[test]
fn secret_values_are_never_shown() {
    let manifest = manifest("token = { required = true, secret = true }", "");
    let mut given = GivenVariables::default();
    given.set("token", "hunter2");
    assert!(!format!("{given:?}").contains("hunter2"));
    let (variables, _) = resolve(&manifest, &given).complete().unwrap();
    assert_eq!(value(&variables, "token").0, "hunter2");
    assert!(!format!("{variables:?}").contains("hunter2"));
}

fn entries(variables: &str, entries: &str, given: &[(&str, &str)]) -> Reading<Vec<Entry>> {
    let manifest = manifest(variables, entries);
    let mut values = GivenVariables::default();
    for (name, value) in given {
        values.set(*name, *value);
    }
    let variables = resolve(&manifest, &values);
    manifest.components[0].outbound_entries(variables.tentative())
}

// proves: AL-8
#[test]
fn variables_are_filled_in_before_an_entry_is_parsed() {
    let variables = "host = { default = \"db.example.com\" }\nport = { default = \"5432\" }";
    let rows = [
        ("*://db.example.com:5432", "*://db.example.com:5432"),
        ("*://{{ host }}:5432", "*://db.example.com:5432"),
        ("*://{{host}}:{{ port }}", "*://db.example.com:5432"),
        (
            "*://{a.{{ host }},b.{{ host }}}:{{ port }}",
            "*://{a.db.example.com,b.db.example.com}:5432",
        ),
    ];
    for (template, text) in rows {
        let (entries, notes) = entries(variables, &format!("\"{template}\""), &[])
            .complete()
            .expect(template);
        assert_eq!(entries[0].text(), text, "{template}");
        assert_eq!(entries[0].location().to_string(), "spin.toml:8:28");
        assert!(notes.is_empty());
    }
}

// proves: AL-8
#[test]
fn an_entry_that_comes_to_nothing_or_to_a_scheme_is_left_out_with_a_note() {
    let rows = [
        ("{{ x }}", "", Some("nothing")),
        (" {{ x }} ", "", Some("nothing")),
        ("{{ x }}", "  \t", Some("nothing")),
        ("{{ x }}", "https://", Some("only a scheme")),
        ("https://{{ x }}", "", Some("only a scheme")),
        ("https://{{ x }}/", "", Some("only a scheme")),
        ("{http,https}://{{ x }}", "", Some("only a scheme")),
        ("*://{{ x }}", "", Some("only a scheme")),
        ("https://{{ x }}", "a.example.com", None),
    ];
    for (template, value, left) in rows {
        let list = format!("\"{template}\", \"https://b.example.com\"");
        let (entries, notes) = entries("x = { default = \"d\" }", &list, &[("x", value)])
            .complete()
            .expect(template);
        let expected: Vec<Remark> = left
            .into_iter()
            .map(|left| Remark::EmptyEntry {
                template: template.to_owned(),
                left,
            })
            .collect();
        let remarks: Vec<Remark> = notes.iter().map(|note: &Note| note.remark.clone()).collect();
        assert_eq!(remarks, expected, "{template} {value:?}");
        assert_eq!(entries.len(), 2 - expected.len(), "{template} {value:?}");
        assert!(
            notes
                .iter()
                .all(|note| note.code().to_string() == "manifest.empty-entry")
        );
    }
}

// proves: AL-8
#[test]
fn a_bad_result_names_the_entry_the_variable_and_the_value() {
    let rows = [
        ("https://{{ x }}:443", ""),
        ("https://{{ x }}", "a b"),
        ("{{ x }}", "a.example.com"),
        ("{{ x }}://a.example.com", ""),
        ("https://{{ x }}", "a.example.com/path"),
    ];
    for (template, value) in rows {
        let reading = entries(
            "x = { default = \"d\" }",
            &format!("\"{template}\""),
            &[("x", value)],
        );
        assert_eq!(
            codes(reading.problems()),
            ["manifest.entry spin.toml:8:28"],
            "{template} {value:?}"
        );
        let message = reading.problems()[0].to_string();
        for part in [template, "`x`", value, "--variable"] {
            assert!(message.contains(part), "{message} lacks {part:?}");
        }
    }
}

// proves: AL-8
#[test]
fn a_bad_result_hides_the_value_of_a_secret() {
    let reading = entries(
        "x = { required = true, secret = true }",
        "\"https://{{ x }}\"",
        &[("x", "hunter 2")],
    );
    assert_eq!(codes(reading.problems()), ["manifest.entry spin.toml:8:28"]);
    let shown = format!("{} {:?}", reading.problems()[0], reading);
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("`x` = `***`"), "{shown}");
    assert!(
        shown.contains("the reason is not shown, since a value is secret"),
        "{shown}"
    );
}

#[test]
fn an_entry_with_a_secret_in_it_is_warned_about() {
    let reading = entries(
        "x = { required = true, secret = true }",
        "\"https://{{ x }}\"",
        &[("x", "a.example.com")],
    );
    let (entries, notes) = reading.complete().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(notes[0].code().to_string(), "manifest.secret-in-entry");
    assert!(!notes[0].to_string().contains("a.example.com"));
}

#[test]
fn an_entry_whose_variable_has_no_value_is_left_out_with_a_note() {
    let reading = entries("x = { required = true }", "\"https://{{ x }}\"", &[]);
    let (entries, notes) = reading.complete().unwrap();
    assert!(entries.is_empty());
    assert_eq!(notes[0].code().to_string(), "manifest.unresolved-entry");
}

#[test]
fn the_place_of_a_missing_variable_is_its_declaration() {
    let manifest = manifest("x = { required = true }", "");
    let reading = resolve(&manifest, &GivenVariables::default());
    let Location::File { span, .. } = &reading.problems()[0].location else {
        panic!()
    };
    assert_eq!(manifest.source.slice(span), "x");
}
