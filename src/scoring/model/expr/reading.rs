//! Evaluates expressions, within what an event may take. A part fails where CEL fails, and so
//! does all that is left when too much was taken.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    cost::Budget,
    native_expr::{Calculation, Change, Comparison, Each, Loop, NativeExpr, TextTest},
    native_value::{NativeValue, timestamp_nanos, timestamp_of_seconds},
    scope::Failed,
    variable::Variable,
};
use crate::scoring::model::duration::duration_nanos;

/// What an expression reads.
pub(crate) trait Variables {
    /// What a variable stands for; `None` when it is not there.
    fn value<'a>(&'a self, variable: &Variable) -> Option<NativeValue<'a>>;

    /// What reading may still take.
    fn budget(&self) -> &Budget;
}

/// Where an evaluation stands.
pub(super) struct Reading<'a, 'f> {
    pub context: &'a dyn Variables,
    /// What the loop around is at.
    pub element: Option<&'f NativeValue<'a>>,
}

impl<'a> Reading<'a, '_> {
    fn budget(&self) -> &'a Budget {
        self.context.budget()
    }
}

impl NativeExpr {
    /// What it stands for.
    pub(super) fn read<'a>(&'a self, at: &Reading<'a, '_>) -> Result<NativeValue<'a>, Failed> {
        let budget = at.budget();
        budget.step(1)?;
        let truth = match self {
            Self::Literal(value) => return Ok(value.into()),
            Self::List(elements) => {
                budget.make_elements(elements.len())?;
                let elements = elements.iter().map(|element| element.read(at));
                return elements.collect::<Result<_, _>>().map(NativeValue::Made);
            }
            Self::Variable(variable) => {
                budget.step(variable.steps())?;
                return at.context.value(variable).ok_or(Failed);
            }
            Self::Element => {
                let element = at.element.ok_or(Failed)?;
                budget.make(element.made_bytes())?;
                return Ok(element.clone());
            }
            Self::Loop(inner) => return inner.read(at),
            Self::Calculate(calculation, parts) => {
                let [a, b] = &**parts;
                return calculation.of_values(a.read(at)?, b.read(at)?, budget);
            }
            Self::Change(change, inner) => return change.of_value(inner.read(at)?, budget),
            Self::If(parts) => {
                let [condition, a, b] = &**parts;
                return if condition.holds(at)? { a } else { b }.read(at);
            }
            Self::Field(map, name) => return map.read(at)?.get(name).ok_or(Failed),
            Self::Index(parts) => {
                let [map, index] = &**parts;
                return map.read(at)?.at(&index.read(at)?).ok_or(Failed);
            }
            Self::Get(parts) => {
                // CEL reads all arguments before it calls a function.
                let [map, name, default] = &**parts;
                let (map, name, default) = (map.read(at)?, name.read(at)?, default.read(at)?);
                return match name {
                    NativeValue::Text(name) => Ok(map.get(&name).unwrap_or(default)),
                    _ => Err(Failed),
                };
            }
            Self::HasField(map, name) => match map.read(at)? {
                NativeValue::Map(values) => values.contains_key(name),
                _ => return Err(Failed),
            },
            Self::And(parts) => decided(false, parts.iter().map(|part| part.holds(at)))?,
            Self::Or(parts) => decided(true, parts.iter().map(|part| part.holds(at)))?,
            Self::Not(inner) => !inner.holds(at)?,
            Self::Compare(comparison, parts) => {
                let [a, b] = &**parts;
                let (a, b) = (a.read(at)?, b.read(at)?);
                budget.step(a.weight().min(b.weight()))?;
                comparison.holds(&a, &b)?
            }
            Self::IsAmong(parts) => {
                let [element, list] = &**parts;
                let (element, list) = (element.read(at)?, list.read(at)?);
                budget.step(list.weight())?;
                is_among(&element, &list)?
            }
            Self::Test(test, parts) => {
                let [text, part] = &**parts;
                match (text.read(at)?, part.read(at)?) {
                    (NativeValue::Text(text), NativeValue::Text(part)) => {
                        budget.look_through(text.len())?;
                        test.holds(&text, &part)
                    }
                    _ => return Err(Failed),
                }
            }
        };
        Ok(NativeValue::Bool(truth))
    }

    /// Whether it is true; it fails when it is neither true nor false.
    fn holds<'a>(&'a self, at: &Reading<'a, '_>) -> Result<bool, Failed> {
        match self.read(at)? {
            NativeValue::Bool(truth) => Ok(truth),
            _ => Err(Failed),
        }
    }
}

