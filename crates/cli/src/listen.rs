//! `signpost listen`: a local receiver that verifies and shows each request as it comes.
//!
//! The answers are scripted, so that retries can be watched. It listens on this machine only,
//! unless told otherwise.

mod route;
mod show;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use signpost_domain::{Clock, parse_duration};
use signpost_testkit::{Received, Receiver, Reply};
use tokio::sync::mpsc;

use crate::commands::secret_of;
use crate::error::{CliError, Result, usage};
use crate::output::Output;
use crate::receive::{Checker, Facts, Verdict};
use route::Route;
use show::Shown;

const EXAMPLES: &str = "\
Examples:
  signpost listen --profile privato --secret my-signing-secret --port 9000
  signpost listen --profile license-manager --secret s3cret-s3cret-s3 --status 500,500,200
  signpost listen --route /a=privato:secret-of-a --route /b=standard-webhooks:whsec_MfKQ9r8…
  signpost listen --profile @mine.json --secret-file secret.txt --json --once 3

It answers 200 to what verifies and 401 to the rest; --status gives other answers, each path
counted by itself, and the last one stays. Exit code 1 with --once if a request did not verify.";

/// A receiver for trying things out.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Listen {
    /// The wire profile of what comes to any path: a built-in one, or @FILE
    #[arg(long, value_name = "PROFILE", required_unless_present = "routes")]
    pub profile: Option<String>,
    /// The signing secret; given several times during a rotation
    #[arg(long = "secret", value_name = "SECRET", requires = "profile")]
    pub secrets: Vec<String>,
    /// A file that holds the signing secret
    #[arg(long, value_name = "FILE", requires = "profile")]
    pub secret_file: Option<PathBuf>,
    /// A path of its own: /PATH=PROFILE or /PATH=PROFILE:SECRET; may be given several times
    #[arg(long = "route", value_name = "/PATH=PROFILE[:SECRET]")]
    pub routes: Vec<String>,
    /// The port [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// The address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Answers in this order, the last one stays: status codes, `hang` or `close`
    #[arg(long, value_name = "CODE,…", value_delimiter = ',')]
    pub status: Vec<String>,
    /// Wait this long before each answer
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub delay: Option<Duration>,
    /// How far the signed time may be from this clock
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub tolerance: Duration,
    /// End after this many requests
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    pub once: Option<u64>,
    /// Show headers and whole bodies
    #[arg(long)]
    pub full: bool,
    /// Keep each request as a file in this folder, for `signpost verify`
    #[arg(long, value_name = "FOLDER")]
    pub save: Option<PathBuf>,
}

/// One request with what was found and answered.
struct Arrival {
    received: Received,
    profile: Option<String>,
    verdict: Verdict,
    facts: Facts,
    status: String,
}

impl Listen {
    /// Runs it.
    pub async fn run(self, out: &mut Output, clock: &dyn Clock) -> Result<()> {
        let mut routes = Vec::new();
        for text in &self.routes {
            routes.push(Route::parse(text, &self.status)?);
        }
        if let Some(profile) = &self.profile {
            let mut secrets = self.secrets.clone();
            secrets.extend(secret_of(None, self.secret_file.as_deref())?);
            routes.push(Route::everywhere(
                Checker::new(profile, &secrets)?,
                &self.status,
            )?);
        }
        if routes.is_empty() {
            return usage("say what to expect: --profile PROFILE or --route /PATH=PROFILE:SECRET");
        }
        if let Some(folder) = &self.save {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("failed to create {}", folder.display()))?;
        }
        let receiver = Receiver::builder()
            .bind(SocketAddr::new(self.host, self.port))
            .keep(0)
            .start()
            .await?;
        for route in &routes {
            let url = receiver.url_of(route.path.as_deref().unwrap_or("/"));
            out.talk(format!("listening on {url} for {}", route.checker.name()))?;
        }
        let (sender, arrivals) = mpsc::unbounded_channel();
        let (delay, tolerance) = (self.delay.unwrap_or_default(), self.tolerance);
        receiver.answer_with(move |received| {
            let (arrival, reply) = judge(&mut routes, received, tolerance);
            // Nobody listens any more only when the command is over.
            drop(sender.send(arrival));
            reply.after(delay)
        });
        self.show_all(out, arrivals, clock).await
    }

    async fn show_all(
        &self,
        out: &mut Output,
        mut arrivals: mpsc::UnboundedReceiver<Arrival>,
        _clock: &dyn Clock,
    ) -> Result<()> {
        let mut tries: HashMap<(String, String), u32> = HashMap::new();
        let (mut count, mut bad) = (0_u64, 0_u64);
        while let Some(arrival) = arrivals.recv().await {
            count += 1;
            bad += u64::from(!arrival.verdict.is_good());
            if let Some(folder) = &self.save {
                show::save(folder, &arrival.received)?;
            }
            // Two requests of one delivery have the same id, or at least the same body.
            let what =
                arrival.facts.id.clone().unwrap_or_else(|| {
                    String::from_utf8_lossy(&arrival.received.body).into_owned()
                });
            if tries.len() > 10_000 {
                tries.clear(); // A long watch need not remember everything.
            }
            let number = tries
                .entry((arrival.received.path.clone(), what))
                .or_default();
            *number += 1;
            Shown {
                arrival: &arrival,
                try_number: *number,
                full: self.full,
            }
            .show(out)?;
            if self.once.is_some_and(|once| count >= once) {
                break;
            }
        }
        // The last answer is still on its way out.
        tokio::time::sleep(Duration::from_millis(50) + self.delay.unwrap_or_default()).await;
        if bad == 0 {
            Ok(())
        } else {
            Err(CliError::Failed(format!(
                "{bad} of {count} requests did not verify"
            )))
        }
    }
}

/// Checks a request and decides the answer.
fn judge(routes: &mut [Route], received: &Received, tolerance: Duration) -> (Arrival, Reply) {
    let route = routes.iter_mut().find(|route| route.takes(&received.path));
    let Some(route) = route else {
        let arrival = Arrival {
            received: received.clone(),
            profile: None,
            verdict: Verdict::NotChecked,
            facts: Facts::default(),
            status: "404".to_owned(),
        };
        return (arrival, Reply::status(404));
    };
    let checker = &route.checker;
    // The receiver's own note of the time: what is shown later is what was decided with.
    let verdict = checker.check(
        &received.headers,
        &received.body,
        received.wall_time,
        Some(tolerance),
    );
    let (status, reply) = route.answers.next(verdict.is_good());
    let arrival = Arrival {
        received: received.clone(),
        profile: Some(checker.name().to_owned()),
        facts: checker.facts(&received.headers, &received.body),
        verdict,
        status,
    };
    (arrival, reply)
}
