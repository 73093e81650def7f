//! A store alone on a Redis, which counts the commands that come.

use std::collections::HashMap;

use bellwether::{
    scoring::{Fingerprint, KeyRange, ProfileId, RankChange, RankKey, RankName, Record, Tenant},
    store::{
        Commit, Committed, Coordination as _, Cursor, IndexGeneration, RankRange, RankStore as _,
        RecordStore as _, Rollout, Version,
        redis::{Redis, RedisSettings},
    },
};
use redis::cmd;

use super::{redis_servers::RedisServer, world::settings};

pub const GENERATION: IndexGeneration = IndexGeneration {
    number: 1,
    model: Fingerprint(1),
};

/// A store alone on a Redis, with one tenant.
pub struct Alone {
    pub redis: RedisServer,
    pub store: Redis,
    pub tenant: Tenant,
}

impl Alone {
    pub async fn new(partitions: u32) -> Self {
        let redis = RedisServer::start().await;
        let settings = RedisSettings {
            partitions: Some(partitions),
            ..settings(&redis.url())
        };
        let store = Redis::open(&settings).await.unwrap();
        let tenant = Tenant::new("alone").unwrap();
        let set = store.set_rollout(&tenant, &rollout()).await;
        assert_eq!(set, Ok(true));
        store.fence(&tenant, &rollout()).await.unwrap();
        Self {
            redis,
            store,
            tenant,
        }
    }

    pub async fn write(&self, commits: Vec<Commit>) {
        let expected = vec![Ok(Committed::Written); commits.len()];
        let written = self.store.commit(&self.tenant, &rollout(), commits).await;
        assert_eq!(written, expected);
    }

    /// The ids of a rank in page order, page by page.
    pub async fn walk(&self, page_size: usize) -> Vec<String> {
        let (mut ids, all) = (Vec::new(), everybody());
        let mut cursor: Option<Cursor> = None;
        loop {
            let page = self
                .store
                .page(&self.tenant, GENERATION, &all, cursor.as_ref(), page_size);
            let page = page.await.unwrap();
            assert_eq!(page.preceding, ids.len() as u64);
            let Some((key, profile_id)) = page.entries.last() else {
                assert_eq!(page.total, ids.len() as u64);
                return ids;
            };
            cursor = Some(Cursor {
                key: *key,
                profile_id: profile_id.clone(),
            });
            ids.extend(page.entries.iter().map(|(_, id)| id.to_string()));
        }
    }

    /// Has Redis count anew.
    pub async fn count_anew(&self) {
        let mut connection = self.redis.connection().await;
        let mut reset = cmd("CONFIG");
        reset.arg("RESETSTAT");
        let () = reset.query_async(&mut connection).await.unwrap();
    }

    /// How many calls of each command have come since, also those of scripts.
    pub async fn calls(&self) -> HashMap<String, u64> {
        let mut connection = self.redis.connection().await;
        let mut info = cmd("INFO");
        info.arg("commandstats");
        let text: String = info.query_async(&mut connection).await.unwrap();
        let lines = text.lines().filter_map(|line| {
            let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let (calls, _) = counts.split_once(',')?;
            Some((name.to_owned(), calls.parse().unwrap()))
        });
        lines.collect()
    }
}

pub fn rollout() -> Rollout {
    Rollout::begin(GENERATION, 0)
}

pub fn id(number: u64) -> ProfileId {
    ProfileId::new(&format!("p{number:04}")).unwrap()
}

pub fn everybody() -> RankRange {
    RankRange {
        rank: RankName::new("r"),
        keys: KeyRange::ALL,
    }
}

/// A new profile, ranked by its number.
pub fn ranked(number: u64) -> Commit {
    Commit {
        profile_id: id(number),
        expected: None,
        version: Version(1 + number),
        record: Some(Record {
            event_count: number,
            ..Record::default()
        }),
        ranks: vec![(
            GENERATION,
            vec![RankChange {
                rank: RankName::new("r"),
                old: None,
                new: RankKey::new(-(number as f64)),
            }],
        )],
        totals: Vec::new(),
    }
}
