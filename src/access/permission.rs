//! What a call asks a role for: every method of the API has its permission here, and one that has none
//! is refused to everybody.

/// What a role may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Asks for profiles, lists and counts.
    Read,
    /// Sends events and changes what profiles and subjects state.
    Write,
    /// Takes events back, sees those that are held, and releases them.
    Moderate,
    /// Sees, compares and applies models. It shows every score of everybody.
    Model,
    /// Sees who has applied, released, retracted and backed up what.
    Audit,
    /// Takes a copy of everything that is stored.
    Backup,
}

/// By the name of the method.
pub const PERMISSIONS: [(&str, Permission); 21] = [
    ("ScoreEvent", Permission::Write),
    ("ScoreEvents", Permission::Write),
    ("RetractEvent", Permission::Moderate),
    ("ListQuarantine", Permission::Moderate),
    ("ReleaseEvents", Permission::Moderate),
    ("GetProfile", Permission::Read),
    ("BatchGetProfiles", Permission::Read),
    ("UpdateProfile", Permission::Write),
    ("BatchUpdateProfiles", Permission::Write),
    ("GetSubject", Permission::Read),
    ("UpdateSubject", Permission::Write),
    ("RankSegment", Permission::Read),
    ("GetSegmentTopics", Permission::Read),
    ("GetFunnel", Permission::Read),
    ("TopInfluencers", Permission::Read),
    ("GetCatalog", Permission::Read),
    ("GetAudit", Permission::Audit),
    ("ApplyModel", Permission::Model),
    ("GetModels", Permission::Model),
    ("CompareModels", Permission::Model),
    ("Backup", Permission::Backup),
];

impl Permission {
    /// Every one, as a keys file writes it.
    pub const ALL: [(&str, Self); 6] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("moderate", Self::Moderate),
        ("model", Self::Model),
        ("audit", Self::Audit),
        ("backup", Self::Backup),
    ];

    /// Whether what it gives shows everything of everybody, so that only a role that sees
    /// everything may have it.
    pub const fn shows_everything(self) -> bool {
        matches!(self, Self::Model | Self::Backup)
    }

    /// What a method asks for; `None` for one that nobody has allowed to anybody.
    pub fn of_call(method: &str) -> Option<Self> {
        let mut stated = PERMISSIONS.iter();
        let found = stated.find(|(name, _)| *name == method);
        found.map(|(_, permission)| *permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::methods::METHODS;

    #[test]
    fn every_method_of_the_api_states_its_permission_and_nothing_else_does() {
        let mut methods: Vec<&str> = METHODS.values().map(|method| &*method.name).collect();
        let mut stated: Vec<&str> = PERMISSIONS.iter().map(|(name, _)| *name).collect();
        methods.sort_unstable();
        stated.sort_unstable();
        assert_eq!(stated, methods);
        assert_eq!(Permission::of_call("Nope"), None);
    }

    #[test]
    fn what_changes_nothing_is_to_read_and_what_changes_something_is_not() {
        for method in METHODS.values() {
            let permission = Permission::of_call(&method.name).unwrap();
            let changes = !method.is_read;
            match permission {
                Permission::Read | Permission::Audit | Permission::Backup => {
                    assert!(!changes, "{}", method.name);
                }
                Permission::Write => assert!(changes, "{}", method.name),
                Permission::Moderate | Permission::Model => {}
            }
            let is_of_models = method.service == "ModelService";
            assert_eq!(permission == Permission::Model, is_of_models);
        }
    }
}
