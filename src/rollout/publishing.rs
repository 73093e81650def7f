//! How a model becomes the latest of a scope, and how servers come to know of it: by the file
//! that they are started with, by `apply`, and by what the store says every other second.

use std::sync::Arc;

use super::{
    Deployment, RolloutError,
    latest::{Known, SHARED, named},
    steps::ROLLOUTS_BATCH,
};
use crate::{
    scoring::{Fingerprint, KeyRange, Model, Tenant},
    store::{IndexGeneration, Publication, RankRange, Rollout, Store, StoreError},
};

/// How often a publication is tried again because others publish at the same time.
const MAX_ATTEMPTS: usize = 8;

/// What became of a model that was published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    /// When it became the latest of its scope, in milliseconds since 1970.
    revision: u64,
    /// Whether it was not before.
    pub is_new: bool,
}

/// How to apply a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// The revision that it is to follow; `None` for whichever is the latest.
    pub expected_revision: Option<u64>,
    /// Whether nothing is to be changed.
    pub validate_only: bool,
}

/// What became of a model that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// When the latest model of its scope became that, in milliseconds since 1970.
    pub revision: u64,
    /// Whether another one was the latest before.
    pub is_new: bool,
    /// How many tenants of the scope are not answered by it yet; `None` when it was not applied.
    pub waiting_tenants: Option<u64>,
}

/// A model that has to do with a tenant.
#[derive(Clone, Debug)]
pub struct TenantModel {
    /// The model.
    pub model: Arc<Model>,
    /// How many profiles have their places in its ranks.
    pub indexed: u64,
}

/// The models of a tenant.
#[derive(Clone, Debug)]
pub struct TenantModels {
    /// What it is going to be answered by.
    pub latest: Arc<Model>,
    /// When that became the latest, in milliseconds since 1970.
    pub revision: u64,
    /// What it is answered by; `None` while its first ranks are built.
    pub active: Option<TenantModel>,
    /// What its ranks are built for.
    pub candidate: Option<TenantModel>,
    /// The tenants of the same scope that are not answered by the latest model yet.
    pub waiting_tenants: u64,
}

impl<S: Store> Deployment<S> {
    /// Makes a model the latest: of a tenant that has a model of its own, or, without one, of
    /// all tenants that share one.
    pub async fn apply_model(
        &self,
        tenant: Option<&Tenant>,
        model: Arc<Model>,
        options: ApplyOptions,
    ) -> Result<Applied, RolloutError> {
        let scope = self.scope_of(tenant)?;
        let fingerprint = model.fingerprint();
        let expected = options.expected_revision;
        if options.validate_only {
            let latest = self.publication(&scope).await?;
            let is_latest = check_revision(latest, fingerprint, expected)?;
            return Ok(Applied {
                revision: latest.map_or(0, |latest| latest.revision),
                is_new: !is_latest,
                waiting_tenants: None,
            });
        }
        let Published { revision, is_new } = self.publish(&scope, model, expected).await?;
        let waiting_tenants = self.waiting_tenants(&scope, fingerprint).await?;
        Ok(Applied {
            revision,
            is_new,
            waiting_tenants: Some(waiting_tenants),
        })
    }

    /// Which models a tenant has, and how far its ranks are.
    pub async fn models(&self, tenant: &Tenant) -> Result<TenantModels, RolloutError> {
        let known = self.latest_of(tenant)?;
        let wanted = known.model.fingerprint();
        let rollout = self.store.rollout(tenant).await?;
        let (active, candidate) = if rollout.epoch == 0 {
            self.may_exist(tenant)?;
            let model = Arc::clone(&known.model);
            (Some(TenantModel { model, indexed: 0 }), None)
        } else {
            (
                self.tenant_model(tenant, rollout.active).await?,
                self.tenant_model(tenant, rollout.candidate).await?,
            )
        };
        let scope = self.latest.scope(tenant);
        let waiting_tenants = self.waiting_tenants(scope, wanted).await?;
        Ok(TenantModels {
            latest: known.model,
            revision: known.revision,
            active,
            candidate,
            waiting_tenants,
        })
    }
}

/// Whether a model is the latest already. Else the latest must be of the expected revision.
fn check_revision(
    latest: Option<Publication>,
    model: Fingerprint,
    expected: Option<u64>,
) -> Result<bool, RolloutError> {
    if latest.is_some_and(|latest| latest.model == model) {
        return Ok(true);
    }
    let revision = latest.map_or(0, |latest| latest.revision);
    match expected {
        Some(expected) if expected != revision => {
            Err(RolloutError::RevisionChanged { expected, revision })
        }
        _ => Ok(false),
    }
}

