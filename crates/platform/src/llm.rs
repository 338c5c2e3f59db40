//! Models: `fermyon:spin/llm@2.0.0`, run by a server of the operator's.
//!
//! ```text
//! guest ─ infer("llama2-chat", …) ─▶ gate: is the name granted? ── no ─▶ model-not-supported
//!                                      │
//!         ModelServer: a place among the component's calls ─▶ a connection that waits, judged again, or a new one
//!                                      │
//!         request in the words of its API ─▶ HTTP/1.1, TLS by its scheme ─▶ answer, read aside and told to the guest
//! ```
//!
//! The address is the operator's: it is not judged by the author's list, a guest never learns it, and what the server says
//! of other addresses is not followed (HI-6). What a server says when it fails reaches the guest, in a bounded excerpt and
//! without the token.
//!
//! | | bound |
//! | --- | --- |
//! | a prompt, or texts to embed | what a guest may pass in one call |
//! | an answer | 16 MiB, and 262,144 embeddings |
//! | a call | 60 s to the end of the answer ([`ModelServerDefinition::time`]) |
//! | calls of a component at a time | 16; more wait |

mod api;
mod definition;
mod sampling;
mod server;
mod spin_v2;

pub use api::ModelApi;
pub use bindings::fermyon::spin::llm::{
    EmbeddingsResult, Error as SpinV2Error, InferencingParams, InferencingResult,
};
pub use definition::ModelServerDefinition;
pub use server::ModelServer;
pub(crate) use spin_v2::add_to_linker;

/// Text that a model generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inferred {
    text: String,
    prompt_tokens: u32,
    generated_tokens: u32,
}

/// Texts that a model embedded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Embedded {
    /// In the order of the texts.
    embeddings: Vec<Vec<f32>>,
    prompt_tokens: u32,
}

/// Why a model did not do what it was asked to, for the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ModelError {
    /// It is not granted, or nobody runs models.
    #[error("the model is not supported")]
    NotSupported,
    /// Its server failed.
    #[error("{0}")]
    Failed(String),
    /// What the guest asks for makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
}

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/llm",
        imports: { default: async | trappable },
    });
}
