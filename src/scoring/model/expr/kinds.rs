//! Tells what can never be right in an expression, because a value is of another kind than what
//! is done with it asks for. What callers state can be of any kind.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo},
};

use super::{
    misfits::FUNCTIONS,
    native_expr::literal,
    resolver::{ORDERED, variable_of},
    scope::{ExpressionDiagnostic, Wanted},
    variable::Variable,
};

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Null,
    Truth,
    Number,
    Text,
    List,
    /// A list of texts.
    Texts,
    Map,
}

impl Kind {
    pub(crate) fn named(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Null => "null",
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List | Self::Texts => "a list",
            Self::Map => "a map",
        }
    }

    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Texts)
    }

    /// Whether a value may be of both kinds.
    pub(crate) fn may_be(self, other: Self) -> bool {
        self == other
            || self == Self::Any
            || other == Self::Any
            || (self.is_list() && other.is_list())
    }

    /// What is known of a value that is of one of two kinds.
    fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }

    /// Of what a loop goes through.
    pub(crate) fn of_element(self) -> Self {
        match self {
            Self::Texts | Self::Map => Self::Text,
            _ => Self::Any,
        }
    }
}

/// The mistakes of a resolved expression that is to stand for what is wanted.
pub(crate) fn check(
    node: &IdedExpr,
    wanted: Wanted,
    variables: &[Variable],
    source_info: &SourceInfo,
) -> Vec<ExpressionDiagnostic> {
    let mut kinds = Kinds {
        variables,
        source_info,
        element: None,
        diagnostics: Vec::new(),
    };
    let found = kinds.of(node);
    let (fits, instead) = match wanted {
        Wanted::Condition => (
            found.may_be(Kind::Truth),
            "where a condition is needed; compare it with something, such as x == \"y\" or x > 0",
        ),
        Wanted::Number => (
            found.may_be(Kind::Number),
            "where a number is needed; number(x) makes one of a text or of true and false",
        ),
        Wanted::Keys => (
            [Kind::Text, Kind::Number, Kind::List]
                .into_iter()
                .any(|kind| found.may_be(kind)),
            "where keys are needed; write a text, a number, or a list of these",
        ),
    };
    if !fits {
        kinds.diagnostic(node, format!("stands for {} {instead}", found.named()));
    }
    kinds.diagnostics
}

pub(crate) struct Kinds<'a> {
    variables: &'a [Variable],
    source_info: &'a SourceInfo,
    /// The variable of the loop around, and what it is.
    element: Option<(String, Kind)>,
    pub(crate) diagnostics: Vec<ExpressionDiagnostic>,
}

