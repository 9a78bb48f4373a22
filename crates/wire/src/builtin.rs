//! The built-in profiles: JSON files under `profiles/`, read like any other profile.
//!
//! The API lists them, the dispatcher looks them up by name. They are read-only.

use std::sync::LazyLock;

use crate::Profile;

/// The profile of an endpoint that names none.
pub const DEFAULT_PROFILE: &str = "standard-webhooks";

/// A built-in profile.
#[derive(Debug, Clone)]
pub struct Builtin {
    /// Its name, as endpoints give it.
    pub name: &'static str,
    /// The profile.
    pub profile: Profile,
}

const DOCUMENTS: [(&str, &str); 10] = [
    (
        "standard-webhooks",
        include_str!("../profiles/standard-webhooks.json"),
    ),
    ("privato", include_str!("../profiles/privato.json")),
    ("inprivy", include_str!("../profiles/inprivy.json")),
    ("cryptlex", include_str!("../profiles/cryptlex.json")),
    ("core-api", include_str!("../profiles/core-api.json")),
    (
        "license-manager",
        include_str!("../profiles/license-manager.json"),
    ),
    ("github", include_str!("../profiles/github.json")),
    ("stripe", include_str!("../profiles/stripe.json")),
    ("shopify", include_str!("../profiles/shopify.json")),
    ("slack", include_str!("../profiles/slack.json")),
];

static BUILTIN: LazyLock<Vec<Builtin>> = LazyLock::new(|| {
    DOCUMENTS
        .into_iter()
        .map(|(name, json)| Builtin {
            name,
            profile: Profile::parse(json).expect("the golden tests read each of these files"),
        })
        .collect()
});

/// All built-in profiles, the default first.
pub fn builtin() -> &'static [Builtin] {
    &BUILTIN
}

/// The built-in profile of that name.
pub fn find_builtin(name: &str) -> Option<Profile> {
    BUILTIN
        .iter()
        .find(|builtin| builtin.name == name)
        .map(|builtin| builtin.profile.clone())
}