/// Others have published at every attempt.
fn unsettled(scope: &str) -> RolloutError {
    RolloutError::ModelsChanging(named(scope).to_owned())
}

/// Whether a tenant is answered by a model, and is not about to leave it.
fn is_at(rollout: &Rollout, model: Fingerprint) -> bool {
    rollout.active.is_some_and(|active| active.model == model) && rollout.candidate.is_none()
}

impl<S: Store> Deployment<S> {
    /// The scope that a model is applied to, with or without a tenant.
    fn scope_of(&self, tenant: Option<&Tenant>) -> Result<String, RolloutError> {
        match tenant {
            Some(_) if self.latest.is_shared() => Err(RolloutError::TenantShares),
            None if !self.latest.is_shared() => Err(RolloutError::TenantMissing),
            None => Ok(SHARED.to_owned()),
            Some(tenant) => {
                self.latest_of(tenant)?;
                Ok(tenant.as_str().to_owned())
            }
        }
    }

    /// Has the store know the models that this server was started with.
    pub(super) async fn publish_started(&self) -> Result<(), RolloutError> {
        for (scope, known) in self.latest.all() {
            self.publish_configured(&scope, &known.model).await?;
        }
        Ok(())
    }

    /// Whether the latest model of the store comes before the one that this server was started
    /// with: when nobody has named one, and when other servers may serve from the store, which
    /// have had this one before. Then it is old, and who starts late would take back what was
    /// applied since.
    async fn is_overruled(
        &self,
        scope: &str,
        configured: Fingerprint,
    ) -> Result<bool, RolloutError> {
        if !self.latest.is_named() {
            return Ok(true);
        }
        let is_shared = self.store.is_shared();
        Ok(is_shared && self.store.revision(scope, configured).await?.is_some())
    }

    /// Says at the end of a start which model files are not what is served.
    pub(super) fn tell_overruled(&self, configured: &[(String, Known)]) {
        for (scope, configured) in configured {
            let configured = configured.model.fingerprint();
            let Some(known) = self.latest.of_scope(scope) else {
                continue;
            };
            let (scope, serving) = (named(scope), known.model.fingerprint());
            if serving == configured {
                continue;
            }
            if self.latest.is_named() {
                tracing::error!(%scope, file = %configured, %serving, "THE MODEL FILE OF THIS START IS NOT SERVED: servers share this store, the file's model was served before, and another one was applied since, which all of them serve. `bellwether apply FILE` goes back to the file");
            } else {
                tracing::info!(%scope, %serving, "no model was named; serving the latest of the store");
            }
        }
    }

    /// Has the store know a model of a file: as the latest one, unless that of the store comes
    /// before it.
    pub(super) async fn publish_configured(
        &self,
        scope: &str,
        model: &Arc<Model>,
    ) -> Result<(), RolloutError> {
        let fingerprint = model.fingerprint();
        for _ in 0..MAX_ATTEMPTS {
            let latest = self.publication(scope).await?;
            if let Some(latest) = latest {
                if latest.model == fingerprint {
                    self.latest
                        .set(scope, Known::new(Arc::clone(model), latest));
                    return Ok(());
                }
                if self.is_overruled(scope, fingerprint).await? {
                    let own = Known {
                        model: Arc::clone(model),
                        revision: latest.revision - 1,
                        unreadable: None,
                    };
                    self.latest.set(scope, own);
                    return self.follow_publication(scope, latest).await;
                }
            }
            let next = Publication::following(latest, fingerprint, self.now().millis());
            if self.store.publish(scope, &next, model.source()).await? {
                if let Some(latest) = latest {
                    tracing::warn!(scope = %named(scope), file = %fingerprint, before = %latest.model, "the model of the file takes the place of the one that was served before; `bellwether apply` goes back to that");
                }
                self.latest.set(scope, Known::new(Arc::clone(model), next));
                return Ok(());
            }
        }
        Err(unsettled(scope))
    }

