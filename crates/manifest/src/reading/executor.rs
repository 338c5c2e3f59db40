//! The way in which the component of an HTTP trigger takes its requests: `executor`.
//!
//! | written | |
//! | --- | --- |
//! | nothing, `{ type = "http" }`, `{ type = "spin" }` | by a handler that it exports |
//! | `{ type = "wagi" }`, with `argv` or without | as a command that is run for each request, by CGI |

use outport_policy::text;

use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;

/// The way in which a component takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Executor {
    /// By an HTTP handler that it exports.
    #[default]
    Handler,
    /// By CGI: it is a command, which is run for each request.
    Wagi(WagiArguments),
}

/// The arguments of a command that answers a request, with `${SCRIPT_NAME}` and `${ARGS}` for what the request has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WagiArguments(String);

impl WagiArguments {
    /// Arguments that are written like this, with blanks in between.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The arguments as with Spin, the first of them the command's own name: `${SCRIPT_NAME}` is `path`; `${ARGS}` is
    /// `query` with a blank for each `&`, and not decoded. The result is divided at each blank, so that two of them have
    /// an empty argument in between, as has the end of the default without a query. What was filled in is not looked
    /// at again.
    pub fn fill_in(&self, path: &str, query: &str) -> Vec<String> {
        let args = query.replace('&', " ");
        let mut filled = String::new();
        let mut rest = self.0.as_str();
        while let Some(start) = rest.find("${") {
            let (before, marked) = rest.split_at(start);
            filled.push_str(before);
            let known = [("${SCRIPT_NAME}", path), ("${ARGS}", args.as_str())];
            let found = known
                .iter()
                .find_map(|(name, value)| Some((marked.strip_prefix(name)?, value)));
            let (after, value) = found.unwrap_or_else(|| (&marked[2..], &"${"));
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        filled.split(' ').map(str::to_owned).collect()
    }
}

/// Spin's arguments where none are written.
impl Default for WagiArguments {
    fn default() -> Self {
        Self::new("${SCRIPT_NAME} ${ARGS}")
    }
}

/// Reads `executor`. One with a mistake is as none.
pub(super) fn read_executor(found: &mut Findings, node: Node<'_>) -> Executor {
    let Some(mut fields) = node.table(found, "`executor`") else {
        return Executor::default();
    };
    let kind = fields.require(found, "type").and_then(|node| node.string(found));
    let [entrypoint, argv] = ["entrypoint", "argv"].map(|key| fields.get(key));
    let executor = match kind.as_ref().map(|kind| kind.value.as_str()) {
        Some("http" | "spin") | None => {
            for node in [entrypoint, argv].into_iter().flatten() {
                let mistake = Mistake::Value {
                    key: node.key().to_owned(),
                    wrong: "is for `type = \"wagi\"` alone".to_owned(),
                    help: Some("remove it, or write `type = \"wagi\"`".into()),
                };
                found.report(&node.span(), mistake);
            }
            Executor::Handler
        }
        Some("wagi") => {
            if let Some(node) = entrypoint {
                check_entrypoint(found, node);
            }
            let argv = argv.and_then(|node| node.string(found));
            let arguments = argv.map(|argv| WagiArguments::new(argv.value));
            Executor::Wagi(arguments.unwrap_or_default())
        }
        Some(other) => {
            let wrong = format!("cannot be `{}`", text::quote(other));
            let help = "write `type = \"http\"` or `type = \"wagi\"`, or leave `executor` out".to_owned();
            let span = kind
                .as_ref()
                .map_or_else(|| node.span(), |kind| kind.span.clone());
            found.report(
                &span,
                Mistake::Value {
                    key: "type".into(),
                    wrong,
                    help: Some(help),
                },
            );
            Executor::default()
        }
    };
    fields.finish(found);
    executor
}

/// Spin has kept the key for old files, and starts nothing else either.
fn check_entrypoint(found: &mut Findings, node: Node<'_>) {
    let Some(written) = node.string(found).filter(|written| written.value != ENTRYPOINT) else {
        return;
    };
    let mistake = Mistake::Value {
        key: node.key().to_owned(),
        wrong: format!(
            "cannot be `{}`: a command is started at `{ENTRYPOINT}` alone",
            text::quote(&written.value)
        ),
        help: Some("remove the key".to_owned()),
    };
    found.report(&written.span, mistake);
}

const ENTRYPOINT: &str = "_start";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_filled_in_once_and_divided_at_blanks() {
        // (argv, path, query, arguments)
        let rows: &[(&str, &str, &str, &[&str])] = &[
            ("${SCRIPT_NAME} ${ARGS}", "/a", "", &["/a", ""]),
            ("${SCRIPT_NAME} ${ARGS}", "/a", "x=1&y", &["/a", "x=1", "y"]),
            ("${SCRIPT_NAME} ${ARGS}", "/a", "x&&y", &["/a", "x", "", "y"]),
            ("${SCRIPT_NAME} ${ARGS}", "/a", "x=%20+", &["/a", "x=%20+"]),
            ("php -f ${SCRIPT_NAME}", "/a", "x", &["php", "-f", "/a"]),
            ("x${ARGS}y", "/", "1&2", &["x1", "2y"]),
            ("${ARGS} ${ARGS}", "/", "1", &["1", "1"]),
            // A path or a query that looks like one of them.
            ("${SCRIPT_NAME} ${ARGS}", "/${ARGS}", "x", &["/${ARGS}", "x"]),
            ("${ARGS}", "/a", "${SCRIPT_NAME}", &["${SCRIPT_NAME}"]),
            (
                "$ ${ ${HOME} ${ARGS",
                "/a",
                "x",
                &["$", "${", "${HOME}", "${ARGS"],
            ),
            ("${${ARGS}", "/a", "x", &["${x"]),
            ("", "/a", "x", &[""]),
        ];
        for (argv, path, query, expected) in rows {
            let filled = WagiArguments::new(*argv).fill_in(path, query);
            assert_eq!(filled, *expected, "{argv} {path} {query}");
        }
    }
}
