//! The whole request of each built-in profile, byte for byte, as files in `tests/golden`.
//!
//! A release's files are never edited: receivers rely on these bytes.

use std::fmt::Write as _;

use signpost_wire::{SigningKey, USER_AGENT, builtin};

use crate::support::{DATA, attempt, event, key};

/// The request as it goes over the wire, without what the sender adds (`Host`,
/// `Content-Length`, …).
#[test]
fn requests_of_the_built_in_profiles_are_those_of_the_golden_files() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for builtin in builtin() {
            let profile = &builtin.profile;
            let previous = "whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS1lbmRwb2ludA==";
            let keys: Vec<SigningKey> = vec![key(profile), profile.signing_key(previous).unwrap()];
            let body = profile.render_body(&event(), DATA.as_bytes());
            let headers = profile
                .render_headers(&event(), &attempt(), &body, &keys)
                .unwrap();
            let mut request = String::new();
            for (name, value) in headers {
                let value = value.replace(USER_AGENT, "Signpost/<version>");
                writeln!(request, "{name}: {value}").unwrap();
            }
            write!(request, "\n{}", std::str::from_utf8(&body).unwrap()).unwrap();
            insta::assert_snapshot!(builtin.name, request);
        }
    });
}
