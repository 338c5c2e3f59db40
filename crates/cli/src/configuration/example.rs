//! An `outport.toml` to begin with: every key with what it is for, and none in effect.

use std::fmt::Write;

use clap::CommandFactory;

use super::keys::{Key, Keys, Shape};
use crate::CommandLine;

/// The file as a text, in which every line is a comment or empty.
pub(crate) fn example() -> String {
    let keys = Keys::of(&CommandLine::command());
    let mut text = HEAD.to_owned();
    for key in keys.iter() {
        let (help, default) = key.help();
        let default = default.filter(|_| key.default_value().is_none());
        let default = default.map(|default| format!(" [default: {default}]"));
        let help = format!("{help}{}", default.unwrap_or_default());
        text.push('\n');
        for line in wrapped(&help) {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "#{} = {}", key.name(), sample(key));
    }
    text
}

const HEAD: &str = "\
# The operator's options of Outport: every option of the command line by its own name. Name this file with
# `outport COMMAND --config FILE` or as OUTPORT_CONFIG; `outport config` shows what counts and where it is from.
#
# The command line counts before the environment (OUTPORT_MAX_MEMORY and the like), and that before this file; lists
# of all three are taken together. Relative paths start at the folder of this file.
";

/// What could stand there: the default, or something of the kind.
fn sample(key: &Key) -> String {
    if let Some(default) = key.default_value() {
        return if key.takes_only_numbers() {
            default
        } else {
            format!("{default:?}")
        };
    }
    let one = match (key.takes_only_numbers(), key.value_name()) {
        (true, _) => "100".to_owned(),
        (false, "TIME") => "\"30s\"".to_owned(),
        (false, "SIZE") => "\"512M\"".to_owned(),
        (false, name) => format!("{name:?}"),
    };
    match key.shape() {
        Shape::Flag => "true".to_owned(),
        Shape::Value => one,
        Shape::List => format!("[{one}]"),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const COLUMNS: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_has_every_key_and_none_in_effect() {
        let text = example();
        let in_effect = |line: &str| !line.is_empty() && !line.starts_with('#');
        assert!(!text.lines().any(in_effect), "{text}");
        for key in Keys::of(&CommandLine::command()).iter() {
            let line = format!("\n#{} = ", key.name());
            assert_eq!(text.matches(&line).count(), 1, "{}", key.name());
        }
    }
}
