//! What an operator configures of a model server.

use std::time::Duration;

use outport_policy::Location;

use super::api::ModelApi;

/// What an operator configures.
pub struct ModelServerDefinition<'a> {
    /// `http://` or `https://`, a host, and where its API begins.
    pub url: &'a str,
    /// Shown to the server as a bearer token if it is not empty, and to nobody else.
    pub token: &'a str,
    /// What it understands.
    pub api: ModelApi,
    /// How long a call may take, from its beginning to the end of its answer. Of a new definition that is 60 seconds.
    pub time: Duration,
    /// Where all this is configured.
    pub location: Location,
}

impl<'a> ModelServerDefinition<'a> {
    /// The server at `url`, with the time that is the default.
    pub fn new(url: &'a str, token: &'a str, api: ModelApi, location: Location) -> Self {
        Self {
            url,
            token,
            api,
            time: TIME,
            location,
        }
    }
}

/// What stands before the paths of the API.
pub(super) fn base(path: &str, api: ModelApi) -> &str {
    match api {
        ModelApi::Spin => path,
        // It is written with the version or without it, depending on whose documentation one reads.
        ModelApi::OpenAi => path.strip_suffix("/v1").unwrap_or(path),
    }
}

/// How long a call may take, to the end of its answer.
const TIME: Duration = Duration::from_secs(60);
