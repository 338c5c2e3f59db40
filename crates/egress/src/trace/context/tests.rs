use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::try_from(*value).unwrap(),
        );
    }
    headers
}

#[test]
fn a_traceparent_is_taken_as_the_standard_says_or_not_at_all() {
    let zeros = ["0".repeat(32), "0".repeat(16)];
    for (parent, sampled) in [
        (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
        (format!("00-{TRACE}-{SPAN}-01"), Some(true)),
        // Flags that nobody knows yet (section 2.2.5.2).
        (format!("00-{TRACE}-{SPAN}-03"), Some(true)),
        (format!("00-{TRACE}-{SPAN}-fe"), Some(false)),
        // Later versions (section 4.3): what they add comes behind a dash.
        (format!("01-{TRACE}-{SPAN}-01"), Some(true)),
        (
            format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
            Some(true),
        ),
        (format!("cc-{TRACE}-{SPAN}-01-"), Some(true)),
        (format!("cc-{TRACE}-{SPAN}-01.what-the-future"), None),
        (format!("ff-{TRACE}-{SPAN}-01"), None),
        (format!("00-{TRACE}-{SPAN}-01-more"), None),
        (format!("00-{TRACE}-{SPAN}-01-"), None),
        (format!("0-{TRACE}-{SPAN}-01"), None),
        (format!("000-{TRACE}-{SPAN}-01"), None),
        (format!("00-{}-{SPAN}-01", zeros[0]), None),
        (format!("00-{TRACE}-{}-01", zeros[1]), None),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), None),
        (format!("00-{}-{SPAN}-01", &TRACE[1..]), None),
        (format!("00-{TRACE}0-{SPAN}-01"), None),
        (format!("00-{TRACE}-{}-01", &SPAN[1..]), None),
        (format!("00-{TRACE}-{SPAN}-1"), None),
        (format!("00-{TRACE}-{SPAN}-0g"), None),
        (format!("00-{TRACE}-{SPAN}"), None),
        (format!("00-{TRACE}-+{}-01", &SPAN[1..]), None),
        (format!("00_{TRACE}_{SPAN}_01"), None),
        (format!("00-{TRACE}-{SPAN}-01 "), None),
        ("a".repeat(1 << 16), None),
        (String::new(), None),
    ] {
        let context = TraceContext::parse(&parent);
        assert_eq!(
            context.as_ref().map(|context| context.sampled),
            sampled,
            "{parent}"
        );
        if let Some(context) = context {
            let written = format!("00-{TRACE}-{SPAN}-0{}", u8::from(context.sampled));
            assert_eq!(context.to_string(), written, "{parent}");
        }
    }
}

#[test]
fn of_several_traceparents_none_is_taken() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let one = ("traceparent", parent.as_str());
    assert!(TraceContext::from_headers(&headers(&[one])).is_some());
    assert!(TraceContext::from_headers(&headers(&[("TraceParent", parent.as_str())])).is_some());
    assert_eq!(TraceContext::from_headers(&headers(&[one, one])), None);
    assert_eq!(TraceContext::from_headers(&headers(&[])), None);
    assert_eq!(
        TraceContext::from_headers(&headers(&[("tracestate", "a=b")])),
        None
    );
    let mut no_text = headers(&[]);
    no_text.insert("traceparent", HeaderValue::from_bytes(b"00-\xff").unwrap());
    assert_eq!(TraceContext::from_headers(&no_text), None);
}

#[test]
fn what_systems_say_to_themselves_is_passed_on_as_far_as_it_fits() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let long = format!("long={}", "x".repeat(500));
    let many: Vec<String> = (0..40).map(|number| format!("k{number}=v")).collect();
    let members = |some: &[String]| some.join(",");
    for (states, passed_on) in [
        (vec![], None),
        (vec![String::new()], None),
        (vec!["a=1,b=2".to_owned()], Some("a=1,b=2".to_owned())),
        (
            vec!["a=1 ,\tb=2,,".to_owned(), "c=3".to_owned()],
            Some("a=1,b=2,c=3".to_owned()),
        ),
        (vec![long.clone()], Some(long.clone())),
        (vec![format!("a=1,{long},b=2")], Some(format!("a=1,{long}"))),
        (vec![format!("a=1,b=2,{long}")], Some("a=1,b=2".to_owned())),
        (vec![format!("{long}{long}")], None),
        (vec![members(&many)], Some(members(&many[..32]))),
    ] {
        let mut brought = headers(&[("traceparent", &parent)]);
        for state in &states {
            brought.append("tracestate", HeaderValue::try_from(state).unwrap());
        }
        let context = TraceContext::from_headers(&brought).unwrap();
        let mut sent = headers(&[("traceparent", "x"), ("tracestate", "x"), ("tracestate", "y")]);
        context.put_into(&mut sent);
        let written: Vec<_> = sent.get_all("tracestate").iter().collect();
        let written: Vec<_> = written.iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(written, passed_on.as_slice(), "{states:?}");
        assert_eq!(sent.get_all("traceparent").iter().count(), 1, "{states:?}");
        assert_eq!(sent["traceparent"], parent, "{states:?}");
    }
}
