//! `health`, as a container or a probe runs it.

use crate::{
    Server,
    redis_servers::{RedisServer, until},
    run, text,
};

#[test]
fn a_server_that_serves_is_told_from_none() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("store"));
    for arguments in [&["health"][..], &["health", "--liveness"]] {
        let asked = server.ask(arguments);
        assert_eq!(asked.status.code(), Some(0), "{}", text(&asked));
        assert_eq!(asked.stdout, b"serving\n");
    }
    assert_eq!(server.json(&["health"])["status"], "SERVING");
    let url = server.url.clone();
    server.stop();
    let asked = run(&["health", "--server", &url]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(text(&asked).contains(&url), "{}", text(&asked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_its_redis_is_alive_and_does_not_serve() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let server = tokio::task::spawn_blocking(move || Server::start(url.as_ref()));
    let server = server.await.unwrap();
    redis.stop();
    until("the server sees that Redis is gone", || async {
        (server.ask(&["health"]).status.code() == Some(1)).then_some(())
    })
    .await;
    let asked = server.ask(&["health", "--json"]);
    assert_eq!(asked.status.code(), Some(1));
    assert_eq!(asked.stdout, b"{\"status\":\"NOT_SERVING\"}\n");
    assert!(text(&asked).contains("log"), "{}", text(&asked));
    let alive = server.ask(&["health", "--liveness"]);
    assert_eq!(alive.status.code(), Some(0), "{}", text(&alive));
    server.stop();
}
