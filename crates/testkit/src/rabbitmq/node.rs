//! One broker's folder, ports and names, and the commands that start it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow};

use super::control::RabbitControl;
use crate::child::command_that_dies_with_us;
use crate::ports::free_ports;
use crate::secret::random_hex;

/// The name in Erlang of one that stands alone. It can be the same for all of those: each has a
/// name server (`epmd`) of its own.
const NODE_NAME: &str = "signpost@localhost";

/// What a member of a cluster has in common with the others.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    /// Its name in Erlang.
    pub(super) name: String,
    /// The member that it joins when it starts for the first time; itself for the first one.
    pub(super) joins: String,
    pub(super) epmd_port: u16,
    pub(super) cookie: String,
    pub(super) password: String,
}

#[derive(Debug)]
pub(super) struct Node {
    dir: PathBuf,
    joins: Option<String>,
    pub(super) ports: Ports,
    control: RabbitControl,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) epmd: u16,
    pub(super) distribution: u16,
}

impl Node {
    /// Writes the configuration into `dir`. The cookie and the password of a former start stay,
    /// as the data there remembers them.
    pub(super) fn create(dir: PathBuf, membership: Option<&Membership>) -> Result<Self> {
        for folder in ["home", "log", "data"] {
            let path = dir.join(folder);
            fs::create_dir_all(&path)
                .with_context(|| format!("failed to create {}", path.display()))?;
        }
        let dir = dir.canonicalize()?;
        let [amqp, epmd, distribution] = free_ports()?;
        let ports = Ports {
            amqp,
            epmd: membership.map_or(epmd, |member| member.epmd_port),
            distribution,
        };
        let cookie = membership.map(|member| member.cookie.as_str());
        let cookie = remembered(&dir.join("home/.erlang.cookie"), cookie)?;
        let password = membership.map(|member| member.password.as_str());
        let password = remembered(&dir.join("password"), password)?;
        let control = RabbitControl {
            bin: bin_dir()?,
            node: membership
                .map_or(NODE_NAME, |member| &member.name)
                .to_owned(),
            home: dir.join("home"),
            cookie,
            password,
            amqp_port: amqp,
            epmd_port: ports.epmd,
        };
        let node = Self {
            dir,
            joins: membership.map(|member| member.joins.clone()),
            ports,
            control,
        };
        node.write_config()?;
        node.control.write(&node.dir)?;
        Ok(node)
    }

    pub(super) fn control(&self) -> RabbitControl {
        self.control.clone()
    }

    fn write_config(&self) -> Result<()> {
        let mut settings = vec![
            format!("listeners.tcp.1 = 127.0.0.1:{}", self.ports.amqp),
            "default_user = signpost".to_owned(),
            format!("default_pass = {}", self.control.password),
            "log.file.level = warning".to_owned(),
            "log.console = false".to_owned(),
            "disk_free_limit.absolute = 50MB".to_owned(),
            // As in what we ship.
            "max_message_size = 4194304".to_owned(),
        ];
        if let Some(joins) = &self.joins {
            let discovery = "cluster_formation.peer_discovery_backend = classic_config";
            settings.push(discovery.to_owned());
            let peer = format!("cluster_formation.classic_config.nodes.1 = {joins}");
            settings.push(peer);
        }
        fs::write(self.dir.join("rabbitmq.conf"), settings.join("\n") + "\n")?;
        // As in what we ship: retry tiers pass three times as many messages on.
        let advanced = "[{rabbit, [{dead_letter_worker_consumer_prefetch, 512}]}].\n";
        fs::write(self.dir.join("advanced.config"), advanced)?;
        fs::write(self.dir.join("enabled_plugins"), "[].\n")?;
        Ok(())
    }

    pub(super) fn epmd_command(port: u16) -> Command {
        let mut command = command_that_dies_with_us("KILL", "epmd");
        command
            .args(["-address", "127.0.0.1", "-port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub(super) fn server_command(&self) -> Result<Command> {
        let log = File::create(self.dir.join("log/console"))?;
        let path = |name: &str| self.dir.join(name);
        // Wake-ups of sleeping threads cost this server more than a short busy wait: with it the
        // start takes 4 s instead of 8 on two virtual cores.
        let erlang = "-noinput -kernel inet_dist_use_interface {127,0,0,1} \
                      +sbwt very_short +sbwtdio short";
        let mut command =
            command_that_dies_with_us("KILL", self.control.bin.join("rabbitmq-server"));
        command
            .env("HOME", path("home"))
            .env("ERL_EPMD_PORT", self.ports.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.control.node)
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", path("data"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", path("data/generated"))
            .env("RABBITMQ_FEATURE_FLAGS_FILE", path("data/feature_flags"))
            .env("RABBITMQ_PID_FILE", path("data/pid"))
            // A file that does not exist: the system's own settings are not ours.
            .env("RABBITMQ_CONF_ENV_FILE", path("no-rabbitmq-env.conf"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang)
            // With "input allowed" the launcher becomes the server instead of watching over it,
            // so that our child is the server itself; `-noinput` takes the input away again.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .env_remove("NOTIFY_SOCKET")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    pub(super) fn wipe(&self) -> Result<()> {
        fs::remove_dir_all(self.dir.join("data"))?;
        fs::create_dir(self.dir.join("data"))?;
        Ok(())
    }

    /// The end of what the broker wrote, for an error message.
    pub(super) fn log_end(&self) -> String {
        let text = [
            self.dir.join("log/console"),
            self.dir.join(format!("log/{}.log", self.control.node)),
        ]
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .join("\n");
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// The secret in `path`, readable for us alone; `first` or a random one on first use.
fn remembered(path: &Path, first: Option<&str>) -> Result<String> {
    if let Ok(secret) = fs::read_to_string(path) {
        return Ok(secret);
    }
    let secret = first.map_or_else(random_hex, |first| Ok(first.to_owned()))?;
    fs::write(path, &secret)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o400))?;
    Ok(secret)
}

/// The server's own launchers; those in Debian's `/usr/sbin` insist on the user `rabbitmq`.
fn bin_dir() -> Result<PathBuf> {
    [
        "/usr/lib/rabbitmq/bin",
        "/opt/rabbitmq/sbin",
        "/usr/local/sbin",
    ]
    .map(PathBuf::from)
    .into_iter()
    .find(|path| path.join("rabbitmq-server").exists())
    .ok_or_else(|| anyhow!("RabbitMQ is not installed: apt-get install rabbitmq-server"))
}
