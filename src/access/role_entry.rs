//! What a keys file says of a role.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::{Names, Permission, Role, Sight};

/// `[roles.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleEntry {
    #[serde(default, rename = "description")]
    _description: String,
    calls: Vec<Spanned<String>>,
    scores: Option<BTreeSet<String>>,
    attributes: Option<BTreeSet<String>>,
    segments: Option<BTreeSet<String>>,
    topics: Option<BTreeSet<String>>,
    #[serde(default)]
    derived: bool,
}

impl RoleEntry {
    /// The role, and what is wrong with it, each with where it stands.
    pub fn read(self, name: &Spanned<String>) -> (Role, Vec<(usize, String)>) {
        let mut mistakes = Vec::new();
        let names = |listed: Option<BTreeSet<String>>| listed.map_or(Names::All, Names::Only);
        let mut role = Role {
            name: name.get_ref().clone(),
            permissions: BTreeSet::new(),
            calls: BTreeSet::new(),
            sight: Sight {
                scores: names(self.scores),
                attributes: names(self.attributes),
                segments: names(self.segments),
                topics: names(self.topics),
                derived: self.derived,
            },
        };
        for call in self.calls {
            let (at, call) = (call.span().start, call.into_inner());
            let mut permissions = Permission::ALL.iter();
            if let Some((_, permission)) = permissions.find(|(name, _)| *name == call) {
                role.permissions.insert(*permission);
            } else if Permission::of_call(&call).is_some() {
                role.calls.insert(call);
            } else {
                let known: Vec<&str> = Permission::ALL.iter().map(|(name, _)| *name).collect();
                mistakes.push((at, format!(
                        "there is no call {call:?}; write {}, or the name of a method such as \"GetProfile\"",
                        known.join(", ")
                    )));
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
            mistakes.push((name.span().start, format!(
                    "role {:?} has {what}; take {kind:?} from its calls, or its lists of what it sees",
                    role.name
                )));
        }
        (role, mistakes)
    }
}
