//! Records that wait to be sent. Whoever puts one in never waits: what does not fit is dropped, and counted.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::settings::Batches;

/// Records that wait, with bounds on their number and on the bytes that guests chose.
pub(super) struct Queue<T> {
    batches: Batches,
    waiting: Mutex<Waiting<T>>,
    dropped: AtomicU64,
    /// There is a whole batch, or there will be no more.
    ready: Notify,
}

/// A queue of whatever records.
pub(super) trait Records: Send + Sync {
    /// The number of records so far that nobody will get.
    fn dropped_so_far(&self) -> u64;

    /// The number of records that wait.
    fn waiting(&self) -> u64;

    /// Takes no more from now on.
    fn close(&self);
}

struct Waiting<T> {
    records: VecDeque<Record<T>>,
    bytes: usize,
    /// The parts of components, as long as they have any.
    parts: HashMap<Arc<str>, Part>,
    is_closed: bool,
}

struct Record<T> {
    record: T,
    bytes: usize,
    component: Option<Arc<str>>,
}

#[derive(Clone, Copy, Default)]
struct Part {
    records: usize,
    bytes: usize,
}

impl<T> Queue<T> {
    pub(super) fn new(batches: Batches) -> Self {
        Self {
            batches,
            waiting: Mutex::new(Waiting {
                records: VecDeque::new(),
                bytes: 0,
                parts: HashMap::new(),
                is_closed: false,
            }),
            dropped: AtomicU64::new(0),
            ready: Notify::new(),
        }
    }

    /// Puts a record in.
    pub(super) fn put(&self, record: T) {
        self.put_record(Record {
            record,
            bytes: 0,
            component: None,
        });
    }

    /// Puts a record of a component in, with so many bytes of its choice. No component has more of the room than it
    /// leaves: there is always some for others.
    pub(super) fn put_of(&self, component: &Arc<str>, record: T, bytes: usize) {
        self.put_record(Record {
            record,
            bytes,
            component: Some(component.clone()),
        });
    }

    fn put_record(&self, record: Record<T>) {
        let mut waiting = self.lock();
        if !waiting.takes(&record, self.batches.queue) {
            return self.dropped(1);
        }
        waiting.bytes += record.bytes;
        if let Some(component) = &record.component {
            let part = waiting.parts.entry(component.clone()).or_default();
            part.records += 1;
            part.bytes += record.bytes;
        }
        waiting.records.push_back(record);
        if waiting.records.len() == self.batches.size {
            self.ready.notify_one();
        }
    }

    /// Counts records that nobody will get.
    pub(super) fn dropped(&self, number: u64) {
        self.dropped.fetch_add(number, Ordering::Relaxed);
    }

    /// The next records, at most so many.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut waiting = self.lock();
        let number = waiting.records.len().min(most);
        let taken: Vec<_> = waiting.records.drain(..number).collect();
        for record in &taken {
            waiting.bytes -= record.bytes;
            let Some(component) = &record.component else {
                continue;
            };
            let left = waiting.parts.get_mut(component).map(|part| {
                part.records -= 1;
                part.bytes -= record.bytes;
                part.records
            });
            if left == Some(0) {
                waiting.parts.remove(component);
            }
        }
        taken.into_iter().map(|record| record.record).collect()
    }

    /// Waits until there is a batch, or as long as records wait for others, and takes it. None when the queue is closed
    /// and empty.
    pub(super) async fn next(&self) -> Option<Vec<T>> {
        loop {
            let (is_closed, number) = {
                let waiting = self.lock();
                (waiting.is_closed, waiting.records.len())
            };
            if !is_closed && number < self.batches.size {
                let _ = timeout(self.batches.delay, self.ready.notified()).await;
            }
            let batch = self.take(self.batches.size);
            if !batch.is_empty() {
                return Some(batch);
            }
            if self.lock().is_closed {
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Records for Queue<T> {
    fn dropped_so_far(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> u64 {
        self.lock().records.len() as u64
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.ready.notify_one();
    }
}

impl<T> Waiting<T> {
    fn takes(&self, record: &Record<T>, most: usize) -> bool {
        let free = most.saturating_sub(self.records.len());
        let free_bytes = MOST_BYTES.saturating_sub(self.bytes);
        if self.is_closed || free == 0 || record.bytes > free_bytes {
            return false;
        }
        let part = record
            .component
            .as_ref()
            .and_then(|component| self.parts.get(component));
        part.is_none_or(|part| part.records < free && part.bytes <= free_bytes)
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("batches", &self.batches)
            .finish_non_exhaustive()
    }
}

/// Bytes of guests that wait at most.
const MOST_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue(queue: usize, size: usize) -> Queue<u32> {
        Queue::new(Batches {
            queue,
            size,
            delay: Duration::from_millis(1),
        })
    }

    #[test]
    fn a_component_that_says_much_leaves_room_for_others() {
        let queue = queue(16, 16);
        let [loud, other, quiet] = ["loud", "other", "quiet"].map(Arc::<str>::from);
        (0..100).for_each(|_| queue.put_of(&loud, 1, 0));
        assert_eq!(queue.waiting(), 8);
        (0..100).for_each(|_| queue.put_of(&other, 2, 0));
        assert_eq!(queue.waiting(), 12);
        (0..2).for_each(|_| queue.put_of(&quiet, 3, 0));
        queue.put(4);
        assert_eq!(queue.waiting(), 15);
        assert_eq!(queue.dropped_so_far(), 92 + 96);
        assert_eq!(queue.take(16).iter().filter(|record| **record == 3).count(), 2);
        queue.put_of(&loud, 1, MOST_BYTES);
        queue.put_of(&loud, 1, 0);
        assert_eq!(queue.waiting(), 1);
        assert!(queue.lock().parts.len() == 1);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_counted() {
        let queue = queue(3, 2);
        (0..5).for_each(|number| queue.put(number));
        assert_eq!(queue.dropped_so_far(), 2);
        assert_eq!(queue.next().await, Some(vec![0, 1]));
        queue.close();
        queue.put(7);
        assert_eq!(queue.dropped_so_far(), 3);
        assert_eq!(queue.next().await, Some(vec![2]));
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn a_record_alone_goes_after_a_while() {
        let queue = queue(3, 2);
        queue.put(1);
        assert_eq!(queue.next().await, Some(vec![1]));
    }
}
