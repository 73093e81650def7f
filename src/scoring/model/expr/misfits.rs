//! What operators and functions ask of the kinds of their operands, and what to write instead.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, SourceInfo},
};

use super::{
    kinds::Kind, native_expr::literal, native_value::timestamp_nanos, scope::ExpressionDiagnostic,
};
use crate::scoring::{AttributeValue, model::duration::duration_nanos};

/// Functions, how many values they take, and how they are called.
pub(super) const FUNCTIONS: [(&str, usize, &str); 10] = [
    ("min", 2, "min(a, b)"),
    ("max", 2, "max(a, b)"),
    ("get", 3, "get(map, \"key\", default)"),
    ("number", 1, "number(x)"),
    ("double", 1, "number(x)"),
    ("string", 1, "string(x)"),
    ("lower", 1, "lower(text)"),
    ("domain", 1, "domain(address)"),
    ("timestamp", 1, "timestamp(text)"),
    ("duration", 1, "duration(\"7d\")"),
];

/// How what is of time is made of what is stated.
const OF_TIME: &str = "timestamp(x) makes a timestamp of a text such as \"2026-11-21T08:00:00Z\", and duration(\"7d\") a duration";

/// What does not fit in an expression.
pub(super) struct Misfits<'a> {
    source_info: &'a SourceInfo,
    pub diagnostics: Vec<ExpressionDiagnostic>,
}

