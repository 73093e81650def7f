//! Connections that are there for nothing.

use std::{sync::Arc, time::Duration};

use bellwether::proto::v1;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use crate::{
    raw::{Connection, USUAL_WINDOW},
    server::Server,
};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

async fn closed(mut silent: TcpStream) {
    let mut byte = [0; 1_024];
    let end = async { while let Ok(1..) = silent.read(&mut byte).await {} };
    timeout(PATIENCE, end).await.expect("it is closed in time");
}

#[tokio::test]
async fn silent_connections_make_room_for_others_and_are_closed() {
    // 64 connections, so that 256 descriptors are left to the store.
    let server = Server::start_within("ulimit -n 320;", &[]).await;
    let mut quiet = server.scoring().await;
    Server::quiet_call(&mut quiet).await;
    let mut silent = Vec::new();
    for number in 0..600 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
        if number % 100 == 99 {
            server.liveness().await;
            let mut newcomer = server.scoring().await;
            Server::quiet_call(&mut newcomer).await;
        }
    }
    // Who has called before is not closed for those who have not.
    Server::quiet_call(&mut quiet).await;
    assert!(server.descriptors() < 320, "{}", server.descriptors());
    for silent in silent {
        closed(silent).await;
    }
    Server::quiet_call(&mut quiet).await;
}

#[tokio::test]
async fn the_limit_of_descriptors_is_raised_as_far_as_it_goes() {
    let server = Server::start_within("ulimit -Sn 40;", &[]).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    Server::quiet_call(&mut server.scoring().await).await;
    assert!(server.descriptors() > 200, "{}", server.descriptors());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_descriptors_waits_for_one_and_goes_on() {
    let server = Arc::new(Server::start(&[]).await);
    let busy = Connection::open(server.address, USUAL_WINDOW).await;
    let stream = busy.call("ScoreEvents", &[]).await.unwrap();
    // What is answered later comes after it.
    let funnel = v1::GetFunnelRequest::default();
    busy.send("GetFunnel", &[], &funnel)
        .await
        .unwrap()
        .end()
        .await;
    // Nobody is idle, so nobody can be let go for the one who comes.
    server.limit_descriptors(3);
    let newcomer = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.liveness().await })
    };
    let worked = server.worked();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let worked = server.worked() - worked;
    // Asking again and again takes a core.
    assert!(worked < Duration::from_millis(500), "{worked:?}");
    assert!(!newcomer.is_finished());
    server.limit_descriptors(1_024);
    timeout(PATIENCE, newcomer).await.unwrap().unwrap();
    assert!(busy.call("GetFunnel", &[]).await.is_ok());
    drop(stream);
}

#[tokio::test]
async fn a_connection_without_calls_is_told_to_leave_and_one_with_a_call_is_not() {
    let server = Server::start(&[("IDLE_TIMEOUT", "1s")]).await;
    let idle = Connection::open(server.address, USUAL_WINDOW).await;
    let busy = Connection::open(server.address, USUAL_WINDOW).await;
    let stream = busy.call("ScoreEvents", &[]).await.unwrap();
    let left = async {
        while idle.call("GetFunnel", &[]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
    };
    timeout(PATIENCE, left).await.expect("it is told to leave");
    assert!(busy.call("GetFunnel", &[]).await.is_ok());
    drop(stream);
}
