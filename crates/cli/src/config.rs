//! Which server to talk to, with which key, as which tenant.
//!
//! Read once at start by `lib.rs`, from flags, the environment and
//! `~/.config/signpost/config.toml`. This is the only file that looks at the environment.
//! A key from the file is sent to that entry's own URL only.
//!
//! ```toml
//! default = "local"
//!
//! [contexts.local]
//! server = "http://127.0.0.1:8080"
//! key = "sp_..."
//!
//! [contexts.production]
//! server = "https://signpost.example.com"
//! key_file = "/run/secrets/signpost"
//! tenant = "acme"
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use crate::args::Global;
use crate::error::{CliError, Result, usage};

/// The server when nothing else is said.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// The tenant when nothing else is said; it always exists.
pub const DEFAULT_TENANT: &str = "default";

/// The environment variables that this program reads.
const VARIABLES: [&str; 14] = [
    "SIGNPOST_SERVER",
    "SIGNPOST_KEY",
    "SIGNPOST_KEY_FILE",
    "SIGNPOST_ADMIN_KEY",
    "SIGNPOST_ADMIN_KEY_FILE",
    "SIGNPOST_TENANT",
    "SIGNPOST_CONTEXT",
    "SIGNPOST_CONFIG",
    "SIGNPOST_AMQP_URL",
    "SIGNPOST_DATABASE_URL",
    "SIGNPOST_MASTER_KEYS",
    "XDG_CONFIG_HOME",
    "HOME",
    "NO_COLOR",
];

/// A snapshot of the environment, so that tests bring their own.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the config.rs of the command line"
        )]
        let read = |name: &&str| Some(((*name).to_owned(), std::env::var(*name).ok()?));
        let mut found: BTreeMap<_, _> = VARIABLES.iter().filter_map(read).collect();
        // SIGNPOST_EGRESS_*, SIGNPOST_*_LISTEN and the like, which `doctor` shows.
        found.extend(std::env::vars().filter(|(name, _)| name.starts_with("SIGNPOST_")));
        Self(found)
    }

    /// An environment of these variables.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(
            variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        )
    }

    /// A variable's value; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A secret: the variable itself, or what the file holds that its `_FILE` twin names.
    ///
    /// # Errors
    /// That file cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<String>> {
        if let Some(value) = self.get(name) {
            return Ok(Some(value.to_owned()));
        }
        let twin = format!("{name}_FILE");
        self.get(&twin)
            .map(|path| read_secret(Path::new(path), &twin))
            .transpose()
    }
}

/// Secrets are in here: only the names are shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    default: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, FileContext>,
}

#[derive(Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileContext {
    server: String,
    key: Option<String>,
    key_file: Option<PathBuf>,
    tenant: Option<String>,
}

impl fmt::Debug for FileContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileContext")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Where the API is and who we are.
#[derive(Clone)]
pub struct Connection {
    /// The API's base URL, without the `/v1`.
    pub server: Url,
    /// The API key, if there is one.
    pub key: Option<String>,
    /// The tenant that commands are about.
    pub tenant: String,
    /// The entry of the config file that was used, if one was.
    pub context: Option<String>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.server.as_str())
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// Puts flags, environment and file together.
///
/// What is nearest wins: a flag, then a context named by `--context`, then the environment, then
/// the file's default context, then the built-in default.
///
/// # Errors
/// A file that cannot be read or understood, an unknown context, a URL that is none.
pub fn resolve(flags: &Global, env: &Environment) -> Result<Connection> {
    let file = load_file(flags, env)?;
    let named_by_flag = flags.context.is_some();
    let named = flags
        .context
        .as_deref()
        .or_else(|| env.get("SIGNPOST_CONTEXT"));
    let server_given = flags.server.as_deref().or_else(|| {
        // A context asked for by name is stronger than a variable that happens to be set.
        if named_by_flag {
            None
        } else {
            env.get("SIGNPOST_SERVER")
        }
    });
    if flags.server.is_some() && named_by_flag {
        return usage("--server and --context exclude one another: each names a server");
    }
    let context = match (server_given, named) {
        (Some(_), _) => None,
        (None, Some(name)) => Some(find_context(&file, name)?),
        (None, None) => match &file.default {
            Some(name) => Some(find_context(&file, name)?),
            None => None,
        },
    };
    let in_file = context.as_ref().map(|(_, context)| context);

    let server = server_given
        .or(in_file.map(|context| context.server.as_str()))
        .unwrap_or(DEFAULT_SERVER);
    let tenant = flags
        .tenant
        .as_deref()
        .or(in_file
            .filter(|_| named_by_flag)
            .and_then(|context| context.tenant.as_deref()))
        .or_else(|| env.get("SIGNPOST_TENANT"))
        .or(in_file.and_then(|context| context.tenant.as_deref()))
        .unwrap_or(DEFAULT_TENANT);
    Ok(Connection {
        server: parse_server(server)?,
        key: find_key(flags, env, in_file, named_by_flag)?,
        tenant: signpost_domain::TenantId::parse(tenant)
            .map_err(|error| CliError::Usage(error.to_string()))?
            .as_str()
            .to_owned(),
        context: context.map(|(name, _)| name),
    })
}

