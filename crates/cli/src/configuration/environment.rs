//! What the environment says of options: `OUTPORT_MAX_MEMORY` of `--max-memory`, and Spin's variables of what they name.
//!
//! A flag is given as `1`, `true`, `yes` or `on`, and not given as `0`, `false`, `no` or `off`. A list has an item on each line,
//! and where the option takes several in one, as most do, commas separate.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::builder::{BoolishValueParser, TypedValueParser};
use outport_check::{Code, Diagnostic};
use outport_manifest::nearest;

use super::keys::{Key, Keys, NO_KEYS, Shape};
use super::setting::{Setting, Word};
use crate::CommandLine;
use crate::spin_environment::{location_of, variable};

/// What the environment says of an option: of a list perhaps several items. Spin's variables are for who says nothing
/// to Outport: of a list that `is_typed`, they are no further items.
///
/// # Errors
///
/// The option does not take it.
pub(super) fn settings(key: &Key, is_typed: bool) -> Result<Vec<Setting>, Diagnostic> {
    let own = key.variable();
    let of_own = variable(&own).map(|value| (own.as_str(), value));
    let spins = || {
        let name = key.spins_variable().filter(|_| !is_typed)?;
        Some((name, variable(name)?))
    };
    let Some((name, value)) = of_own.or_else(spins) else {
        return Ok(Vec::new());
    };
    let settings = items(key, value).into_iter().map(|item| {
        let word = word(key, item).map_err(|why| {
            let message = format!("the value of `{name}` cannot be used: {why}");
            Diagnostic::error(message).at(location_of(name))
        })?;
        Ok(Setting::new(key.name(), word, location_of(name)))
    });
    settings.collect()
}

/// The lines of a list. A statement of SQL may have several.
fn items(key: &Key, value: OsString) -> Vec<OsString> {
    match value.to_str() {
        Some(text) if key.shape() == Shape::List && !key.value_name().contains("SQL") => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(OsString::from).collect()
        }
        _ => vec![value],
    }
}

fn word(key: &Key, value: OsString) -> Result<Word, String> {
    if key.shape() != Shape::Flag {
        key.check(&value)?;
        return Ok(Word::Text(value));
    }
    let program = clap::Command::new("outport");
    match BoolishValueParser::new().parse_ref(&program, None, &value) {
        Ok(true) => Ok(Word::On),
        Ok(false) => Ok(Word::Off),
        Err(_) => Err("write `true` or `false`".into()),
    }
}

/// Warnings for variables that are nearly those of an option, and for those of options that are typed alone.
pub(crate) fn misspelled() -> Vec<Diagnostic> {
    let keys = Keys::of(&CommandLine::command());
    let known: Vec<String> = keys.iter().map(Key::variable).collect();
    let names = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let mut names: Vec<String> = names.filter_map(|(name, _)| name.into_string().ok()).collect();
    names.retain(|name| name.starts_with("OUTPORT_") && !known.contains(name));
    names.sort_unstable();
    let warnings = names.iter().filter_map(|name| {
        let why = without_effect(name, &known)?;
        let message = format!("`{name}` is set and has no effect: {why}");
        let warning = Diagnostic::warning(message).coded(Code::Input);
        Some(warning.at(location_of(name)))
    });
    warnings.collect()
}

/// Why a variable that begins as Outport's does nothing, where somebody seems to expect something of it.
fn without_effect(name: &str, known: &[String]) -> Option<String> {
    if ALSO_READ.contains(&name) {
        return None;
    }
    let own = name.strip_prefix("OUTPORT_")?;
    let of_no_key = NO_KEYS
        .iter()
        .find(|(none, _)| none.replace('-', "_").to_uppercase() == own);
    if let Some((_, instead)) = of_no_key {
        return Some((*instead).to_owned());
    }
    // Without what all have: eight letters that are right are no sign of what was meant.
    let names = known.iter().filter_map(|name| name.strip_prefix("OUTPORT_"));
    let meant = nearest(own, names)
        .map(|name| format!("OUTPORT_{name}"))
        .or_else(|| also_meant(own))
        .or_else(|| {
            let named = known.iter().find(|known| leaves_a_word_out(name, known));
            named.cloned()
        })?;
    Some(format!("did you mean `{meant}`?"))
}

/// The variable of no option that somebody meant: `CONFIGS`, `CONF`, `CONFIG_FILE`, `LOG_LEVEL`.
fn also_meant(own: &str) -> Option<String> {
    let names = || ALSO_READ.iter().filter_map(|name| name.strip_prefix("OUTPORT_"));
    let is_longer = |name: &str| {
        let behind = own.strip_prefix(name).and_then(|rest| rest.strip_prefix('_'));
        behind.is_some_and(|rest| OF_A_FILE.contains(&rest))
    };
    let is_shorter = |name: &str| own.len() >= SHORTEST_BEGINNING && name.starts_with(own);
    let found = nearest(own, names()).or_else(|| names().find(|name| is_longer(name) || is_shorter(name)));
    found.map(|name| format!("OUTPORT_{name}"))
}

