//! The simulated store as a server sees it: every call as messages to places.

mod audit;
mod coordination;
mod models;
mod ranks;
mod records;

use std::{cell::RefCell, collections::BTreeMap};

use bellwether::{
    scoring::ProfileId,
    store::{IndexGeneration, StoreError},
};
use futures_util::future::join_all;

use crate::network::{Connection, Kind, Place, World};

tokio::task_local! {
    /// The generations whose ranks were read for one question, in order.
    pub static READ: RefCell<Vec<IndexGeneration>>;
}

/// Records and commits of one partition that go in one message.
const CHUNK: usize = 3;

impl Connection {
    /// Positions by partition, in messages of a few.
    fn messages(&self, ids: &[ProfileId]) -> Vec<(usize, Vec<usize>)> {
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let world = self.world();
        for (position, id) in ids.iter().enumerate() {
            let partition = world.partition_of(id);
            parts.entry(partition).or_default().push(position);
        }
        let messages = parts.into_iter().flat_map(|(partition, positions)| {
            let chunks = positions.chunks(CHUNK).map(<[usize]>::to_vec);
            chunks.map(|chunk| (partition, chunk)).collect::<Vec<_>>()
        });
        messages.collect()
    }

    /// Asks every partition.
    async fn everywhere<R: Send + 'static>(
        &self,
        kind: Kind,
        ask: impl Fn(&mut World, usize) -> Result<R, StoreError> + Clone + Send + 'static,
    ) -> Result<Vec<R>, StoreError> {
        let partitions = self.world().partitions.len();
        let asked = (0..partitions).map(|partition| {
            let ask = ask.clone();
            let execute = move |world: &mut World| ask(world, partition);
            self.ask(Place::Partition(partition), kind, execute)
        });
        // Every message goes out, whatever becomes of the others.
        join_all(asked)
            .await
            .into_iter()
            .map(|part| part?)
            .collect()
    }

    fn read(&self, generation: IndexGeneration) {
        // Only questions of readers are watched.
        let _ = READ.try_with(|read| read.borrow_mut().push(generation));
    }
}
