//! Endpoints: create, read, change, delete, preview, test.

use insta::{assert_json_snapshot, dynamic_redaction};
use serde_json::{Value, json};
use signpost_testkit::{Receiver, Reply};

use crate::service::{Service, endpoint};

const ALL: &str = "/v1/tenants/default/endpoints";

#[tokio::test]
async fn a_new_one_comes_with_its_secret_and_shows_it_nowhere_else() {
    let service = Service::start().await;
    let body = json!({
        "name": "Billing", "url": "https://example.com/hooks", "events": ["license.*"],
        "filter": {"status": "published"}, "headers": {"X-Team": "a"}, "metadata": {"b": 1, "a": 1.50},
    });
    let made = service.client.post(ALL, &body).await.expect(201).json;
    let redact_id = |value: insta::internals::Content, _: insta::internals::ContentPath<'_>| {
        assert!(value.as_str().unwrap().starts_with("ep_"));
        "ep_…".to_owned()
    };
    let redact_secret = |value: insta::internals::Content, _: insta::internals::ContentPath<'_>| {
        assert_eq!(
            value
                .as_str()
                .unwrap()
                .strip_prefix("whsec_")
                .unwrap()
                .len(),
            44
        );
        "whsec_…".to_owned()
    };
    assert_json_snapshot!(made, {
        ".id" => dynamic_redaction(redact_id),
        ".secret" => dynamic_redaction(redact_secret),
        ".created_at" => "[time]", ".updated_at" => "[time]",
    });
    let one = format!("{ALL}/{}", made["id"].as_str().unwrap());
    for path in [ALL, &one] {
        let reply = service.client.get(path).await.expect(200);
        assert!(!String::from_utf8(reply.bytes).unwrap().contains("whsec_"));
    }
}

#[tokio::test]
async fn each_kind_of_profile_gets_the_secret_that_it_signs_with() {
    let service = Service::start().await;
    let with = |profile: &str| {
        let mut body = endpoint("https://example.com/");
        body["profile"] = profile.into();
        body
    };
    let own = service
        .client
        .post(ALL, &with("privato"))
        .await
        .expect(201)
        .json;
    assert!(own["secret"].as_str().unwrap().starts_with("whsec_"));
    let tenant = service
        .client
        .post(ALL, &with("inprivy"))
        .await
        .expect(201)
        .json;
    assert_eq!(tenant["secret"], json!(null));
    let secret = service
        .client
        .get("/v1/tenants/default/secret")
        .await
        .expect(200)
        .json;
    assert!(secret["secret"].as_str().unwrap().starts_with("whsec_"));
    let mut body = with("inprivy");
    body["secret"] = "whsec_0123456789abcdef".into();
    let reply = service
        .client
        .post(ALL, &body)
        .await
        .expect_error(422, "validation_failed");
    assert_eq!(reply.json["errors"][0]["pointer"], "/secret");
}

#[tokio::test]
async fn a_secret_of_one_s_own_is_long_unless_forced() {
    let service = Service::start().await;
    let with = |secret: &str, force: Value| {
        let mut body = endpoint("https://example.com/");
        body["profile"] = "privato".into();
        body["secret"] = secret.into();
        body["force"] = force;
        body
    };
    let made = service
        .client
        .post(ALL, &with("a-secret-of-16-characters", Value::Null))
        .await
        .expect(201)
        .json;
    assert_eq!(made["secret"], "a-secret-of-16-characters");
    service
        .client
        .post(ALL, &with("password123", json!(false)))
        .await
        .expect_error(422, "validation_failed");
    service
        .client
        .post(ALL, &with("password123", json!(true)))
        .await
        .expect(201);
    let mut wrong_form = endpoint("https://example.com/");
    wrong_form["secret"] = "not-base64-but-long-enough".into();
    let reply = service
        .client
        .post(ALL, &wrong_form)
        .await
        .expect_error(422, "validation_failed");
    assert_eq!(reply.json["errors"][0]["pointer"], "/secret");
}

