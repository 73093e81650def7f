//! Callers that ask at one time: their requests travel together, and each has its own answer.

use std::time::{Duration, Instant};

use bellwether::{
    scoring::Fingerprint,
    store::{
        Commit, Committed, Coordination as _, IndexGeneration, RecordStore as _, Rollout,
        StoreError, Version,
    },
};
use futures_util::future::join_all;
use redis::cmd;

use super::{
    alone::{Alone, id, ranked, rollout},
    redis_servers::until,
    world::{PATIENCE, RESPONSE_TIMEOUT},
};

const CALLERS: u64 = 64;
/// Messages that so many callers may need: the first are sent at once, and the rest waits for them.
const FEW: u64 = 8;

type Results = Vec<Result<Committed, StoreError>>;

/// Commits of as many callers, all at one time.
async fn commit_together(alone: &Alone, rollout: &Rollout, commits: Vec<Commit>) -> Results {
    let callers = commits.into_iter().map(|commit| async move {
        let mut results = alone
            .store
            .commit(&alone.tenant, rollout, vec![commit])
            .await;
        assert_eq!(results.len(), 1);
        results.remove(0)
    });
    join_all(callers).await
}

/// Counts what is stored under the numbers of profiles.
async fn stored_count(alone: &Alone, numbers: std::ops::Range<u64>) -> usize {
    let ids: Vec<_> = numbers.map(id).collect();
    let loaded = alone.store.load(&alone.tenant, &ids).await;
    let stored = loaded.into_iter().filter_map(|loaded| loaded.unwrap());
    stored.count()
}

async fn run(alone: &Alone, words: &[&str]) {
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let mut connection = alone.redis.connection().await;
    let done: redis::RedisResult<redis::Value> = command.query_async(&mut connection).await;
    done.unwrap();
}

#[tokio::test]
async fn loads_of_many_callers_travel_in_few_messages_and_are_answered_each() {
    let alone = Alone::new(16).await;
    alone.write((0..CALLERS).map(ranked).collect()).await;
    alone.count_anew().await;
    // Every other one asks for somebody who is not there.
    let callers = (0..CALLERS).map(|number| {
        let ids = [id(number / 2 + number % 2 * 1_000)];
        let alone = &alone;
        async move { alone.store.load(&alone.tenant, &ids).await.remove(0) }
    });
    for (number, loaded) in (0..).zip(join_all(callers).await) {
        let count = loaded.unwrap().map(|stored| stored.record.event_count);
        assert_eq!(count, (number % 2 == 0).then_some(number / 2));
    }
    let calls = alone.calls().await;
    assert!(calls["mget"] <= FEW, "{calls:?}");
    assert!(!calls.contains_key("get"), "{calls:?}");
}

