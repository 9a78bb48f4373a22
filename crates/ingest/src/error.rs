//! The one error of the API: what went wrong for the caller, as `application/problem+json`
//! (RFC 9457).
//!
//! Every handler returns it; nothing else turns a failure into a response. The text of a 5xx
//! never holds what the database or the broker said: that goes to the log, once, here.

pub mod code;
mod from;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use signpost_domain::Problem;
use utoipa::ToSchema;

pub use code::ErrorCode;

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// A failed request.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: ErrorCode,
    detail: String,
    problems: Vec<Problem>,
    retry_after: Option<u32>,
    /// For the log only.
    cause: Option<String>,
}

impl ApiError {
    /// An error with a sentence that says what is wrong and what would be right.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            problems: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// The answer to whatever does not exist or belongs to somebody else: always the same.
    pub fn not_found() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is nothing here that this key may see.",
        )
    }

    /// A body whose JSON is fine and whose content is not: every problem at once.
    pub fn invalid(problems: Vec<Problem>) -> Self {
        Self::listing(ErrorCode::ValidationFailed, problems)
    }

    /// Any code with a list of problems; the first one is also the `detail`.
    pub fn listing(code: ErrorCode, problems: Vec<Problem>) -> Self {
        let detail = match problems.as_slice() {
            [] => code.title().to_owned(),
            [only] => describe(only),
            [first, rest @ ..] => format!("{}; and {} more", describe(first), rest.len()),
        };
        Self {
            problems,
            ..Self::new(code, detail)
        }
    }

    /// A failure of Signpost's own. The cause is logged and not shown.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::internal_text(signpost_runtime::error_chain(cause).to_string())
    }

    /// As [`Self::internal`], for what is not an error value.
    pub fn internal_text(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(
                ErrorCode::InternalError,
                "Something broke on our side. The log of this service says what.",
            )
        }
    }

    /// The ledger cannot be reached; events can still be published.
    pub fn database_unavailable(cause: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            cause: Some(signpost_runtime::error_chain(cause).to_string()),
            retry_after: Some(2),
            ..Self::new(
                ErrorCode::DatabaseUnavailable,
                "The database does not answer. Events can still be published.",
            )
        }
    }

    /// The broker cannot take events now.
    pub fn broker_unavailable(why: &'static str) -> Self {
        Self {
            retry_after: Some(2),
            ..Self::new(ErrorCode::BrokerUnavailable, why)
        }
    }

    /// Tells the caller when to come back, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What went wrong.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The sentence for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The problems alone; an error without a list is one problem.
    pub fn into_problems(self) -> Vec<Problem> {
        if self.problems.is_empty() {
            return vec![Problem::new("", self.detail)];
        }
        self.problems
    }

    /// The body of the answer.
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            code: self.code,
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            errors: self
                .problems
                .iter()
                .map(|problem| FieldProblem {
                    pointer: problem.pointer.clone(),
                    detail: problem.detail.clone(),
                })
                .collect(),
        }
    }
}

fn describe(problem: &Problem) -> String {
    if problem.pointer.is_empty() {
        problem.detail.clone()
    } else {
        format!("{}: {}", problem.pointer, problem.detail)
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::invalid(vec![problem])
    }
}

impl From<Vec<Problem>> for ApiError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::invalid(problems)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(code = self.code.as_str(), %cause, "request failed");
        }
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = (self.code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == ErrorCode::Unauthenticated {
            // RFC 6750, section 3.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"signpost\""),
            );
        }
        response
    }
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "code": "validation_failed", "title": "The content of the request is not valid", "status": 422,
    "detail": "/url: only https:// URLs are allowed",
    "errors": [{"pointer": "/url", "detail": "only https:// URLs are allowed"}]
}))]
pub struct ProblemBody {
    /// What went wrong, for programs: it never changes.
    pub code: ErrorCode,
    /// What went wrong, for people: the same for each code.
    pub title: &'static str,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What went wrong this time, and what would be right.
    pub detail: String,
    /// Everything that is wrong with the content of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
}

/// One thing that is wrong with the content of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where: a JSON pointer (RFC 6901) into the body, or `/name` of a query parameter.
    #[schema(example = "/events/0")]
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}
