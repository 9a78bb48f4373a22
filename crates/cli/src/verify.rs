//! `signpost verify`: is a saved request signed as the profile says, and what was signed?
//!
//! Never prints the secret, nor a signature it computed itself.

mod hints;
mod request;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::json;
use signpost_domain::{Clock, parse_duration};
use signpost_wire::{DEFAULT_TOLERANCE, Signature, VerifyError};

use crate::commands::{parse_header, secret_of};
use crate::error::{CliError, Result, usage};
use crate::output::{Output, Tone, clean_lines, rough, shorten};
use crate::receive::{Checker, Verdict, pairs};
use request::SavedRequest;

const EXAMPLES: &str = "\
Examples:
  signpost verify --profile standard-webhooks --secret whsec_MfKQ9r8… request.http
  signpost verify --profile privato --secret-file secret.txt \\
      --body body.json --header 'X-Signature: 5f2c…'
  signpost listen --profile github --secret s3cret --save requests --once
  signpost verify --profile github --secret s3cret requests/000001.http

FILE is a request as it went over the wire: a request line, headers, an empty line, the body. The
body must be there byte for byte: an editor that adds a line feed breaks the signature.";

/// Most characters of the signed content that are shown.
const CONTENT_SHOWN: usize = 2000;

/// A request and what to check it with.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Verify {
    /// The saved request; - is standard input
    #[arg(required_unless_present = "body", conflicts_with = "body")]
    file: Option<String>,
    /// The wire profile: a built-in one, or @FILE
    #[arg(long)]
    profile: String,
    /// The signing secret; may be given several times
    #[arg(long = "secret", value_name = "SECRET")]
    secrets: Vec<String>,
    /// A file that holds the signing secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The body alone, beside --header
    #[arg(long, value_name = "FILE")]
    body: Option<String>,
    /// A header that came with it, beside or instead of those in FILE
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// Refuse a signed time that is further from --at than this
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    tolerance: Option<Duration>,
    /// The receiver's clock when the request came [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

impl Verify {
    /// Runs it.
    pub fn run(self, out: &mut Output, clock: &dyn Clock) -> Result<()> {
        let mut secrets = self.secrets.clone();
        secrets.extend(secret_of(None, self.secret_file.as_deref())?);
        if secrets.is_empty() {
            return usage("give the signing secret with --secret or --secret-file");
        }
        let checker = Checker::new(&self.profile, &secrets)?;
        let request =
            SavedRequest::read(self.file.as_deref(), self.body.as_deref(), &self.headers)?;
        let now = self.at.unwrap_or_else(|| clock.now());
        let verdict = checker.check(&request.headers, &request.body, now, self.tolerance);
        let hint = match &verdict {
            Verdict::Refused(_) => hints::find(&checker, &secrets, &request, now),
            _ => None,
        };
        let report = Report {
            checker: &checker,
            request: &request,
            verdict: &verdict,
            now,
            hint,
        };
        if out.is_json() {
            out.json(report.as_json().as_bytes())?;
        } else {
            report.show(out)?;
        }
        if verdict.is_good() {
            Ok(())
        } else {
            Err(CliError::Failed("the request does not verify".to_owned()))
        }
    }
}

struct Report<'r> {
    checker: &'r Checker,
    request: &'r SavedRequest,
    verdict: &'r Verdict,
    now: DateTime<Utc>,
    hint: Option<String>,
}

impl Report<'_> {
    fn show(&self, out: &mut Output) -> Result<()> {
        let tone = if self.verdict.is_good() {
            Tone::Good
        } else {
            Tone::Bad
        };
        out.line(out.paint(tone, &self.verdict.word().to_lowercase()))?;
        if let Verdict::Refused(error) = self.verdict {
            out.line(format!("why        {}", clean_lines(&error.to_string())))?;
        }
        if let Some(hint) = &self.hint {
            out.line(format!("hint       {hint}"))?;
        }
        out.line(format!("profile    {}", self.checker.name()))?;
        if let Some(signature) = self.checker.profile().signature() {
            self.show_scheme(signature, out)?;
        }
        if let Some(content) = self.content() {
            let shown = clean_lines(&content).into_owned();
            out.line(format!(
                "content    {} bytes:\n{}",
                content.len(),
                indent(&shorten(&shown, CONTENT_SHOWN))
            ))?;
        }
        if let Some(note) = &self.request.note {
            out.line(format!("note       {note}"))?;
        }
        Ok(())
    }

    fn show_scheme(&self, signature: &Signature, out: &mut Output) -> Result<()> {
        out.line(format!(
            "signed     {} with {}, written in {}",
            signature.content(),
            signature.algorithm().as_str(),
            signature.encoding().as_str(),
        ))?;
        out.line(format!(
            "expected   {}: {}",
            signature.header(),
            signature.expected_form()
        ))?;
        let found: Vec<_> = self.found(signature);
        match found.as_slice() {
            [] => out.line("found      no such header")?,
            found => out.line(format!(
                "found      {}",
                clean_lines(&found.join("  and  "))
            ))?,
        }
        if let Some(at) = self.signed_at() {
            let (span, word) = match (self.now - at).to_std() {
                Ok(age) => (age, "before"),
                Err(_) => ((at - self.now).to_std().unwrap_or_default(), "after"),
            };
            let span_text = rough(span);
            let warning = if span > DEFAULT_TOLERANCE {
                let usual = rough(DEFAULT_TOLERANCE);
                format!("; most receivers allow {usual}")
            } else {
                String::new()
            };
            let time = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            out.line(format!(
                "signed at  {time}, {span_text} {word} the clock{warning}"
            ))?;
        }
        Ok(())
    }

    fn found(&self, signature: &Signature) -> Vec<String> {
        let all = pairs(&self.request.headers);
        let named = all
            .into_iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(signature.header()));
        named.map(|(_, value)| value).collect()
    }

    /// The exact bytes that must have been signed.
    fn content(&self) -> Option<String> {
        let headers = pairs(&self.request.headers);
        let content = self
            .checker
            .profile()
            .signed_content(&headers, &self.request.body)
            .ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    fn signed_at(&self) -> Option<DateTime<Utc>> {
        match self.verdict {
            Verdict::Verified(verified) => verified.signed_at,
            Verdict::Refused(
                VerifyError::TooOld { signed_at, .. } | VerifyError::TooNew { signed_at, .. },
            ) => Some(*signed_at),
            _ => None,
        }
    }

    fn as_json(&self) -> String {
        let signature = self.checker.profile().signature();
        let reason = match self.verdict {
            Verdict::Refused(error) => Some(error.to_string()),
            _ => None,
        };
        json!({
            "verified": matches!(self.verdict, Verdict::Verified(_)),
            "reason": reason,
            "hint": self.hint,
            "profile": self.checker.name(),
            "signed": signature.map(Signature::content),
            "algorithm": signature.map(|signature| signature.algorithm().as_str()),
            "header": signature.map(Signature::header),
            "expected": signature.map(Signature::expected_form),
            "found": signature.map(|signature| self.found(signature)),
            "content": self.content(),
            "signed_at": self.signed_at().map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            "note": self.request.note,
        })
        .to_string()
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
