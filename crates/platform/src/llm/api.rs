//! What a model server is asked, and what its answer says, in the words of its API.
//!
//! | | text | embeddings |
//! | --- | --- | --- |
//! | Spin's own | `POST /infer` | `POST /embed` |
//! | OpenAI's | `POST /v1/chat/completions` | `POST /v1/embeddings` |
//!
//! An answer is as long as its bound permits, and reading it takes as long: this is not done on a worker's thread.

mod open_ai;
mod spin;

use serde::{Deserialize, Serialize};

use super::sampling::Sampling;
use super::{Embedded, Inferred};

/// What a model server understands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelApi {
    /// Spin's own (`default`).
    #[default]
    Spin,
    /// That of OpenAI, which many servers have (`open_ai`).
    OpenAi,
}

/// Why an answer is none, without a word of what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("what it answered is not what a model answers, at line {line}, column {column}")]
    Unreadable { line: usize, column: usize },
    #[error("it answered without any text")]
    NoText,
    #[error("it embedded {got} texts of {asked}")]
    Embeddings { got: usize, asked: usize },
    #[error("it answered with an embedding that is not made of numbers")]
    NotNumbers,
}

impl ModelApi {
    /// Where text is asked for.
    pub(super) fn infer_path(self) -> &'static str {
        match self {
            Self::Spin => spin::INFER,
            Self::OpenAi => open_ai::CHAT_COMPLETIONS,
        }
    }

    /// Where embeddings are asked for.
    pub(super) fn embed_path(self) -> &'static str {
        match self {
            Self::Spin => spin::EMBED,
            Self::OpenAi => open_ai::EMBEDDINGS,
        }
    }

    /// What asks a model for text.
    pub(super) fn infer(self, (model, prompt): (&str, &str), sampling: &Sampling) -> Vec<u8> {
        match self {
            Self::Spin => json(&spin::Infer::new(model, prompt, sampling)),
            Self::OpenAi => json(&open_ai::ChatCompletion::new(model, prompt, sampling)),
        }
    }

    /// What asks a model for embeddings.
    pub(super) fn embed(self, model: &str, texts: &[String]) -> Vec<u8> {
        // The two happen to say it in the same words.
        json(&Embed { model, input: texts })
    }

    /// The text in an answer.
    pub(super) fn inferred(self, answer: &[u8]) -> Result<Inferred, NoAnswer> {
        match self {
            Self::Spin => Ok(read::<spin::Inferred>(answer)?.into()),
            Self::OpenAi => read::<open_ai::ChatCompletionAnswer>(answer)?.inferred(),
        }
    }

    /// The embeddings in an answer, one for each of `asked` texts.
    pub(super) fn embedded(self, answer: &[u8], asked: usize) -> Result<Embedded, NoAnswer> {
        let embedded: Embedded = match self {
            Self::Spin => read::<spin::Embedded>(answer)?.into(),
            Self::OpenAi => read::<open_ai::EmbeddingsAnswer>(answer)?.into(),
        };
        let got = embedded.embeddings.len();
        if got != asked {
            return Err(NoAnswer::Embeddings { got, asked });
        }
        let mut numbers = embedded.embeddings.iter().flatten();
        if numbers.any(|number| !number.is_finite()) {
            return Err(NoAnswer::NotNumbers);
        }
        Ok(embedded)
    }
}

#[derive(Serialize)]
struct Embed<'a> {
    model: &'a str,
    input: &'a [String],
}

fn json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("INVARIANT: numbers are finite, and keys are texts")
}

fn read<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, NoAnswer> {
    serde_json::from_slice(answer).map_err(|error| NoAnswer::Unreadable {
        line: error.line(),
        column: error.column(),
    })
}

#[cfg(test)]
mod tests;