/// True of `OUTPORT_DISALLOWED_HOSTS` and `OUTPORT_DISALLOWED_OUTBOUND_HOSTS`: of three words or more one is not there.
fn leaves_a_word_out(written: &str, known: &str) -> bool {
    let mut rest = written.split('_');
    let (all, some) = (known.split('_').count(), written.split('_').count());
    let mut next = rest.next();
    for word in known.split('_') {
        if next == Some(word) {
            next = rest.next();
        }
    }
    some >= 3 && some + 1 == all && next.is_none()
}

/// What is put behind the name of a variable for a file or a volume.
const OF_A_FILE: [&str; 6] = ["FILE", "FILTER", "LEVEL", "NAME", "PATH", "TOML"];

/// Letters of the shortest beginning that is taken for the whole.
const SHORTEST_BEGINNING: usize = 4;

/// Variables that stand for no option.
const ALSO_READ: [&str; 2] = ["OUTPORT_CONFIG", "OUTPORT_LOG"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_the_name_of_a_variable_is_told_and_the_names_of_others_are_left_alone() {
        let keys = Keys::of(&CommandLine::command());
        let known: Vec<String> = keys.iter().map(Key::variable).collect();
        let rows = [
            ("OUTPORT_MAX_MEMRY", Some("did you mean `OUTPORT_MAX_MEMORY`?")),
            (
                "OUTPORT_DISALLOWED_OUTBOUND_HOST",
                Some("did you mean `OUTPORT_DISALLOWED_OUTBOUND_HOSTS`?"),
            ),
            ("OUTPORT_ALLOWED_OUTBOUND_HOSTS", Some("for its author to say")),
            ("OUTPORT_CONFIG", None),
            ("OUTPORT_LOG", None),
            ("OUTPORT_CONFIGS", Some("did you mean `OUTPORT_CONFIG`?")),
            ("OUTPORT_CONFIG_FILE", Some("did you mean `OUTPORT_CONFIG`?")),
            ("OUTPORT_CONFIG_PATH", Some("did you mean `OUTPORT_CONFIG`?")),
            ("OUTPORT_CONF", Some("did you mean `OUTPORT_CONFIG`?")),
            ("OUTPORT_CFG", None),
            ("OUTPORT_LOGS", Some("did you mean `OUTPORT_LOG`?")),
            ("OUTPORT_LOG_LEVEL", Some("did you mean `OUTPORT_LOG`?")),
            (
                "OUTPORT_DISALLOWED_HOSTS",
                Some("did you mean `OUTPORT_DISALLOWED_OUTBOUND_HOSTS`?"),
            ),
            ("OUTPORT_OUTBOUND_HOSTS", Some("OUTBOUND_HOSTS`")),
            // What Kubernetes sets beside a service that is called so.
            ("OUTPORT_SERVICE_HOST", None),
            ("OUTPORT_SERVICE_PORT", None),
            ("OUTPORT_PORT", None),
            ("OUTPORT_PORT_80_TCP_ADDR", None),
            // Of this project's own tests.
            ("OUTPORT_BLESS", None),
            ("OUTPORT_BIN", None),
            ("OUTPORT_REQUIRE_SANDBOX", None),
        ];
        for (name, expected) in rows {
            let told = without_effect(name, &known);
            match (told, expected) {
                (None, None) => {}
                (Some(told), Some(part)) => assert!(told.contains(part), "{name}: {told}"),
                (told, _) => panic!("{name}: {told:?}"),
            }
        }
    }

    #[test]
    fn a_list_has_an_item_on_each_line() {
        let keys = Keys::of(&CommandLine::command());
        for (name, value, expected) in [
            ("key-value", "a=b, c\n  d=e\n\n", &["a=b, c", "d=e"][..]),
            ("sqlite", "SELECT 1;\nSELECT 2", &["SELECT 1;\nSELECT 2"]),
            ("audit-log", "a\nb", &["a\nb"]),
        ] {
            assert_eq!(items(keys.get(name).unwrap(), value.into()), expected, "{name}");
        }
    }

    #[test]
    fn a_flag_is_on_or_off_and_nothing_else() {
        let keys = Keys::of(&CommandLine::command());
        let key = keys.get("allow-udp").unwrap();
        for (value, expected) in [
            ("1", Some(Word::On)),
            ("true", Some(Word::On)),
            ("yes", Some(Word::On)),
            ("0", Some(Word::Off)),
            ("False", Some(Word::Off)),
            ("off", Some(Word::Off)),
            ("maybe", None),
            ("2", None),
        ] {
            assert_eq!(word(key, value.into()).ok(), expected, "{value}");
        }
    }
}
