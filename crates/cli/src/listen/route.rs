//! A path with its profile, its secret and its script of answers.

use std::collections::VecDeque;

use signpost_testkit::Reply;

use crate::commands::read_source;
use crate::error::{CliError, Result, usage};
use crate::receive::Checker;

/// What is expected on a path.
#[derive(Debug)]
pub(super) struct Route {
    /// The path; none takes every one.
    pub(super) path: Option<String>,
    /// How its requests are checked.
    pub(super) checker: Checker,
    /// What they are answered.
    pub(super) answers: Answers,
}

impl Route {
    /// Reads `/PATH=PROFILE[:SECRET]`. The secret may be `@FILE`, and hold colons.
    pub(super) fn parse(text: &str, answers: &[String]) -> Result<Self> {
        let Some((path, rest)) = text
            .split_once('=')
            .filter(|(path, _)| path.starts_with('/'))
        else {
            // The text may hold a secret: it is not repeated.
            return usage("a route is written /PATH=PROFILE or /PATH=PROFILE:SECRET");
        };
        let (profile, secret) = match rest.split_once(':') {
            Some((profile, secret)) => (profile, Some(secret)),
            None => (rest, None),
        };
        let secrets = match secret {
            Some(file) if file.starts_with('@') => {
                let text = String::from_utf8_lossy(&read_source(file)?).into_owned();
                vec![text.trim_end_matches(['\r', '\n']).to_owned()]
            }
            Some(secret) => vec![secret.to_owned()],
            None => Vec::new(),
        };
        let checker = Checker::new(profile, &secrets)?;
        Ok(Self {
            path: Some(path.to_owned()),
            checker,
            answers: Answers::parse(answers)?,
        })
    }

    /// Takes whatever no other route takes.
    pub(super) fn everywhere(checker: Checker, answers: &[String]) -> Result<Self> {
        Ok(Self {
            path: None,
            checker,
            answers: Answers::parse(answers)?,
        })
    }

    /// Whether requests to this path are its own.
    pub(super) fn takes(&self, path: &str) -> bool {
        self.path.as_deref().is_none_or(|own| own == path)
    }
}

/// The answers in their order; the last one stays.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(VecDeque<(String, Reply)>);

impl Answers {
    fn parse(texts: &[String]) -> Result<Self> {
        texts
            .iter()
            .map(|text| parse_answer(text.trim()))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The next answer, with its name; without a script, 200 to what is good and 401 to the rest.
    pub(super) fn next(&mut self, is_good: bool) -> (String, Reply) {
        let next = if self.0.len() > 1 {
            self.0.pop_front()
        } else {
            self.0.front().cloned()
        };
        next.unwrap_or_else(|| {
            let status = if is_good { 200 } else { 401 };
            (status.to_string(), Reply::status(status))
        })
    }
}

fn parse_answer(text: &str) -> Result<(String, Reply)> {
    let reply = match (text, text.parse::<u16>()) {
        ("hang", _) => Reply::hang(),
        ("close", _) => Reply::close(),
        (_, Ok(status @ 200..=999)) => Reply::status(status),
        _ => {
            return Err(CliError::Usage(format!(
                "{text:?} is no answer: a status code from 200 to 999, `hang` or `close`"
            )));
        }
    };
    Ok((text.to_owned(), reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_a_path_a_profile_and_perhaps_a_secret() {
        let route = Route::parse("/a=privato:se:cret=1", &[]).unwrap();
        assert!(route.takes("/a") && !route.takes("/b"));
        assert_eq!(route.checker.name(), "privato");
        assert!(Route::parse("/l=license-manager", &[]).is_ok());
        for bad in ["a=privato:s", "/a", "/a=nope:s"] {
            assert!(
                matches!(Route::parse(bad, &[]), Err(CliError::Usage(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_last_answer_stays() {
        let texts = ["500", "hang", "204"].map(str::to_owned);
        let mut answers = Answers::parse(&texts).unwrap();
        let names: Vec<_> = (0..4).map(|_| answers.next(false).0).collect();
        assert_eq!(names, ["500", "hang", "204", "204"]);
        assert_eq!(Answers::default().next(true).0, "200");
        assert_eq!(Answers::default().next(false).0, "401");
        for bad in ["", "99", "1000", "later"] {
            assert!(Answers::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
