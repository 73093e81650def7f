//! Loads: the records that concurrent callers ask for, by one command.

use std::sync::Arc;

use futures_util::future::try_join_all;
use redis::{Cmd, Value};

use super::{
    super::StoreError,
    connection::Connection,
    failure::{self, Failure, unexpected},
    gathering::{Carrier, Size, apart},
    list,
};

/// Records that one command reads: bounds how long Redis is busy with it.
pub const MAX_READ: usize = 256;

/// Carries the keys of records, and brings what is stored under them.
pub struct Loads {
    pub connection: Arc<Connection>,
}

impl Carrier for Loads {
    /// What all keys begin with that are on one node of a cluster; empty for one server, which has
    /// them all.
    type Destination = String;
    type Request = Vec<String>;
    type Answer = Vec<Value>;

    const CAPACITY: Size = Size {
        items: MAX_READ,
        bytes: usize::MAX,
    };

    fn size(keys: &Vec<String>) -> Size {
        Size {
            items: keys.len(),
            bytes: 0,
        }
    }

    async fn send(
        &self,
        home: &String,
        requests: Vec<Vec<String>>,
    ) -> Result<Vec<Result<Vec<Value>, StoreError>>, Failure> {
        let keys: Vec<&String> = requests.iter().flatten().collect();
        let values = match self.read(home, &keys).await {
            Err(failure) if keys.len() > 1 && failure::is_split(&failure.error) => {
                let each = keys
                    .iter()
                    .map(|key| self.read(home, std::slice::from_ref(key)));
                try_join_all(each).await?.concat()
            }
            values => values?,
        };
        if values.len() != keys.len() {
            return Ok(requests.iter().map(|_| Err(unexpected())).collect());
        }
        Ok(apart(values, requests.iter().map(Vec::len)))
    }

    fn error(failure: Failure) -> StoreError {
        failure.of_read()
    }
}

impl Loads {
    /// What is stored under keys of one home, by one command.
    async fn read(&self, home: &str, keys: &[&String]) -> Result<Vec<Value>, Failure> {
        let mut command = Cmd::with_capacity(1 + keys.len(), 64 * keys.len());
        command.arg("MGET");
        for key in keys {
            command.arg(key);
        }
        let answer = self.connection.send(&command, home).await?;
        Ok(list(answer.value).unwrap_or_default())
    }
}
