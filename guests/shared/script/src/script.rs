//! A script: the statements to run, each with the text that it was written as.

use std::fmt;

use crate::action::{Action, Mistake};

/// Statements in the order in which they run.
pub struct Script {
    statements: Vec<Statement>,
}

/// One statement: what it does, and the text that says so.
pub struct Statement {
    number: usize,
    text: String,
    action: Action,
}

impl Script {
    /// Parses texts of one statement or more each: `;` and the end of a line separate them. Empty statements,
    /// and those that start with `#`, are skipped.
    ///
    /// # Errors
    ///
    /// The first statement that is not one.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, Mistake> {
        let mut statements = Vec::new();
        for text in texts {
            for text in text.as_ref().split([';', '\n']).map(str::trim) {
                if text.is_empty() || text.starts_with('#') {
                    continue;
                }
                let action = text.parse()?;
                statements.push(Statement {
                    number: statements.len() + 1,
                    text: text.to_owned(),
                    action,
                });
            }
        }
        Ok(Self { statements })
    }

    /// The statements, first to last.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.statements.iter()
    }
}

impl Statement {
    /// What the statement does.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// The line that reports the result, without a line end.
    pub fn report(&self, result: &str) -> String {
        format!("{self} => {result}")
    }
}

/// `NUMBER TEXT`, the number counted from 1.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(texts: &[&str]) -> Vec<String> {
        let script = Script::parse(texts).expect("a script");
        script.statements().map(ToString::to_string).collect()
    }

    #[test]
    fn each_argument_is_a_statement() {
        assert_eq!(listed(&["args", "wait 5"]), ["1 args", "2 wait 5"]);
    }

    #[test]
    fn one_text_can_hold_many_statements() {
        assert_eq!(
            listed(&["args; wait 5 ;\n\n# a remark\nenv"]),
            ["1 args", "2 wait 5", "3 env"]
        );
    }

    #[test]
    fn one_mistake_refuses_the_whole_script() {
        let mistake = Script::parse(["args", "tcp.conect 127.0.0.1:80"])
            .err()
            .expect("a mistake");
        assert_eq!(
            mistake.to_string(),
            "`tcp.conect 127.0.0.1:80` is not a statement"
        );
    }
}
