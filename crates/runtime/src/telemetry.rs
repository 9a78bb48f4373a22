//! Logs: one line per event on standard error, for people or as JSON.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error(
        "SIGNPOST_LOG {filter:?} is not a log filter: write a level such as `info`, or `info,signpost_dispatcher=debug`"
    )]
    BadFilter {
        /// What was given.
        filter: String,
        /// Why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A subscriber is there already.
    #[error("logging was started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging for this process, with a filter such as `info` or `info,signpost_broker=debug`.
///
/// # Errors
/// When the filter is malformed or logging has been started before.
pub fn init(filter: &str, format: LogFormat) -> Result<(), Error> {
    // lapin logs messages that no queue took with their bodies: payloads do not belong in logs.
    let directives = format!("{filter},lapin::returned_messages=off");
    let env_filter = EnvFilter::try_new(directives).map_err(|source| Error::BadFilter {
        filter: filter.to_owned(),
        source,
    })?;
    let registry = tracing_subscriber::registry().with(env_filter);
    let started = match format {
        LogFormat::Pretty => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry
                .with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi))
                .try_init()
        }
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    started.map_err(Error::Twice)
}
