use std::sync::atomic::Ordering;

use super::*;
use crate::test_server::{STOP, Server, answer};

fn fetcher() -> Fetcher {
    Fetcher::new(FetchOptions {
        stall_timeout: Duration::from_millis(700),
        ..FetchOptions::default()
    })
}

async fn body(fetcher: &Fetcher, url: &str) -> Result<Vec<u8>, FetchErrorKind> {
    let response = fetcher.get(url, HeaderMap::new()).await;
    let bytes = match response.and_then(Response::success) {
        Ok(response) => response.bytes(1000).await,
        Err(error) => Err(error),
    };
    bytes.map_err(FetchError::into_kind)
}

#[tokio::test]
async fn bodies_come_whole_or_not_at_all() {
    let server = Server::start(|request, _| match request.split(' ').nth(1) {
        Some("/whole") => answer("200 OK\r\ncontent-length: 5", "whole"),
        Some("/truncated") => answer("200 OK\r\ncontent-length: 9", "trunc"),
        Some("/announced") => answer("200 OK\r\ncontent-length: 5000000", "much"),
        Some("/endless") => answer("200 OK", &"x".repeat(100_000)),
        Some("/stopped") => [answer("200 OK\r\ncontent-length: 9", "stop"), STOP.to_vec()].concat(),
        Some("/silent") => STOP.to_vec(),
        _ => answer("404 Not Found\r\ncontent-length: 0", ""),
    })
    .await;
    let get = async |path: &str| body(&fetcher(), &server.url(path)).await;
    assert_eq!(get("/whole").await.unwrap(), b"whole");
    assert!(matches!(get("/truncated").await, Err(FetchErrorKind::Broken(_))));
    assert!(matches!(
        get("/announced").await,
        Err(FetchErrorKind::TooLarge(1000))
    ));
    assert!(matches!(
        get("/endless").await,
        Err(FetchErrorKind::TooLarge(1000))
    ));
    assert!(matches!(get("/stopped").await, Err(FetchErrorKind::Stopped(_))));
    assert!(matches!(
        get("/none").await,
        Err(FetchErrorKind::Status {
            status: StatusCode::NOT_FOUND
        })
    ));
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    let server = Server::start(|_, number| match number {
        0 => answer("503 Service Unavailable\r\ncontent-length: 0", ""),
        1 => answer("429 Too Many Requests\r\ncontent-length: 0", ""),
        2 => Vec::new(),
        _ => answer("200 OK\r\ncontent-length: 2", "at"),
    })
    .await;
    assert_eq!(body(&fetcher(), &server.url("/")).await.unwrap(), b"at");
    assert_eq!(server.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn asking_again_has_an_end_and_is_not_for_what_changes_something() {
    let server = Server::start(|_, _| answer("500 Internal Server Error\r\ncontent-length: 0", "")).await;
    let failed = body(&fetcher(), &server.url("/")).await;
    assert!(matches!(failed, Err(FetchErrorKind::Status { .. })), "{failed:?}");
    assert_eq!(server.asked.swap(0, Ordering::SeqCst), 4);
    let put = Request::new(Method::PUT, &server.url("/")).unwrap();
    let response = fetcher().send(&put).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_direct_request_goes_where_it_says_and_nowhere_else() {
    let server =
        Server::start(|_, _| answer("307 Temporary Redirect\r\ncontent-length: 0\r\nlocation: /on", ""))
            .await;
    let direct = async |url: &str| fetcher().send(&Request::get(url).unwrap().direct()).await;
    let answered = direct(&server.url("/")).await.unwrap();
    assert_eq!(answered.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    // No system connects to it, so that nothing leaves the machine.
    let forbidden = "http://224.0.0.1:9/";
    let refused = body(&fetcher(), forbidden).await;
    assert!(matches!(refused, Err(FetchErrorKind::ForbiddenAddress)));
    let asked = direct(forbidden).await.map_err(FetchError::into_kind);
    assert!(matches!(asked, Err(FetchErrorKind::Connect(_))), "{asked:?}");
}

#[tokio::test]
async fn redirects_lead_only_to_where_requests_may_go() {
    let server = Server::start(|request, _| {
        let to = |place: &str| {
            answer(
                &format!("302 Found\r\ncontent-length: 0\r\nlocation: {place}"),
                "",
            )
        };
        match request.split(' ').nth(1) {
            Some("/loop") => to("/loop"),
            Some("/there") => to("/found"),
            Some("/found") => answer("200 OK\r\ncontent-length: 5", "found"),
            Some("/metadata") => to("http://169.254.169.254/latest/"),
            Some("/metadata6") => to("http://[fe80::1]/"),
            Some("/file") => to("file:///etc/passwd"),
            Some("/nonsense") => to("http://[:::"),
            _ => answer("404 Not Found\r\ncontent-length: 0", ""),
        }
    })
    .await;
    let get = async |path: &str| body(&fetcher(), &server.url(path)).await;
    assert_eq!(get("/there").await.unwrap(), b"found");
    assert!(matches!(
        get("/loop").await,
        Err(FetchErrorKind::TooManyRedirects(10))
    ));
    assert!(matches!(
        get("/metadata").await,
        Err(FetchErrorKind::ForbiddenAddress)
    ));
    assert!(matches!(
        get("/metadata6").await,
        Err(FetchErrorKind::ForbiddenAddress)
    ));
    assert!(matches!(
        get("/file").await,
        Err(FetchErrorKind::RedirectScheme(_))
    ));
    assert!(matches!(
        get("/nonsense").await,
        Err(FetchErrorKind::RedirectUrl(_))
    ));
}

/// Says back who asked.
async fn mirror() -> Server {
    Server::start(|request, _| {
        let said = request.to_ascii_lowercase();
        let said = said
            .lines()
            .filter(|line| line.starts_with("authorization") || line.starts_with("x-"));
        let said: Vec<_> = said.collect();
        let said = said.join(" ");
        answer(&format!("200 OK\r\ncontent-length: {}", said.len()), &said)
    })
    .await
}

#[tokio::test]
async fn who_asks_is_told_to_nobody_else() {
    let mirror = mirror().await;
    let target = mirror.url("/");
    let server = Server::start(move |_, _| {
        answer(
            &format!("307 Temporary Redirect\r\ncontent-length: 0\r\nlocation: {target}"),
            "",
        )
    })
    .await;
    let headers = || {
        let authorization = (header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        let other = (
            HeaderName::from_static("x-other"),
            HeaderValue::from_static("stays"),
        );
        HeaderMap::from_iter([authorization, other])
    };
    let get = async |url: &str| {
        let response = fetcher().get(url, headers()).await?;
        response.bytes(1000).await
    };
    let direct = get(&mirror.url("/")).await.unwrap();
    assert_eq!(
        String::from_utf8(direct).unwrap(),
        "authorization: bearer secret x-other: stays"
    );
    let led = get(&server.url("/")).await.unwrap();
    assert_eq!(String::from_utf8(led).unwrap(), "x-other: stays");
    let elsewhere = get("http://registry.invalid/").await.unwrap_err();
    assert!(
        matches!(elsewhere.kind(), FetchErrorKind::PlainTextCredentials),
        "{elsewhere}"
    );
}

#[tokio::test]
async fn a_body_goes_to_no_server_that_it_is_not_for() {
    let other = Server::start(|_, _| answer("200 OK\r\ncontent-length: 0", "")).await;
    for status in ["307 Temporary Redirect", "308 Permanent Redirect"] {
        let target = other.url("/");
        let server = Server::start(move |request, _| {
            let to = if request.contains(" /here ") {
                "/"
            } else {
                &*target
            };
            if request.contains(" / ") {
                return answer("201 Created\r\ncontent-length: 0", "");
            }
            answer(&format!("{status}\r\ncontent-length: 0\r\nlocation: {to}"), "")
        })
        .await;
        let post = |path: &str| Request::new(Method::POST, &server.url(path)).unwrap();
        let send = async |request: Request| fetcher().send(&request).await;
        let secret = || RequestBody::Secret("refresh_token=x".into());
        let bytes = || RequestBody::Bytes("manifest".into());
        for request in [
            post("/").with_body(secret()),
            post("/here").with_body(secret()),
            post("/here").with_body(bytes()),
        ] {
            assert_eq!(send(request).await.unwrap().status(), StatusCode::CREATED);
        }
        for request in [
            post("/away").with_body(secret()),
            post("/away").with_upload(secret()),
            post("/away").with_body(bytes()),
        ] {
            let refused = send(request).await.unwrap_err();
            assert!(
                matches!(refused.kind(), FetchErrorKind::RedirectWithBody),
                "{refused}"
            );
        }
        assert_eq!(other.asked.swap(0, Ordering::SeqCst), 0);
        let upload = send(post("/away").with_upload(bytes())).await.unwrap();
        assert_eq!(upload.status(), StatusCode::OK);
        assert_eq!(other.asked.swap(0, Ordering::SeqCst), 1);
    }
    let request = Request::new(Method::POST, "http://registry.invalid/").unwrap();
    let request = request.with_body(RequestBody::Secret("refresh_token=x".into()));
    assert!(!format!("{request:?}").contains("refresh_token"));
    let refused = fetcher().send(&request).await.unwrap_err();
    assert!(
        matches!(refused.kind(), FetchErrorKind::PlainTextCredentials),
        "{refused}"
    );
}

#[tokio::test]
async fn credentials_do_not_pass_a_proxy_in_clear_text() {
    let proxy = Server::start(|_, _| answer("200 OK\r\ncontent-length: 0", "")).await;
    let mut fetcher = fetcher();
    fetcher.proxies = Matcher::builder().http(proxy.url("/")).build();
    let post = Request::new(Method::POST, "http://127.0.0.1:1/").unwrap();
    let refused = fetcher
        .send(&post.with_body(RequestBody::Secret("refresh_token=x".into())))
        .await
        .unwrap_err();
    assert!(
        matches!(refused.kind(), FetchErrorKind::PlainTextCredentials),
        "{refused}"
    );
    assert_eq!(proxy.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_named_by_somebody_outside_does_not_lead_inside() {
    let server = Server::start(|_, _| answer("200 OK\r\ncontent-length: 0", "")).await;
    let get = |host: &str| Request::get(&format!("http://{host}:{}/admin/reset", server.port)).unwrap();
    let from_outside = Fetcher::new(FetchOptions {
        reach: Reach::Outside,
        ..FetchOptions::default()
    });
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let request = get(host).within(Reach::Outside);
        for (fetcher, request) in [(&fetcher(), request), (&from_outside, get(host))] {
            let refused = fetcher.send(&request).await.unwrap_err();
            assert!(
                matches!(refused.kind(), FetchErrorKind::RedirectInside),
                "{refused}"
            );
        }
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    // What the operator names himself may be here, and so may what a server here names.
    let own = get("127.0.0.1").within(Reach::Anywhere);
    let response = from_outside.send(&own).await.unwrap();
    assert_eq!(response.reach(), Reach::Anywhere);
}

#[tokio::test]
async fn nothing_is_asked_offline_and_no_signature_is_shown() {
    let server = Server::start(|_, _| answer("200 OK\r\ncontent-length: 0", "")).await;
    let offline = Fetcher::new(FetchOptions {
        offline: true,
        ..FetchOptions::default()
    });
    let url = format!("http://u:p@127.0.0.1:{}/a?signature=s", server.port);
    let error = offline.get(&url, HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error.kind(), FetchErrorKind::Offline));
    let shown = error.to_string();
    assert!(shown.starts_with(&server.url("/a?…: ")), "{shown}");
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
}
