//! The real server under attack: raw HTTP/2 clients that do what no library would, its memory
//! read from the system, and a quiet caller who must not notice.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod connections;
mod http1;
mod messages;
mod models;
mod pages;
mod raw;
mod server;
mod together;

/// `{"crm": "…"}` on so many profiles, each as large as it may be, all of one segment.
async fn with_large_profiles(server: &server::Server, profiles: usize) {
    use bellwether::proto::v1;
    use futures_util::{StreamExt as _, TryStreamExt as _, stream};
    use pbjson_types::{Struct, Value, value::Kind};

    let client = server.scoring().await;
    let updates = (0..profiles).map(|number| {
        let mut client = client.clone();
        let text = Kind::StringValue("x".repeat(15_000));
        let text = Value { kind: Some(text) };
        let request = v1::UpdateProfileRequest {
            profile_id: format!("person-{number}"),
            attributes: Some(Struct {
                fields: [("crm".to_owned(), text)].into(),
            }),
            ..Default::default()
        };
        async move { client.update_profile(request).await.map(drop) }
    });
    let updates = stream::iter(updates).buffer_unordered(64);
    updates.try_collect::<()>().await.unwrap();
}
