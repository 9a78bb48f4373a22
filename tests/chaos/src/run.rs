//! One run: start, load and faults, quiet, a look at everything, and the report.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use signpost_testkit::scratch_dir;
use tokio::time::{Instant, sleep};

use crate::{
    check::QUIET,
    database,
    faults::Faults,
    ledger::{End, Ledgers},
    load::Load,
    progress::Progress,
    report::{Report, Told},
    schedule::schedule,
    world::World,
};

/// How often a person is told how far it is.
const NEWS: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(500);

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Chooses events, answers and faults.
    pub seed: u64,
    /// How long events are published.
    pub length: Duration,
    /// How many, over HTTP and AMQP.
    pub events_per_second: u32,
    /// Per tenant.
    pub endpoints: usize,
    /// The time between two faults; zero for none.
    pub fault_every: Duration,
    /// The folder of the programs under test.
    pub programs: PathBuf,
    /// Whether logs are kept when nothing was wrong, too.
    pub keep: bool,
}

/// Runs the plan.
///
/// # Errors
/// The test itself could not be made. What the system did wrong is in the report.
pub async fn run(plan: &Plan) -> Result<Report> {
    let progress = Progress::default();
    let dir = scratch_dir("chaos")?;
    progress.say("starting RabbitMQ, PostgreSQL and the services …");
    let world = World::start(&dir, &plan.programs, plan.endpoints, plan.seed).await;
    let world =
        Arc::new(world.with_context(|| format!("could not start; logs are in {}", dir.display()))?);
    progress.begin(world.began);
    let told = Told {
        seed: plan.seed,
        length: plan.length,
        events_per_second: plan.events_per_second,
        schedule: schedule(plan.seed, plan.length, plan.fault_every),
    };
    let load = Arc::new(Load::new(plan.seed, plan.events_per_second, plan.length));
    let faults = Faults::new(Arc::clone(&world), progress.clone());

    let news = tokio::spawn(tell(
        progress.clone(),
        Arc::clone(&load),
        Arc::clone(&world),
    ));
    let healing = async {
        let (disturbances, bad_ends) = faults.run(&told.schedule).await;
        (disturbances, bad_ends, world.now().max(plan.length))
    };
    let (published, (disturbances, mut bad_ends, healed)) = tokio::join!(load.run(&world), healing);
    let (events, answers) = published?;
    news.abort();
    progress.say("all is healed and published; waiting for quiet …");
    let end = until_quiet(&world, events.len(), healed).await?;
    progress.say("reading the database …");
    for service in world.ingests.iter().chain(&world.dispatchers) {
        let mut service = service.lock().await;
        match service.try_wait()? {
            Some(status) => bad_ends.push(format!("a process had ended by itself ({status})")),
            None => bad_ends.extend(service.stop().await.err().map(|error| format!("{error:#}"))),
        }
    }
    let ledgers = Ledgers {
        endpoints: world.endpoints.clone(),
        events,
        answers,
        hits: world.hits.take(),
        deliveries: database::deliveries(&world.database).await?,
        attempts: database::attempts(&world.database).await?,
        disturbances,
        bad_ends,
        end,
    };
    let mut report = Report::new(told, &ledgers);
    if plan.keep || !report.is_good() {
        report.kept = Some(keep(&report, &ledgers, &world.dir, plan.seed)?);
    }
    Ok(report)
}

async fn tell(progress: Progress, load: Arc<Load>, world: Arc<World>) {
    loop {
        sleep(NEWS).await;
        progress.say(&format!(
            "  {} events published, {} requests received",
            load.settled.load(Ordering::Relaxed),
            world.hits.count()
        ));
    }
}

/// Waits until no delivery is open and all queues are empty, and says what is left when they are
/// not in time.
async fn until_quiet(world: &World, events: usize, healed: Duration) -> Result<End> {
    let deadline = Instant::now() + QUIET;
    loop {
        let (open, stored) = database::open_and_events(&world.database).await?;
        let mut queues = queues(world).await?;
        let rejected = queues
            .iter()
            .position(|(name, ..)| name == "signpost.rejected")
            .map_or(0, |position| queues.swap_remove(position).1);
        queues.retain(|(_, ready, unacked)| ready + unacked > 0);
        let is_quiet = open == 0 && queues.is_empty() && stored + rejected >= events as u64;
        if is_quiet || Instant::now() > deadline {
            return Ok(End {
                quiet_after: is_quiet.then(|| world.now().saturating_sub(healed)),
                queues,
                rejected,
                events: stored,
            });
        }
        sleep(LOOK).await;
    }
}

/// Name, ready and unacked messages of every queue.
async fn queues(world: &World) -> Result<Vec<(String, u64, u64)>> {
    // A string of `name ready unacked;`. `rabbitmqctl` would take seconds on a busy machine.
    let list = "lists:flatten([io_lib:format(\"~s ~b ~b;\", [Name, Ready, Unacked]) || \
                [{name, {resource, _, queue, Name}}, {messages_ready, Ready}, \
                 {messages_unacknowledged, Unacked}] <- rabbit_amqqueue:info_all(<<\"/\">>, \
                [name, messages_ready, messages_unacknowledged])]).";
    let text = world.rabbit.lock().await.control().eval(list).await?;
    let queues = read_queues(&text);
    ensure!(!queues.is_empty(), "no queues are to be seen in {text}");
    Ok(queues)
}

fn read_queues(text: &str) -> Vec<(String, u64, u64)> {
    let read = |queue: &str| {
        let mut words = queue.split_whitespace();
        let name = words.next()?.to_owned();
        Some((
            name,
            words.next()?.parse().ok()?,
            words.next()?.parse().ok()?,
        ))
    };
    text.trim_matches('"').split(';').filter_map(read).collect()
}

/// Copies what helps to find out: every log, the report, and what was seen.
fn keep(report: &Report, ledgers: &Ledgers, dir: &Path, seed: u64) -> Result<PathBuf> {
    let kept = std::env::temp_dir().join(format!("signpost-chaos-{seed}-{}", std::process::id()));
    fs::create_dir_all(&kept).with_context(|| format!("failed to create {}", kept.display()))?;
    for folder in [
        dir.to_owned(),
        dir.join("rabbitmq/log"),
        dir.join("postgres"),
    ] {
        for entry in fs::read_dir(folder)?.flatten() {
            let name = entry.file_name();
            let is_log = name.to_string_lossy().contains("log") && entry.path().is_file();
            if is_log {
                fs::copy(entry.path(), kept.join(name))?;
            }
        }
    }
    fs::write(kept.join("report.json"), report.json()?)?;
    fs::write(kept.join("events"), lines(&ledgers.events))?;
    fs::write(kept.join("answers"), lines(&ledgers.answers))?;
    fs::write(kept.join("requests"), lines(&ledgers.hits))?;
    fs::write(kept.join("deliveries"), lines(&ledgers.deliveries))?;
    fs::write(kept.join("attempts"), lines(&ledgers.attempts))?;
    fs::write(kept.join("disturbances"), lines(&ledgers.disturbances))?;
    Ok(kept)
}

/// A line for each, to search in.
fn lines<T: std::fmt::Debug>(entries: &[T]) -> String {
    let lines: Vec<_> = entries.iter().map(|entry| format!("{entry:?}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_broker_lists() {
        let found = read_queues("\"signpost.events 1 2;signpost.retry.1s 0 0;\"");
        let queue = |name: &str, ready, unacked| (name.to_owned(), ready, unacked);
        assert_eq!(
            found,
            [
                queue("signpost.events", 1, 2),
                queue("signpost.retry.1s", 0, 0)
            ]
        );
    }
}
