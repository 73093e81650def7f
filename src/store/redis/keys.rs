//! Every key of the store. All keys of a partition begin with `{tenant:partitions:partition}`, which
//! Redis Cluster hashes alone, so that a script may touch all of them, and which tells apart those of
//! different numbers of partitions; those of a tenant begin with `{tenant}`.

use std::fmt::{Display, Write as _};

use xxhash_rust::xxh3::xxh3_64;

use super::super::AuditScope;
use crate::scoring::{Fingerprint, ProfileId, RankName, Tenant};

/// The marker of a database: format and number of partitions.
pub const MARKER: &str = "bellwether";
/// Every tenant.
pub const TENANTS: &str = "bellwether:tenants";
/// A hash: of each model its source, its ranks as a JSON list, and when it was saved last.
pub const TEXTS: &str = "bellwether:texts";
/// A hash: of each scope its latest model, and every one that was it with its revision.
pub const MODELS: &str = "bellwether:models";
/// The servers that serve, by the time until which they do.
pub const SERVERS: &str = "bellwether:servers";
/// The key that page tokens are sealed with.
pub const TOKEN_KEY: &str = "bellwether:token-key";
/// What the keys of audit entries for all tenants begin with.
const AUDIT: &str = "bellwether:audit:";

/// Whether a key has the form of one of ours.
pub fn is_ours(key: &str) -> bool {
    key.starts_with("bellwether:") || of_tenant(key).is_some()
}

/// Whether a key is one of those by which servers agree with each other, and no one's data.
pub fn is_left_behind(key: &str) -> bool {
    if [TENANTS, TEXTS, MODELS, SERVERS, TOKEN_KEY].contains(&key) || key.starts_with(AUDIT) {
        return true;
    }
    of_tenant(key).is_some_and(|kind| {
        let words = ["rollout", "builder", "fence", "copied"];
        let is_of_many = ["indexed:", "audit:"]
            .iter()
            .any(|word| kind.starts_with(word));
        words.contains(&kind) || is_of_many
    })
}

/// How many partitions the tenant of a key has, if the key says it.
pub fn partitions_in(key: &str) -> Option<u32> {
    of_tenant(key)?;
    let (tag, _) = key.strip_prefix('{')?.split_once('}')?;
    tag.split(':').nth(1)?.parse().ok()
}

/// What follows `{tenant}:` or `{tenant:partitions:partition}:`.
fn of_tenant(key: &str) -> Option<&str> {
    let (tag, kind) = key.strip_prefix('{')?.split_once("}:")?;
    let tenant = tag.split_once(':').map_or(tag, |(tenant, _)| tenant);
    Tenant::new(tenant).map(|_| kind)
}

/// The partition of a profile, of so many.
pub fn partition_of(profile_id: &ProfileId, partitions: u32) -> u32 {
    let partition = xxh3_64(profile_id.as_str().as_bytes()) % u64::from(partitions.max(1));
    // Less than a 32-bit number.
    u32::try_from(partition).unwrap_or_default()
}

/// The keys of one partition of a tenant, made one at a time in one buffer.
pub struct PartitionKeys {
    text: String,
    prefix_bytes: usize,
}

impl PartitionKeys {
    /// The keys of one partition of so many.
    pub fn new(tenant: &Tenant, partitions: u32, partition: u32) -> Self {
        let mut text = String::with_capacity(tenant.as_str().len() + 64);
        text.push('{');
        text.push_str(tenant.as_str());
        // Writing to a string cannot fail.
        let _ = write!(text, ":{partitions}:{partition}}}:");
        let prefix_bytes = text.len();
        Self { text, prefix_bytes }
    }

    /// What all keys of the partition begin with: where Redis Cluster keeps them.
    pub fn home(&self) -> &str {
        &self.text[..self.prefix_bytes]
    }

    /// A string: the version, then the encoded record.
    pub fn record(&mut self, profile_id: &ProfileId) -> &str {
        self.key("profile:", profile_id.as_str())
    }

