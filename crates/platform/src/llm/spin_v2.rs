//! `fermyon:spin/llm@2.0.0`.

use outport_policy::LabelKind;
use wasmtime::component::Linker;

use super::bindings::fermyon::spin::llm::{
    self, EmbeddingsResult, EmbeddingsUsage, Error, Host, InferencingParams, InferencingResult,
    InferencingUsage,
};
use super::sampling::Sampling;
use super::server::Caller;
use super::{Embedded, Inferred, ModelError, ModelServer};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// Adds the interface.
pub(crate) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    llm::add_to_linker::<T, Hosted>(linker, T::platform)
}

impl Host for PlatformCtxView<'_> {
    async fn infer(
        &mut self,
        model: String,
        prompt: String,
        params: Option<InferencingParams>,
    ) -> Answer<InferencingResult> {
        let call = self.call(&model);
        let inferred = match call.and_then(|call| Ok((call, Sampling::new(params)?))) {
            Ok((call, sampling)) => {
                call.server
                    .infer(&call.caller, (&model, &prompt), &sampling)
                    .await
            }
            Err(error) => Err(error),
        };
        Ok(inferred.map(Into::into).map_err(Into::into))
    }

    async fn generate_embeddings(&mut self, model: String, text: Vec<String>) -> Answer<EmbeddingsResult> {
        let embedded = match self.call(&model) {
            Ok(call) => call.server.embed(&call.caller, (&model, &text)).await,
            Err(error) => Err(error),
        };
        Ok(embedded.map(Into::into).map_err(Into::into))
    }
}

/// A call that may be made, and to whom.
struct Call {
    server: ModelServer,
    caller: Caller,
}

impl PlatformCtxView<'_> {
    /// A call of the model, if it is granted and somebody runs models.
    fn call(&self, model: &str) -> Result<Call, ModelError> {
        self.gate
            .authorize_open(LabelKind::AiModel, model)
            .map_err(|_| ModelError::NotSupported)?;
        let server = self.ctx.platform().model_server();
        Ok(Call {
            server: server.ok_or(ModelError::NotSupported)?.clone(),
            caller: Caller {
                component: self.gate.dialer().component().to_owned(),
                account: self.gate.account(),
            },
        })
    }
}

impl From<Inferred> for InferencingResult {
    fn from(inferred: Inferred) -> Self {
        Self {
            text: inferred.text,
            usage: InferencingUsage {
                prompt_token_count: inferred.prompt_tokens,
                generated_token_count: inferred.generated_tokens,
            },
        }
    }
}

impl From<Embedded> for EmbeddingsResult {
    fn from(embedded: Embedded) -> Self {
        Self {
            embeddings: embedded.embeddings,
            usage: EmbeddingsUsage {
                prompt_token_count: embedded.prompt_tokens,
            },
        }
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::NotSupported => Self::ModelNotSupported,
            ModelError::Failed(why) => Self::RuntimeError(why),
            ModelError::Invalid(why) => Self::InvalidInput(why.to_owned()),
        }
    }
}
