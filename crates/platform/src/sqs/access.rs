//! By what right requests are made: whose credentials, in which region, at which server.

use std::fmt;

use outport_egress::{Destination, Dialer, Egress};
use outport_policy::{EntryError, Location};
use url::Url;

use crate::operator_server::{ServerError, destination};

/// All that the operator says about queues.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The credentials; without them no server answers.
    pub credentials: Option<Credentials>,
    /// The region of queues whose URL names none.
    pub region: Option<String>,
    /// The server of all queues, instead of those that their URLs name.
    pub endpoint: Option<Endpoint>,
}

/// What AWS knows its client by. It is never shown.
#[derive(Clone)]
pub struct Credentials {
    pub(super) signing: aws_credential_types::Credentials,
}

/// A server of the operator's (HI-6).
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) url: Url,
    pub(super) destination: Destination,
    location: Location,
}

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The file has no such profile.
    #[error("has no profile `{0}`")]
    NoProfile(String),
    /// The profile lacks a key.
    #[error("has no `{1}` in its profile `{0}`")]
    NoKey(String, &'static str),
}

impl Credentials {
    /// The credentials of a key, and of the session that it is for if it is a temporary one.
    pub fn new(key_id: &str, secret: &str, session_token: Option<&str>) -> Self {
        let session_token = session_token.filter(|token| !token.is_empty());
        Self {
            signing: aws_credential_types::Credentials::from_keys(
                key_id,
                secret,
                session_token.map(str::to_owned),
            ),
        }
    }

    /// Those of `profile` in the text of a file as `~/.aws/credentials` is. Nothing that leads to credentials elsewhere is
    /// followed.
    ///
    /// # Errors
    ///
    /// There is no such profile, or no key in it.
    pub fn of_profile(text: &str, profile: &str) -> Result<Self, AccessError> {
        let mut section = None;
        let (mut is_there, mut found) = (false, [None; 3]);
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                section = name.split_once(']').map(|(name, _)| name.trim());
                is_there |= section == Some(profile);
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| section == Some(profile)) else {
                continue;
            };
            let keys = KEYS.iter().position(|own| own.eq_ignore_ascii_case(key.trim()));
            if let Some(at) = keys {
                found[at] = Some(value.trim());
            }
        }
        if !is_there {
            return Err(AccessError::NoProfile(profile.to_owned()));
        }
        let [key_id, secret, session_token] = found;
        let need = |value: Option<_>, key| value.ok_or_else(|| AccessError::NoKey(profile.to_owned(), key));
        Ok(Self::new(
            need(key_id, KEYS[0])?,
            need(secret, KEYS[1])?,
            session_token,
        ))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

impl Endpoint {
    /// The server at `url`, `http://…` or `https://…`, which the operator wrote at `location`.
    ///
    /// # Errors
    ///
    /// `url` is not the address of a server.
    pub fn new(url: &str, location: Location) -> Result<Self, ServerError> {
        let url = Url::parse(url).map_err(ServerError::Url)?;
        Ok(Self {
            destination: destination(&url)?,
            url,
            location,
        })
    }

    /// Where it is.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// What connects to it, in the name of `label`: neither an author's list nor the deny list is held against it.
    ///
    /// # Errors
    ///
    /// It cannot be connected to by anybody, since its port is 0 or its name is for the app alone.
    pub fn dialer(&self, egress: &Egress, label: &str) -> Result<Dialer, EntryError> {
        egress.operator_dialer(label, &self.destination, self.location.clone())
    }
}

/// The keys of a profile.
const KEYS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_among_others() {
        let text = "\u{20}[default]\naws_access_key_id = AKID\naws_secret_access_key=a/b=c\n\n# no\n[profile x]\n\
                    [ work ]\nAWS_ACCESS_KEY_ID=WORK\naws_secret_access_key = s\naws_session_token = t\nregion = eu\n\
                    [half]\naws_access_key_id = HALF\n; aws_secret_access_key = no\n";
        let found = |profile| {
            Credentials::of_profile(text, profile).map(|own| {
                let own = own.signing;
                let token = own.session_token().map(str::to_owned);
                (
                    own.access_key_id().to_owned(),
                    own.secret_access_key().to_owned(),
                    token,
                )
            })
        };
        let of = |a: &str, b: &str, c: Option<&str>| Ok((a.to_owned(), b.to_owned(), c.map(str::to_owned)));
        assert_eq!(found("default"), of("AKID", "a/b=c", None));
        assert_eq!(found("work"), of("WORK", "s", Some("t")));
        assert_eq!(
            found("half"),
            Err(AccessError::NoKey("half".to_owned(), "aws_secret_access_key"))
        );
        assert_eq!(found("none"), Err(AccessError::NoProfile("none".to_owned())));
        assert!(!format!("{:?}", Credentials::new("a", "hunter2", Some("hunter2"))).contains("hunter2"));
    }
}
