//! What a server says of its failure.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a server says of its failure, where it says so as most do: `{"error": {"message": "…"}}` or the like.
pub(crate) fn message_of(answer: &[u8]) -> Option<String> {
    let mut answer: BTreeMap<String, Value> = serde_json::from_slice(answer).ok()?;
    let said = ["error", "message", "detail"]
        .iter()
        .find_map(|key| answer.remove(*key))?;
    match said {
        Value::String(said) => Some(said),
        Value::Object(mut said) => match said.remove("message")? {
            Value::String(said) => Some(said),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_its_failure_is_found_where_it_says_so() {
        for (answer, said) in [
            (
                r#"{"error":{"message":"no such model","code":404}}"#,
                Some("no such model"),
            ),
            (r#"{"error":"no such model"}"#, Some("no such model")),
            (r#"{"message":"no such model"}"#, Some("no such model")),
            (r#"{"detail":"no such model"}"#, Some("no such model")),
            (r#"{"detail":[{"loc":["body"]}]}"#, None),
            (r#"{"text":"hello"}"#, None),
            ("no such model", None),
            ("[1]", None),
            ("", None),
        ] {
            assert_eq!(message_of(answer.as_bytes()).as_deref(), said, "{answer}");
        }
    }
}