#[tokio::test]
async fn are_changed_in_part_and_set_back_with_null() {
    let service = Service::start().await;
    let mut body = endpoint("https://example.com/a");
    body["timeout"] = "3s".into();
    body["retry"] = json!({"delays": ["1s", "10s"]});
    let made = service.client.post(ALL, &body).await.expect(201).json;
    let path = format!("{ALL}/{}", made["id"].as_str().unwrap());
    let patch = json!({"name": "Other", "events": ["post.created"], "retry": null, "status": "paused", "rate_limit": 5});
    let changed = service.client.patch(&path, &patch).await.expect(200).json;
    assert_eq!(changed["name"], "Other");
    assert_eq!(changed["url"], "https://example.com/a");
    assert_eq!(
        (&changed["retry"], &changed["timeout"]),
        (&json!(null), &json!("3s"))
    );
    assert_eq!(
        (&changed["status"], &changed["rate_limit"]),
        (&json!("paused"), &json!(5))
    );
    assert_eq!(service.client.get(&path).await.json, changed);
    service
        .client
        .patch(&path, &json!({"name": null}))
        .await
        .expect_error(422, "validation_failed");
    service
        .client
        .patch(&path, &json!({"secret": "x"}))
        .await
        .expect_error(422, "validation_failed");
    let headers = json!({"headers": {"webhook-id": "x"}});
    service
        .client
        .patch(&path, &headers)
        .await
        .expect_error(422, "validation_failed");
    assert_eq!(
        service
            .client
            .patch(&path, &json!({}))
            .await
            .expect(200)
            .json["name"],
        "Other"
    );
}

#[tokio::test]
async fn a_new_profile_must_suit_the_secret_and_the_headers() {
    let service = Service::start().await;
    let mut body = endpoint("https://example.com/a");
    body["headers"] = json!({"X-Signature": "own"});
    let made = service.client.post(ALL, &body).await.expect(201).json;
    let path = format!("{ALL}/{}", made["id"].as_str().unwrap());
    let reply = service
        .client
        .patch(&path, &json!({"profile": "privato"}))
        .await;
    let reply = reply.expect_error(422, "validation_failed");
    assert_eq!(reply.json["errors"][0]["pointer"], "/headers/X-Signature");
    let patch = json!({"profile": "privato", "headers": {}});
    service.client.patch(&path, &patch).await.expect(200);
    service
        .client
        .patch(&path, &json!({"profile": "nope"}))
        .await
        .expect_error(422, "validation_failed");
}

