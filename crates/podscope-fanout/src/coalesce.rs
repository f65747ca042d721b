//! Identical work under way is done once: who asks for it while it runs shares its result, and it is dropped, and with
//! that cancelled, when the last of them leaves.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

pub(crate) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work under way, by what makes it the same.
pub(crate) struct Coalescer<K, T: Clone> {
    running: Mutex<HashMap<K, Running<T>>>,
}

struct Running<T: Clone> {
    work: WeakShared<Work<T>>,
    waiters: usize,
}

impl<K, T: Clone> Default for Coalescer<K, T> {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
        }
    }
}

impl<K, T: Clone> fmt::Debug for Coalescer<K, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Coalescer").finish_non_exhaustive()
    }
}

/// A place among the waiters; the last one to leave forgets the work.
struct Waiter<'a, K: Eq + Hash, T: Clone> {
    of: &'a Coalescer<K, T>,
    key: K,
}

impl<K: Eq + Hash, T: Clone> Drop for Waiter<'_, K, T> {
    fn drop(&mut self) {
        let mut running = self.of.held();
        if let Some(entry) = running.get_mut(&self.key) {
            entry.waiters -= 1;
            if entry.waiters == 0 {
                running.remove(&self.key);
            }
        }
    }
}

impl<K: Eq + Hash + Clone, T: Clone> Coalescer<K, T> {
    /// The result of the work under way for this key, or else of `begin`'s.
    pub(crate) async fn share(&self, key: K, begin: impl FnOnce() -> Work<T>) -> T {
        let (work, _waiter) = self.join(key, begin);
        work.await
    }

    fn join(&self, key: K, begin: impl FnOnce() -> Work<T>) -> (Shared<Work<T>>, Waiter<'_, K, T>) {
        let mut running = self.held();
        let known = running.get_mut(&key);
        let waiters = known.as_ref().map_or(0, |entry| entry.waiters);
        if let Some(entry) = known
            && let Some(work) = entry.work.upgrade()
        {
            entry.waiters += 1;
            drop(running);
            return (work, Waiter { of: self, key });
        }
        let work = begin().shared();
        if let Some(weak) = work.downgrade() {
            // Waiters of an entry whose work is done are still counted: they leave later.
            running.insert(
                key.clone(),
                Running {
                    work: weak,
                    waiters: waiters + 1,
                },
            );
        }
        drop(running);
        (work, Waiter { of: self, key })
    }
}

impl<K: Eq + Hash, T: Clone> Coalescer<K, T> {
    /// Everybody who waits now.
    pub(crate) fn waiting(&self) -> usize {
        self.held().values().map(|entry| entry.waiters).sum()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, Running<T>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
