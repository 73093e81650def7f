//! Which drafts may make new records, of their profiles or of those whom their effects are on, where
//! the tenant's quota bounds that. What would be one too many is refused before anything of it is
//! written. All others go on.

use std::{
    collections::{BTreeSet, HashSet},
    mem,
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    ServiceError, Shell,
    draft::Draft,
    lanes::Round,
    profile_quotas::{RecordCount, RecordRoom},
    write::Work,
};
use crate::{
    scoring::{Model, ProfileId, Tenant},
    store::{Store, StoreError},
    telemetry::{Shed, is_new},
};

/// What becomes of drafts that want room for records.
pub(super) struct Admitted {
    /// Have it.
    pub drafts: Vec<Draft<Work>>,
    /// To be drafted again: they may have read what refused ones of the round would have done.
    pub again: Round<Work>,
    /// To be done one piece at a time: there is no room for all of the pieces of a profile.
    pub apart: Round<Work>,
    /// To be kept until the drafts are committed.
    pub room: RecordRoom,
}

impl Admitted {
    const fn all(drafts: Vec<Draft<Work>>, room: RecordRoom) -> Self {
        Self {
            drafts,
            again: Vec::new(),
            apart: Vec::new(),
            room,
        }
    }
}

/// What there is room for, and what not.
#[derive(Default)]
struct Fitted {
    drafts: Vec<Draft<Work>>,
    /// How many records they make.
    new: usize,
    /// Some of whose work may fit by itself.
    apart: Vec<Draft<Work>>,
    refused: Vec<Draft<Work>>,
}

/// The records that drafts make, unless they are there already: an effect may be on anybody.
fn touched<'a>(drafts: impl IntoIterator<Item = &'a Draft<Work>>) -> BTreeSet<&'a ProfileId> {
    let drafts = drafts.into_iter();
    drafts.flat_map(Draft::touched_records).collect()
}

/// Tells what fits into the room that is left for `new` records, in the order of the drafts.
fn fit(drafts: Vec<Draft<Work>>, new: &HashSet<ProfileId>, left: u64) -> Fitted {
    let mut fitted = Fitted::default();
    let mut made: HashSet<ProfileId> = HashSet::new();
    for draft in drafts {
        let is_new = |id: &&ProfileId| new.contains(*id) && !made.contains(*id);
        let own: Vec<ProfileId> = touched([&draft])
            .into_iter()
            .filter(is_new)
            .cloned()
            .collect();
        let fits = |more: usize| (made.len() + more) as u64 <= left;
        if fits(own.len()) {
            made.extend(own);
            fitted.drafts.push(draft);
        } else if draft.work.len() > 1 && (!own.contains(&draft.profile_id) || fits(1)) {
            fitted.apart.push(draft);
        } else {
            fitted.refused.push(draft);
        }
    }
    fitted.new = made.len();
    fitted
}

fn work_of(drafts: Vec<Draft<Work>>) -> Round<Work> {
    let drafts = drafts.into_iter();
    drafts.map(|draft| (draft.profile_id, draft.work)).collect()
}

impl<S: Store> Shell<S> {
    /// Finds room for the records that drafts make, and refuses those for which there is none.
    pub(super) async fn with_room_for_records(
        &self,
        tenant: &Tenant,
        model: &Model,
        drafts: Vec<Draft<Work>>,
    ) -> Admitted {
        let Some(most) = self.profile_quotas.most(tenant) else {
            return Admitted::all(drafts, RecordRoom::Unbounded);
        };
        let count = self.profile_quotas.count_of(tenant);
        match self.room_for_all(tenant, &count, most, &drafts).await {
            Ok(Some(room)) => return Admitted::all(drafts, room),
            Ok(None) => {}
            Err(error) => return self.refuse_drafts(model, drafts, &error.into()),
        }
        // Nobody else makes any until these are written, so that neither too many are made nor one
        // too few.
        let mut room = count.alone().await;
        if let Err(error) = self.count_records(tenant, &count).await {
            return self.refuse_drafts(model, drafts, &error.into());
        }
        let new = self.new_of(tenant, &touched(&drafts)).await;
        let fitted = fit(drafts, &new, count.left(most));
        if fitted.new == 0 {
            room = RecordRoom::Unbounded;
        }
        let is_any_refused = !fitted.refused.is_empty();
        if is_any_refused {
            self.refuse_new(tenant, model, most, fitted.refused);
        }
        let mut admitted = Admitted::all(fitted.drafts, room);
        if model.reads_subjects() {
            // What they read has not come about.
            if !fitted.apart.is_empty() {
                admitted.apart = work_of(mem::take(&mut admitted.drafts));
            } else if is_any_refused {
                admitted.again = work_of(mem::take(&mut admitted.drafts));
            }
        }
        admitted.apart.extend(work_of(fitted.apart));
        admitted
    }

    /// Room for all records that drafts can make, or for none when all of them are there; `None`
    /// when there may be too little.
    async fn room_for_all(
        &self,
        tenant: &Tenant,
        count: &Arc<RecordCount>,
        most: u64,
        drafts: &[Draft<Work>],
    ) -> Result<Option<RecordRoom>, StoreError> {
        let touched = touched(drafts);
        if touched.is_empty() {
            return Ok(Some(RecordRoom::Unbounded));
        }
        if count.is_old() {
            let _alone = count.alone().await;
            self.count_records(tenant, count).await?;
        }
        if let Some(room) = count.share(most, touched.len() as u64).await {
            return Ok(Some(room));
        }
        let new = self.new_of(tenant, &touched).await;
        Ok(new.is_empty().then_some(RecordRoom::Unbounded))
    }

    /// Has the store count, when it was long ago. Only for who is alone.
    async fn count_records(&self, tenant: &Tenant, count: &RecordCount) -> Result<(), StoreError> {
        if count.is_old() {
            let counted = Instant::now();
            count.set(self.store.record_count(tenant).await?, counted);
        }
        Ok(())
    }

    /// Which records are not there. One that cannot be read is there, or whoever writes it hears why.
    async fn new_of(&self, tenant: &Tenant, ids: &BTreeSet<&ProfileId>) -> HashSet<ProfileId> {
        let ids: Vec<ProfileId> = ids.iter().copied().cloned().collect();
        let loaded = self.store.load(tenant, &ids).await;
        let loaded = ids.into_iter().zip(loaded);
        let new = loaded.filter(|(_, loaded)| matches!(loaded, Ok(None)));
        new.map(|(id, _)| id).collect()
    }

    fn refuse_drafts(
        &self,
        model: &Model,
        drafts: Vec<Draft<Work>>,
        error: &ServiceError,
    ) -> Admitted {
        for draft in drafts {
            self.refuse(Some(model), draft.work, error);
        }
        Admitted::all(Vec::new(), RecordRoom::Unbounded)
    }

    /// Refuses what would make too many records.
    fn refuse_new(&self, tenant: &Tenant, model: &Model, most: u64, drafts: Vec<Draft<Work>>) {
        for _ in drafts.iter().flat_map(|draft| &draft.work) {
            self.counters.shed(Shed::Quota);
        }
        let line = "a tenant has as many profiles as its quota allows";
        if is_new([line, "", ""]) {
            tracing::warn!(%tenant, most, "{line}");
        }
        let full = ServiceError::TooManyProfiles {
            tenant: tenant.clone(),
            most,
        };
        self.refuse_drafts(model, drafts, &full);
    }
}