impl Loop {
    fn read<'a>(&'a self, at: &Reading<'a, '_>) -> Result<NativeValue<'a>, Failed> {
        let budget = at.budget();
        let elements = self.over.read(at)?.into_elements().ok_or(Failed)?;
        let holds = |condition: &'a NativeExpr, element: &NativeValue<'a>| {
            budget.step(1)?;
            condition.holds(&Reading {
                context: at.context,
                element: Some(element),
            })
        };
        match &self.each {
            Each::Decides(by, condition) => {
                let truths = elements.map(|element| holds(condition, &element));
                decided(*by, truths).map(NativeValue::Bool)
            }
            Each::IsTheOne(condition) => {
                let mut count = 0;
                for element in elements {
                    count += usize::from(holds(condition, &element)?);
                }
                Ok(NativeValue::Bool(count == 1))
            }
            Each::Gives(condition, given) => {
                let mut made = Vec::new();
                for element in elements {
                    if match condition {
                        Some(condition) => holds(condition, &element)?,
                        None => true,
                    } {
                        budget.make_elements(1)?;
                        made.push(given.read(&Reading {
                            context: at.context,
                            element: Some(&element),
                        })?);
                    }
                }
                Ok(NativeValue::Made(made))
            }
        }
    }
}

/// `&&` and `all` (decided by false), `||` and `exists` (decided by true): a part that decides
/// makes up for the failure of others.
fn decided(by: bool, parts: impl Iterator<Item = Result<bool, Failed>>) -> Result<bool, Failed> {
    let mut so_far = Ok(!by);
    for part in parts {
        if part == Ok(by) {
            return part;
        }
        so_far = so_far.and(part);
    }
    so_far
}

fn is_among(element: &NativeValue<'_>, list: &NativeValue<'_>) -> Result<bool, Failed> {
    match (list, element) {
        (NativeValue::List(values), _) => Ok(values
            .iter()
            .any(|value| NativeValue::from(value) == *element)),
        (NativeValue::Texts(texts), NativeValue::Text(element)) => {
            Ok(texts.iter().any(|text| *text == **element))
        }
        (NativeValue::Texts(_), _) => Ok(false),
        (NativeValue::Made(values), _) => Ok(values.contains(element)),
        (NativeValue::Map(values), NativeValue::Text(name)) => {
            Ok(values.contains_key(name.as_ref()))
        }
        // These may be names of a map in CEL, but not in attributes.
        (NativeValue::Map(_), NativeValue::Number(_) | NativeValue::Bool(_)) => Ok(false),
        _ => Err(Failed),
    }
}

impl Comparison {
    /// Values of different kinds are not equal, and comparing their order fails.
    fn holds(self, a: &NativeValue<'_>, b: &NativeValue<'_>) -> Result<bool, Failed> {
        let order = || match (a, b) {
            (NativeValue::Bool(a), NativeValue::Bool(b)) => Ok(a.cmp(b)),
            (NativeValue::Number(a), NativeValue::Number(b)) => a.partial_cmp(b).ok_or(Failed),
            (NativeValue::Text(a), NativeValue::Text(b)) => Ok(a.cmp(b)),
            (NativeValue::Timestamp(a), NativeValue::Timestamp(b))
            | (NativeValue::Duration(a), NativeValue::Duration(b)) => Ok(a.cmp(b)),
            _ => Err(Failed),
        };
        match self {
            Self::Equal => Ok(a == b),
            Self::NotEqual => Ok(a != b),
            Self::Less => order().map(Ordering::is_lt),
            Self::LessOrEqual => order().map(Ordering::is_le),
            Self::Greater => order().map(Ordering::is_gt),
            Self::GreaterOrEqual => order().map(Ordering::is_ge),
        }
    }
}

impl TextTest {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::Contains => text.contains(part),
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
        }
    }
}

