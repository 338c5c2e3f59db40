use clap::CommandFactory;

use super::*;
use crate::CommandLine;

fn all_options(command: &clap::Command, all: &mut Vec<(String, Arg)>) {
    let options = command.get_arguments();
    all.extend(options.filter_map(|option| Some((option.get_long()?.to_owned(), option.clone()))));
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    below.for_each(|below| all_options(below, all));
}

#[test]
fn every_option_is_a_key_or_said_to_be_none() {
    let program = CommandLine::command();
    let keys = Keys::of(&program);
    let mut all = Vec::new();
    all_options(&program, &mut all);
    for (name, _) in &all {
        assert_ne!(keys.get(name).is_some(), is_none(name), "`{name}`");
    }
    for (none, _) in NO_KEYS {
        let is_there = all.iter().any(|(name, _)| name == none);
        assert!(is_there, "`{none}` is no option any more");
    }
    assert!(NO_KEYS.is_sorted());
    let known = SPINS_VARIABLES.iter().map(|(name, _)| name);
    let known = known.chain(IN_VAIN_WITHOUT.iter().flat_map(|(name, needed)| [name, needed]));
    for name in known {
        assert!(keys.get(name).is_some(), "`{name}`");
    }
}

#[test]
fn an_option_is_the_same_in_every_command() {
    let program = CommandLine::command();
    let keys = Keys::of(&program);
    let mut all = Vec::new();
    all_options(&program, &mut all);
    for (name, option) in all {
        let Some(key) = keys.get(&name) else { continue };
        let (one, other) = (&key.option, &option);
        let shape = |option: &Arg| format!("{:?} {:?}", option.get_action(), option.get_value_names());
        assert_eq!(shape(one), shape(other), "`{name}`");
        assert_eq!(one.get_default_values(), other.get_default_values(), "`{name}`");
        assert!(option.get_env().is_none(), "`{name}`: variables are read here");
    }
}

#[test]
fn the_command_that_shows_them_has_all() {
    let program = CommandLine::command();
    let config = program.find_subcommand("config").unwrap();
    let keys = Keys::of(&program);
    let has = keys.in_command(config).count();
    assert_eq!(has, keys.iter().count());
}

#[test]
fn a_path_is_called_so_in_the_help() {
    for key in Keys::of(&CommandLine::command()).iter() {
        let is_path = key.option.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        let is_called = ["FILE", "DIR", "PATH"].contains(&key.value_name());
        assert!(!is_path || is_called, "`{}`", key.name);
    }
}

#[test]
fn what_is_not_for_everybody_is_not_shown() {
    let keys = Keys::of(&CommandLine::command());
    let rows = [
        ("key-value", "a=b=c", "a=****"),
        ("key-value", "a", "****"),
        ("sqlite", "INSERT INTO t VALUES ('hunter2')", "****"),
        ("sqlite", "@init.sql:orders", "@init.sql:orders"),
        ("disallowed-outbound-hosts", "*://a.test:*", "*://a.test:*"),
        (
            "disallowed-outbound-hosts",
            "redis://me:hunter2@a.test",
            "redis://****@a.test",
        ),
        ("insecure-registry", "a.test:5000", "a.test:5000"),
        ("egress-proxy", "me:hunter2@a.test:80", "****@a.test:80"),
        ("egress-proxy", "me:hunter@2@a.test:80", "****@a.test:80"),
        ("egress-proxy", "http://a.test/?k=hunter2", "http://a.test/?****"),
        ("egress-proxy-credentials", "me:hunter2", "****"),
        ("egress-proxy-credentials", "/etc/proxy", "/etc/proxy"),
        ("tls-key", "-----BEGIN\nhunter2", "****"),
    ];
    for (name, value, shown) in rows {
        assert_eq!(keys.get(name).unwrap().shown(value), shown, "{name} {value}");
    }
}

#[test]
fn a_value_is_refused_as_the_option_refuses_it() {
    let keys = Keys::of(&CommandLine::command());
    let check = |name: &str, value: &str| keys.get(name).unwrap().check(OsStr::new(value));
    assert_eq!(check("max-memory", "64M"), Ok(()));
    assert_eq!(check("max-requests", "10000"), Ok(()));
    let rows = [
        (
            "max-memory",
            "512",
            "512 bytes is less than any component needs; did you mean `512M`?",
        ),
        ("grace", "5", "write its unit: did you mean `5s`?"),
        (
            "kernel-sandbox",
            "maybe",
            "`maybe` is none of `off`, `on` and `required`",
        ),
        ("audit-log", "", "it is empty"),
    ];
    for (name, value, why) in rows {
        assert_eq!(check(name, value), Err(why.to_owned()), "{name} {value}");
    }
}
