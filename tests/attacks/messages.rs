//! Messages that are small to send and large to read.

use std::io::Write as _;

use bellwether::proto::v1;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::future::join_all;
use pbjson_types::{ListValue, Struct, Value, value::Kind};
use prost::Message as _;
use tonic::Code;

use crate::{
    raw::{Connection, USUAL_WINDOW, framed},
    server::Server,
};

const MIB: usize = 1024 * 1024;
/// A prefix that announces 4 MiB, as much as a message may have.
const ANNOUNCED: &[u8] = &[0, 0, 0x40, 0, 0];

#[tokio::test]
async fn an_announced_message_takes_no_memory_and_has_a_deadline() {
    let server = Server::start(&[("STALL_TIMEOUT", "3s")]).await;
    let mut quiet = server.scoring().await;
    Server::quiet_call(&mut quiet).await;
    let before = server.memory();
    let mut calls = Vec::new();
    for _ in 0..4 {
        let connection = Connection::open(server.address, USUAL_WINDOW).await;
        for _ in 0..256 {
            let mut call = connection.call("ScoreEvents", &[]).await.unwrap();
            call.request
                .send_data(Bytes::from_static(ANNOUNCED), false)
                .unwrap();
            calls.push(call);
        }
    }
    Server::quiet_call(&mut quiet).await;
    let taken = server.memory().saturating_sub(before);
    let ends = join_all(calls.into_iter().map(|call| call.end())).await;
    let of = |code| ends.iter().filter(|(end, _)| *end == code).count();
    let (open, refused) = (of(Code::DeadlineExceeded), of(Code::Unavailable));
    assert_eq!(open + refused, 1_024, "{ends:?}");
    // One after the other the connections get 256, 256, 256 and 128 of the 1,024; the more they
    // come together, the nearer they are to a fifth each.
    assert!((4 * 1_024 / 5..=896).contains(&open), "{open}");
    // 2 GiB were taken when each stream took what it announces.
    assert!(taken < 64 * MIB, "{taken} bytes");
}

fn with_empty_values(count: usize) -> Vec<u8> {
    let values = vec![Value { kind: None }; count];
    let list = Kind::ListValue(ListValue { values });
    let event = v1::Event {
        profile_id: "bomb".to_owned(),
        r#type: "visit".to_owned(),
        attributes: Some(Struct {
            fields: [("list".to_owned(), Value { kind: Some(list) })].into(),
        }),
        ..Default::default()
    };
    let request = v1::ScoreEventRequest {
        event: Some(event),
        ..Default::default()
    };
    request.encode_to_vec()
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_is_read_compressed_or_not() {
    let server = Server::start(&[]).await;
    let mut quiet = server.scoring().await;
    Server::quiet_call(&mut quiet).await;
    let before = server.memory();
    let bomb = with_empty_values(2_000_000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bomb).unwrap();
    let gzip = encoder.finish().unwrap();
    assert!(gzip.len() < 5_000, "{}", gzip.len());
    let connection = Connection::open(server.address, USUAL_WINDOW).await;
    for _ in 0..32 {
        let headers = [("grpc-encoding", "gzip")];
        let mut call = connection.call("ScoreEvent", &headers).await.unwrap();
        call.request.send_data(framed(1, &gzip), true).unwrap();
        assert_eq!(call.end().await.0, Code::ResourceExhausted);
    }
    let mut call = connection.call("ScoreEvent", &[]).await.unwrap();
    call.request.send_data(framed(0, &bomb), true).unwrap();
    assert_eq!(call.end().await.0, Code::ResourceExhausted);
    let taken = server.memory().saturating_sub(before);
    assert!(taken < 48 * MIB, "{taken} bytes");
    Server::quiet_call(&mut quiet).await;
}