impl Calculation {
    fn of_values<'a>(
        self,
        a: NativeValue<'a>,
        b: NativeValue<'a>,
        budget: &Budget,
    ) -> Result<NativeValue<'a>, Failed> {
        let number = match (self, a, b) {
            (Self::Remainder, _, NativeValue::Number(0.0)) => return Err(Failed),
            (_, NativeValue::Number(a), NativeValue::Number(b)) => self.of_numbers(a, b),
            (Self::Add, NativeValue::Text(a), NativeValue::Text(b)) => {
                budget.make(a.len() + b.len())?;
                return Ok(NativeValue::Text(Cow::Owned(a.into_owned() + &b)));
            }
            (Self::Add | Self::Subtract, a, b) if a.is_of_time() && b.is_of_time() => {
                return a.moved_by(&b, self == Self::Add).ok_or(Failed);
            }
            (Self::Add, a, b) => {
                let length = a.length().ok_or(Failed)? + b.length().ok_or(Failed)?;
                budget.make_elements(length)?;
                let elements = [a, b].into_iter().filter_map(NativeValue::into_elements);
                return Ok(NativeValue::Made(elements.flatten().collect()));
            }
            _ => return Err(Failed),
        };
        Ok(NativeValue::Number(number))
    }

    fn of_numbers(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => a % b,
            Self::Least => a.min(b),
            Self::Greatest => a.max(b),
        }
    }
}

impl Change {
    fn of_value<'a>(
        self,
        value: NativeValue<'a>,
        budget: &Budget,
    ) -> Result<NativeValue<'a>, Failed> {
        if let NativeValue::Text(text) = &value {
            budget.look_through(text.len())?;
        }
        Ok(match (self, value) {
            (Self::Negative, NativeValue::Number(number)) => NativeValue::Number(-number),
            (Self::Number | Self::Double, NativeValue::Number(number)) => {
                NativeValue::Number(number)
            }
            (Self::Number, NativeValue::Bool(yes)) => NativeValue::Number(f64::from(u8::from(yes))),
            (Self::Number, NativeValue::Text(text)) => {
                NativeValue::Number(text.trim().parse().map_err(|_| Failed)?)
            }
            (Self::Double, NativeValue::Text(text)) => {
                NativeValue::Number(text.parse().map_err(|_| Failed)?)
            }
            (Self::Text, NativeValue::Text(text)) => NativeValue::Text(text),
            (Self::Text, NativeValue::Number(number)) => {
                NativeValue::Text(Cow::Owned(number.to_string()))
            }
            (Self::Text, NativeValue::Bool(truth)) => {
                NativeValue::Text(Cow::Owned(truth.to_string()))
            }
            (Self::Size, NativeValue::Text(text)) => {
                NativeValue::Number(text.chars().count() as f64)
            }
            (Self::Size, NativeValue::Map(values)) => NativeValue::Number(values.len() as f64),
            (Self::Size, list) => NativeValue::Number(list.length().ok_or(Failed)? as f64),
            (Self::Lower, NativeValue::Text(text)) => {
                budget.make(text.len())?;
                NativeValue::Text(Cow::Owned(text.to_lowercase()))
            }
            (Self::Domain, NativeValue::Text(address)) => {
                budget.make(address.len())?;
                NativeValue::Text(Cow::Owned(domain(&address)))
            }
            (Self::Timestamp, NativeValue::Text(text)) => {
                NativeValue::Timestamp(timestamp_nanos(&text).ok_or(Failed)?)
            }
            (Self::Timestamp, NativeValue::Number(seconds)) => {
                NativeValue::Timestamp(timestamp_of_seconds(seconds).ok_or(Failed)?)
            }
            (Self::Duration, NativeValue::Text(text)) => {
                NativeValue::Duration(duration_nanos(&text).ok_or(Failed)?)
            }
            (Self::Timestamp, same @ NativeValue::Timestamp(_))
            | (Self::Duration, same @ NativeValue::Duration(_)) => same,
            _ => return Err(Failed),
        })
    }
}

/// What stands behind the last `@` of an address, in lower case; empty without one.
pub(crate) fn domain(address: &str) -> String {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain);
    domain.unwrap_or_default().to_lowercase()
}
