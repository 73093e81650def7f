//! Updates on their way to the server, one by one, with retries.

use std::time::Duration;

use tonic::Status;

use super::{
    lines::Update,
    stream::{Patience, is_quota, is_temporary},
};
use crate::{cli::connection::Client, proto::v1::ResponseView};

/// How long the server may take for one update.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(30);

/// An update that was answered, or given up.
pub struct UpdateAnswer {
    /// The line that asked for it.
    pub line: u64,
    /// What it was.
    pub update: Update,
    /// What became of it.
    pub result: Result<(), Status>,
    /// How often it was sent again.
    pub retries: u32,
}

/// Makes one update, with retries; nothing that can read it is on its way.
pub async fn update(
    mut client: Client,
    (line, update): (u64, Update),
    patience: Patience,
) -> UpdateAnswer {
    let mut retries = 0;
    loop {
        let result = send(&mut client, update.clone()).await;
        let wait = match &result {
            Err(status) if is_temporary(status) => {
                let is_try = u32::from(!is_quota(status));
                let wait = patience.wait_after(status, retries + is_try);
                wait.map(|wait| (wait, is_try))
            }
            _ => None,
        };
        let Some((wait, is_try)) = wait else {
            return UpdateAnswer {
                line,
                update,
                result,
                retries,
            };
        };
        retries += is_try;
        tokio::time::sleep(wait).await;
    }
}

async fn send(client: &mut Client, update: Update) -> Result<(), Status> {
    match update {
        Update::Profile(mut update) => {
            update.set_response_view(ResponseView::None);
            client.update_profile(within_time(update)).await.map(|_| ())
        }
        Update::Subject(mut update) => {
            update.set_response_view(ResponseView::None);
            client.update_subject(within_time(update)).await.map(|_| ())
        }
    }
}

fn within_time<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(UPDATE_TIMEOUT);
    request
}
