use super::*;

fn answer(columns: &[&str], rows: &str) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","decltype":null}}"#))
        .collect();
    format!(
        r#"{{"baton":"b","base_url":null,"results":[
            {{"type":"ok","response":{{"type":"execute","result":{{"cols":[{}],"rows":{rows},"affected_row_count":2,
              "last_insert_rowid":"-9","replication_index":null,"rows_read":1,"query_duration_ms":0.5}}}}}},
            {{"type":"ok","response":{{"type":"get_autocommit","is_autocommit":false}}}}]}}"#,
        columns.join(",")
    )
}

#[test]
fn what_is_asked_has_the_form_that_is_documented() {
    let parameters = [
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        Value::Real(f64::NAN),
        Value::Text("ä\"\n".to_owned()),
        Value::Blob(vec![0, 255, 16]),
        Value::Null,
    ];
    let asked = [
        Asked::Execute("SELECT ?", &parameters),
        Asked::GetAutocommit,
        Asked::Sequence("a; b"),
        Asked::Close,
    ];
    let found: serde_json::Value = serde_json::from_slice(&request(None, &asked).unwrap()).unwrap();
    let expected = serde_json::json!({ "baton": null, "requests": [
        { "type": "execute", "stmt": { "sql": "SELECT ?", "want_rows": true, "args": [
            { "type": "integer", "value": "-9223372036854775808" },
            { "type": "float", "value": -0.5 },
            { "type": "null" },
            { "type": "text", "value": "ä\"\n" },
            { "type": "blob", "base64": "AP8Q" },
            { "type": "null" },
        ] } },
        { "type": "get_autocommit" },
        { "type": "sequence", "sql": "a; b" },
        { "type": "close" },
    ] });
    assert_eq!(found, expected);
    let found = request(Some("b\"1"), &[Asked::Close]).unwrap();
    assert_eq!(found, br#"{"baton":"b\"1","requests":[{"type":"close"}]}"#);
    for number in [f64::INFINITY, f64::NEG_INFINITY] {
        assert!(request(None, &[Asked::Execute("", &[Value::Real(number)])]).is_err());
    }
}

#[test]
fn a_value_of_each_type_is_read() {
    let text = answer(
        &["a", "b"],
        r#"[[{"type":"integer","value":"9223372036854775807"},{"type":"float","value":1}],
            [{"value":"x","type":"text"},{"type":"null"}],
            [{"type":"blob","base64":"AP8"},{"type":"blob","base64":"AP8="}],
            [{"type":"null","value":null},{"type":"float","value":-1e-300}]]"#,
    );
    let mut pipeline = read(text.as_bytes(), 2).unwrap();
    assert_eq!(pipeline.is_autocommit(), Some(false));
    let executed = pipeline.take_first().unwrap();
    assert_eq!(executed.columns, ["a", "b"]);
    assert_eq!((executed.changes, executed.last_insert_rowid), (2, Some(-9)));
    let rows = vec![vec![
        vec![Value::Integer(i64::MAX), Value::Real(1.0)],
        vec![Value::Text("x".to_owned()), Value::Null],
        vec![Value::Blob(vec![0, 255]), Value::Blob(vec![0, 255])],
        vec![Value::Null, Value::Real(-1e-300)],
    ]];
    assert_eq!(executed.rows, rows);
    assert_eq!(pipeline.into_baton().as_deref(), Some("b"));
}

#[test]
fn an_error_is_the_servers_own_words_but_for_a_full_disk() {
    for (error, expected) in [
        (
            r#"{"message":"no such table: x","code":"SQLITE_ERROR"}"#,
            SqliteError::Other("no such table: x".to_owned()),
        ),
        (r#"{"message":"y"}"#, SqliteError::Other("y".to_owned())),
        (r#"{"message":"z","code":"SQLITE_FULL"}"#, SqliteError::Full),
    ] {
        let text = format!(r#"{{"results":[{{"type":"error","error":{error}}}]}}"#);
        let mut pipeline = read(text.as_bytes(), 1).unwrap();
        assert_eq!(pipeline.take_first(), Err(expected), "{error}");
        assert_eq!(pipeline.into_baton(), None);
    }
}

#[test]
fn what_is_no_answer_is_refused_without_a_word_of_it() {
    for text in [
        "",
        "[]",
        "{}",
        "<html>hunter2</html>",
        r#"{"baton":5,"results":[]}"#,
        &answer(&["a"], r#"[[{"type":"integer","value":"9223372036854775808"}]]"#),
        &answer(&["a"], r#"[[{"type":"integer","value":"hunter2"}]]"#),
        &answer(&["a"], r#"[[{"type":"integer","value":1.5}]]"#),
        &answer(&["a"], r#"[[{"type":"float","value":null}]]"#),
        &answer(&["a"], r#"[[{"type":"text","value":5}]]"#),
        &answer(&["a"], r#"[[{"type":"blob","base64":"*"}]]"#),
        &answer(&["a"], r#"[[{"type":"blob","value":"AP8"}]]"#),
        &answer(&["a"], r#"[[{"type":"date","value":"x"}]]"#),
        &answer(&["a"], r#"[[5]]"#),
        &answer(&["a"], r#"[5]"#),
        &answer(&["a"], &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
    ] {
        let why = read(text.as_bytes(), 2).err();
        assert!(matches!(why, Some(NoAnswer::Unreadable { .. })), "{why:?}");
        assert!(!why.unwrap().to_string().contains("hunter2"));
    }
    let row = r#"[[{"type":"null"}]]"#;
    assert_eq!(read(answer(&[], row).as_bytes(), 2).err(), Some(NoAnswer::Unfit));
    assert_eq!(
        read(answer(&["a", "b"], row).as_bytes(), 2).err(),
        Some(NoAnswer::Unfit)
    );
    let other = Some(NoAnswer::Other { got: 2, asked: 1 });
    assert_eq!(read(answer(&["a"], row).as_bytes(), 1).err(), other);
}

#[test]
fn rows_that_take_more_than_they_may_are_refused_before_they_are_held() {
    // Of three bytes each, and of twenty-four in memory.
    let rows = format!("[{}[]]", "[],".repeat(MOST_IN_A_RESULT / size_of::<Row>() + 1));
    assert_eq!(
        read(answer(&[], &rows).as_bytes(), 2).err(),
        Some(NoAnswer::TooLarge)
    );
    let rows = format!("[{}[]]", "[],".repeat(100_000));
    let mut pipeline = read(answer(&[], &rows).as_bytes(), 2).unwrap();
    let executed = pipeline.take_first().unwrap();
    assert_eq!(executed.rows.iter().map(Vec::len).sum::<usize>(), 100_001);
    assert!(executed.rows.len() > 10, "in pieces");
    let columns = "{},".repeat(1_000_000);
    let text = format!(r#"{{"results":[{{"response":{{"result":{{"cols":[{columns}{{}}]}}}}}}]}}"#);
    assert!(matches!(
        read(text.as_bytes(), 1),
        Err(NoAnswer::Unreadable { .. })
    ));
}
