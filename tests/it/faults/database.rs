//! A database that is there and does not do its work: locked, full, read-only, without places, slow
//! to commit, or silent about what it has committed.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::json;
use signpost_testkit::{FaultProxy, Reply, scratch_dir, wait_until};

use super::{Servers, all_arrived, publish, set_up};
use crate::world::{PATIENCE, Plan, Process, World};

/// Events that are published during each ailment.
const EVENTS: usize = 20;

/// A world that reaches its database through a proxy, and how many events it has been given.
struct Ailing {
    servers: Servers,
    proxy: FaultProxy,
    world: World,
    published: usize,
}

impl Ailing {
    async fn start(servers: Servers) -> Self {
        let upstream = format!("127.0.0.1:{}", servers.postgres.port());
        let proxy = FaultProxy::start(upstream.parse().unwrap()).await.unwrap();
        let world = World::start(Plan {
            dispatchers: 2,
            amqp_url: Some(servers.rabbit.url()),
            database_url: Some(proxy.url_through(servers.database.url()).unwrap()),
            time_scale: 0.1,
            ..Plan::default()
        })
        .await;
        set_up(&world).await;
        Self {
            servers,
            proxy,
            world,
            published: 0,
        }
    }

    async fn publish(&mut self) {
        publish(&self.world, self.published, EVENTS).await;
        self.published += EVENTS;
    }

    /// What needs the database is answered, or refused with a time to come back.
    async fn reading_is_honest(&self) {
        let path = "/v1/tenants/acme/deliveries?limit=1";
        let answer = self.world.api.get(path).await.expect(&[200, 503]);
        let is_refused = answer.status == 503;
        assert_eq!(is_refused, answer.headers.contains_key("retry-after"));
    }

    async fn as_superuser(&self, sql: &str) {
        self.servers.postgres.psql(sql).await.unwrap();
    }

    /// Ends the sessions of both services; they make new ones.
    async fn cut_sessions(&self) {
        let cut =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'signpost'";
        self.as_superuser(cut).await;
    }

    /// Sets what the server reads while it runs.
    async fn configure(&self, change: &str) {
        self.as_superuser(&format!("ALTER SYSTEM {change}")).await;
        self.as_superuser("SELECT pg_reload_conf()").await;
    }