impl Kinds<'_> {
    pub(crate) fn diagnostic(&mut self, node: &IdedExpr, message: impl Into<String>) {
        let (start, stop) = self.source_info.offset_for(node.id).unwrap_or((0, 0));
        let span = start as usize..stop as usize;
        self.diagnostics.push((span, message.into()));
    }

    pub(crate) fn of(&mut self, node: &IdedExpr) -> Kind {
        match &node.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => {
                    Kind::Number
                }
                LiteralValue::String(_) => Kind::Text,
                LiteralValue::Boolean(_) => Kind::Truth,
                LiteralValue::Null => Kind::Null,
                LiteralValue::Bytes(_) => {
                    self.diagnostic(
                        node,
                        "has bytes, which nothing is; write the text without b",
                    );
                    Kind::Any
                }
            },
            Expr::Ident(name) => match variable_of(self.variables, name) {
                Some(variable) => variable.kind(),
                None => match &self.element {
                    Some((element, kind)) if element == name => *kind,
                    _ => Kind::Any,
                },
            },
            Expr::Select(select) => {
                let map = self.of(&select.operand);
                if !map.may_be(Kind::Map) {
                    let message = format!(
                        "asks {} for a part called {:?}; only maps have parts, such as event.attributes",
                        map.named(),
                        select.field
                    );
                    self.diagnostic(&select.operand, message);
                }
                if select.test { Kind::Truth } else { Kind::Any }
            }
            Expr::List(list) => {
                if !list.optional_indices.is_empty() {
                    self.diagnostic(
                        node,
                        "has an element that may be absent; write the list without ?",
                    );
                }
                let kinds: Vec<Kind> = list.elements.iter().map(|one| self.of(one)).collect();
                if kinds.iter().all(|kind| *kind == Kind::Text) {
                    Kind::Texts
                } else {
                    Kind::List
                }
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.of(&entry.key);
                        self.of(&entry.value);
                    }
                }
                if literal(node).is_none() {
                    self.diagnostic(node, "has a map whose names are no texts, or whose values are read or calculated; write texts in quotes and plain values, or a condition ? a : b");
                }
                Kind::Map
            }
            Expr::Call(call) => self.of_call(node, call),
            Expr::Comprehension(comprehension) => self.of_loop(comprehension),
            Expr::Struct(_) | Expr::Unspecified => Kind::Any,
        }
    }

    fn of_loop(&mut self, comprehension: &ComprehensionExpr) -> Kind {
        let range = self.of(&comprehension.iter_range);
        if !range.is_list() && !range.may_be(Kind::Map) {
            let message = format!(
                "loops over {}; a loop goes through a list, or the names of a map",
                range.named()
            );
            self.diagnostic(&comprehension.iter_range, message);
        }
        self.element = Some((comprehension.iter_var.clone(), range.of_element()));
        self.of(&comprehension.loop_step);
        self.element = None;
        match &comprehension.accu_init.expr {
            Expr::List(_) => Kind::List,
            _ => Kind::Truth,
        }
    }

    fn of_call(&mut self, node: &IdedExpr, call: &CallExpr) -> Kind {
        let name = call.func_name.as_str();
        let operands: Vec<&IdedExpr> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        let kinds: Vec<Kind> = operands.iter().map(|operand| self.of(operand)).collect();
        if let Some((_, wanted, written)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) {
            return self.of_function(node, call, (*wanted, written), &operands, &kinds);
        }
        match (name, kinds.as_slice()) {
            (ORDERED, [range]) => *range,
            ("_&&_" | "_||_" | "!_", _) => {
                for (operand, kind) in operands.iter().zip(&kinds) {
                    self.need_condition(operand, *kind);
                }
                Kind::Truth
            }
            ("_?_:_", [condition, a, b]) => {
                self.need_condition(operands[0], *condition);
                a.or(*b)
            }
            ("-_" | "_-_" | "_*_" | "_/_" | "_%_", _) => {
                for (operand, kind) in operands.iter().zip(&kinds) {
                    self.need_number(operand, *kind);
                }
                Kind::Number
            }
            ("_+_", [a, b]) => self.of_sum(node, (operands[0], *a), (operands[1], *b)),
            ("_==_" | "_!=_", [a, b]) => {
                self.check_equality(node, *a, *b);
                Kind::Truth
            }
            ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
                self.check_order(node, *a, *b);
                Kind::Truth
            }
            ("@in", [element, list]) => {
                self.check_membership(node, *element, (operands[1], *list));
                Kind::Truth
            }
            ("_[_]", [map, index]) => {
                let fits = (map.is_list() && index.may_be(Kind::Number))
                    || (*map == Kind::Map && index.may_be(Kind::Text))
                    || (*map == Kind::Any
                        && (index.may_be(Kind::Text) || index.may_be(Kind::Number)));
                if !fits {
                    let message = format!(
                        "asks {} for what it has at {}; a list has elements at 0, 1 and so on, and a map has values by name",
                        map.named(),
                        index.named()
                    );
                    self.diagnostic(node, message);
                }
                map.of_index()
            }
            ("contains" | "startsWith" | "endsWith", _) => {
                self.check_text_test(node, call, &operands, &kinds);
                Kind::Truth
            }
            ("size", _) => {
                match kinds.as_slice() {
                    [kind] if matches!(kind, Kind::Null | Kind::Truth | Kind::Number) => {
                        let message = format!(
                            "asks for the size of {}; only texts, lists and maps have one",
                            kind.named()
                        );
                        self.diagnostic(operands[0], message);
                    }
                    [_] => {}
                    _ => self.diagnostic(
                        node,
                        "calls size() otherwise than with one value; write size(x)",
                    ),
                }
                Kind::Number
            }
            _ => Kind::Any,
        }
    }
}

impl Kind {
    /// Of what is at a position or under a name.
    fn of_index(self) -> Self {
        match self {
            Self::Texts => Self::Text,
            _ => Self::Any,
        }
    }
}

impl Variable {
    fn kind(&self) -> Kind {
        match self {
            Self::EventType
            | Self::EventChannel
            | Self::EventText
            | Self::EventContentId
            | Self::EventAuthorId
            | Self::Stage => Kind::Text,
            Self::EventTopics | Self::EventTags => Kind::Texts,
            Self::EventAttributes | Self::ProfileAttributes | Self::AuthorAttributes => Kind::Map,
            Self::EventAttribute(_) | Self::ProfileAttribute(_) | Self::AuthorAttribute(_) => {
                Kind::Any
            }
            Self::Seen(_) | Self::Has(_) => Kind::Truth,
            Self::EventSentiment
            | Self::SecondsSinceLast
            | Self::Completeness(_)
            | Self::IdentityConfidence
            | Self::Score(_)
            | Self::AccountScore(_)
            | Self::Count(_)
            | Self::Rate(_) => Kind::Number,
        }
    }
}
