//! Puts the rules of quarantine together.

use typed_index_collections::TiVec;

use super::Compiler;
use crate::scoring::model::{
    definition::Model,
    expr::{Scope, Wanted},
    file::ModelFile,
    ids::QuarantineRuleId,
    quarantine::QuarantineRule,
};

impl Compiler<'_> {
    pub(crate) fn quarantine(
        &mut self,
        file: &ModelFile,
    ) -> TiVec<QuarantineRuleId, QuarantineRule> {
        let mut rules = TiVec::new();
        for table in &file.quarantine {
            if let Some(when) = self.expression(&table.when, Scope::Event, Wanted::Condition) {
                rules.push(QuarantineRule {
                    name: table.name.value.as_str().into(),
                    on: table.on.clone(),
                    when,
                    rank: Model::quarantine_rank(&table.name.value),
                });
            }
        }
        rules
    }
}
