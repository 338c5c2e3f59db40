use std::path::Path;

use super::*;

fn text(name: &str) -> String {
    let page = pages("2026-03-01").into_iter().find(|page| page.name == name);
    page.unwrap_or_else(|| panic!("no page {name}")).text
}

#[test]
fn every_command_that_is_shown_has_a_page() {
    let names: Vec<_> = pages("2026-03-01").into_iter().map(|page| page.name).collect();
    for expected in [
        "outport.1",
        "outport-up.1",
        "outport-trigger.1",
        "outport-trigger-cron.1",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected}: {names:?}");
    }
    let line = CommandLine::command();
    for command in line.get_subcommands() {
        let name = format!("outport-{}.1", command.get_name());
        assert_eq!(names.contains(&name), !command.is_hide_set(), "{name}: {names:?}");
    }
}

#[test]
fn a_page_has_every_option_that_is_shown() {
    let line = CommandLine::command();
    for command in line.get_subcommands().filter(|command| !command.is_hide_set()) {
        let page = text(&format!("outport-{}.1", command.get_name()));
        for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
            let Some(long) = option.get_long() else { continue };
            let escaped = format!(r"\-\-{}", long.replace('-', r"\-"));
            assert!(page.contains(&escaped), "{}: --{long}", command.get_name());
        }
    }
}

#[test]
fn a_page_says_what_the_status_means_and_leads_to_the_others() {
    let explain = text("outport-explain.1");
    let heading = format!(
        ".TH OUTPORT-EXPLAIN 1 \"2026-03-01\" \"Outport {}\" \"Outport Manual\"\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(explain.starts_with(&heading), "{explain}");
    for expected in [
        ".SH \"EXIT STATUS\"",
        "The destination is denied",
        ".SH \"SEE ALSO\"\n\\fBoutport\\fR(1)\n",
        r"\fBoutport explain\fR",
    ] {
        assert!(explain.contains(expected), "{expected}: {explain}");
    }
    assert!(text("outport.1").contains(r"\fBoutport\-trigger\-cron\fR(1)"));
    assert!(text("outport-trigger-cron.1").contains(r"\fBoutport\fR(1), \fBoutport\-trigger\fR(1)"));
}

#[test]
fn what_is_code_is_bold() {
    for (line, expected) in [
        ("see `a` and `b`.", "see \\fBa\\fR and \\fBb\\fR.\n"),
        ("a `lone one", "a \\(galone one\n"),
        ("none", "none\n"),
    ] {
        assert_eq!(with_code_in_bold(line), expected, "{line}");
    }
}

#[test]
fn the_variables_of_the_documentation_are_in_the_manual() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## The environment\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let documented = rows.flat_map(|row| {
        let names = row.split('|').nth(1).unwrap();
        names.split('`').skip(1).step_by(2)
    });
    let manual: Vec<_> = sections::ENVIRONMENT
        .iter()
        .flat_map(|(names, _)| *names)
        .collect();
    let options = text("outport-up.1") + &text("outport-serve.1");
    for name in documented {
        let is_there = manual.iter().any(|known| **known == name.replace('*', "…"));
        let is_of_an_option = options.contains(name);
        assert!(is_there || is_of_an_option, "`{name}` is not in the manual");
    }
}
