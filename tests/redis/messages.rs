//! How many messages pages and counts are, as the Redis that receives them counts them.

use bellwether::store::{IndexGeneration, RankStore as _, StoreError};
use redis::cmd;

use super::alone::{Alone, GENERATION, everybody, id, ranked};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_and_a_count_of_all_partitions_are_one_script_each() {
    let alone = Alone::new(16).await;
    let all = everybody();
    alone.write((0..200).map(ranked).collect()).await;
    // Redis knows the scripts from now on.
    let expected: Vec<String> = (0..200).map(|number| id(number).to_string()).collect();
    assert_eq!(alone.walk(50).await, expected);
    let ranges = [all.clone(), all.clone()];
    let counts = alone.store.count(&alone.tenant, GENERATION, &ranges);
    assert_eq!(counts.await.unwrap().counts, [200, 200]);

    alone.count_anew().await;
    let page = alone.store.page(&alone.tenant, GENERATION, &all, None, 10);
    assert_eq!(page.await.unwrap().entries.len(), 10);
    assert_eq!(alone.calls().await["evalsha"], 1);
    alone.count_anew().await;
    let counts = alone.store.count(&alone.tenant, GENERATION, &ranges);
    assert_eq!(counts.await.unwrap().counts, [200, 200]);
    assert_eq!(alone.calls().await["evalsha"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_of_many_ranges_is_cut_into_scripts_that_end_soon() {
    let alone = Alone::new(16).await;
    let all = everybody();
    alone.write((0..100).map(ranked).collect()).await;
    let ranges = vec![all; 256];
    for calls in 0..2 {
        alone.count_anew().await;
        let counts = alone.store.count(&alone.tenant, GENERATION, &ranges).await;
        assert_eq!(counts.unwrap().counts, [100; 256]);
        if calls > 0 {
            assert_eq!(alone.calls().await["evalsha"], 256 * 16 / 512);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_exact_over_more_partitions_than_one_script_reads() {
    let alone = Alone::new(150).await;
    let all = everybody();
    alone.write((0..400).map(ranked).collect()).await;
    let expected: Vec<String> = (0..400).map(|number| id(number).to_string()).collect();
    for page_size in [1, 7, 64, 1_000] {
        assert_eq!(alone.walk(page_size).await, expected, "{page_size}");
    }
    let counts = alone
        .store
        .count(&alone.tenant, GENERATION, std::slice::from_ref(&all))
        .await;
    assert_eq!(counts.unwrap().counts, [400]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_partition_that_has_come_back_empty_is_a_loss_to_all_that_are_asked() {
    let alone = Alone::new(16).await;
    let all = everybody();
    alone.write((0..100).map(ranked).collect()).await;
    let mut connection = alone.redis.connection().await;
    let mut emptied = cmd("DEL");
    emptied.arg("{alone:16:9}:fence");
    let deleted: u64 = emptied.query_async(&mut connection).await.unwrap();
    assert_eq!(deleted, 1);
    let page = alone.store.page(&alone.tenant, GENERATION, &all, None, 10);
    let page = page.await.unwrap_err();
    assert!(matches!(page, StoreError::Lost(_)), "{page:?}");
    let counts = alone
        .store
        .count(&alone.tenant, GENERATION, std::slice::from_ref(&all))
        .await
        .unwrap_err();
    assert!(matches!(counts, StoreError::Lost(_)), "{counts:?}");
    let other = IndexGeneration {
        number: 2,
        ..GENERATION
    };
    let page = alone.store.page(&alone.tenant, other, &all, None, 10);
    assert_eq!(page.await, Err(StoreError::Superseded));
}
