//! Evaluates expressions, within what an event may take. A part fails where CEL fails, and so
//! does all that is left when too much was taken.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    Failed,
    code::{Calculation, Change, Code, Comparison, Each, Loop, TextTest},
    cost::Budget,
    fact::Fact,
    facts::Facts,
};

/// Where an evaluation stands.
pub(super) struct Reading<'a, 'f> {
    pub facts: &'f Facts<'a>,
    /// What the loop around is at.
    pub element: Option<&'f Fact<'a>>,
}

impl<'a> Reading<'a, '_> {
    fn budget(&self) -> &'a Budget {
        self.facts.budget
    }
}

impl Code {
    /// What it stands for.
    pub(super) fn read<'a>(&'a self, at: &Reading<'a, '_>) -> Result<Fact<'a>, Failed> {
        let budget = at.budget();
        budget.step(1)?;
        let truth = match self {
            Self::Literal(value) => return Ok(value.into()),
            Self::List(elements) => {
                budget.make_elements(elements.len())?;
                let elements = elements.iter().map(|element| element.read(at));
                return elements.collect::<Result<_, _>>().map(Fact::Made);
            }
            Self::Variable(variable) => {
                budget.step(variable.steps())?;
                return at.facts.fact(variable).ok_or(Failed);
            }
            Self::Element => {
                let element = at.element.ok_or(Failed)?;
                budget.make(element.made_bytes())?;
                return Ok(element.clone());
            }
            Self::Loop(inner) => return inner.read(at),
            Self::Calculate(calculation, parts) => {
                let [a, b] = &**parts;
                return calculation.of_facts(a.read(at)?, b.read(at)?, budget);
            }
            Self::Change(change, inner) => return change.of_fact(inner.read(at)?, budget),
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
                    Fact::Text(name) => Ok(map.get(&name).unwrap_or(default)),
                    _ => Err(Failed),
                };
            }
            Self::HasField(map, name) => match map.read(at)? {
                Fact::Map(values) => values.contains_key(name),
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
                    (Fact::Text(text), Fact::Text(part)) => {
                        budget.look_through(text.len())?;
                        test.holds(&text, &part)
                    }
                    _ => return Err(Failed),
                }
            }
        };
        Ok(Fact::Bool(truth))
    }

    /// Whether it is true; it fails when it is neither true nor false.
    fn holds<'a>(&'a self, at: &Reading<'a, '_>) -> Result<bool, Failed> {
        match self.read(at)? {
            Fact::Bool(truth) => Ok(truth),
            _ => Err(Failed),
        }
    }
}

impl Loop {
    fn read<'a>(&'a self, at: &Reading<'a, '_>) -> Result<Fact<'a>, Failed> {
        let budget = at.budget();
        let elements = self.over.read(at)?.into_elements().ok_or(Failed)?;
        let holds = |condition: &'a Code, element: &Fact<'a>| {
            budget.step(1)?;
            condition.holds(&Reading {
                facts: at.facts,
                element: Some(element),
            })
        };
        match &self.each {
            Each::Decides(by, condition) => {
                let truths = elements.map(|element| holds(condition, &element));
                decided(*by, truths).map(Fact::Bool)
            }
            Each::IsTheOne(condition) => {
                let mut count = 0;
                for element in elements {
                    count += usize::from(holds(condition, &element)?);
                }
                Ok(Fact::Bool(count == 1))
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
                            facts: at.facts,
                            element: Some(&element),
                        })?);
                    }
                }
                Ok(Fact::Made(made))
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

fn is_among(element: &Fact<'_>, list: &Fact<'_>) -> Result<bool, Failed> {
    match (list, element) {
        (Fact::List(values), _) => Ok(values.iter().any(|value| Fact::from(value) == *element)),
        (Fact::Texts(texts), Fact::Text(element)) => Ok(texts.iter().any(|text| text == element)),
        (Fact::Texts(_), _) => Ok(false),
        (Fact::Made(values), _) => Ok(values.contains(element)),
        (Fact::Map(values), Fact::Text(name)) => Ok(values.contains_key(name.as_ref())),
        // These may be names of a map in CEL, but not in attributes.
        (Fact::Map(_), Fact::Number(_) | Fact::Bool(_)) => Ok(false),
        _ => Err(Failed),
    }
}

impl Comparison {
    /// Values of different kinds are not equal, and comparing their order fails.
    fn holds(self, a: &Fact<'_>, b: &Fact<'_>) -> Result<bool, Failed> {
        let order = || match (a, b) {
            (Fact::Bool(a), Fact::Bool(b)) => Ok(a.cmp(b)),
            (Fact::Number(a), Fact::Number(b)) => a.partial_cmp(b).ok_or(Failed),
            (Fact::Text(a), Fact::Text(b)) => Ok(a.cmp(b)),
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
    fn of_facts<'a>(self, a: Fact<'a>, b: Fact<'a>, budget: &Budget) -> Result<Fact<'a>, Failed> {
        let number = match (self, a, b) {
            (Self::Remainder, _, Fact::Number(0.0)) => return Err(Failed),
            (_, Fact::Number(a), Fact::Number(b)) => self.of_numbers(a, b),
            (Self::Add, Fact::Text(a), Fact::Text(b)) => {
                budget.make(a.len() + b.len())?;
                return Ok(Fact::Text(Cow::Owned(a.into_owned() + &b)));
            }
            (Self::Add, a, b) => {
                let length = a.length().ok_or(Failed)? + b.length().ok_or(Failed)?;
                budget.make_elements(length)?;
                let elements = [a, b].into_iter().filter_map(Fact::into_elements);
                return Ok(Fact::Made(elements.flatten().collect()));
            }
            _ => return Err(Failed),
        };
        Ok(Fact::Number(number))
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
    fn of_fact<'a>(self, fact: Fact<'a>, budget: &Budget) -> Result<Fact<'a>, Failed> {
        if let Fact::Text(text) = &fact {
            budget.look_through(text.len())?;
        }
        Ok(match (self, fact) {
            (Self::Negative, Fact::Number(number)) => Fact::Number(-number),
            (Self::Number | Self::Double, Fact::Number(number)) => Fact::Number(number),
            (Self::Number, Fact::Bool(yes)) => Fact::Number(f64::from(u8::from(yes))),
            (Self::Number, Fact::Text(text)) => {
                Fact::Number(text.trim().parse().map_err(|_| Failed)?)
            }
            (Self::Double, Fact::Text(text)) => Fact::Number(text.parse().map_err(|_| Failed)?),
            (Self::Text, Fact::Text(text)) => Fact::Text(text),
            (Self::Text, Fact::Number(number)) => Fact::Text(Cow::Owned(number.to_string())),
            (Self::Text, Fact::Bool(truth)) => Fact::Text(Cow::Owned(truth.to_string())),
            (Self::Size, Fact::Text(text)) => Fact::Number(text.chars().count() as f64),
            (Self::Size, Fact::Map(values)) => Fact::Number(values.len() as f64),
            (Self::Size, list) => Fact::Number(list.length().ok_or(Failed)? as f64),
            (Self::Lower, Fact::Text(text)) => {
                budget.make(text.len())?;
                Fact::Text(Cow::Owned(text.to_lowercase()))
            }
            (Self::Domain, Fact::Text(address)) => {
                budget.make(address.len())?;
                Fact::Text(Cow::Owned(domain(&address)))
            }
            _ => return Err(Failed),
        })
    }
}

/// What stands behind the last `@` of an address, in lower case; empty without one.
pub(super) fn domain(address: &str) -> String {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain);
    domain.unwrap_or_default().to_lowercase()
}
