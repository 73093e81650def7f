//! `repartition`, as an operator meets it; what it does while servers run is tested in
//! `tests/redis/repartition.rs`.

use crate::{CONLANG, Server, redis_servers::RedisServer, run, text};

#[test]
fn an_embedded_store_has_no_partitions() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let arguments = ["repartition", "--partitions", "7", "--store"];
    let refused = run(&[&arguments[..], &[store.to_str().unwrap()]].concat());
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("has no partitions"), "{told}");
    assert!(!store.exists());
}

#[test]
fn a_number_or_its_end_must_be_given_and_not_both() {
    for wrong in [&[][..], &["--partitions", "7", "--cancel"]] {
        let arguments = ["repartition", "--store", "redis://127.0.0.1:1"];
        let refused = run(&[&arguments[..], wrong].concat());
        let told = text(&refused);
        assert_eq!(refused.status.code(), Some(2), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_what_it_did_and_what_is_wrong() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let asked = move || {
        let repartition = |arguments: &[&str]| {
            let output = run(&[&["repartition", "--store", &url], arguments].concat());
            (output.status.code(), text(&output))
        };
        let server = Server::start(url.as_ref());
        let (code, told) = repartition(&["--partitions", "7"]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("no tenant default"), "{told}");
        let replayed = server.ask(&["replay", CONLANG]);
        assert!(replayed.status.success(), "{}", text(&replayed));
        let before = server.everything();
        let (code, told) = repartition(&["--partitions", "7"]);
        assert_eq!(code, Some(0), "{told}");
        let parts = ["tenant default has 7 partitions", "records were copied"];
        for part in parts {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(server.everything(), before);
        server.stop();
        let (code, told) = repartition(&["--partitions", "5000"]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("1 to 4096"), "{told}");
        let (code, told) = repartition(&["--tenant", "Nobody!", "--cancel"]);
        assert_eq!(code, Some(1), "{told}");
    };
    tokio::task::spawn_blocking(asked).await.unwrap();
}
