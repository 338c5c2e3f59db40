//! Templates: text with `{{ variable }}` in it, as in `allowed_outbound_hosts` and component variables.
//!
//! The rules are Spin's. A variable stands between `{{` and the next `}}`, white space around its name does not
//! count; everything else is literal, a lone `}}` too. There is no way to write a literal `{{`.

use std::fmt;

use crate::source::Span;
use crate::values::template_error::TemplateSyntaxError;
use crate::values::variable::VariableName;
use crate::values::variable_text::VariableText;
use crate::variables::Variables;

/// A text with places for variables, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// The variable, and where in the template's text its `{{ … }}` stands.
    Variable(VariableName, Span),
}

impl Template {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// A `{{` without its `}}`, or something else than a variable's name between the two.
    pub fn parse(text: &str) -> Result<Self, TemplateSyntaxError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let Some(opening) = rest.find("{{") else {
                parts.push(Part::Literal(rest.to_owned()));
                break;
            };
            if opening > 0 {
                parts.push(Part::Literal(rest[..opening].to_owned()));
            }
            let start = at + opening;
            let Some(length) = text[start + 2..].find("}}") else {
                return Err(TemplateSyntaxError::Unclosed {
                    span: start..text.len(),
                });
            };
            let span = start..start + length + 4;
            let name = text[start + 2..start + 2 + length].trim();
            let variable = VariableName::parse(name).map_err(|error| TemplateSyntaxError::Name {
                name: name.to_owned(),
                error,
                span: span.clone(),
            })?;
            at = span.end;
            parts.push(Part::Variable(variable, span));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables that it uses, with the place of each `{{ … }}` in the template's text.
    pub fn variables(&self) -> impl Iterator<Item = (&VariableName, &Span)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name, span) => Some((name, span)),
            Part::Literal(_) => None,
        })
    }

    /// True if it is the same text whatever the variables are.
    pub fn is_literal(&self) -> bool {
        self.variables().next().is_none()
    }

    /// Fills the variables in. The result is secret if one of them is.
    ///
    /// # Errors
    /// A variable that has no value, or a text that becomes too long: of a few letters and one long value could be made what no
    /// machine holds.
    pub fn resolve(&self, variables: &Variables) -> Result<VariableText, TemplateError> {
        let mut text = String::new();
        let mut secret = false;
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Variable(name, _) => {
                    let value = variables
                        .get(name)
                        .ok_or_else(|| TemplateError::NoValue { name: name.clone() })?;
                    let value_text = value.text.expose();
                    if text.len().saturating_add(value_text.len()) > LONGEST {
                        return Err(TemplateError::TooLong { most: LONGEST });
                    }
                    text.push_str(value_text);
                    secret |= value.text.is_secret();
                }
            }
        }
        Ok(if secret {
            VariableText::secret(text)
        } else {
            VariableText::public(text)
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.text)
    }
}

/// Bytes of a template whose variables are filled in.
const LONGEST: usize = 1 << 20;

/// The reason why a template could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// What it would become is longer than any value need be.
    #[error("with the values of its variables it is longer than {most} bytes")]
    TooLong {
        /// The most bytes that it may have.
        most: usize,
    },
    /// Nothing gives the variable a value.
    #[error("the variable `{name}` has no value")]
    NoValue {
        /// The variable.
        name: VariableName,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_apart_as_spin_does() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            ("plain", &[]),
            ("{{ a }}", &["a"]),
            ("{{a}}", &["a"]),
            ("{{\t a\n}}", &["a"]),
            ("x{{a}}y{{ b_2 }}z", &["a", "b_2"]),
            ("{{a}}{{a}}", &["a", "a"]),
            ("a }} b", &[]),
            ("{http,https}://{a,b}", &[]),
        ];
        for (text, variables) in rows {
            let template = Template::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            let used: Vec<_> = template.variables().map(|(name, _)| name.as_str()).collect();
            assert_eq!(used, *variables, "{text:?}");
            assert_eq!(template.is_literal(), variables.is_empty());
            assert_eq!(template.to_string(), *text);
            for (name, span) in template.variables() {
                assert!(text[span.clone()].contains(name.as_str()), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_not_a_template_says_where() {
        let rows = [
            ("{{ a", 0..4),
            ("ü {{ a }} {{", 11..13),
            ("{{ a }} {{ }}", 8..13),
            ("x{{ A }}", 1..8),
            ("{{ a {{ b }}", 0..12),
            ("{{{ a }}}", 0..8),
        ];
        for (text, span) in rows {
            let error = Template::parse(text).expect_err(text);
            assert_eq!(*error.span(), span, "{text:?}");
        }
    }
}
