//! Things of another tenant, to look for leaks with.

use serde_json::{Value, json};
use signpost_testkit::Receiver;

use crate::{
    client::Client,
    service::{Service, endpoint},
};

/// One of each kind.
pub(crate) struct Foreign {
    pub(crate) endpoint: String,
    pub(crate) event: String,
    pub(crate) delivery: String,
    pub(crate) key: String,
    /// Texts that nobody else may see.
    pub(crate) secrets: Vec<String>,
    before: Value,
    _receiver: Receiver,
}

impl Foreign {
    pub(crate) async fn make(service: &Service, other: &Client) -> Self {
        let receiver = Receiver::start().await.unwrap();
        let mut body = endpoint(&receiver.url());
        body["name"] = "very-secret-name".into();
        let all = "/v1/tenants/other/endpoints";
        let made = other.post(all, &body).await.expect(201).json;
        let endpoint = made["id"].as_str().unwrap().to_owned();
        let test = json!({"type": "secret.type", "data": {"note": "very-secret-data"}});
        let test = other
            .post(&format!("{all}/{endpoint}/test"), &test)
            .await
            .expect(200)
            .json;
        let delivery = test["delivery_id"].as_str().unwrap().to_owned();
        let shown = other
            .get(&format!("/v1/tenants/other/deliveries/{delivery}"))
            .await
            .expect(200)
            .json;
        let event = shown["event_id"].as_str().unwrap().to_owned();
        other
            .put(
                "/v1/tenants/other/event-types/secret.type",
                &json!({"name": "very-secret-type"}),
            )
            .await
            .expect(200);
        let own = other.get("/v1/tenants/other/secret").await.expect(200).json;
        let key = service
            .client
            .post("/v1/tenants/other/keys", &json!({"role": "publisher"}))
            .await
            .expect(201)
            .json;
        let secrets = vec![
            "very-secret-name".to_owned(),
            "very-secret-data".to_owned(),
            "very-secret-type".to_owned(),
            made["secret"].as_str().unwrap().to_owned(),
            own["secret"].as_str().unwrap().to_owned(),
            key["key"].as_str().unwrap().to_owned(),
        ];
        let key = key["id"].as_str().unwrap().to_owned();
        let before = snapshot(other, &endpoint).await;
        Self {
            endpoint,
            event,
            delivery,
            key,
            secrets,
            before,
            _receiver: receiver,
        }
    }

    /// The id that fits the path.
    pub(crate) fn id_for(&self, path: &str) -> String {
        let kind = path
            .split("/{id}")
            .next()
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        match kind {
            "endpoints" => self.endpoint.clone(),
            "events" => self.event.clone(),
            "deliveries" => self.delivery.clone(),
            "keys" => self.key.clone(),
            _ => "rej_1".to_owned(),
        }
    }

    /// Everything is as it was.
    pub(crate) async fn check_untouched(&self, service: &Service, other: &Client) {
        assert_eq!(snapshot(other, &self.endpoint).await, self.before);
        let deliveries = other
            .get("/v1/tenants/other/deliveries")
            .await
            .expect(200)
            .json;
        assert_eq!(deliveries["items"].as_array().unwrap().len(), 1);
        let keys = service
            .client
            .get("/v1/tenants/other/keys")
            .await
            .expect(200)
            .json;
        assert!(
            keys["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|key| key["id"] == self.key.as_str())
        );
    }
}

async fn snapshot(other: &Client, endpoint: &str) -> Value {
    let path = format!("/v1/tenants/other/endpoints/{endpoint}");
    json!([
        other.get(&path).await.expect(200).json,
        other.get(&format!("{path}/secret")).await.expect(200).json,
        other.get("/v1/tenants/other/secret").await.expect(200).json,
        other
            .get("/v1/tenants/other/event-types/secret.type")
            .await
            .expect(200)
            .json,
    ])
}
