//! A service of ours as a real process, which a test may kill.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use signpost_runtime::sabotage;
use signpost_testkit::wait_until;

use super::{Api, PATIENCE};

/// A running service.
pub(crate) struct Process {
    name: &'static str,
    admin_port: u16,
    variables: Vec<(&'static str, String)>,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the program that was built beside the tests.
    pub(crate) fn start(
        name: &'static str,
        admin_port: u16,
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        let log = signpost_testkit::scratch_dir(name)
            .unwrap()
            .join(format!("{admin_port}.log"));
        let child = spawn(name, admin_port, &variables, &log);
        Self {
            name,
            admin_port,
            variables,
            child,
            log,
        }
    }

    /// Waits until it says that it is ready; `false` when it has stopped for a port that is taken.
    pub(crate) async fn until_ready_or_port_taken(&mut self) -> bool {
        let api = self.admin();
        let path = "/readyz";
        wait_until("the service is ready", PATIENCE, async || {
            if self.child.try_wait().unwrap().is_some() {
                assert!(
                    self.log_end().contains("Address already in use"),
                    "{}: {}",
                    self.name,
                    self.log_end()
                );
                return Ok(false);
            }
            match api.try_send(http::Method::GET, path, None).await {
                Ok(answer) if answer.status == 200 => Ok(true),
                Ok(answer) => Err(format!(
                    "{}: {}",
                    self.name,
                    String::from_utf8_lossy(&answer.body)
                )),
                Err(error) => Err(format!("{}: {error}; {}", self.name, self.log_end())),
            }
        })
        .await
    }

    /// Its metrics and health.
    pub(crate) fn admin(&self) -> Api {
        Api::new(format!("127.0.0.1:{}", self.admin_port), "")
    }

    /// The value of one series of its metrics.
    pub(crate) async fn metric(&self, series: &str) -> u64 {
        self.series(series).await.parse().unwrap()
    }

    /// The value of one series that is no whole number.
    pub(crate) async fn gauge(&self, series: &str) -> f64 {
        self.series(series).await.parse().unwrap()
    }

    async fn series(&self, series: &str) -> String {
        let text = self.admin().get("/metrics").await.expect(&[200]);
        let text = String::from_utf8(text.body.to_vec()).unwrap();
        let line = text.lines().find(|line| {
            line.strip_prefix(series)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        let line = line.unwrap_or_else(|| panic!("{series} is not in\n{text}"));
        line.rsplit(' ').next().unwrap().to_owned()
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it without warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits; gives the exit code and how long it took.
    pub(crate) async fn stop(&mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        self.signal("TERM");
        let status = wait_until("the service has stopped", PATIENCE, async || {
            match self.child.try_wait().unwrap() {
                Some(status) => Ok(status),
                None => Err("still running"),
            }
        });
        (status.await.code(), started.elapsed())
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args(["-s", signal, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn until_dead(&mut self) {
        wait_until("the service has died", PATIENCE, async || {
            if self.has_ended() {
                Ok(())
            } else {
                Err("alive")
            }
        })
        .await;
    }

    /// Starts it again, without one of its variables.
    pub(crate) fn start_again_without(&mut self, variable: &str) {
        self.variables.retain(|(name, _)| *name != variable);
        self.start_again();
    }

    /// Starts it again after a kill or a stop.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.name, self.admin_port, &self.variables, &self.log);
    }

    /// The end of its log, for a failed test's message.
    pub(crate) fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// A program of ours that was built beside the tests.
pub(super) fn built(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join(name);
    assert!(
        program.exists(),
        "{} is not built: run `cargo build --workspace` first",
        program.display()
    );
    program
}

fn spawn(
    name: &str,
    admin_port: u16,
    variables: &[(&'static str, String)],
    log: &PathBuf,
) -> Child {
    let program = built(name);
    let log = File::options().create(true).append(true).open(log).unwrap();
    // Not left behind when the tests are killed.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program)
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .env("SIGNPOST_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
        .env(sabotage::VARIABLE, sabotage::names())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill();
        }
        if std::thread::panicking() {
            #[expect(
                clippy::print_stderr,
                reason = "a failed test shows what its services said"
            )]
            {
                eprintln!(
                    "--- the end of the log of {}:\n{}",
                    self.name,
                    self.log_end()
                );
            }
        }
    }
}
