//! Idle connections, bounded in number and age.
//!
//! The key holds the address that was checked: a connection is only found by a request whose host
//! still resolves to that address, and whose addresses have all been judged again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::EgressConfig;
use crate::exchange::Connection;

/// Which requests may share a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) is_https: bool,
    pub(crate) host: Arc<str>,
    pub(crate) address: SocketAddr,
}

/// The idle connections.
pub(crate) struct Pool {
    max_idle_per_host: usize,
    max_idle: usize,
    idle_timeout: Duration,
    max_age: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: HashMap<Key, Vec<Idle>>,
    count: usize,
    /// Whether the task that drops expired connections is running.
    is_swept: bool,
}

struct Idle {
    connection: Box<Connection>,
    until: Instant,
}

impl Pool {
    pub(crate) fn new(config: &EgressConfig) -> Self {
        Self {
            max_idle_per_host: config.max_idle_per_host,
            max_idle: config.max_idle,
            idle_timeout: config.idle_timeout,
            max_age: config.max_connection_age,
            state: Mutex::default(),
        }
    }

    /// Takes out the connection that was used last; expired ones are dropped.
    pub(crate) fn take(&self, key: &Key) -> Option<Box<Connection>> {
        let mut state = self.lock();
        let list = state.idle.get_mut(key)?;
        let now = Instant::now();
        // The one used last expires last, mostly: when it has expired, so have the others.
        let expired = match list.last() {
            Some(newest) if newest.until > now => Vec::new(),
            Some(_) | None => std::mem::take(list),
        };
        let found = list.pop();
        if list.is_empty() {
            state.idle.remove(key);
        }
        state.count -= expired.len() + usize::from(found.is_some());
        drop(state);
        drop(expired); // Closes sockets; not under the lock.
        found.map(|idle| idle.connection)
    }

    /// Keeps a connection for the next request, unless there are too many or it is too old.
    pub(crate) fn put(
        self: &Arc<Self>,
        key: Key,
        connection: Box<Connection>,
        hint: Option<Duration>,
    ) {
        let now = Instant::now();
        let keep = self.idle_timeout.min(hint.unwrap_or(Duration::MAX));
        let until = (now + keep).min(connection.opened_at + self.max_age);
        if until <= now {
            return;
        }
        let mut state = self.lock();
        if state.count >= self.max_idle {
            return;
        }
        let list = state.idle.entry(key).or_default();
        if list.len() >= self.max_idle_per_host {
            return;
        }
        list.push(Idle { connection, until });
        state.count += 1;
        if !state.is_swept {
            state.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), self.idle_timeout));
        }
    }

    /// How many connections are idle.
    pub(crate) fn len(&self) -> usize {
        self.lock().count
    }

    /// Drops what has expired. Gives whether anything is left.
    fn drop_expired(&self) -> bool {
        let now = Instant::now();
        let mut expired = Vec::new();
        let mut state = self.lock();
        state.idle.retain(|_key, list| {
            expired.extend(list.extract_if(.., |idle| idle.until <= now));
            !list.is_empty()
        });
        state.count -= expired.len();
        state.is_swept = state.count > 0;
        let is_left = state.is_swept;
        drop(state);
        is_left
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while there are idle connections, so that they do not outlive their time when no request
/// comes by.
async fn sweep(pool: Weak<Pool>, idle_timeout: Duration) {
    loop {
        sleep(idle_timeout / 2).await;
        match pool.upgrade() {
            Some(pool) if pool.drop_expired() => {}
            Some(_) | None => return,
        }
    }
}