    /// Everything arrived once: no process has died.
    async fn all_arrived_once(&self) {
        let arrivals = all_arrived(&self.world, &self.servers.database, self.published).await;
        let twice: Vec<_> = arrivals.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    async fn hang_commits(&mut self) {
        self.configure("SET synchronous_standby_names = 'nobody'")
            .await;
        self.publish().await;
        let hanging = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        wait_until("a commit hangs", PATIENCE, async || {
            match self.servers.postgres.psql(hanging).await.unwrap().as_str() {
                "0" => Err("none"),
                _ => Ok(()),
            }
        })
        .await;
    }

    async fn let_commits_go(&self) {
        self.configure("RESET synchronous_standby_names").await;
    }

    async fn until_ready_is(&self, status: u16) {
        for dispatcher in &self.world.dispatchers {
            let admin = dispatcher.admin();
            wait_until("the dispatcher's readiness", PATIENCE, async || {
                let answer = admin.get("/readyz").await;
                if answer.status == status {
                    Ok(())
                } else {
                    Err(answer)
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_database_that_locks_refuses_or_forgets_to_answer_costs_time_alone() {
    let mut ailing = Ailing::start(Servers::start().await).await;
    // Attempts are under way when the lock comes, and are answered while it stands. It lasts longer
    // than a statement waits for it, and until what cannot be recorded seems lost: 7 s and 15 s.
    let slowly = |_: &_| Reply::status(200).after(Duration::from_secs(1));
    ailing.world.receiver.answer_with(slowly);
    ailing.publish().await;
    let lock = "BEGIN; LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(24); COMMIT";
    let url = ailing.servers.database.url().to_owned();
    let locked = tokio::process::Command::new("psql")
        .args([&url, "--no-psqlrc", "--quiet", "--command", lock])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn();
    ailing.publish().await;
    ailing.reading_is_honest().await;
    assert!(locked.unwrap().wait().await.unwrap().success());
    ailing.all_arrived_once().await;
    ailing.world.receiver.answer_with(|_| Reply::status(200));

    // No session is to be had.
    ailing
        .as_superuser("ALTER ROLE signpost CONNECTION LIMIT 0")
        .await;
    ailing.cut_sessions().await;
    ailing.publish().await;
    ailing.reading_is_honest().await;
    ailing.until_ready_is(503).await;
    ailing
        .as_superuser("ALTER ROLE signpost CONNECTION LIMIT -1")
        .await;

    // New sessions may only read, as those of a standby. They stay so when the rule is gone.
    let database = ailing.servers.database.name().to_owned();
    let only = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
    ailing.as_superuser(&only).await;
    ailing.cut_sessions().await;
    ailing.publish().await;
    ailing.reading_is_honest().await;
    ailing.until_ready_is(503).await;
    let both = format!("ALTER DATABASE {database} RESET default_transaction_read_only");
    ailing.as_superuser(&both).await;
    ailing.until_ready_is(200).await;

    ailing.all_arrived_once().await;
}

#[tokio::test]
async fn commits_that_hang_or_are_never_heard_of_lose_and_double_nothing() {
    let mut ailing = Ailing::start(Servers::start().await).await;
    ailing.publish().await;

    // Every commit waits for a standby that does not exist.
    ailing.hang_commits().await;
    ailing.let_commits_go().await;
    ailing.all_arrived_once().await;

    // The same, and the connections break: what is committed then, nobody hears of.
    ailing.hang_commits().await;
    ailing.proxy.reset_connections();
    ailing.let_commits_go().await;
    ailing.all_arrived_once().await;
}

/// A small file system, so that a table can run out of disk and the rest of the machine does not.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where one may not be mounted.
    fn mount(dir: &Path) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m,mode=777", "signpost-test"]);
        let mounted = mount.arg(dir).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then(|| Self(dir.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        // Large pieces first, so that nothing is left at the end.
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn relieve(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the database may still have files open.
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[tokio::test]
async fn a_full_disk_of_the_database_is_waited_out() {
    let dir = scratch_dir("small-disk").unwrap().join("tablespace");
    let Some(disk) = SmallDisk::mount(&dir) else {
        #[expect(clippy::print_stderr, reason = "why nothing was tested")]
        {
            eprintln!("skipped: no file system can be mounted here");
        }
        return;
    };
    let servers = Servers::start().await;
    // A folder of the server's own user.
    let space = disk.0.join("space");
    fs::create_dir(&space).unwrap();
    let owner = Command::new("chown").arg("postgres").arg(&space).output();
    assert!(owner.unwrap().status.success());
    let create = format!("CREATE TABLESPACE small LOCATION '{}'", space.display());
    servers.postgres.psql(&create).await.unwrap();
    let move_there = format!(
        "ALTER DATABASE {} SET TABLESPACE small",
        servers.database.name()
    );
    servers.postgres.psql(&move_there).await.unwrap();
    let mut ailing = Ailing::start(servers).await;
    ailing.publish().await;
    ailing.all_arrived_once().await;

    disk.fill();
    ailing.publish().await;
    // Large enough to need new pages for certain.
    let pad: String = (0..20_000_u32)
        .map(|n| char::from(b'a' + u8::try_from(n.wrapping_mul(2_654_435_761) >> 27).unwrap() % 26))
        .collect();
    for n in 0..20 {
        let data = json!({"n": n, "pad": pad});
        ailing.world.event("acme", "a.b", data).await;
        ailing.published += 1;
    }
    wait_until("a dispatcher meets the full disk", PATIENCE, async || {
        let mut logs = ailing.world.dispatchers.iter().map(Process::log_end);
        if logs.any(|log| log.contains("No space left on device")) {
            Ok(())
        } else {
            Err("none has")
        }
    })
    .await;
    ailing.reading_is_honest().await;
    disk.relieve();
    ailing.all_arrived_once().await;
}
