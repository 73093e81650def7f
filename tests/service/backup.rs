//! Backups: few at a time, in small parts, and whole or not at all.

use bellwether::{
    limits::{BACKUP_PART_BYTES, MAX_BACKUPS},
    service::ServiceError,
    store::{ExportReader, embedded::Embedded},
};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::world::{Dice, event, open, serve, stream, tenant};

#[tokio::test]
async fn few_are_made_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(Embedded::open(directory.path()).unwrap()).await;
    let turns: Vec<_> = (0..MAX_BACKUPS)
        .map(|_| service.backup_turn().unwrap())
        .collect();
    let refused = service.backup_turn().unwrap_err();
    assert!(
        matches!(refused, ServiceError::Overloaded { .. }),
        "{refused}"
    );
    drop(turns);
    assert!(service.backup_turn().is_ok());
}

#[tokio::test]
async fn it_says_what_it_holds_and_ends_when_nobody_receives_it() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let mut dice = Dice(1);
    let events: Vec<_> = (0..500).map(|number| event(&mut dice, number)).collect();
    stream(&service, &events).await;
    let (parts, mut received) = mpsc::channel::<Bytes>(1);
    let receive = async {
        let mut bytes = Vec::new();
        while let Some(part) = received.recv().await {
            assert!(part.len() <= BACKUP_PART_BYTES);
            bytes.extend_from_slice(&part);
        }
        String::from_utf8(bytes).unwrap()
    };
    let (made, text) = tokio::join!(service.back_up(None, parts), receive);
    let made = made.unwrap().unwrap();
    assert_eq!(made.bytes, text.len() as u64);
    assert!(text.len() > BACKUP_PART_BYTES, "one part shows little");
    let mut reader = ExportReader::default();
    let profiles = text.lines().filter_map(|line| reader.read(line).unwrap());
    assert_eq!(made.exported.profiles, profiles.count() as u64);
    assert_eq!(reader.tenants(), [tenant()]);
    reader.end().unwrap();

    let (parts, received) = mpsc::channel(1);
    drop(received);
    assert_eq!(service.back_up(None, parts).await, Ok(None));
}
