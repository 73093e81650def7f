//! Tells what can never be right in an expression, because a value is of another kind than what
//! is done with it asks for. What callers state can be of any kind.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo},
};

use super::{
    kinds::Kind,
    misfits::{FUNCTIONS, Misfits},
    native_expr::literal,
    resolver::{ORDERED, variable_of},
    scope::{ExpressionDiagnostic, Wanted},
    variable::Variable,
};

/// The mistakes of a resolved expression that is to stand for what is wanted.
pub(super) fn check(
    node: &IdedExpr,
    wanted: Wanted,
    variables: &[Variable],
    source_info: &SourceInfo,
) -> Vec<ExpressionDiagnostic> {
    let mut kinds = Kinds {
        variables,
        element: None,
        misfits: Misfits::new(source_info),
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
        Wanted::Key => (
            found.may_be(Kind::Text) || found.may_be(Kind::Number),
            "where a key is needed; write a text or a number",
        ),
        Wanted::Keys => (
            [Kind::Text, Kind::Number, Kind::List]
                .into_iter()
                .any(|kind| found.may_be(kind)),
            "where keys are needed; write a text, a number, or a list of these",
        ),
    };
    let mut misfits = kinds.misfits;
    if !fits {
        misfits.add(node, format!("stands for {} {instead}", found.named()));
    }
    misfits.diagnostics
}

struct Kinds<'a> {
    variables: &'a [Variable],
    /// The variable of the loop around, and what it is.
    element: Option<(String, Kind)>,
    misfits: Misfits<'a>,
}

impl Kinds<'_> {
    fn of(&mut self, node: &IdedExpr) -> Kind {
        match &node.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => {
                    Kind::Number
                }
                LiteralValue::String(_) => Kind::Text,
                LiteralValue::Boolean(_) => Kind::Truth,
                LiteralValue::Null => Kind::Null,
                LiteralValue::Bytes(_) => {
                    self.misfits.add(
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
                    _ => Kind::Refused,
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
                    self.misfits.add(&select.operand, message);
                }
                if select.test { Kind::Truth } else { Kind::Any }
            }
            Expr::List(list) => {
                if !list.optional_indices.is_empty() {
                    self.misfits.add(
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
                    self.misfits.add(node, "has a map whose names are no texts, or whose values are read or calculated; write texts in quotes and plain values, or a condition ? a : b");
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
            self.misfits.add(&comprehension.iter_range, message);
        }
        self.element = Some((comprehension.iter_var.clone(), range.of_element()));
        self.of(&comprehension.loop_step);
        self.element = None;
        match &comprehension.accu_init.expr {
            Expr::List(_) => Kind::List,
            _ => Kind::Truth,
        }
    }

    /// The kinds of what a list has that was looked at already.
    fn of_elements(&mut self, node: &IdedExpr, list: Kind) -> Vec<Kind> {
        let Expr::List(list) = &node.expr else {
            return vec![list.of_element()];
        };
        let told = self.misfits.diagnostics.len();
        let kinds = list.elements.iter().map(|one| self.of(one)).collect();
        self.misfits.diagnostics.truncate(told);
        kinds
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
            return self
                .misfits
                .of_function(node, call, (*wanted, written), &operands, &kinds);
        }
        match (name, kinds.as_slice()) {
            (ORDERED, [range]) => *range,
            ("_&&_" | "_||_" | "!_", _) => {
                for (operand, kind) in operands.iter().zip(&kinds) {
                    self.misfits.need_condition(operand, *kind);
                }
                Kind::Truth
            }
            ("_?_:_", [condition, a, b]) => {
                self.misfits.need_condition(operands[0], *condition);
                a.or(*b)
            }
            ("_-_" | "_+_", [a, b]) if a.is_of_time() || b.is_of_time() => {
                self.misfits.of_time(node, (*a, *b), name == "_+_")
            }
            ("-_" | "_-_" | "_*_" | "_/_" | "_%_", _) => {
                for (operand, kind) in operands.iter().zip(&kinds) {
                    self.misfits.need_number(operand, *kind);
                }
                match kinds.iter().any(|kind| kind.is_of_time()) {
                    true => Kind::Refused,
                    false => Kind::Number,
                }
            }
            ("_+_", [a, b]) => self
                .misfits
                .of_sum(node, (operands[0], *a), (operands[1], *b)),
            ("_==_" | "_!=_", [a, b]) => {
                self.misfits.check_equality(node, *a, *b);
                Kind::Truth
            }
            ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
                self.misfits.check_order(node, *a, *b);
                Kind::Truth
            }
            ("@in", [element, list]) => {
                let elements = self.of_elements(operands[1], *list);
                self.misfits
                    .check_membership(node, *element, *list, &elements);
                Kind::Truth
            }
            ("_[_]", [map, index]) => {
                let fits = (map.is_list() && index.may_be(Kind::Number))
                    || (*map == Kind::Map && index.may_be(Kind::Text))
                    || (matches!(map, Kind::Any | Kind::Refused)
                        && (index.may_be(Kind::Text) || index.may_be(Kind::Number)));
                if !fits {
                    let message = format!(
                        "asks {} for what it has at {}; a list has elements at 0, 1 and so on, and a map has values by name",
                        map.named(),
                        index.named()
                    );
                    self.misfits.add(node, message);
                }
                map.of_index()
            }
            ("contains" | "startsWith" | "endsWith", _) => {
                self.misfits.check_text_test(node, call, &operands, &kinds);
                Kind::Truth
            }
            ("size", _) => {
                match kinds.as_slice() {
                    [kind] if matches!(kind, Kind::Null | Kind::Truth | Kind::Number) => {
                        let message = format!(
                            "asks for the size of {}; only texts, lists and maps have one",
                            kind.named()
                        );
                        self.misfits.add(operands[0], message);
                    }
                    [_] => {}
                    _ => self.misfits.add(
                        node,
                        "calls size() otherwise than with one value; write size(x)",
                    ),
                }
                Kind::Number
            }
            _ => Kind::Refused,
        }
    }
}
