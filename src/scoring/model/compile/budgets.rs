//! What all expressions of a model take together: refused when even the smallest event could not
//! be evaluated, and warned of what is asked for and never comes.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use typed_index_collections::TiSlice;

use super::Compiler;
use crate::scoring::{
    limits::MAX_EVENT_STEPS,
    model::{
        definition::{Evidence, Rule},
        expr::Expression,
        file::ModelFile,
        ids::{QuarantineRuleId, RuleId, SignalId},
        quarantine::QuarantineRule,
        signal::Signal,
    },
    written::suggestion,
};

fn sum(steps: impl Iterator<Item = usize>) -> usize {
    steps.fold(0, usize::saturating_add)
}

impl Compiler<'_> {
    /// Tells the event types whose expressions could not all be evaluated, whatever the event.
    pub(crate) fn check_events(
        &mut self,
        file: &ModelFile,
        signals: &TiSlice<SignalId, Signal>,
        by_type: &FxHashMap<String, Vec<SignalId>>,
        quarantine: &TiSlice<QuarantineRuleId, QuarantineRule>,
    ) {
        // With a mistake elsewhere, positions are not those of the file.
        if signals.len() != file.signals.len() {
            return;
        }
        let listened: BTreeSet<&String> = by_type.keys().collect();
        for event_type in listened {
            let listening = &by_type[event_type];
            let of_signals = listening
                .iter()
                .flat_map(|signal| signals[*signal].expressions());
            let rules = quarantine.iter().filter(|rule| rule.looks_at(event_type));
            let all = of_signals.chain(rules.map(|rule| &rule.when));
            let steps = sum(all.map(|expression| expression.least_steps));
            if steps > MAX_EVENT_STEPS {
                let message = format!(
                    "the expressions that look at {event_type:?} take {steps} steps for the smallest event, and may take {MAX_EVENT_STEPS}; shorten them, or let fewer signals look at it"
                );
                let span = file.signals[usize::from(listening[0])].span.clone();
                self.diagnostics.add(span, message);
            }
        }
    }

    /// The steps that the clock-free conditions of a record take at most; tells when that is too much for
    /// any record.
    pub(crate) fn clock_free_steps(
        &mut self,
        identity: &[Evidence],
        rules: &TiSlice<RuleId, Rule>,
    ) -> usize {
        let of = |steps: fn(&Expression) -> usize| {
            let conditions = self.conditions.iter();
            let confidences = identity
                .iter()
                .filter_map(|one| one.confidence.expression());
            let values = rules.iter().filter_map(|rule| rule.value.expression());
            sum(conditions.chain(confidences).chain(values).map(steps))
        };
        let least = of(|expression| expression.least_steps);
        let most = of(|expression| expression.most_steps);
        if least > MAX_EVENT_STEPS {
            let message = format!(
                "the conditions on what is stated take {least} steps for the smallest profile, and may take {MAX_EVENT_STEPS}; shorten them, or have fewer attribute rules"
            );
            self.diagnostics.add(0..0, message);
        }
        most.min(MAX_EVENT_STEPS)
    }

    /// Warns of event types that only `seen` asks for, and only once, or that are nearly known
    /// ones: they may be misspelt.
    pub(crate) fn warn_of_unheard_types(&mut self, file: &ModelFile) {
        let signals = file.signals.iter().flat_map(|signal| &signal.on);
        let rules = file.quarantine.iter().flat_map(|rule| &rule.on);
        let touches = file
            .influence
            .iter()
            .flat_map(|influence| &influence.event_types);
        let touches = touches.map(|(event_type, _)| &event_type.value);
        let heard: BTreeSet<&String> = signals.chain(rules).chain(touches).collect();
        let asked = std::mem::take(&mut self.seen_types);
        for (event_type, span) in &asked {
            if !heard.contains(event_type) {
                let hint = suggestion(event_type, heard.iter().map(|known| known.as_str()));
                let others = asked.iter().filter(|(other, _)| other == event_type);
                if others.count() > 1 && !hint.starts_with("did you mean") {
                    continue;
                }
                let message = format!(
                    "no signal, touch or quarantine rule is of the event type {event_type:?}, which is right when only seen() asks for it; {hint}"
                );
                self.warnings.add(span.clone(), message);
            }
        }
    }
}
