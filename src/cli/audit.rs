//! `bellwether audit`: who has done what.

use super::{
    connection::Asking,
    failure::Failure,
    instant,
    output::{self, Column, table},
};
use crate::proto::v1::{AuditEntry, GetAuditRequest, GetAuditResponse};

/// Lists who has applied models, released events, retracted events and backed up, latest first.
#[derive(Clone, Debug, clap::Args)]
pub struct Audit {
    /// How many entries at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    limit: i32,
    #[command(flatten)]
    asking: Asking,
}

impl Audit {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let request = self.asking.request(GetAuditRequest {
            tenant: self.asking.target.tenant.clone(),
            limit: self.limit,
        });
        let response = self
            .asking
            .answer(async |mut client| client.get_audit(request).await)
            .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            describe(&response)
        })
    }
}

/// The entries for people.
fn describe(response: &GetAuditResponse) -> String {
    if response.entries.is_empty() {
        return "nobody has applied a model, released events, retracted one or backed up\n"
            .to_owned();
    }
    let columns = ["time", "who", "role", "call", "what"].map(Column::words);
    let rows = response.entries.iter().map(|entry| {
        let who = match entry.subject.as_str() {
            "" => entry.principal.clone(),
            subject => format!("{} ({subject})", entry.principal),
        };
        [
            instant::format(entry.time.as_ref()),
            who,
            entry.role.clone(),
            entry.method.clone(),
            what(entry),
        ]
    });
    table(&columns, rows)
}

fn what(entry: &AuditEntry) -> String {
    let named = [
        ("model", &entry.fingerprint),
        ("event", &entry.event_id),
        ("held by", &entry.rule),
    ];
    let named = named.into_iter().filter(|(_, name)| !name.is_empty());
    let mut parts: Vec<String> = named.map(|(kind, name)| format!("{kind} {name}")).collect();
    if entry.all_tenants {
        parts.push("for all tenants".to_owned());
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_who_did_what_and_for_whom() {
        let text = describe(&GetAuditResponse {
            entries: vec![AuditEntry {
                principal: "key \"crm\"".to_owned(),
                subject: "ann".to_owned(),
                role: "admin".to_owned(),
                method: "ApplyModel".to_owned(),
                all_tenants: true,
                fingerprint: "00f1".to_owned(),
                ..AuditEntry::default()
            }],
        });
        for part in [
            "key \"crm\" (ann)",
            "admin",
            "ApplyModel",
            "model 00f1 for all tenants",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(describe(&GetAuditResponse::default()).contains("nobody"));
    }
}
