//! Properties that hold for any event, any template and any damage.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value};
use signpost_wire::{EventParts, Profile, SigningKey, builtin};

use crate::support::{attempt, ed25519_profile, event, key, occurred_at, signed};

/// Each built-in profile and the one for Ed25519, with a key.
static PROFILES: LazyLock<Vec<(Profile, SigningKey)>> = LazyLock::new(|| {
    let pair = ed25519_profile();
    let private = pair.signing_key(&pair.generate_secret(&[5; 32])).unwrap();
    let with_key =
        |builtin: &signpost_wire::Builtin| (builtin.profile.clone(), key(&builtin.profile));
    builtin()
        .iter()
        .map(with_key)
        .chain([(pair, private)])
        .collect()
});

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "\\{[a-zA-Z_{} ]{0,12}\\}".prop_map(Value::from),
        prop::sample::select(vec!["{data}", "{id}", "{type}", "{tenant}", "{timestamp}"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("\\PC{0,8}", inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies(data in prop::collection::vec(any::<u8>(), 0..200)) {
        for (profile, key) in PROFILES.iter() {
            let body = profile.render_body(&event(), &data);
            let headers = signed(profile, &body, std::slice::from_ref(key));
            let now = attempt().at;
            prop_assert!(profile.verify(&headers, &body, &[key.verifying_key()], now, None).is_ok());
        }
    }

    #[test]
    fn any_changed_byte_of_the_body_is_refused(
        data in prop::collection::vec(any::<u8>(), 1..60),
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        for (profile, key) in PROFILES.iter() {
            let mut body = profile.render_body(&event(), &data).to_vec();
            let headers = signed(profile, &body, std::slice::from_ref(key));
            let at = at.index(body.len());
            body[at] ^= change;
            let now = attempt().at;
            prop_assert!(profile.verify(&headers, &body, &[key.verifying_key()], now, None).is_err());
        }
    }

    #[test]
    fn any_changed_cut_or_added_character_of_the_signature_is_refused(
        at in any::<prop::sample::Index>(),
        replacement in "[A-Za-z0-9+/=,. ]{0,2}",
    ) {
        let body = b"{}";
        for (profile, key) in PROFILES.iter() {
            let mut headers = signed(profile, body, std::slice::from_ref(key));
            let name = profile.signature().unwrap().header().to_owned();
            let (_, value) = headers.iter_mut().find(|(other, _)| *other == name).unwrap();
            let at = at.index(value.len());
            let changed = format!("{}{replacement}{}", &value[..at], &value[at + 1..]);
            // A doubled separator changes no item, and an empty item says nothing.
            let items = |text: &str| {
                let items = text.split([' ', ',']).filter(|item| !item.is_empty());
                items.map(str::to_owned).collect::<Vec<_>>()
            };
            if items(&changed) == items(value) {
                continue;
            }
            *value = changed;
            let found = profile.verify(&headers, body, &[key.verifying_key()], attempt().at, None);
            prop_assert!(found.is_err(), "{headers:?}");
        }
    }

    #[test]
    fn another_key_is_refused(random in any::<[u8; 32]>()) {
        for (profile, key) in PROFILES.iter() {
            let other = profile.signing_key(&profile.generate_secret(&random)).unwrap();
            let (body, headers) = (b"{}", signed(profile, b"{}", std::slice::from_ref(key)));
            let now = attempt().at;
            prop_assert!(profile.verify(&headers, body, &[other.verifying_key()], now, None).is_err());
        }
    }

    #[test]
    fn verifying_never_panics(value in "\\PC{0,80}", time in "\\PC{0,24}", body in any::<Vec<u8>>()) {
        for (profile, key) in PROFILES.iter() {
            let headers: Vec<_> = profile
                .header_names()
                .map(|name| if name.ends_with("imestamp") { (name, &time) } else { (name, &value) })
                .collect();
            prop_assert!(profile.verify(&headers, &body, &[key.verifying_key()], attempt().at, None).is_err());
        }
    }

    #[test]
    fn reading_any_text_as_a_profile_or_a_secret_never_panics(text in "\\PC{0,64}") {
        prop_assert!(Profile::parse(&text).is_err());
        for (profile, _) in PROFILES.iter() {
            for secret in [text.clone(), format!("whsec_{text}"), format!("whsk_{text}"), format!("whpk_{text}")] {
                if let Err(error) = profile.verifying_key(&secret) {
                    prop_assert!(text.len() < 8 || !error.to_string().contains(&text));
                }
            }
        }
    }

    #[test]
    fn any_template_is_refused_or_renders_json(template in any_json(), event_type in "\\PC{0,12}", tenant in "\\PC{0,12}") {
        let mut document = Map::new();
        document.insert("body".to_owned(), template);
        if let Ok(profile) = Profile::from_document(Value::Object(document)) {
            let event = EventParts { id: "evt_1", event_type: &event_type, tenant: &tenant, occurred_at: occurred_at() };
            let body = profile.render_body(&event, br#"{"n":1.0}"#);
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok(), "{body:?}");
        }
    }

    #[test]
    fn any_profile_document_is_read_or_refused(parts in prop::collection::vec(
        (prop::sample::select(vec!["body", "headers", "signature", "timestamp", "success", "retry", "timeout", "x"]), any_json()),
        0..6,
    )) {
        let document: Map<_, _> = parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Err(error) = Profile::from_document(Value::Object(document)) {
            prop_assert!(!error.problems().is_empty());
            prop_assert!(error.problems().iter().all(|problem| problem.pointer.starts_with('/')));
        }
    }
}
