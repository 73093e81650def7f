//! What a model makes of what no clock changes: attribute rules, and the evidence of identity.

use typed_index_collections::{TiSlice, TiVec};

use super::Compiler;
use crate::scoring::model::{
    definition::{Evidence, Rule, Score},
    expr::{Scope, Wanted},
    file::{ModelFile, NumberOrExpression},
    ids::{RuleId, ScoreId},
    signal::Value,
};

impl Compiler<'_> {
    /// The evidence of identity. Its conditions come before all others, which may read the
    /// confidence.
    pub(crate) fn identity(&mut self, file: &ModelFile) -> Vec<Evidence> {
        let mut identity = Vec::new();
        for table in &file.identity {
            let condition = self.condition(&table.when, Scope::Identity);
            let confidence = self.value(&table.confidence, Scope::Identity);
            if let (Some(condition), Some(confidence)) = (condition, confidence) {
                identity.push(Evidence {
                    condition,
                    confidence,
                });
            }
        }
        identity
    }

    pub(crate) fn rules(
        &mut self,
        file: &ModelFile,
        scores: &mut TiSlice<ScoreId, Score>,
    ) -> TiVec<RuleId, Rule> {
        let mut rules: TiVec<RuleId, Rule> = TiVec::new();
        for table in &file.rules {
            let condition = table.when.as_ref();
            let condition = condition.map(|when| self.condition(when, Scope::ClockFree));
            let value = self.value(&table.value, Scope::ClockFree);
            for (score, points, span) in self.score_points(&table.points) {
                if scores[score].half_life.is_some() {
                    let message = format!(
                        "{:?} fades, and what is stated does not; give these points to a score without half_life and multiply the two in rank_by",
                        scores[score].name
                    );
                    self.diagnostics.add(span, message);
                }
                scores[score].rule_points.push((rules.next_key(), points));
            }
            if let Some(value) = value.filter(|_| condition != Some(None)) {
                rules.push(Rule {
                    name: table.name.value.as_str().into(),
                    condition: condition.flatten(),
                    value,
                });
            }
        }
        rules
    }

    /// A number, or an expression that stands for one.
    pub(crate) fn value(&mut self, written: &NumberOrExpression, scope: Scope) -> Option<Value> {
        match written {
            NumberOrExpression::Number(number) => Some(Value::Number(*number)),
            NumberOrExpression::Expression(text) => {
                let number = self.expression(text, scope, Wanted::Number);
                number.map(Value::Expression)
            }
        }
    }
}