    /// The same, kept.
    pub fn into_record(mut self, profile_id: &ProfileId) -> String {
        self.record(profile_id);
        self.text
    }

    /// A sorted set of all profile ids, all of score 0.
    pub fn ids(&mut self) -> &str {
        self.key("ids", "")
    }

    /// A sorted set of profile ids; the score is minus the rank key.
    pub fn rank(&mut self, generation: u64, rank: &RankName) -> &str {
        self.text.truncate(self.prefix_bytes);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "rank:{generation}:{rank}");
        &self.text
    }

    /// A hash of integers, see [`touches_field`] and [`advances_field`].
    pub fn totals(&mut self) -> &str {
        self.key("totals", "")
    }

    /// A hash: of each profile that was written while its partition is copied, the version of the
    /// last write, until that is copied, too.
    pub fn written(&mut self) -> &str {
        self.key("written", "")
    }

    /// A string: the latest epoch, then the numbers of the generations maintained at it, then, once
    /// anything was counted, `@` and the latest instant that was, in seconds since 1970. In one
    /// string because every script reads it, and a second command costs 5% of an event. Of a
    /// partition that is filled with copies, the epoch of the copying, `#` and the number of the
    /// last batch, see [`filling`].
    pub fn fence(&mut self) -> &str {
        self.key("fence", "")
    }

    fn key(&mut self, kind: &str, name: &str) -> &str {
        self.text.truncate(self.prefix_bytes);
        self.text.push_str(kind);
        self.text.push_str(name);
        &self.text
    }
}

/// Where the keys are of partitions that lie together.
pub fn home(partitions: &[PartitionKeys]) -> &str {
    partitions.first().map_or("", PartitionKeys::home)
}

/// The fence of a partition that is filled with copies, before the first batch: none of an earlier
/// copying is taken, and none that comes late.
pub fn filling(epoch: u64) -> String {
    format!("{epoch}#")
}

/// A hash: of each partition that is copied, where copying goes on in the order of ids.
pub fn copied(tenant: &Tenant) -> String {
    format!("{{{tenant}}}:copied")
}

/// The field of a topic's touches.
pub fn touches_field(topic: &str) -> String {
    format!("{topic}:touches")
}

/// The field of a topic's advances, in millionths.
pub fn advances_field(topic: &str) -> String {
    format!("{topic}:advances")
}

/// The field of a scope for `revision`, `after` or `latest` of its latest model, or for a
/// fingerprint, which is none of these words.
pub fn published_field(scope: &str, name: impl Display) -> String {
    format!("{scope}:{name}")
}

/// A string: the tenant's rollout as JSON.
pub fn rollout(tenant: &Tenant) -> String {
    format!("{{{tenant}}}:rollout")
}

/// The field of a model for `source`, `ranks` or `saved`.
pub fn text_field(model: Fingerprint, name: &str) -> String {
    format!("{model}:{name}")
}

/// A string: the last profile that is indexed in a generation.
pub fn indexed(tenant: &Tenant, generation: u64) -> String {
    format!("{{{tenant}}}:indexed:{generation}")
}

/// A sorted set: audit entries, in the order in which they were added.
pub fn audit(scope: &AuditScope) -> String {
    let method = scope.method.name();
    match &scope.tenant {
        Some(tenant) => format!("{{{tenant}}}:audit:{method}"),
        None => format!("{AUDIT}{method}"),
    }
}