    /// Makes a model the latest of a scope, unless it is already. The store takes it only in the
    /// place of the one that was looked at here.
    pub(super) async fn publish(
        &self,
        scope: &str,
        model: Arc<Model>,
        expected: Option<u64>,
    ) -> Result<Published, RolloutError> {
        let fingerprint = model.fingerprint();
        for _ in 0..MAX_ATTEMPTS {
            let latest = self.publication(scope).await?;
            let is_latest = check_revision(latest, fingerprint, expected)?;
            if let Some(latest) = latest.filter(|_| is_latest) {
                self.latest.set(scope, Known::new(model, latest));
                return Ok(Published {
                    revision: latest.revision,
                    is_new: false,
                });
            }
            let next = Publication::following(latest, fingerprint, self.now().millis());
            if self.store.publish(scope, &next, model.source()).await? {
                tracing::info!(scope = %named(scope), model = %fingerprint, revision = next.revision, "model applied");
                self.latest.set(scope, Known::new(model, next));
                return Ok(Published {
                    revision: next.revision,
                    is_new: true,
                });
            }
        }
        Err(unsettled(scope))
    }

    /// Follows what other servers have published.
    pub(super) async fn follow_publications(&self) -> Result<(), RolloutError> {
        let all = self.latest.all();
        let scopes: Vec<String> = all.iter().map(|(scope, _)| scope.clone()).collect();
        let publications = self.store.publications(&scopes).await?;
        for ((scope, known), latest) in all.into_iter().zip(publications) {
            let revision = latest.map_or(0, |latest| latest.revision);
            match latest {
                Some(latest) if known.unreadable == Some(latest.revision) => {}
                Some(latest) if latest.revision > known.revision => {
                    self.follow_publication(&scope, latest).await?;
                }
                // A failover has lost the latest; whoever knows it publishes it again.
                _ if revision < known.revision && known.unreadable.is_none() => {
                    let own = Publication {
                        revision: known.revision,
                        after: 0,
                        model: known.model.fingerprint(),
                    };
                    let again = own.again_after(latest);
                    let source = known.model.source();
                    self.store.publish(&scope, &again, source).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the latest model of a scope from the store.
    async fn follow_publication(
        &self,
        scope: &str,
        latest: Publication,
    ) -> Result<(), RolloutError> {
        let source = self.store.published_source(scope).await?;
        let flaw = match source {
            None => "is missing in the store; apply another one, and then this one again",
            Some(source) => match self.model_from(latest.model, source).await {
                Some(model) => {
                    tracing::info!(scope = %named(scope), model = %latest.model, revision = latest.revision, "following the latest model");
                    self.latest.set(scope, Known::new(model, latest));
                    return Ok(());
                }
                None => "is of another version of Bellwether; run one version",
            },
        };
        // Unless it was replaced between the two reads, which the next look finds out.
        if self.publication(scope).await? == Some(latest) {
            tracing::error!(scope = %named(scope), model = %latest.model, "the latest model {flaw}");
            self.latest.set_unreadable(scope, latest.revision);
        }
        Ok(())
    }

    async fn model_from(&self, fingerprint: Fingerprint, source: String) -> Option<Arc<Model>> {
        match self.latest.in_use(fingerprint) {
            Some(model) => Some(model),
            None => self.read_model(fingerprint, source).await,
        }
    }

    /// How many tenants of a scope are not answered by a model yet.
    async fn waiting_tenants(&self, scope: &str, model: Fingerprint) -> Result<u64, RolloutError> {
        let mut waiting = 0;
        let mut tenants = self.store.tenants().await?;
        tenants.retain(|tenant| self.latest.scope(tenant) == scope);
        for tenants in tenants.chunks(ROLLOUTS_BATCH) {
            let rollouts = self.store.rollouts(tenants).await?;
            let others = rollouts.iter().filter(|rollout| !is_at(rollout, model));
            waiting += others.count() as u64;
        }
        Ok(waiting)
    }

    /// The latest model of a scope, as the store says.
    pub(super) async fn publication(&self, scope: &str) -> Result<Option<Publication>, StoreError> {
        let mut latest = self.store.publications(&[scope.to_owned()]).await?;
        Ok(latest.pop().flatten())
    }

    /// A model with how far its ranks are.
    pub(crate) async fn tenant_model(
        &self,
        tenant: &Tenant,
        generation: Option<IndexGeneration>,
    ) -> Result<Option<TenantModel>, RolloutError> {
        let Some(generation) = generation else {
            return Ok(None);
        };
        let model = self.model_of(tenant, generation.model).await?;
        // Every profile stands in exactly one rank of stages.
        let ranges: Vec<RankRange> = model
            .stage_ranks()
            .map(|rank| RankRange {
                rank,
                keys: KeyRange::ALL,
            })
            .collect();
        let counts = match self.store.count(tenant, generation, &ranges).await {
            // Replaced since; whoever asks again finds another one.
            Err(StoreError::Superseded) => Vec::new(),
            counted => counted?.counts,
        };
        let indexed = counts.into_iter().sum();
        Ok(Some(TenantModel { model, indexed }))
    }
}
