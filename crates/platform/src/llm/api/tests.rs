use super::*;

fn sampling() -> Sampling {
    Sampling {
        max_tokens: 7,
        repeat_penalty: 1.5,
        repeat_penalty_last_n_token_count: 64,
        temperature: 0.25,
        top_k: 40,
        top_p: 0.9,
    }
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).expect("JSON is text")
}

#[test]
fn text_is_asked_for_in_the_words_of_the_api() {
    let asked = ("llama2-chat", "say \"a\"\n");
    for (api, sampling, json) in [
        (
            ModelApi::Spin,
            sampling(),
            r#"{"model":"llama2-chat","prompt":"say \"a\"\n","options":{"maxTokens":7,"repeatPenalty":1.5,"repeatPenaltyLastNTokenCount":64,"temperature":0.25,"topK":40,"topP":0.9}}"#,
        ),
        // What no guest has chosen is not said.
        (
            ModelApi::OpenAi,
            sampling(),
            r#"{"model":"llama2-chat","messages":[{"role":"user","content":"say \"a\"\n"}],"max_completion_tokens":7,"temperature":0.25,"frequency_penalty":0.5}"#,
        ),
        (
            ModelApi::OpenAi,
            Sampling::default(),
            r#"{"model":"llama2-chat","messages":[{"role":"user","content":"say \"a\"\n"}],"max_completion_tokens":100}"#,
        ),
        (
            ModelApi::OpenAi,
            Sampling {
                repeat_penalty: 100.0,
                top_p: 0.5,
                ..Sampling::default()
            },
            r#"{"model":"llama2-chat","messages":[{"role":"user","content":"say \"a\"\n"}],"max_completion_tokens":100,"top_p":0.5,"frequency_penalty":2.0}"#,
        ),
    ] {
        assert_eq!(text(api.infer(asked, &sampling)), json);
    }
}

#[test]
fn embeddings_are_asked_for_alike() {
    let texts = ["a".to_owned(), "b\"".to_owned()];
    for api in [ModelApi::Spin, ModelApi::OpenAi] {
        let json = r#"{"model":"m","input":["a","b\""]}"#;
        assert_eq!(text(api.embed("m", &texts)), json);
    }
}

#[test]
fn the_text_of_an_answer_is_found_and_what_is_none_is_refused() {
    let inferred = |text: &str, prompt_tokens, generated_tokens| {
        Ok(Inferred {
            text: text.into(),
            prompt_tokens,
            generated_tokens,
        })
    };
    let unreadable = |line, column| Err(NoAnswer::Unreadable { line, column });
    use ModelApi::{OpenAi, Spin};
    for (api, answer, expected) in [
        (
            Spin,
            r#"{"text":"hello","usage":{"promptTokenCount":3,"generatedTokenCount":4},"more":[]}"#,
            inferred("hello", 3, 4),
        ),
        (Spin, r#"{"text":"hello"}"#, inferred("hello", 0, 0)),
        (Spin, r#"{"usage":{}}"#, unreadable(1, 12)),
        (Spin, "<html>", unreadable(1, 1)),
        (Spin, "", unreadable(1, 0)),
        (
            OpenAi,
            r#"{"choices":[{"message":{"role":"assistant","content":"hello"}},{"message":{"content":"b"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            inferred("hello", 3, 4),
        ),
        (
            OpenAi,
            r#"{"choices":[{"message":{"content":""}}],"usage":null}"#,
            inferred("", 0, 0),
        ),
        (
            OpenAi,
            r#"{"choices":[{"message":{"content":null}}]}"#,
            Err(NoAnswer::NoText),
        ),
        (OpenAi, r#"{"choices":[]}"#, Err(NoAnswer::NoText)),
        (OpenAi, "{\n\"choices\": 5}", unreadable(2, 12)),
    ] {
        assert_eq!(api.inferred(answer.as_bytes()), expected, "{answer}");
    }
}

#[test]
fn there_is_one_embedding_for_each_text_in_their_order() {
    let embedded = |embeddings: &[&[f32]]| {
        Ok(Embedded {
            embeddings: embeddings.iter().map(|own| own.to_vec()).collect(),
            prompt_tokens: 5,
        })
    };
    use ModelApi::{OpenAi, Spin};
    for (api, answer, expected) in [
        (
            Spin,
            r#"{"embeddings":[[0.5,-1],[2]],"usage":{"promptTokenCount":5}}"#,
            embedded(&[&[0.5, -1.0], &[2.0]]),
        ),
        (
            Spin,
            r#"{"embeddings":[[1]]}"#,
            Err(NoAnswer::Embeddings { got: 1, asked: 2 }),
        ),
        (Spin, r#"{"embeddings":[[1],[1e300]]}"#, Err(NoAnswer::NotNumbers)),
        (
            OpenAi,
            r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[0.5,-1]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#,
            embedded(&[&[0.5, -1.0], &[2.0]]),
        ),
        (
            OpenAi,
            r#"{"data":[{"embedding":[0.5,-1]},{"embedding":[2]}],"usage":{"prompt_tokens":5}}"#,
            embedded(&[&[0.5, -1.0], &[2.0]]),
        ),
    ] {
        assert_eq!(api.embedded(answer.as_bytes(), 2), expected, "{answer}");
    }
}

#[test]
fn a_list_of_very_many_entries_is_refused_before_it_is_held() {
    let most = crate::operator_server::MOST_ENTRIES;
    for (entries, is_read) in [(most, true), (most + 1, false)] {
        let list = vec!["[]"; entries].join(",");
        let answer = format!("{{\"embeddings\":[{list}]}}");
        let embedded = ModelApi::Spin.embedded(answer.as_bytes(), entries);
        assert_eq!(embedded.is_ok(), is_read, "{entries}");
    }
}