#[tokio::test]
async fn a_deleted_one_is_gone() {
    let service = Service::start().await;
    let made = service
        .client
        .post(ALL, &endpoint("https://example.com/"))
        .await
        .expect(201)
        .json;
    let path = format!("{ALL}/{}", made["id"].as_str().unwrap());
    service.client.delete(&path).await.expect(204);
    service
        .client
        .get(&path)
        .await
        .expect_error(404, "not_found");
    service
        .client
        .delete(&path)
        .await
        .expect_error(404, "not_found");
    service
        .client
        .patch(&path, &json!({}))
        .await
        .expect_error(404, "not_found");
    service
        .client
        .get(&format!("{path}/secret"))
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn are_listed_in_pages_newest_first() {
    let service = Service::start().await;
    for name in ["a", "b", "c"] {
        let mut body = endpoint("https://example.com/");
        body["name"] = name.into();
        service.client.post(ALL, &body).await.expect(201);
    }
    let mut names = Vec::new();
    let mut path = format!("{ALL}?limit=2");
    loop {
        let page = service.client.get(&path).await.expect(200).json;
        names.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].clone()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("{ALL}?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["c", "b", "a"]);
}

#[tokio::test]
async fn a_preview_says_who_would_get_an_event_and_why_not() {
    let service = Service::start().await;
    for (name, events, filter) in [
        ("wants it", json!(["license.*"]), json!({"plan": "pro"})),
        ("other type", json!(["user.*"]), json!(null)),
        ("other content", json!(["*"]), json!({"plan": "free"})),
    ] {
        let body = json!({"name": name, "url": "https://example.com/", "events": events, "filter": filter});
        service.client.post(ALL, &body).await.expect(201);
    }
    let event = json!({"type": "license.created", "data": {"plan": "pro"}});
    let reply = service
        .client
        .post(&format!("{ALL}/preview"), &event)
        .await
        .expect(200)
        .json;
    assert_json_snapshot!(reply, {".items[].endpoint_id" => "[id]"});
}

#[tokio::test]
async fn a_test_send_is_made_once_and_recorded() {
    let service = Service::start().await;
    let receiver = Receiver::start().await.unwrap();
    receiver.replies([Reply::status(201), Reply::status(500)]);
    let made = service
        .client
        .post(ALL, &endpoint(&receiver.url_of("/hook")))
        .await
        .expect(201)
        .json;
    let path = format!("{ALL}/{}/test", made["id"].as_str().unwrap());
    let result = service
        .client
        .post(&path, &json!({}))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&result["success"], &result["status_code"]),
        (&json!(true), &json!(201))
    );
    let body = json!({"type": "license.created", "data": {"a": 1}});
    let result = service.client.post(&path, &body).await.expect(200).json;
    assert_eq!(
        (&result["success"], &result["status_code"]),
        (&json!(false), &json!(500))
    );
    assert!(result["error"].as_str().unwrap().contains("500"));

    let requests = receiver.received();
    assert_eq!(requests.len(), 2);
    let profile = signpost_wire::find_builtin("standard-webhooks").unwrap();
    let key = profile
        .verifying_key(made["secret"].as_str().unwrap())
        .unwrap();
    let headers = requests[1].headers.iter();
    let headers: Vec<(&str, &str)> = headers
        .map(|(n, v)| (n.as_str(), v.to_str().unwrap()))
        .collect();
    let now = signpost_domain::Clock::now(&signpost_domain::SystemClock);
    profile
        .verify(&headers, &requests[1].body, &[key], now, None)
        .unwrap();

    let delivery = result["delivery_id"].as_str().unwrap();
    let story = service
        .client
        .get(&format!("/v1/tenants/default/deliveries/{delivery}"))
        .await
        .expect(200)
        .json;
    assert_eq!(story["status"], "failed");
    assert_eq!(story["attempts"][0]["trigger"], "test");
    assert_eq!(
        story["attempts"][0]["request_body"]
            .as_str()
            .unwrap()
            .as_bytes(),
        &requests[1].body[..]
    );
}

#[tokio::test]
async fn test_sends_are_limited() {
    let service = Service::start().await;
    let receiver = Receiver::start().await.unwrap();
    let made = service
        .client
        .post(ALL, &endpoint(&receiver.url()))
        .await
        .expect(201)
        .json;
    let path = format!("{ALL}/{}/test", made["id"].as_str().unwrap());
    for _ in 0..5 {
        service.client.post(&path, &json!({})).await.expect(200);
    }
    let reply = service
        .client
        .post(&path, &json!({}))
        .await
        .expect_error(429, "too_many_requests");
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn a_test_of_an_endpoint_that_cannot_be_reached_says_why() {
    let service = Service::start().await;
    let port = signpost_testkit::free_port().unwrap();
    let made = service
        .client
        .post(ALL, &endpoint(&format!("http://127.0.0.1:{port}/")))
        .await
        .expect(201)
        .json;
    let path = format!("{ALL}/{}/test", made["id"].as_str().unwrap());
    let result = service
        .client
        .post(&path, &json!({}))
        .await
        .expect(200)
        .json;
    assert_eq!(result["success"], json!(false));
    assert_eq!(result["status_code"], json!(null));
    assert!(
        result["error"].as_str().unwrap().starts_with("connect"),
        "{result}"
    );
}

#[tokio::test]
async fn urls_that_lead_inside_are_refused() {
    let service = Service::start().await;
    let own = format!("http://{}/", service.client.address);
    for url in [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "ftp://example.com/",
        "http://localhost:5432/",
        "https://user:pass@example.com/",
        "nonsense",
        "",
        &own,
    ] {
        let reply = service
            .client
            .post(ALL, &endpoint(url))
            .await
            .expect_error(422, "validation_failed");
        assert_eq!(reply.json["errors"][0]["pointer"], "/url", "{url}");
    }
}
