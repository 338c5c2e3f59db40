//! `fermyon:spin/llm@2.0.0`.

use outport_egress::HostInterface;
use outport_egress::trace::Trace;
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
        let calls = self.gate.calls(HostInterface::Llm);
        let call = self.call(&model);
        let infer = async |trace| {
            let call = call?.at(trace);
            let sampling = Sampling::new(params)?;
            call.server
                .infer(&call.caller, (&model, &prompt), &sampling)
                .await
        };
        let inferred = calls.call_within("infer", Some(&model), infer).await;
        Ok(inferred.map(Into::into).map_err(Into::into))
    }

    async fn generate_embeddings(&mut self, model: String, text: Vec<String>) -> Answer<EmbeddingsResult> {
        let calls = self.gate.calls(HostInterface::Llm);
        let call = self.call(&model);
        let embed = async |trace| {
            let call = call?.at(trace);
            call.server.embed(&call.caller, (&model, &text)).await
        };
        let embedded = calls
            .call_within("generate-embeddings", Some(&model), embed)
            .await;
        Ok(embedded.map(Into::into).map_err(Into::into))
    }
}

/// A call that may be made, and to whom.
struct Call {
    server: ModelServer,
    caller: Caller,
}

impl Call {
    /// The same at a point of a trace.
    fn at(mut self, trace: Trace) -> Self {
        self.caller.trace = trace;
        self
    }
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
                trace: Trace::none(),
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
