//! The answer to `WWW-Authenticate`: credentials, or a token that is got for them.
//!
//! | challenge | answer |
//! | --- | --- |
//! | `Basic` | user and password, if there are any |
//! | `Bearer realm="URL",service="…"` | a token that the realm gives for this scope, with the credentials or without any |
//!
//! The scope is always our own: what a registry would like a token for is of no interest. A realm is asked over `https`,
//! or over `http` on this machine if the registry is there, too; one outside has none inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outport_manifest::Secret;
use outport_policy::text;
use serde::Deserialize;

use super::super::credentials::Credentials;
use super::super::reference::RegistryHost;
use super::{Registry, RegistryError};
use crate::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use crate::http::{Method, Reach, Request, RequestBody, Response, Url};

/// What a registry wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Registry<'_> {
    /// The value of `Authorization` that a challenge asks for; none if that would need credentials that are not there.
    pub(super) async fn answer_challenge(
        &self,
        response: &Response,
        scope: &str,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges = challenges.filter_map(|value| value.to_str().ok()).flat_map(parse);
        // A token says less than a password.
        let chosen = challenges.max_by_key(|challenge| *challenge != Challenge::Basic);
        let Some(chosen) = chosen else {
            return Err(self.challenge_error("it does not say in which way: neither Basic nor Bearer"));
        };
        let credentials = self.credentials().await?;
        match (chosen, &credentials) {
            (Challenge::Basic, Credentials::Basic { user, password }) => basic(user, password)
                .map(Some)
                .ok_or_else(|| self.challenge_error("its password cannot be sent")),
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service }, _) => {
                let realm = self.realm(&realm)?;
                let token = self.token((realm, response.reach()), service, scope, &credentials);
                token.await.map(Some)
            }
        }
    }

    fn realm(&self, realm: &str) -> Result<Url, RegistryError> {
        let wrong = |why: &str| {
            self.challenge_error(&format!(
                "it sends to `{}` for a token, {why}",
                text::quote(realm)
            ))
        };
        let url = Url::parse(realm).map_err(|_| wrong("which is no URL"))?;
        if url.scheme() == "https" {
            return Ok(url);
        }
        let host = url.host_str().and_then(|host| host.parse().ok());
        let is_here = host.is_some_and(|host: RegistryHost| host.is_loopback());
        if url.scheme() == "http" && is_here && self.host.is_loopback() {
            Ok(url)
        } else {
            Err(wrong("where nobody is told anything: it is not https"))
        }
    }

    async fn token(
        &self,
        (mut realm, reach): (Url, Reach),
        service: Option<String>,
        scope: &str,
        credentials: &Credentials,
    ) -> Result<HeaderValue, RegistryError> {
        let service = service.iter().map(|service| ("service", service.as_str()));
        let asked = service.chain([("scope", scope)]);
        let request = match credentials {
            Credentials::Identity(token) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(asked).extend_pairs([
                    ("grant_type", "refresh_token"),
                    ("client_id", "outport"),
                    ("refresh_token", token.expose()),
                ]);
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                Request::new(Method::POST, realm.as_str())?
                    .with_headers([(CONTENT_TYPE, kind)].into_iter().collect())
                    .with_body(RequestBody::Secret(form.finish().into_bytes().into()))
            }
            _ => {
                realm.query_pairs_mut().extend_pairs(asked);
                Request::get(realm.as_str())?
            }
        };
        let request = match credentials {
            Credentials::Basic { user, password } => {
                let value = basic(user, password);
                let headers = value.map(|value| (AUTHORIZATION, value));
                request.with_headers(headers.into_iter().collect())
            }
            _ => request,
        };
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let response = self.fetcher.send(&request.within(reach)).await?;
        if !response.status().is_success() {
            let why = format!("its server for tokens answers {}", response.status());
            return Err(self.challenge_error(&why));
        }
        let bytes = response.bytes(super::LONGEST_ERROR).await?;
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        token
            .and_then(|token| sensitive(&format!("Bearer {token}")))
            .ok_or_else(|| self.challenge_error("its server for tokens answers without one"))
    }

    fn challenge_error(&self, why: &str) -> RegistryError {
        RegistryError::Challenge {
            host: self.host.clone(),
            why: why.to_owned(),
        }
    }
}

fn basic(user: &str, password: &Secret) -> Option<HeaderValue> {
    let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
    sensitive(&format!("Basic {pair}"))
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The challenges of one header (RFC 9110, 11.6.1) that are understood.
fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = header;
    while let Some((scheme, after)) = token(rest) {
        let after = after.trim_start();
        let mut fields: Vec<(String, String)> = Vec::new();
        rest = after;
        while let Some((name, value, after)) = field(rest) {
            fields.push((name, value));
            rest = after.trim_start();
            let Some(after) = rest.strip_prefix(',') else {
                break;
            };
            rest = after.trim_start();
        }
        let get = |name: &str| {
            let mut fields = fields.iter();
            fields
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.clone())
        };
        match (scheme.to_ascii_lowercase().as_str(), get("realm")) {
            ("basic", _) => challenges.push(Challenge::Basic),
            ("bearer", Some(realm)) => challenges.push(Challenge::Bearer {
                realm,
                service: get("service"),
            }),
            _ => {}
        }
        rest = rest.trim_start_matches([',', ' ']);
    }
    challenges
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_of_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// `name=value` or `name="value"`, and what follows.
fn field(text: &str) -> Option<(String, String, &str)> {
    let (name, rest) = token(text)?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let name = name.to_ascii_lowercase();
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, rest) = token(rest)?;
        return Some((name, value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name, value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_in_all_their_forms() {
        let bearer = |realm: &str, service: Option<&str>| Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        };
        let rows = [
            (
                r#"Bearer realm="https://a/t",service="r",scope="repository:x:pull,push""#,
                vec![bearer("https://a/t", Some("r"))],
            ),
            (
                r#"bearer REALM="a\"b" , service=x"#,
                vec![bearer("a\"b", Some("x"))],
            ),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            (
                r#"Negotiate, Basic realm="x", Bearer realm="y""#,
                vec![Challenge::Basic, bearer("y", None)],
            ),
            ("Bearer service=x", vec![]),
            (r#"Bearer realm="unended"#, vec![]),
            ("", vec![]),
            ("\"", vec![]),
        ];
        for (header, expected) in rows {
            assert_eq!(parse(header), expected, "{header}");
        }
    }
}
