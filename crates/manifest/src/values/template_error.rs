//! The reason why a text is not a template.

use outport_policy::text;

use crate::source::Span;
use crate::values::variable::VariableNameError;

/// The reason why a text is not a template. Spans are in the template's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateSyntaxError {
    /// `{{ host`
    #[error("`{{{{` without `}}}}`")]
    Unclosed {
        /// From the `{{` to the end.
        span: Span,
    },
    /// `{{ my-host }}`
    #[error("`{}` is not the name of a variable: {error}", text::quote(name))]
    Name {
        /// The text between the braces.
        name: String,
        /// The reason.
        error: VariableNameError,
        /// The braces and what is between them.
        span: Span,
    },
}

impl TemplateSyntaxError {
    /// The place in the template's text.
    pub fn span(&self) -> &Span {
        match self {
            Self::Unclosed { span } | Self::Name { span, .. } => span,
        }
    }
}
