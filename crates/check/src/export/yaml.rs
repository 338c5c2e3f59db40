//! JSON values as YAML, in blocks: what people who use `kubectl` are used to read and to compare.
//!
//! Every string is quoted as JSON quotes it, which YAML 1.2 reads the same (section 5.7 of its specification has all the
//! escapes of JSON): no string is ever taken for a number, a boolean or a comment. What is written here is only objects,
//! lists, strings and numbers of our own making, so a library that writes everything that YAML has would be more to trust.

use serde_json::Value;

/// The value as one document, with its line end.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, Place::Line, &mut text);
    text
}

/// Where a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line.
    Line,
    /// Behind a key.
    Key,
    /// Behind the dash of a list.
    Dash,
}

fn write(value: &Value, depth: usize, place: Place, text: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            if place == Place::Key {
                text.push('\n');
            }
            for (number, (key, value)) in members.iter().enumerate() {
                if place != Place::Dash || number > 0 {
                    text.push_str(&"  ".repeat(depth));
                }
                text.push_str(&key_of(key));
                text.push(':');
                write(value, depth + 1, Place::Key, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            if place == Place::Key {
                text.push('\n');
            }
            for (number, item) in items.iter().enumerate() {
                if place != Place::Dash || number > 0 {
                    text.push_str(&"  ".repeat(depth));
                }
                text.push_str("- ");
                write(item, depth + 1, Place::Dash, text);
            }
        }
        scalar => {
            if place == Place::Key {
                text.push(' ');
            }
            text.push_str(&scalar.to_string());
            text.push('\n');
        }
    }
}

/// A key as it is, if it is a word and not one that means something.
fn key_of(key: &str) -> String {
    let is_word = key.bytes().all(|byte| byte.is_ascii_alphanumeric()) && key.len() > 3;
    let means_something = ["true", "false", "null", "none"].contains(&key.to_ascii_lowercase().as_str());
    let is_short = ["to", "spec", "kind"].contains(&key);
    if is_short || (is_word && !means_something && !key.starts_with(|c: char| c.is_ascii_digit())) {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_indented_and_strings_are_quoted() {
        let value = json!({
            "kind": "X",
            "metadata": { "labels": { "on": "yes", "app.kubernetes.io/name": "a\"b\n" } },
            "list": [ { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] }, {} , [1, 2], [] ],
        });
        assert_eq!(
            document(&value),
            r#"kind: "X"
list:
  - cidr: "10.0.0.0/8"
    except:
      - "10.1.0.0/16"
  - {}
  - - 1
    - 2
  - []
metadata:
  labels:
    "app.kubernetes.io/name": "a\"b\n"
    "on": "yes"
"#
        );
    }
}
