//! The latest model of each scope as this server knows it: what it was started with, until
//! the store says that another one was published since.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Models;
use crate::{
    scoring::{Fingerprint, Model, Tenant},
    store::Publication,
};

/// The scope of tenants that share one model.
pub(super) const SHARED: &str = "";

/// How logs call a scope. No tenant is called so.
pub(super) fn named(scope: &str) -> &str {
    if scope == SHARED {
        "(all tenants)"
    } else {
        scope
    }
}

/// A model, and when it became the latest.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub model: Arc<Model>,
    /// 0 until the store was asked.
    pub revision: u64,
    /// The revision of a later model that this version cannot read.
    pub unreadable: Option<u64>,
}

impl Known {
    /// A model that became the latest.
    pub(super) fn new(model: Arc<Model>, publication: Publication) -> Self {
        Self {
            model,
            revision: publication.revision,
            unreadable: None,
        }
    }
}

/// The latest models by scope.
#[derive(Debug)]
pub(super) struct Latest {
    is_shared: bool,
    /// Whether somebody has named the models that the server was started with.
    is_named: bool,
    scopes: RwLock<BTreeMap<String, Known>>,
    /// Whether tenants that nobody asks for here may have to follow.
    has_changed: AtomicBool,
    /// Every model that is in use, so that none is read twice.
    in_use: Mutex<BTreeMap<Fingerprint, Weak<Model>>>,
}

impl Latest {
    /// The models that a server is started with.
    pub(super) fn new(models: Models) -> Self {
        let unknown = |model| Known {
            model,
            revision: 0,
            unreadable: None,
        };
        let is_named = !matches!(models, Models::BuiltIn(_));
        let (is_shared, scopes) = match models {
            Models::BuiltIn(model) | Models::Shared(model) => {
                (true, vec![(SHARED.to_owned(), unknown(model))])
            }
            Models::ByTenant(models) => {
                let scopes = models
                    .into_iter()
                    .map(|(tenant, model)| (tenant.as_str().to_owned(), unknown(model)));
                (false, scopes.collect())
            }
        };
        let in_use = scopes
            .iter()
            .map(|(_, known): &(String, Known)| in_use(&known.model));
        Self {
            is_shared,
            is_named,
            has_changed: AtomicBool::new(false),
            in_use: Mutex::new(in_use.collect()),
            scopes: RwLock::new(scopes.into_iter().collect()),
        }
    }

    /// Whether all tenants share one model.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether somebody has named the models that the server was started with.
    pub(super) fn is_named(&self) -> bool {
        self.is_named
    }

    /// The scope that a tenant's model is published in.
    pub(super) fn scope<'a>(&self, tenant: &'a Tenant) -> &'a str {
        if self.is_shared {
            SHARED
        } else {
            tenant.as_str()
        }
    }

    /// Every scope with its model.
    pub(super) fn all(&self) -> Vec<(String, Known)> {
        let scopes = self.scopes.read().unwrap_or_else(PoisonError::into_inner);
        let all = scopes.iter();
        all.map(|(scope, known)| (scope.clone(), known.clone()))
            .collect()
    }

    /// The model of every scope.
    pub(super) fn models(&self) -> Vec<Arc<Model>> {
        let scopes = self.scopes.read().unwrap_or_else(PoisonError::into_inner);
        let known = scopes.values();
        known.map(|known| Arc::clone(&known.model)).collect()
    }

    /// The latest model of a tenant; `None` when the tenant does not exist.
    pub(super) fn of(&self, tenant: &Tenant) -> Option<Known> {
        self.of_scope(self.scope(tenant))
    }

    /// The latest model of a scope.
    pub(super) fn of_scope(&self, scope: &str) -> Option<Known> {
        let scopes = self.scopes.read().unwrap_or_else(PoisonError::into_inner);
        scopes.get(scope).cloned()
    }

    /// Takes a model for the latest of a scope, unless a later one is known.
    pub(super) fn set(&self, scope: &str, known: Known) {
        let known = Known {
            model: self.share(known.model),
            ..known
        };
        let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        if scopes
            .get(scope)
            .is_none_or(|before| before.revision <= known.revision)
        {
            scopes.insert(scope.to_owned(), known);
            self.has_changed.store(true, Ordering::Release);
        }
    }

    /// Notes that a later model cannot be read, so that it is said once.
    pub(super) fn set_unreadable(&self, scope: &str, revision: u64) {
        let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = scopes.get_mut(scope) {
            known.unreadable = Some(revision);
        }
    }

    /// Whether a model has changed since this was last asked.
    pub(super) fn take_changed(&self) -> bool {
        self.has_changed.swap(false, Ordering::AcqRel)
    }

    /// Has tenants that nobody asks for here looked at once more.
    pub(super) fn mark_changed(&self) {
        self.has_changed.store(true, Ordering::Release);
    }

    /// A model that is in use already.
    pub(super) fn in_use(&self, fingerprint: Fingerprint) -> Option<Arc<Model>> {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.get(&fingerprint).and_then(Weak::upgrade)
    }

    /// The one copy of a model: one of the same fingerprint that is in use already, or this one.
    pub(super) fn share(&self, model: Arc<Model>) -> Arc<Model> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = in_use.get(&model.fingerprint()).and_then(Weak::upgrade) {
            return known;
        }
        in_use.retain(|_, model| model.strong_count() > 0);
        in_use.insert(model.fingerprint(), Arc::downgrade(&model));
        model
    }
}

fn in_use(model: &Arc<Model>) -> (Fingerprint, Weak<Model>) {
    (model.fingerprint(), Arc::downgrade(model))
}
