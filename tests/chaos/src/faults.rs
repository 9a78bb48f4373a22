//! Does to the running system what the schedule says, and notes from when until when which part
//! could not work as usual.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    task::JoinSet,
    time::{sleep, sleep_until},
};

use crate::{
    ledger::Disturbance,
    process::Service,
    progress::Progress,
    schedule::{Act, Fault, Target},
    world::World,
};

/// What the faults left behind.
#[derive(Debug, Default)]
struct Notes {
    disturbances: Vec<Disturbance>,
    bad_ends: Vec<String>,
}

/// Runs the schedule.
pub(crate) struct Faults {
    world: Arc<World>,
    progress: Progress,
    notes: Mutex<Notes>,
}

impl Faults {
    pub(crate) fn new(world: Arc<World>, progress: Progress) -> Self {
        Self {
            world,
            progress,
            notes: Mutex::default(),
        }
    }

    /// Does everything that is scheduled, each in its time, and waits until all of it is over and
    /// every service is ready again. Gives the disturbances, and what ended badly.
    pub(crate) async fn run(self, schedule: &[Fault]) -> (Vec<Disturbance>, Vec<String>) {
        let own = Arc::new(self);
        let mut under_way = JoinSet::new();
        for fault in schedule.iter().copied() {
            sleep_until(own.world.began + fault.at).await;
            let own = Arc::clone(&own);
            under_way.spawn(async move { own.inject(fault).await });
        }
        while let Some(ended) = under_way.join_next().await {
            if let Err(error) = ended {
                own.notes()
                    .bad_ends
                    .push(format!("a fault could not be injected: {error}"));
            }
        }
        for service in own.world.ingests.iter().chain(&own.world.dispatchers) {
            if let Err(error) = service.lock().await.until_ready().await {
                own.notes().bad_ends.push(format!("{error:#}"));
            }
        }
        let notes = std::mem::take(&mut *own.notes());
        (notes.disturbances, notes.bad_ends)
    }

    async fn inject(&self, fault: Fault) {
        let result = match fault.target {
            Target::Ingest(number) => {
                let mut service = self.world.ingests[number].lock().await;
                self.service(fault, &mut service).await
            }
            Target::Dispatcher(number) => {
                let mut service = self.world.dispatchers[number].lock().await;
                self.service(fault, &mut service).await
            }
            Target::Rabbit => self.rabbit(fault).await,
            Target::Postgres => self.postgres(fault).await,
            Target::Receiver => self.receiver(fault).await,
        };
        if let Err(error) = result {
            self.notes().bad_ends.push(format!("{fault}: {error:#}"));
        }
    }

    async fn service(&self, fault: Fault, service: &mut Service) -> Result<()> {
        if let Some(status) = service.try_wait()? {
            self.notes()
                .bad_ends
                .push(format!("{}: had ended by itself ({status})", fault.target));
            service.kill()?;
            service.start_again()?;
        }
        let in_flight = match fault.target {
            Target::Dispatcher(_) => service.in_flight().await.unwrap_or(0),
            _ => 0,
        };
        let from = self.begin(fault);
        let mut stopped = Ok(());
        match fault.act {
            Act::Freeze(time) => {
                service.signal("STOP")?;
                sleep(time).await;
                service.signal("CONT")?;
            }
            Act::Kill(down) => {
                service.kill()?;
                sleep(down).await;
                service.start_again()?;
            }
            _ => {
                stopped = service.stop().await;
                service.start_again()?;
            }
        }
        service.until_ready().await?;
        self.end(fault, from, in_flight, !matches!(fault.act, Act::Restart));
        stopped
    }

    async fn rabbit(&self, fault: Fault) -> Result<()> {
        let rabbit = self.world.rabbit.lock().await;
        let from = self.begin(fault);
        match fault.act {
            Act::Kill(down) => {
                rabbit.kill().await?;
                sleep(down).await;
                rabbit.start_again().await?;
            }
            // Evaluated in the broker: `rabbitmqctl` starts an Erlang of its own, which takes many
            // seconds on a busy machine.
            Act::CloseConnections => {
                let close = "[rabbit_networking:close_connection(Connection, \"chaos\") \
                             || Connection <- rabbit_networking:connections()].";
                rabbit.control().eval(close).await?;
            }
            Act::MemoryAlarm(time) => {
                let limit =
                    |part| format!("vm_memory_monitor:set_vm_memory_high_watermark({part}).");
                rabbit.control().eval(&limit("0.0000001")).await?;
                sleep(time).await;
                rabbit.control().eval(&limit("0.6")).await?;
            }
            _ => rabbit.restart().await?,
        }
        self.end(fault, from, 0, false);
        Ok(())
    }

    async fn postgres(&self, fault: Fault) -> Result<()> {
        let postgres = self.world.postgres.lock().await;
        let from = self.begin(fault);
        match fault.act {
            Act::Kill(down) => {
                postgres.kill().await?;
                sleep(down).await;
                postgres.start_again().await?;
            }
            Act::EndSessions => {
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname LIKE 'test%'";
                postgres.psql(sql).await?;
            }
            Act::LockDeliveries(time) => {
                let seconds = time.as_secs_f64();
                let sql = format!(
                    "BEGIN; LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
                );
                self.world.database.psql(&sql).await?;
            }
            _ => postgres.restart().await?,
        }
        self.end(fault, from, 0, false);
        Ok(())
    }

    async fn receiver(&self, fault: Fault) -> Result<()> {
        let in_flight = self.all_in_flight().await;
        let from = self.begin(fault);
        if let Act::Down(time) = fault.act {
            self.world.receiver.stop();
            sleep(time).await;
            self.world
                .receiver
                .start_again()
                .await
                .context("the receiver's port")?;
        }
        self.end(fault, from, in_flight, true);
        Ok(())
    }

    /// Deliveries under way at all dispatchers that nothing is being done to.
    async fn all_in_flight(&self) -> u64 {
        let mut all = 0;
        for dispatcher in &self.world.dispatchers {
            if let Ok(dispatcher) = dispatcher.try_lock() {
                all += dispatcher.in_flight().await.unwrap_or(0);
            }
        }
        all
    }

    fn begin(&self, fault: Fault) -> Duration {
        self.progress.fault(&fault);
        self.world.now()
    }

    fn end(&self, fault: Fault, from: Duration, in_flight: u64, cuts_work: bool) {
        self.notes().disturbances.push(Disturbance {
            target: fault.target,
            cuts_work,
            in_flight,
            from,
            to: self.world.now(),
        });
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
