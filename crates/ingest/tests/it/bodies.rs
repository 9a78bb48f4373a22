//! How large, how slow and of what kind a request may be.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::service::Service;

const EVENTS: &str = "/v1/tenants/default/events";

#[tokio::test]
async fn the_largest_data_is_taken_and_one_byte_more_is_not() {
    let service = Service::start_with(&["--max-event-bytes=1000"]).await;
    let of = |bytes: usize| json!({"type": "a", "data": "x".repeat(bytes - 2)});
    service.client.post(EVENTS, &of(1000)).await.expect(202);
    service
        .client
        .post(EVENTS, &of(1001))
        .await
        .expect_error(413, "event_too_large");
    service
        .client
        .post(EVENTS, &of(50_000))
        .await
        .expect_error(413, "body_too_large");
    let batch = json!([of(1000), of(1001)]);
    let reply = service
        .client
        .post(&format!("{EVENTS}/batch"), &batch)
        .await
        .expect(202)
        .json;
    assert_eq!(reply["rejected"][0]["code"], "event_too_large");
}

#[tokio::test]
async fn huge_bodies_are_refused_without_being_read() {
    let service = Service::start().await;
    for path in [
        EVENTS,
        "/v1/tenants/default/events/batch",
        "/v1/tenants/default/endpoints",
        "/v1/profiles/x",
    ] {
        let method = if path.ends_with("/x") { "PUT" } else { "POST" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: 10000000000\r\n\r\n",
            service.client.key.as_ref().unwrap()
        );
        let mut stream = TcpStream::connect(service.client.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, b"HTTP/1.1 413", "{path}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_counted_as_it_comes() {
    let service = Service::start().await;
    let mut stream = TcpStream::connect(service.client.address).await.unwrap();
    let head = format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        service.client.key.as_ref().unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut answer = vec![0; 12];
    let (mut reading, mut writing) = stream.split();
    let send = async {
        while writing.write_all(chunk.as_bytes()).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        read = tokio::time::timeout(Duration::from_secs(10), reading.read_exact(&mut answer)) => {
            read.unwrap().unwrap();
        }
        () = send => {}
    }
    assert_eq!(answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn only_json_is_taken() {
    let service = Service::start().await;
    let body = br#"{"type":"a","data":1}"#;
    for (path, kind) in [
        (EVENTS, "application/x-www-form-urlencoded"),
        (EVENTS, "text/plain"),
        (EVENTS, "application/x-ndjson"),
        ("/v1/tenants/default/events/batch", "text/csv"),
        ("/v1/tenants/default/endpoints", "text/plain"),
    ] {
        let reply = service
            .client
            .send("POST", path, &[("content-type", kind)], body)
            .await;
        reply.expect_error(415, "unsupported_media_type");
    }
    service
        .client
        .send("POST", EVENTS, &[], body)
        .await
        .expect_error(415, "unsupported_media_type");
    let kind = [("content-type", "application/json; charset=utf-8")];
    service
        .client
        .send("POST", EVENTS, &kind, body)
        .await
        .expect(202);
}

#[tokio::test]
async fn what_is_no_http_is_answered_and_cut_off() {
    let service = Service::start().await;
    for nonsense in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\x00",
        "GET / HTTP/9.9\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(service.client.address).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        drop(
            tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
                .await
                .unwrap(),
        );
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{nonsense:?}"
        );
    }
    service.client.get("/v1/me").await.expect(200);
}