/// A string: which server builds the tenant's ranks.
pub fn builder(tenant: &Tenant) -> String {
    format!("{{{tenant}}}:builder")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use redis::cluster_routing::Slot;

    use super::*;
    use crate::store::AuditedMethod;

    fn tenant() -> Tenant {
        Tenant::new("shop-1").unwrap()
    }

    fn id(text: &str) -> ProfileId {
        ProfileId::new(text).unwrap()
    }

    #[test]
    fn keys_are_what_is_documented() {
        let mut keys = PartitionKeys::new(&tenant(), 16, 7);
        let rank = RankName::new("segment/hot");
        assert_eq!(keys.record(&id("zoë {1}")), "{shop-1:16:7}:profile:zoë {1}");
        assert_eq!(keys.rank(12, &rank), "{shop-1:16:7}:rank:12:segment/hot");
        assert_eq!(keys.ids(), "{shop-1:16:7}:ids");
        assert_eq!(keys.totals(), "{shop-1:16:7}:totals");
        assert_eq!(keys.fence(), "{shop-1:16:7}:fence");
        assert_eq!(keys.written(), "{shop-1:16:7}:written");
        assert_eq!(keys.home(), "{shop-1:16:7}:");
        assert_eq!(rollout(&tenant()), "{shop-1}:rollout");
        assert_eq!(builder(&tenant()), "{shop-1}:builder");
        assert_eq!(indexed(&tenant(), 3), "{shop-1}:indexed:3");
        let field = text_field(Fingerprint(255), "source");
        assert_eq!(field, "00000000000000ff:source");
    }

    #[test]
    fn what_servers_leave_behind_is_told_from_data_and_from_what_is_not_ours() {
        let mut keys = PartitionKeys::new(&tenant(), 16, 7);
        let agreed = [
            SERVERS.to_owned(),
            TOKEN_KEY.to_owned(),
            rollout(&tenant()),
            builder(&tenant()),
            indexed(&tenant(), 3),
            TEXTS.to_owned(),
            keys.fence().to_owned(),
            copied(&tenant()),
            audit(&AuditScope {
                tenant: Some(tenant()),
                method: AuditedMethod::RetractEvent,
            }),
            audit(&AuditScope {
                tenant: None,
                method: AuditedMethod::ApplyModel,
            }),
        ];
        for key in agreed {
            assert!(is_left_behind(&key) && is_ours(&key), "{key}");
        }
        let data = [
            keys.record(&id("}:fence")).to_owned(),
            keys.ids().to_owned(),
            keys.totals().to_owned(),
            keys.written().to_owned(),
        ];
        for key in data {
            assert!(!is_left_behind(&key) && is_ours(&key), "{key}");
        }
        assert_eq!(partitions_in(keys.ids()), Some(16));
        for key in ["{shop}:rollout", "bellwether:texts", "{Shop:16:7}:fence"] {
            assert_eq!(partitions_in(key), None, "{key}");
        }
        for key in [
            "session:1",
            "bellwethers",
            "{Shop:16:7}:fence",
            "{shop:fence",
            "",
        ] {
            assert!(!is_left_behind(key) && !is_ours(key), "{key}");
        }
    }

    #[test]
    fn all_keys_of_a_partition_are_in_one_slot_of_a_cluster() {
        let mut keys = PartitionKeys::new(&tenant(), 16, 3);
        let home = Slot::for_key(keys.home());
        for profile_id in ["a", "}{", "{other}", "{}", "Zoë 🦀"] {
            assert_eq!(Slot::for_key(keys.record(&id(profile_id))), home);
            assert_eq!(
                Slot::for_key(keys.rank(1, &RankName::new(profile_id))),
                home
            );
        }
        assert_eq!(Slot::for_key(keys.ids()), home);
        assert_eq!(Slot::for_key(keys.totals()), home);
        assert_eq!(Slot::for_key(keys.fence()), home);
        assert_eq!(Slot::for_key(keys.written()), home);
    }

    #[test]
    fn partitions_of_a_tenant_lie_in_different_slots() {
        let slots: HashSet<String> = (0..16)
            .map(|partition| {
                let keys = PartitionKeys::new(&tenant(), 16, partition);
                format!("{:?}", Slot::for_key(keys.home()))
            })
            .collect();
        assert_eq!(slots.len(), 16);
    }

    #[test]
    fn profiles_spread_over_all_partitions_and_stay_where_they_are() {
        let mut counts = [0; 16];
        for number in 0..16_000 {
            counts[partition_of(&id(&format!("profile-{number}")), 16) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
        // Fixed for ever: what is stored is found by it.
        assert_eq!(partition_of(&id("profile-1"), 16), 4);
        assert_eq!(partition_of(&id("zoë"), 4_096), 3_746);
    }
}