impl<'a> Misfits<'a> {
    pub(super) fn new(source_info: &'a SourceInfo) -> Self {
        Self {
            source_info,
            diagnostics: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, node: &IdedExpr, message: impl Into<String>) {
        let (start, stop) = self.source_info.offset_for(node.id).unwrap_or((0, 0));
        let span = start as usize..stop as usize;
        self.diagnostics.push((span, message.into()));
    }

    pub(super) fn of_function(
        &mut self,
        node: &IdedExpr,
        call: &CallExpr,
        (wanted, written): (usize, &str),
        operands: &[&IdedExpr],
        kinds: &[Kind],
    ) -> Kind {
        let name = call.func_name.as_str();
        if call.target.is_some() {
            let message = format!("asks a value to {name}(), which is no method; write {written}");
            self.add(node, message);
        } else if kinds.len() != wanted {
            let values = if wanted == 1 { "value" } else { "values" };
            let instead = match name {
                "min" | "max" if kinds.len() > 2 => format!("{name}(a, {name}(b, c)) for more"),
                _ => written.to_owned(),
            };
            let message = format!(
                "calls {name}() with {}; it takes {wanted} {values}: write {instead}",
                kinds.len()
            );
            self.add(node, message);
        } else {
            self.check_arguments(name, operands, kinds);
        }
        match name {
            "lower" | "domain" | "string" => Kind::Text,
            "timestamp" => Kind::Timestamp,
            "duration" => Kind::Duration,
            "get" => Kind::Any,
            _ => Kind::Number,
        }
    }

    fn check_arguments(&mut self, name: &str, operands: &[&IdedExpr], kinds: &[Kind]) {
        for (position, (operand, kind)) in operands.iter().zip(kinds).enumerate() {
            let wanted = match (name, position) {
                ("min" | "max", _) => &[Kind::Number][..],
                ("lower" | "domain", _) | ("get", 1) => &[Kind::Text],
                ("number", _) => &[Kind::Number, Kind::Text, Kind::Truth],
                ("double", _) => &[Kind::Number, Kind::Text],
                ("string", _) => &[Kind::Text, Kind::Number, Kind::Truth],
                ("get", 0) => &[Kind::Map],
                ("timestamp", _) => &[Kind::Text, Kind::Number, Kind::Timestamp],
                ("duration", _) => &[Kind::Text, Kind::Duration],
                _ => continue,
            };
            if let Some(message) = wrong_time(name, operand) {
                self.add(operand, message);
            }
            if !wanted.iter().any(|wanted| kind.may_be(*wanted)) {
                let needed: Vec<&str> = wanted.iter().map(|kind| kind.named()).collect();
                let message = format!(
                    "gives {name}() {} where it takes {}",
                    kind.named(),
                    needed.join(", ")
                );
                self.add(operand, message);
            }
        }
    }

    pub(super) fn need_condition(&mut self, node: &IdedExpr, kind: Kind) {
        if !kind.may_be(Kind::Truth) {
            let message = format!(
                "takes {} for a condition; compare it with something, such as x == \"y\" or x > 0",
                kind.named()
            );
            self.add(node, message);
        }
    }

    pub(super) fn need_number(&mut self, node: &IdedExpr, kind: Kind) {
        if !kind.may_be(Kind::Number) {
            let instead = if kind.is_of_time() {
                "timestamps and durations are added, subtracted and compared"
            } else {
                "number(x) makes a number of a text or of true and false"
            };
            let message = format!("calculates with {}; {instead}", kind.named());
            self.add(node, message);
        }
    }

    /// What adding or subtracting makes where a timestamp or a duration is among the two.
    pub(super) fn of_time(
        &mut self,
        node: &IdedExpr,
        (a, b): (Kind, Kind),
        is_added: bool,
    ) -> Kind {
        a.moved_by(b, is_added).unwrap_or_else(|| {
            let what = if is_added { "adds" } else { "subtracts one from another of" };
            let message = format!(
                "{what} {} and {}, which makes no time; write as_of - duration(\"7d\"), or subtract one timestamp from another: {OF_TIME}",
                a.named(),
                b.named()
            );
            self.add(node, message);
            Kind::Refused
        })
    }

    pub(super) fn of_sum(
        &mut self,
        node: &IdedExpr,
        a: (&IdedExpr, Kind),
        b: (&IdedExpr, Kind),
    ) -> Kind {
        for (node, kind) in [a, b] {
            if matches!(kind, Kind::Null | Kind::Truth | Kind::Map) {
                self.need_number(node, kind);
                return Kind::Any;
            }
        }
        let (a, b) = (a.1, b.1);
        if !a.may_be(b) {
            let message = format!(
                "adds {} and {}; number(x) makes a number of a text, string(x) a text of a number, [x] a list",
                a.named(),
                b.named()
            );
            self.add(node, message);
        }
        match (a, b) {
            (Kind::Any, other) | (other, Kind::Any) => other,
            (a, b) if a.is_list() => {
                if a == b {
                    a
                } else {
                    Kind::List
                }
            }
            (a, _) => a,
        }
    }

    pub(super) fn check_equality(&mut self, node: &IdedExpr, a: Kind, b: Kind) {
        if a.may_be(b) {
            return;
        }
        let instead = match (a, b) {
            (Kind::Null, _) | (_, Kind::Null) => "has(x) asks whether something is there",
            (a, b) if a.is_of_time() || b.is_of_time() => OF_TIME,
            (Kind::Text, Kind::Number) | (Kind::Number, Kind::Text) => {
                "write the number without quotes, or compare number(x)"
            }
            (list, _) | (_, list) if list.is_list() => "write x in list",
            _ => "compare with what it can be",
        };
        let message = format!(
            "compares {} with {}, which are never equal; {instead}",
            a.named(),
            b.named()
        );
        self.add(node, message);
    }

    pub(super) fn check_order(&mut self, node: &IdedExpr, a: Kind, b: Kind) {
        let has_order = |kind: Kind| {
            let unknown = matches!(kind, Kind::Refused | Kind::Any);
            unknown || kind.is_of_time() || matches!(kind, Kind::Truth | Kind::Number | Kind::Text)
        };
        if has_order(a) && has_order(b) && a.may_be(b) {
            return;
        }
        let instead = if a.is_of_time() || b.is_of_time() {
            OF_TIME
        } else if a.is_list() || b.is_list() || a == Kind::Map || b == Kind::Map {
            "compare size(x)"
        } else {
            "compare number(x) where a text has a number in it"
        };
        let message = format!(
            "asks which of {} and {} is greater, which is never answered; {instead}",
            a.named(),
            b.named()
        );
        self.add(node, message);
    }

    pub(super) fn check_membership(
        &mut self,
        node: &IdedExpr,
        element: Kind,
        list: Kind,
        elements: &[Kind],
    ) {
        if list == Kind::Text {
            let message = "asks whether something is `in` a text; write text.contains(\"part\")";
            self.add(node, message);
        } else if !list.is_list() && !list.may_be(Kind::Map) {
            let message = format!(
                "asks whether something is `in` {}; write a list, such as x in [\"a\", \"b\"]",
                list.named()
            );
            self.add(node, message);
        } else if list.is_list()
            && !elements.is_empty()
            && !elements.iter().any(|one| one.may_be(element))
        {
            let message = format!(
                "asks whether {} is `in` a list that has none; {}",
                element.named(),
                match element {
                    Kind::Text => "write its elements in quotes",
                    Kind::Number => "write its elements without quotes, or ask for string(x)",
                    _ => "ask for one element, or compare with ==",
                }
            );
            self.add(node, message);
        }
    }

    pub(super) fn check_text_test(
        &mut self,
        node: &IdedExpr,
        call: &CallExpr,
        operands: &[&IdedExpr],
        kinds: &[Kind],
    ) {
        let name = &call.func_name;
        if call.target.is_none() || kinds.len() != 2 {
            let message = format!(
                "calls {name}() otherwise than of a text with one part; write text.{name}(\"part\")"
            );
            return self.add(node, message);
        }
        if kinds[0].is_list() || kinds[0] == Kind::Map {
            let message = format!(
                "asks {} with {name}(); write \"element\" in list, or list.exists(x, x.{name}(\"part\"))",
                kinds[0].named()
            );
            return self.add(operands[0], message);
        }
        for (operand, kind) in operands.iter().zip(kinds) {
            if !kind.may_be(Kind::Text) {
                let message = format!(
                    "asks for {name}() with {}, which is for texts; string(x) makes a text of a number",
                    kind.named()
                );
                self.add(operand, message);
            }
        }
    }
}

/// What is wrong with a text that is written out where a function of time takes it.
fn wrong_time(function: &str, operand: &IdedExpr) -> Option<String> {
    let Some(AttributeValue::String(text)) = literal(operand) else {
        return None;
    };
    match function {
        "timestamp" if timestamp_nanos(&text).is_none() => Some(
            "is no instant; write a date, a time and its offset from UTC, such as \"2026-11-21T08:00:00Z\""
                .to_owned(),
        ),
        "duration" if duration_nanos(&text).is_none() => Some(
            "is no duration; write a number and a unit (ms, s, m, h, d or w), such as \"7d\""
                .to_owned(),
        ),
        _ => None,
    }
}
