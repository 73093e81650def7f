//! Loads: the records that concurrent callers ask for, by one command.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::{
    super::StoreError,
    connection::Connection,
    failure::{Failure, unexpected},
    gathering::{Carrier, Load},
    list,
};

/// Records that one command reads: bounds how long Redis is busy with it.
pub const MAX_READ: usize = 256;

/// Carries the keys of records, and brings what is stored under them.
pub struct Loads {
    pub connection: Arc<Connection>,
}

impl Carrier for Loads {
    /// What the keys begin with, where that says where they are.
    type Place = String;
    type Request = Vec<String>;
    type Answer = Vec<Value>;

    const CAPACITY: Load = Load {
        items: MAX_READ,
        bytes: usize::MAX,
    };

    fn load(keys: &Vec<String>) -> Load {
        Load {
            items: keys.len(),
            bytes: 0,
        }
    }

    async fn send(
        &self,
        home: &String,
        requests: Vec<Vec<String>>,
    ) -> Result<Vec<Result<Vec<Value>, StoreError>>, Failure> {
        let keys: usize = requests.iter().map(Vec::len).sum();
        let mut command = Cmd::with_capacity(1 + keys, 64 * keys);
        command.arg("MGET");
        for key in requests.iter().flatten() {
            command.arg(key);
        }
        let answer = self.connection.send(&command, home).await?;
        let mut values = match list(answer.value) {
            Ok(values) if values.len() == keys => values.into_iter(),
            _ => return Ok(requests.iter().map(|_| Err(unexpected())).collect()),
        };
        let answers = requests
            .iter()
            .map(|keys| Ok(values.by_ref().take(keys.len()).collect()));
        Ok(answers.collect())
    }

    fn error(failure: Failure) -> StoreError {
        failure.of_read()
    }
}
