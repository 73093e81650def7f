//! What a keys file says of a role.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Names, PERMISSIONS, Permission, Role, Sight,
    names::{NameKind, RoleName},
};
use crate::{
    limits::MAX_KEY_TEXT_BYTES,
    scoring::{Spanned, Table, suggestion},
};

/// Roles by name.
pub(super) type Roles = BTreeMap<String, Arc<Role>>;

/// The role of a name; `None` when there is none, which is noted.
pub(super) fn known_role(
    name: &Spanned<String>,
    roles: &Roles,
    table: &mut Table<'_, '_, '_>,
) -> Option<Arc<Role>> {
    let known = roles.get(&name.value);
    if known.is_none() {
        let hint = suggestion(&name.value, roles.keys().map(String::as_str));
        let mistake = format!("there is no role {:?}; {hint}", name.value);
        table.diagnostic(name.span.clone(), mistake);
    }
    known.map(Arc::clone)
}

/// Reads `[roles.NAME]`, with the names of models in it.
pub(super) fn read_role(
    name: &str,
    table: &mut Table<'_, '_, '_>,
    named: &mut Vec<RoleName>,
) -> Role {
    // For people.
    table.description();
    let mut names = |key, kind| {
        let listed = table.list(key, MAX_KEY_TEXT_BYTES);
        let Some(listed) = listed else {
            return Names::All;
        };
        if let Some(kind) = kind {
            named.extend(listed.value.iter().map(|listed| RoleName {
                role: name.to_owned(),
                kind,
                name: listed.value.clone(),
                place: table.place(&listed.span),
            }));
        }
        let listed = listed.value.into_iter();
        Names::Only(listed.map(|listed| listed.value).collect())
    };
    let sight = Sight {
        scores: names("scores", Some(NameKind::Score)),
        // No model declares them: whatever is stated is one.
        attributes: names("attributes", None),
        segments: names("segments", Some(NameKind::Segment)),
        topics: names("topics", Some(NameKind::Topic)),
        derived: table.truth("derived").is_some_and(|derived| derived.value),
    };
    let mut role = Role {
        name: name.to_owned(),
        permissions: BTreeSet::new(),
        calls: BTreeSet::new(),
        sight,
    };
    if !table.has("calls") {
        table.missing(
            "calls",
            "what it may: permissions and names of methods, such as calls = [\"read\"]",
        );
    }
    let calls = table.list("calls", MAX_KEY_TEXT_BYTES);
    for call in calls.into_iter().flat_map(|calls| calls.value) {
        let mut permissions = Permission::ALL.iter();
        if let Some((_, permission)) = permissions.find(|(name, _)| *name == call.value) {
            role.permissions.insert(*permission);
        } else if Permission::of_call(&call.value).is_some() {
            role.calls.insert(call.value);
        } else {
            let permissions = Permission::ALL.iter().map(|(name, _)| *name);
            let methods = PERMISSIONS.iter().map(|(name, _)| *name);
            let hint = suggestion(&call.value, permissions.chain(methods));
            table.diagnostic(
                call.span,
                format!("there is no permission or method {:?}; {hint}", call.value),
            );
        }
    }
    let mut kinds = Permission::ALL.iter();
    let shown = kinds.find(|(_, kind)| kind.shows_everything() && role.has_any(*kind));
    if let Some((kind, _)) = shown
        && !role.sight.is_whole()
    {
        let what = match *kind {
            "model" => "calls on models, which show every score of everybody",
            _ => "backups, which hold everything of everybody",
        };
        let mistake = format!(
            "role {name:?} has {what}; take {kind:?} from its calls, or its lists of what it sees"
        );
        table.diagnostic(table.span.clone(), mistake);
    }
    role
}
