//! The engine of the embedded store by itself, set up as the store does: batches as long as those of
//! events, each durable before the next. The store itself syncs several batches at once where several
//! wait, so it has the better of it there.

use std::{path::Path, sync::Arc, time::Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::{
    events::{EVENTS_PER_BATCH, PROFILES},
    phases::{Latencies, Side},
};

/// An event in four earns a credit, which is a write of its own.
const WRITES_PER_BATCH: u64 = EVENTS_PER_BATCH + EVENTS_PER_BATCH / 4;
/// What a record of these events takes, about.
const RECORD_BYTES: usize = 512;

/// As in `src/store/embedded/engine.rs`.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
const MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
const JOURNAL_BYTES: u64 = 256 * 1024 * 1024;
const WORKER_THREADS: usize = 2;

struct BareFjall {
    database: Database,
    records: Keyspace,
}

/// Batches by one writer, as the store has one.
pub fn batches(directory: &Path) -> Side {
    let database = Database::builder(directory)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(WORKER_THREADS)
        .open()
        .unwrap();
    let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    let records = database.keyspace("records", options).unwrap();
    let engine = Arc::new(BareFjall { database, records });
    Side::Streams(Arc::new(move |caller, end| {
        let engine = Arc::clone(&engine);
        Box::pin(async move {
            if caller > 0 {
                return Latencies::new();
            }
            let written = tokio::task::spawn_blocking(move || engine.write_until(end));
            written.await.unwrap()
        })
    }))
}

impl BareFjall {
    fn write_until(&self, end: Instant) -> Latencies {
        let mut latencies = Latencies::new();
        let mut number = 0_u64;
        while Instant::now() < end {
            let called = Instant::now();
            let mut batch = self
                .database
                .batch()
                .durability(Some(PersistMode::SyncData));
            for _ in 0..WRITES_PER_BATCH {
                number += 1;
                batch.insert(&self.records, key(number), value(number));
            }
            batch.commit().unwrap();
            latencies.record(called);
            let written = self.records.get(key(number)).unwrap().unwrap();
            assert_eq!(*written, value(number), "what was written is there");
        }
        latencies
    }
}

fn key(number: u64) -> String {
    format!("default/member-{}", number * 7_919 % PROFILES)
}

/// Of another content each time, which no engine can make smaller.
fn value(number: u64) -> Vec<u8> {
    let words = (0..RECORD_BYTES as u64 / 8).map(|word| {
        let mixed = (number ^ (word << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    });
    words.flat_map(u64::to_le_bytes).collect()
}