#[tokio::test]
async fn commits_of_one_partition_travel_in_few_messages_and_are_answered_each() {
    let alone = Alone::new(1).await;
    // Redis knows the script from now on.
    alone.write(vec![ranked(0)]).await;
    alone.count_anew().await;
    // The first of them is a conflict.
    let commits = (0..CALLERS).map(|number| Commit {
        version: Version(10_000 + number),
        ..ranked(number)
    });
    let results = commit_together(&alone, &rollout(), commits.collect()).await;
    let mut expected = vec![Ok(Committed::Written); CALLERS as usize];
    expected[0] = Ok(Committed::Conflict);
    assert_eq!(results, expected);
    let calls = alone.calls().await;
    assert!(calls["evalsha"] <= FEW, "{calls:?}");
    assert_eq!(alone.walk(10).await.len() as u64, CALLERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_callers_who_write_one_record_one_is_first() {
    let alone = Alone::new(1).await;
    let commits = (0..CALLERS).map(|number| Commit {
        version: Version(1 + number),
        ..ranked(number / 2)
    });
    let results = commit_together(&alone, &rollout(), commits.collect()).await;
    for pair in results.chunks(2) {
        let written = pair
            .iter()
            .filter(|result| **result == Ok(Committed::Written));
        assert_eq!(written.count(), 1, "{pair:?}");
        assert!(pair.contains(&Ok(Committed::Conflict)), "{pair:?}");
    }
}

#[tokio::test]
async fn what_is_refused_is_refused_to_every_caller_and_to_no_one_else() {
    let alone = Alone::new(1).await;
    alone.write(vec![ranked(0)]).await;
    let next = IndexGeneration {
        number: 2,
        model: Fingerprint(2),
    };
    let next = rollout().propose(next, 0);
    alone.store.fence(&alone.tenant, &next).await.unwrap();
    let (before, late) = (rollout(), (1..CALLERS).map(ranked).collect());
    let current = (CALLERS..2 * CALLERS).map(ranked).collect();
    let (late, current) = tokio::join!(
        commit_together(&alone, &before, late),
        commit_together(&alone, &next, current),
    );
    for refused in late {
        assert_eq!(refused, Err(StoreError::Superseded));
    }
    for written in current {
        assert_eq!(written, Ok(Committed::Written));
    }
    assert_eq!(stored_count(&alone, 1..CALLERS).await, 0);

    run(&alone, &["DEL", "{alone:1:0}:fence"]).await;
    let lost = (1..CALLERS).map(ranked).collect();
    for lost in commit_together(&alone, &next, lost).await {
        assert!(matches!(lost, Err(StoreError::Lost(_))), "{lost:?}");
    }
    assert_eq!(stored_count(&alone, 1..CALLERS).await, 0);
}

#[tokio::test]
async fn damage_to_one_record_fails_its_caller_alone() {
    let alone = Alone::new(1).await;
    alone.write(vec![ranked(0)]).await;
    run(&alone, &["LPUSH", "{alone:1:0}:profile:p0009", "damage"]).await;
    let results = commit_together(&alone, &rollout(), (1..20).map(ranked).collect()).await;
    for (number, result) in (1..).zip(results) {
        match number {
            9 => assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}"),
            _ => assert_eq!(result, Ok(Committed::Written), "{number}"),
        }
    }
    assert_eq!(stored_count(&alone, 10..20).await, 10);
}

#[tokio::test]
async fn callers_who_give_up_harm_nobody_and_leave_nothing_half_written() {
    let alone = std::sync::Arc::new(Alone::new(1).await);
    alone.write(vec![ranked(0)]).await;
    alone.redis.pause();
    let callers: Vec<_> = (1..CALLERS)
        .map(|number| {
            let alone = std::sync::Arc::clone(&alone);
            tokio::spawn(async move {
                let commits = vec![ranked(number)];
                let mut results = alone.store.commit(&alone.tenant, &rollout(), commits).await;
                let loaded = alone.store.load(&alone.tenant, &[id(number)]).await;
                assert_eq!(loaded.len(), 1);
                results.remove(0)
            })
        })
        .collect();
    // On one thread all have asked after this, and the first message is under way.
    tokio::task::yield_now().await;
    // Also the first, whose commit others wait behind.
    for caller in callers.iter().step_by(2) {
        caller.abort();
    }
    alone.redis.resume();
    for (number, caller) in (1..).zip(callers) {
        match caller.await {
            Ok(result) => assert_eq!(result, Ok(Committed::Written), "{number}"),
            Err(error) => assert!(error.is_cancelled() && number % 2 == 1, "{error}"),
        }
    }
    let ranked_ids = alone.walk(10).await;
    assert_eq!(
        ranked_ids.len(),
        stored_count(&alone, 0..CALLERS).await,
        "a record stands in its ranks"
    );
    assert!(ranked_ids.len() as u64 > CALLERS / 2, "{ranked_ids:?}");
}

#[tokio::test]
async fn a_caller_whom_nobody_looks_after_holds_nobody_up() {
    let alone = Alone::new(1).await;
    alone.write((0..3).map(ranked).collect()).await;
    let (alone, ids) = (&alone, [id(0)]);
    alone.redis.pause();
    let mut first = std::pin::pin!(alone.store.load(&alone.tenant, &ids));
    let polled = tokio::time::timeout(Duration::ZERO, &mut first).await;
    assert!(polled.is_err(), "it is under way");
    alone.redis.resume();
    for number in 1..3 {
        let ids = [id(number)];
        let load = alone.store.load(&alone.tenant, &ids);
        let loaded = tokio::time::timeout(PATIENCE, load).await.unwrap();
        assert!(matches!(loaded[..], [Ok(Some(_))]), "{loaded:?}");
    }
    assert_eq!(first.await.len(), 1);
}

#[tokio::test]
async fn what_waits_behind_a_call_that_is_not_answered_in_time_is_not_sent() {
    let alone = Alone::new(1).await;
    alone.write(vec![ranked(0)]).await;
    alone.redis.pause();
    let (begun, rollout) = (Instant::now(), rollout());
    let first = commit_together(&alone, &rollout, vec![ranked(1)]);
    // What has been asked before is under way after this.
    let yields = async |times: usize| {
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    };
    let second = async {
        yields(10).await;
        commit_together(&alone, &rollout, vec![ranked(2)]).await
    };
    let behind = async {
        yields(30).await;
        commit_together(&alone, &rollout, (3..CALLERS).map(ranked).collect()).await
    };
    let (first, second, behind) = tokio::join!(first, second, behind);
    assert!(begun.elapsed() >= RESPONSE_TIMEOUT);
    for sent in [first, second] {
        assert!(
            matches!(sent[..], [Err(StoreError::OutcomeUnknown(_))]),
            "{sent:?}"
        );
    }
    for unsent in behind {
        assert!(
            matches!(unsent, Err(StoreError::Unavailable(_))),
            "{unsent:?}"
        );
    }
    alone.redis.resume();
    until("what was sent is written", || async {
        (stored_count(&alone, 1..3).await == 2).then_some(())
    })
    .await;
    assert_eq!(stored_count(&alone, 3..CALLERS).await, 0);
}
