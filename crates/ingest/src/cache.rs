//! What ingest remembers of the database, so that publishing needs no query and goes on while
//! the database is away: keys, tenants, event types.
//!
//! An entry is fresh for a while, or until the store's notifications say that it has changed.
//! When the database does not answer, what is known is used on, however old, and the database is
//! left alone for a second. An answer that was on its way while a change was announced is not
//! kept; one that was on its way while announcements may have been missed is kept as stale.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How long an entry is used without asking again. Notifications come within milliseconds; this
/// is for those that a broken connection has swallowed.
const FRESH: Duration = Duration::from_secs(60);
/// The same while notifications do not come: a revoked key works for a second at most.
const FRESH_UNHEARD: Duration = Duration::from_millis(800);
/// How long the database may take to answer here. Publishing must answer within 2 s.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long the database is left alone after it has not answered.
const PAUSE: Duration = Duration::from_secs(1);
/// Most entries; with more, all are forgotten and asked for again.
const MAX_ENTRIES: usize = 200_000;

/// What all caches know of the database: whether it may be asked, and whether changes are heard
/// of.
#[derive(Debug)]
pub struct Outage {
    start: Instant,
    /// Milliseconds after `start` until which it is not asked.
    until: AtomicU64,
    is_deaf: AtomicBool,
}

impl Default for Outage {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            until: AtomicU64::new(0),
            is_deaf: AtomicBool::new(true),
        }
    }
}

