//! What a server knows its client by, and nobody else may learn.

use http::HeaderValue;

use super::address::ServerError;

/// What the server knows its client by.
pub(super) struct Token {
    text: String,
    /// None if there is no token.
    header: Option<HeaderValue>,
}

impl Token {
    pub(super) fn new(text: &str) -> Result<Self, ServerError> {
        let header = if text.is_empty() {
            None
        } else {
            let header = HeaderValue::try_from(format!("Bearer {text}"));
            let mut header = header.map_err(|_| ServerError::Token)?;
            if header.to_str().is_err() {
                return Err(ServerError::Token);
            }
            header.set_sensitive(true);
            Some(header)
        };
        let text = text.to_owned();
        Ok(Self { text, header })
    }

    /// `said` without the token, which servers like to repeat when it is wrong.
    pub(super) fn hidden_in(&self, said: &str) -> String {
        if self.text.is_empty() {
            said.to_owned()
        } else {
            said.replace(&self.text, "***")
        }
    }

    /// The header by which it is shown; none if there is no token.
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        self.header.as_ref()
    }
}