fn find_key(
    flags: &Global,
    env: &Environment,
    context: Option<&FileContext>,
    named_by_flag: bool,
) -> Result<Option<String>> {
    if let Some(key) = &flags.key {
        return Ok(Some(key.clone()));
    }
    if let Some(path) = &flags.key_file {
        return read_secret(path, "--key-file").map(Some);
    }
    let of_context = || match context {
        Some(FileContext { key: Some(key), .. }) => Ok(Some(key.clone())),
        Some(FileContext {
            key_file: Some(path),
            ..
        }) => read_secret(path, "key_file").map(Some),
        _ => Ok(None),
    };
    if named_by_flag && let Some(key) = of_context()? {
        return Ok(Some(key));
    }
    if let Some(key) = env.secret("SIGNPOST_KEY")? {
        return Ok(Some(key));
    }
    match context {
        // The admin key of this machine is not sent to whatever server the file names.
        Some(_) => of_context(),
        None => env.secret("SIGNPOST_ADMIN_KEY"),
    }
}

fn read_secret(path: &Path, what: &str) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => usage(format!("cannot read {} ({what}): {error}", path.display())),
    }
}

fn find_context(file: &ConfigFile, name: &str) -> Result<(String, FileContext)> {
    match file.contexts.get(name) {
        Some(context) => Ok((name.to_owned(), context.clone())),
        None => usage(format!(
            "there is no context {name:?} in the configuration file; it has: {}",
            if file.contexts.is_empty() {
                "none".to_owned()
            } else {
                file.contexts.keys().cloned().collect::<Vec<_>>().join(", ")
            }
        )),
    }
}

fn load_file(flags: &Global, env: &Environment) -> Result<ConfigFile> {
    let asked = flags
        .config
        .clone()
        .or_else(|| env.get("SIGNPOST_CONFIG").map(PathBuf::from));
    let Some(path) = asked.clone().or_else(|| usual_path(env)) else {
        return Ok(ConfigFile::default());
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && asked.is_none() => {
            return Ok(ConfigFile::default());
        }
        Err(error) => return usage(format!("cannot read {}: {error}", path.display())),
    };
    toml::from_str(&text).map_err(|error| {
        // `message` leaves out the line itself, which may hold a key.
        CliError::Usage(format!("{}: {}", path.display(), error.message()))
    })
}

/// Where the configuration file is usually.
fn usual_path(env: &Environment) -> Option<PathBuf> {
    let base = env
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env.get("HOME").map(|home| Path::new(home).join(".config")))?;
    Some(base.join("signpost").join("config.toml"))
}

fn parse_server(text: &str) -> Result<Url> {
    let wrong = |why: &str| {
        CliError::Usage(format!(
            "the server must be a URL such as {DEFAULT_SERVER}: {why}"
        ))
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it starts with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "no user or password in it; the key goes into --key or SIGNPOST_KEY",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("nothing after the path"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