impl Outage {
    /// Says whether changes are announced; while they are not, entries stay fresh for a moment
    /// only.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.is_deaf.store(is_deaf, Ordering::SeqCst);
    }

    fn freshness(&self) -> Duration {
        if self.is_deaf.load(Ordering::SeqCst) {
            FRESH_UNHEARD
        } else {
            FRESH
        }
    }

    fn is_on(&self) -> bool {
        millis(self.start.elapsed()) < self.until.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        let until = millis(self.start.elapsed() + PAUSE);
        self.until.store(until, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a look-up gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<V> {
    /// It is there.
    Found(V),
    /// It is not there.
    Absent,
    /// The database did not answer, and nothing is remembered.
    Unknown,
}

#[derive(Debug, Clone)]
struct Entry<V> {
    value: V,
    fresh_until: Instant,
}

/// When the database was asked, in changes and doubts.
#[derive(Debug, Clone, Copy)]
struct Moment {
    changes: u64,
    doubts: u64,
}

/// A cache of one kind of thing. Only what exists is remembered.
#[derive(Debug)]
pub struct Cache<K, V> {
    entries: RwLock<HashMap<K, Entry<V>>>,
    /// Counts announced changes.
    changes: AtomicU64,
    /// Counts the times when changes may have been missed.
    doubts: AtomicU64,
    outage: Arc<Outage>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// An empty cache.
    pub fn new(outage: Arc<Outage>) -> Self {
        Self {
            entries: RwLock::default(),
            changes: AtomicU64::new(0),
            doubts: AtomicU64::new(0),
            outage,
        }
    }

    /// What is remembered under the key; else, or when that is stale, what `load` finds.
    pub async fn get<E: std::error::Error + 'static>(
        &self,
        key: &K,
        load: impl AsyncFnOnce() -> Result<Option<V>, E>,
    ) -> Lookup<V> {
        let remembered = {
            let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
            match entries.get(key) {
                Some(entry) if entry.fresh_until > Instant::now() => {
                    return Lookup::Found(entry.value.clone());
                }
                Some(entry) => Lookup::Found(entry.value.clone()),
                None => Lookup::Unknown,
            }
        };
        if self.outage.is_on() {
            return remembered;
        }
        // Boxed, because it is rare and large: a query's state would make every request's future
        // some kilobytes larger.
        Box::pin(self.ask(key, remembered, load)).await
    }

    async fn ask<E: std::error::Error + 'static>(
        &self,
        key: &K,
        remembered: Lookup<V>,
        load: impl AsyncFnOnce() -> Result<Option<V>, E>,
    ) -> Lookup<V> {
        let asked_at = self.moment();
        match tokio::time::timeout(PATIENCE, load()).await {
            Ok(Ok(Some(value))) => {
                self.remember(key.clone(), value.clone(), asked_at);
                Lookup::Found(value)
            }
            Ok(Ok(None)) => {
                self.forget(|found, _| found == key);
                Lookup::Absent
            }
            Ok(Err(error)) => {
                let error = signpost_runtime::error_chain(&error).to_string();
                tracing::warn!(error, "cannot look something up in the database");
                self.outage.begin();
                remembered
            }
            Err(_elapsed) => {
                tracing::warn!("the database does not answer a look-up");
                self.outage.begin();
                remembered
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            changes: self.changes.load(Ordering::SeqCst),
            doubts: self.doubts.load(Ordering::SeqCst),
        }
    }

    fn remember(&self, key: K, value: V, asked_at: Moment) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.moment();
        if now.changes != asked_at.changes {
            return;
        }
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        let mut fresh_until = Instant::now();
        if now.doubts == asked_at.doubts {
            fresh_until += self.outage.freshness();
        }
        entries.insert(key, Entry { value, fresh_until });
    }

    /// Forgets what has changed.
    pub fn forget(&self, has_changed: impl Fn(&K, &V) -> bool) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        entries.retain(|key, entry| !has_changed(key, &entry.value));
    }

    /// Asks for everything again at its next use: announcements may have been missed.
    pub fn doubt(&self) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.doubts.fetch_add(1, Ordering::SeqCst);
        let now = Instant::now();
        for entry in entries.values_mut() {
            entry.fresh_until = now;
        }
    }

    /// Calls `look` with every remembered value.
    pub fn for_each(&self, look: impl FnMut(&V)) {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().map(|entry| &entry.value).for_each(look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("down")]
    struct Down;

    fn cache() -> Cache<u8, &'static str> {
        let outage = Outage::default();
        outage.set_deaf(false);
        Cache::new(Arc::new(outage))
    }

    async fn finds(cache: &Cache<u8, &'static str>, value: &'static str) -> Lookup<&'static str> {
        cache.get(&1, async || Ok::<_, Down>(Some(value))).await
    }

    async fn fails(cache: &Cache<u8, &'static str>) -> Lookup<&'static str> {
        cache.get(&1, async || Err(Down)).await
    }

    #[tokio::test(start_paused = true)]
    async fn asks_again_only_when_stale_or_changed() {
        let cache = cache();
        assert_eq!(finds(&cache, "a").await, Lookup::Found("a"));
        assert_eq!(finds(&cache, "b").await, Lookup::Found("a"));
        cache.forget(|key, _| *key == 1);
        assert_eq!(finds(&cache, "b").await, Lookup::Found("b"));
        cache.doubt();
        assert_eq!(finds(&cache, "c").await, Lookup::Found("c"));
        tokio::time::advance(FRESH).await;
        assert_eq!(finds(&cache, "d").await, Lookup::Found("d"));
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_with_what_it_knows_while_the_database_is_away() {
        let cache = cache();
        assert_eq!(fails(&cache).await, Lookup::Unknown);
        // Left alone for a second: not even a working database is asked.
        assert_eq!(finds(&cache, "a").await, Lookup::Unknown);
        tokio::time::advance(PAUSE).await;
        assert_eq!(finds(&cache, "a").await, Lookup::Found("a"));
        tokio::time::advance(FRESH).await;
        assert_eq!(fails(&cache).await, Lookup::Found("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_hangs_is_one_that_is_away() {
        let cache = cache();
        let hangs = async || std::future::pending::<Result<Option<&str>, Down>>().await;
        assert_eq!(cache.get(&1, hangs).await, Lookup::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn trusts_what_it_knows_for_a_moment_only_while_changes_are_not_heard_of() {
        let cache = Cache::new(Arc::default());
        assert_eq!(finds(&cache, "a").await, Lookup::Found("a"));
        tokio::time::advance(FRESH_UNHEARD).await;
        assert_eq!(finds(&cache, "b").await, Lookup::Found("b"));
    }

    #[tokio::test]
    async fn does_not_keep_an_answer_that_a_change_has_overtaken() {
        let cache = cache();
        let overtaken = async || {
            cache.forget(|_, _| true);
            Ok::<_, Down>(Some("old"))
        };
        assert_eq!(cache.get(&1, overtaken).await, Lookup::Found("old"));
        assert_eq!(finds(&cache, "new").await, Lookup::Found("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_an_answer_that_a_doubt_has_overtaken_only_until_the_database_answers() {
        let cache = cache();
        let overtaken = async || {
            cache.doubt();
            Ok::<_, Down>(Some("old"))
        };
        assert_eq!(cache.get(&1, overtaken).await, Lookup::Found("old"));
        assert_eq!(fails(&cache).await, Lookup::Found("old"));
        tokio::time::advance(PAUSE).await;
        assert_eq!(finds(&cache, "new").await, Lookup::Found("new"));
    }
}
