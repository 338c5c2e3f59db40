//! `[variables]`: the variables of the app, and what fills them when nobody gives a value.

use std::collections::HashSet;

use crate::reading::component::read_variable_name;
use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;
use crate::values::variable::{Fallback, VariableDeclaration, VariableName};
use crate::values::variable_text::VariableText;

/// `[variables]`: what could be read, and the names of all.
#[derive(Default)]
pub(crate) struct DeclaredVariables {
    pub(crate) read: Vec<VariableDeclaration>,
    pub(crate) names: HashSet<VariableName>,
}

pub(crate) fn read_variables(found: &mut Findings, node: Node<'_>) -> DeclaredVariables {
    let mut declared = DeclaredVariables::default();
    for (text, node) in node.named(found) {
        let name = read_variable_name(found, &text);
        declared
            .names
            .extend(name.as_ref().map(|name| name.value.clone()));
        declared.read.extend(read_variable(found, &text, name, node));
    }
    declared
}

fn read_variable(
    found: &mut Findings,
    text: &Located<String>,
    name: Option<Located<VariableName>>,
    node: Node<'_>,
) -> Option<VariableDeclaration> {
    let mut fields = node.table(found, format!("the variable `{}`", text.value))?;
    let secret = fields
        .get("secret")
        .and_then(|node| node.boolean(found))
        .is_some_and(|secret| secret.value);
    let required = fields.get("required").map(|node| node.boolean(found));
    let default = fields.get("default").map(|node| node.string(found));
    let description = fields.get("description").and_then(|node| node.string(found));
    let meant = fields.finish(found);
    let name = name?;
    let is_required = required
        .as_ref()
        .is_some_and(|flag| flag.as_ref().is_none_or(|flag| flag.value));
    let fallback = match (is_required, default) {
        (true, None) => Fallback::Required,
        (false, Some(default)) => Fallback::Value(default?.map(|text| {
            if secret {
                VariableText::secret(text)
            } else {
                VariableText::public(text)
            }
        })),
        (true, Some(_)) => {
            let both = Mistake::VariableWithBoth {
                name: name.value.clone(),
            };
            found.report(&name.span, both);
            Fallback::Unclear
        }
        (false, None) => {
            // One that is misspelled is one mistake.
            let may_be_there = |key| found.is_in_unread_part(key) || meant.contains(&key);
            if !may_be_there("default") && !may_be_there("required") {
                let neither = Mistake::VariableWithoutValue {
                    name: name.value.clone(),
                };
                found.report(&name.span, neither);
            }
            Fallback::Unclear
        }
    };
    Some(VariableDeclaration {
        name,
        fallback,
        secret,
        description,
        span: node.span(),
    })
}
