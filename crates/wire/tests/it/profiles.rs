//! Profile documents: what is read, and how problems are reported.

use signpost_wire::{DEFAULT_PROFILE, Profile, Scope, builtin, find_builtin};

fn problems(json: &str) -> Vec<(String, String)> {
    let error = Profile::parse(json).unwrap_err();
    error
        .into_problems()
        .into_iter()
        .map(|problem| (problem.pointer, problem.detail))
        .collect()
}

#[test]
fn there_are_ten_built_in_profiles_and_the_default_is_first() {
    let names: Vec<_> = builtin().iter().map(|builtin| builtin.name).collect();
    assert_eq!(
        names,
        [
            "standard-webhooks",
            "privato",
            "inprivy",
            "cryptlex",
            "core-api",
            "license-manager",
            "github",
            "stripe",
            "shopify",
            "slack"
        ]
    );
    assert_eq!(names[0], DEFAULT_PROFILE);
    assert!(find_builtin("nope").is_none());
    for builtin in builtin() {
        assert!(
            builtin
                .profile
                .description()
                .is_some_and(|text| !text.is_empty())
        );
        assert_eq!(find_builtin(builtin.name), Some(builtin.profile.clone()));
    }
}

#[test]
fn built_in_success_retry_and_timeout_are_those_of_the_references() {
    let parts = |name: &str| {
        let profile = find_builtin(name).unwrap();
        let signature = profile.signature().unwrap();
        (
            profile.success().join(","),
            profile.retry().to_string(),
            profile.timeout().to_owned(),
            signature.scope(),
            signature.is_required(),
        )
    };
    let (success, retry, timeout, scope, required) = parts("inprivy");
    assert_eq!(
        (success.as_str(), timeout.as_str(), required),
        ("200", "3s", true)
    );
    assert_eq!(scope, Scope::Tenant);
    assert!(retry.contains(r#""delays":["10s","100s"]"#) && retry.contains("201-299"));
    let (_, retry, _, scope, required) = parts("license-manager");
    assert_eq!((scope, required), (Scope::Endpoint, false));
    assert!(retry.contains(r#""delays":["1s","2s","4s"]"#) && !retry.contains("400-499"));
    let (success, retry, timeout, ..) = parts(DEFAULT_PROFILE);
    assert_eq!((success.as_str(), timeout.as_str()), ("200-299", "15s"));
    assert!(retry.contains(r#""jitter":0.1"#) && retry.contains(r#""14h","20h","24h""#));
    for builtin in builtin() {
        assert_eq!(
            builtin.profile.signature().unwrap().scope() == Scope::Tenant,
            builtin.name == "inprivy"
        );
    }
}

#[test]
fn all_problems_are_reported_at_once_with_their_place() {
    let found = problems(
        r#"{
            "body": {"a": "{dat}", "b": ["x {id}"]},
            "timestamp": {"rfc3339": 10},
            "headers": {"X Bad": "{id}", "X-Ok": "{attempts}", "Host": "a", "X-Line": "a\nb", "X-No": 1},
            "signature": {"algorithm": "md5", "content": "{id}", "value": "v1", "key": "raw", "sing": 1},
            "success": [],
            "retry": "10s",
            "timeout": 10,
            "content_type": "json",
            "colour": "red"
        }"#,
    );
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/colour",
            "/body/a",
            "/body/b/0",
            "/timestamp",
            "/headers/X Bad",
            "/headers/X-Ok",
            "/headers/Host",
            "/headers/X-Line",
            "/headers/X-No",
            "/content_type",
            "/signature/sing",
            "/signature/header",
            "/signature/algorithm",
            "/signature/content",
            "/signature/value",
            "/signature/key",
            "/success",
            "/retry",
            "/timeout",
        ]
    );
    for (pointer, detail) in &found {
        assert!(
            detail.len() > 10 && !detail.ends_with('.'),
            "{pointer}: {detail}"
        );
    }
    let text = Profile::parse(r#"{"body": "{dat}"}"#)
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "the profile is not valid: /body: unknown placeholder `{dat}`; \
         here stand {type}, {id}, {tenant}, {timestamp}, {data}"
    );
}

#[test]
fn what_is_no_profile_at_all_is_one_problem() {
    for json in ["", "{", "[]", "1", "null", "{} {}"] {
        assert_eq!(problems(json).len(), 1, "{json}");
    }
    assert_eq!(
        problems("{}"),
        [("/body".to_owned(), problems("{}")[0].1.clone())]
    );
    let large = format!(r#"{{"body":"{}"}}"#, "a".repeat(70_000));
    assert!(problems(&large)[0].1.contains("at most"));
}

#[test]
fn signatures_that_no_receiver_could_check_are_refused() {
    let signature = |json: &str, headers: &str| {
        problems(&format!(
            r#"{{"body":"{{data}}","headers":{headers},"signature":{json}}}"#
        ))
    };
    for (json, headers, pointer, says) in [
        ("{}", "{}", "/signature/header", "missing"),
        (
            r#"{"header":"X-S","content":"{id}.{body}"}"#,
            "{}",
            "/signature/content",
            "exactly `{id}`",
        ),
        (
            r#"{"header":"X-S","content":"{timestamp}.{body}"}"#,
            r#"{"X-Time":"{timestamp}"}"#,
            "/signature/content",
            "exactly `{attempt_timestamp}`",
        ),
        (
            r#"{"header":"X-S","content":"{timestamp}"}"#,
            r#"{"T":"{attempt_timestamp}"}"#,
            "/signature/content",
            "once",
        ),
        (
            r#"{"header":"x-s"}"#,
            r#"{"X-S":"a"}"#,
            "/signature/header",
            "also in `headers`",
        ),
        (
            r#"{"header":"Content-Type"}"#,
            "{}",
            "/signature/header",
            "content_type",
        ),
        (
            r#"{"header":"X-S","value":"t={timestamp},v1={signature}"}"#,
            "{}",
            "/signature/value",
            "separator",
        ),
        (
            r#"{"header":"X-S","value":"{signature}{signature}"}"#,
            "{}",
            "/signature/value",
            "once",
        ),
        (
            r#"{"header":"X-S","value":",{signature}","separator":","}"#,
            "{}",
            "/signature/value",
            "begin or end",
        ),
        (
            r#"{"header":"X-S","separator":""}"#,
            "{}",
            "/signature/separator",
            "punctuation",
        ),
        (
            r#"{"header":"X-S","separator":"="}"#,
            "{}",
            "/signature/separator",
            "punctuation",
        ),
        (
            r#"{"header":"X-S","separator":"a"}"#,
            "{}",
            "/signature/separator",
            "punctuation",
        ),
        (
            r#"{"header":"X-S","algorithm":"ed25519","key":"utf8"}"#,
            "{}",
            "/signature/key",
            "whsk_",
        ),
        (
            r#"{"header":"X-S","required":"yes"}"#,
            "{}",
            "/signature/required",
            "`true` or `false`",
        ),
    ] {
        let found = signature(json, headers);
        assert_eq!(found.len(), 1, "{json}: {found:?}");
        assert_eq!(found[0].0, pointer, "{json}");
        assert!(found[0].1.contains(says), "{json}: {found:?}");
    }
}

#[test]
fn header_names_are_one_whatever_their_case() {
    let found = problems(r#"{"body":"{data}","headers":{"X-A":"1","x-a":"2"}}"#);
    assert_eq!(found[0].0, "/headers/x-a");
    let profile = Profile::parse(r#"{"body":"{data}","headers":{"user-agent":"Me/1"}}"#).unwrap();
    assert_eq!(
        profile.header_names().collect::<Vec<_>>(),
        ["Content-Type", "User-Agent", "user-agent"]
    );
}

#[test]
fn a_profile_goes_through_json_and_comes_back_the_same() {
    let given: Profile = Profile::parse(
        r#"{"timeout":"5s","body":{"b":"{data}","a":1},"signature":null,"timestamp":"unix"}"#,
    )
    .unwrap();
    let json = serde_json::to_string(&given).unwrap();
    assert_eq!(
        json,
        r#"{"timeout":"5s","body":{"b":"{data}","a":1},"signature":null,"timestamp":"unix"}"#
    );
    assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), given);
    let error = serde_json::from_str::<Profile>(r#"{"body":1,"x":2}"#).unwrap_err();
    assert!(error.to_string().contains("/x: unknown field"), "{error}");
}

#[test]
fn parts_that_are_left_out_have_defaults() {
    let profile = Profile::parse(r#"{"body":"{data}"}"#).unwrap();
    assert_eq!(profile.content_type(), "application/json");
    assert_eq!(profile.success(), ["200-299"]);
    assert_eq!(profile.timeout(), "15s");
    assert!(
        profile.retry()["delays"]
            .as_array()
            .is_some_and(|delays| delays.len() == 10)
    );
    assert!(profile.signature().is_none());
}
