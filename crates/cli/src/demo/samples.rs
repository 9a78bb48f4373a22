//! One realistic event for each built-in profile.
//!
//! The profiles that send the data alone (`stripe`, `slack`, …) get data of the shape that their
//! receivers know.

/// An event that an endpoint of this profile would get in real life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// The wire profile of the endpoint.
    pub(super) profile: &'static str,
    /// The event's type.
    pub(super) event_type: &'static str,
    /// The event's data, as JSON text.
    pub(super) data: &'static str,
}

/// One for each built-in profile.
pub(super) const SAMPLES: [Sample; 10] = [
    Sample {
        profile: "standard-webhooks",
        event_type: "license.created",
        data: r#"{"id":4711,"key":"QX7K2M-9TDLW4-H8RVZ3","short_key":"QX7K2M","seats":5,"price":49.00,
            "package":{"id":12,"name":"Form Builder","composer_name":"acme/form-builder"},
            "customer":{"id":88,"name":"Ada Lovelace","email":"ada@example.com"}}"#,
    },
    Sample {
        profile: "privato",
        event_type: "release.published",
        data: r#"{"id":311,"name":"v2.4.0","body":"Faster exports, and a dark theme","number_of_files":184,
            "size_in_bytes":1048576,"published_at":"2026-01-31T09:30:00Z",
            "package":{"id":12,"name":"Form Builder","slug":"form-builder"}}"#,
    },
    Sample {
        profile: "inprivy",
        event_type: "secret_opened_successful",
        data: r#"{"id":"6f2b7c1e-58d4-4b0a-9a3e-d1c47f1f7a55","type":"secret_opened_successful",
            "label":"Database password","open_count":1,"open_limit":3,"expired":false}"#,
    },
    Sample {
        profile: "cryptlex",
        event_type: "license.renewed",
        data: r#"{"key":"1F0A77-2C9B40-D5E813-77A0C2","type":"node-locked","allowedActivations":3,
            "expiresAt":"2027-01-31T00:00:00Z","user":{"email":"grace@example.com"}}"#,
    },
    Sample {
        profile: "core-api",
        event_type: "post.updated",
        data: r#"{"id":123,"title":"Webhooks without tears","slug":"webhooks-without-tears",
            "status":"published","url":"https://example.com/posts/webhooks-without-tears"}"#,
    },
    Sample {
        profile: "license-manager",
        event_type: "license.expiring",
        data: r#"{"license_id":902,"license_code":"LIC-902-K7","product_id":"PROD-014",
            "product_reference_id":"Backup Pro","customer_id":"CUST-55","email":"linus@example.com",
            "expires_at":"2026-02-07T00:00:00Z","days_until_expiry":7}"#,
    },
    Sample {
        profile: "github",
        event_type: "issues",
        data: r#"{"action":"opened","issue":{"number":17,"title":"Export fails for empty tables"},
            "repository":{"full_name":"acme/form-builder"},"sender":{"login":"ada"}}"#,
    },
    Sample {
        profile: "stripe",
        event_type: "payment_intent.succeeded",
        data: r#"{"id":"evt_1Qdemo","object":"event","type":"payment_intent.succeeded","created":1769860800,
            "data":{"object":{"id":"pi_3Qdemo","object":"payment_intent","amount":4900,"currency":"eur"}}}"#,
    },
    Sample {
        profile: "shopify",
        event_type: "orders.create",
        data: r#"{"id":820982911946154508,"email":"jon@example.com","total_price":"403.00","currency":"EUR",
            "line_items":[{"title":"Aviator sunglasses","quantity":1,"price":"89.99"}]}"#,
    },
    Sample {
        profile: "slack",
        event_type: "app_mention",
        data: r#"{"token":"none","team_id":"T0001","type":"event_callback","event":{"type":"app_mention",
            "user":"U0002","text":"<@U0001> is the release out?","channel":"C0003","ts":"1769860800.000100"}}"#,
    },
];

/// The event whose receiver fails twice, so that the retries can be seen.
pub(super) const FLAKY: Sample = Sample {
    profile: "license-manager",
    event_type: "license.expired",
    data: r#"{"license_id":903,"license_code":"LIC-903-B2","product_id":"PROD-014",
        "product_reference_id":"Backup Pro","customer_id":"CUST-56","email":"margaret@example.com",
        "expired_at":"2026-01-31T00:00:00Z"}"#,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_has_a_sample_and_no_type_is_used_twice() {
        for builtin in signpost_wire::builtin() {
            assert!(
                SAMPLES.iter().any(|sample| sample.profile == builtin.name),
                "{}",
                builtin.name
            );
        }
        let mut types: Vec<_> = SAMPLES.iter().map(|sample| sample.event_type).collect();
        types.push(FLAKY.event_type);
        types.sort_unstable();
        let count = types.len();
        types.dedup();
        assert_eq!(types.len(), count);
        for sample in SAMPLES.iter().chain([&FLAKY]) {
            signpost_domain::event::check_data(sample.data.as_bytes()).unwrap();
            signpost_domain::EventType::parse(sample.event_type).unwrap();
        }
    }
}
