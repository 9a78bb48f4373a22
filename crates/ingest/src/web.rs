//! The web pages: the dashboard at `/` and the API's documentation at `/docs`.
//!
//! Each is one self-contained HTML text made at the start. Their content security policy allows
//! the very style and script that they hold, by hash, requests to the same origin, and nothing
//! else; so nothing that a tenant or a receiver wrote can run in them.

pub mod docs;

use axum::response::{IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::Value;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("web/style.css");
const DASHBOARD: &str = include_str!("web/dashboard.html");
const DASHBOARD_SCRIPT: &str = include_str!("web/dashboard.js");
const DOCS_STYLE: &str = include_str!("web/docs.css");

/// A page that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Page {
    html: Bytes,
    policy: HeaderValue,
}

impl Page {
    /// The dashboard.
    pub fn dashboard() -> Self {
        let html = DASHBOARD
            .replace("{style}", STYLE)
            .replace("{script}", DASHBOARD_SCRIPT);
        Self::new(html, STYLE, Some(DASHBOARD_SCRIPT))
    }

    /// The documentation, from the OpenAPI document.
    pub fn docs(openapi: &Value) -> Self {
        let style = format!("{STYLE}{DOCS_STYLE}");
        let html = docs::render(openapi, &style);
        Self::new(html, &style, None)
    }

    fn new(html: String, style: &str, script: Option<&str>) -> Self {
        let script = script.map_or("'none'".to_owned(), hash);
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {script}; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(style)
        );
        Self {
            html: Bytes::from(html),
            policy: HeaderValue::from_str(&policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }
}

/// A source expression for one inline element (CSP level 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let fixed = |text| HeaderValue::from_static(text);
        let mut response = self.html.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy);
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
            (
                "permissions-policy",
                "camera=(), geolocation=(), microphone=()",
            ),
            ("cache-control", "no-cache"),
        ] {
            headers.insert(name, fixed(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_page_s_own_style_and_script() {
        let page = Page::dashboard();
        let html = std::str::from_utf8(&page.html).unwrap();
        let between = |open: &str, close: &str| {
            let rest = html.split_once(open).unwrap().1;
            rest.split_once(close).unwrap().0.to_owned()
        };
        let policy = page.policy.to_str().unwrap();
        assert!(policy.contains(&hash(&between("<style>", "</style>"))));
        assert!(policy.contains(&hash(&between("<script>", "</script>"))));
        assert_eq!(html.matches("<script").count(), 1);
        assert!(!html.contains(" onclick=") && !html.contains(" style="));
        assert!(!DASHBOARD_SCRIPT.contains("innerHTML"));
    }
}
